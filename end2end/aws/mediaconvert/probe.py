"""What a file holds: ffprobe's answer as facts for the encoder, and as the `Probe` operation words it."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

# ffprobe's words to the service's.
FORMATS = {"mov,mp4,m4a,3gp,3g2,mj2": "mp4", "matroska,webm": "matroska", "avi": "avi", "mpegts": "mpegts", "mpeg": "mpegps"}
FORMATS |= {"mxf": "mxf", "wav": "wave", "mp3": "mp3", "flac": "flac", "asf": "asf"}
CODECS = {"h264": "AVC", "hevc": "HEVC", "av1": "AV1", "vp8": "VP8", "vp9": "VP9", "mpeg4": "MP4V", "mpeg2video": "MPEG2"}
CODECS |= {"prores": "PRORES", "aac": "AAC", "ac3": "AC3", "eac3": "EAC3", "flac": "FLAC", "mp2": "MP2"}
CODECS |= {"mp3": "MP3", "opus": "OPUS", "vorbis": "VORBIS"}
PRIMARIES = {"bt709": "ITU_709", "bt2020": "ITU_2020", "smpte170m": "SMPTE_170M", "bt470bg": "ITU_470BG"}
TRANSFERS = {"bt709": "ITU_709", "smpte2084": "SMPTE_2084", "arib-std-b67": "ARIB_B67", "smpte170m": "SMPTE_170M"}
MATRICES = {"bt709": "ITU_709", "bt2020nc": "ITU_2020_NCL", "bt2020c": "ITU_2020_CL", "smpte170m": "SMPTE_170M", "bt470bg": "ITU_470BG"}


class NotMedia(Exception):
    """The file can't be read as media."""


@dataclass(frozen=True)
class Facts:
    """ffprobe's findings."""

    form: dict[str, Any]
    streams: list[dict[str, Any]]

    @property
    def seconds(self) -> float:
        """How long it plays."""
        return float(self.form.get("duration", 0))

    @property
    def video(self) -> dict[str, Any] | None:
        """The first stream of moving pictures; a cover picture is none."""
        moving = (s for s in self.streams if s["codec_type"] == "video" and not s.get("disposition", {}).get("attached_pic"))
        return next(moving, None)

    @property
    def audio(self) -> dict[str, Any] | None:
        """The first stream of sound."""
        return next((s for s in self.streams if s["codec_type"] == "audio"), None)

    @property
    def is_hdr(self) -> bool:
        """Whether the pictures need tone mapping for an ordinary screen."""
        return (self.video or {}).get("color_transfer") in ("smpte2084", "arib-std-b67")

    def rotation(self) -> int:
        """How far a player turns the pictures clockwise: 0, 90, 180 or 270."""
        for side in (self.video or {}).get("side_data_list", []):
            if "rotation" in side:
                return -round(side["rotation"]) % 360
        return 0


def look_into(path: Path) -> Facts:
    """Asks ffprobe."""
    command = ["ffprobe", "-v", "error", "-show_format", "-show_streams", "-of", "json", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    answer = json.loads(done.stdout or "{}")
    if not answer.get("streams"):
        raise NotMedia(done.stderr.strip()[:200].replace(str(path), "input") or "no tracks")
    return Facts(answer["format"], answer["streams"])


def answer(facts: Facts, etag: str, size: int, mime_type: str) -> dict[str, Any]:
    """One element of `probeResults`."""
    tracks = [_track(stream, facts) for stream in facts.streams]
    container: dict[str, Any] = {"duration": facts.seconds, "tracks": tracks}
    name = facts.form.get("format_name", "")
    # ffprobe does not tell WebM from the rest of Matroska; its codecs do.
    is_web = {s.get("codec_name") for s in facts.streams} <= {"vp8", "vp9", "av1", "opus", "vorbis"}
    if facts.form.get("tags", {}).get("major_brand", "").strip() == "qt":
        container["format"] = "quicktime"
    elif name == "matroska,webm" and is_web:
        container["format"] = "webm"
    elif name in FORMATS:
        container["format"] = FORMATS[name]
    if "bit_rate" in facts.form:
        container["bitRate"] = int(facts.form["bit_rate"])
    indexes = {kind: [t["index"] for t in tracks if t["trackType"] == kind] for kind in ("audio", "data", "video")}
    return {
        "container": container,
        "metadata": {"eTag": etag, "fileSize": size, "mimeType": mime_type},
        "trackMappings": [{f"{kind}TrackIndexes": numbers for kind, numbers in indexes.items()}],
    }


def _track(stream: dict[str, Any], facts: Facts) -> dict[str, Any]:
    kind = stream["codec_type"] if stream["codec_type"] in ("video", "audio") else "data"
    # Tracks count from 1 in this API.
    track: dict[str, Any] = {"index": stream["index"] + 1, "trackType": kind}
    track["duration"] = float(stream.get("duration") or facts.seconds)
    if kind != "data":
        codec = stream.get("codec_name", "")
        track["codec"] = "PCM" if codec.startswith("pcm_") else CODECS.get(codec, "UNKNOWN")
    if kind == "video":
        track["videoProperties"] = _video(stream, facts)
    if kind == "audio":
        track["audioProperties"] = {
            "channels": stream.get("channels", 0),
            "sampleRate": int(stream.get("sample_rate", 0)),
            "bitRate": int(stream.get("bit_rate", 0)),
            "languageCode": stream.get("tags", {}).get("language", "und"),
        }
    return track


def _video(stream: dict[str, Any], facts: Facts) -> dict[str, Any]:
    rate = Fraction(stream.get("avg_frame_rate", "0/0").replace("/0", "/1"))
    aspect = Fraction(stream.get("sample_aspect_ratio", "1:1").replace(":", "/").replace("0/1", "1/1"))
    pixel = stream.get("pix_fmt", "")
    found: dict[str, Any] = {
        "width": stream["width"],
        "height": stream["height"],
        "frameRate": {"numerator": rate.numerator, "denominator": rate.denominator},
        "sampleAspectRatio": {"numerator": aspect.numerator, "denominator": aspect.denominator},
        "bitRate": int(stream.get("bit_rate", 0)),
        "bitDepth": 12 if "12" in pixel else 10 if "10" in pixel else 8,
        "colorPrimaries": PRIMARIES.get(stream.get("color_primaries", ""), "UNSPECIFIED"),
        "transferCharacteristics": TRANSFERS.get(stream.get("color_transfer", ""), "UNSPECIFIED"),
        "matrixCoefficients": MATRICES.get(stream.get("color_space", ""), "UNSPECIFIED"),
    }
    if facts.rotation():  # Null when there is none.
        found["rotation"] = facts.rotation()
    found["codecMetadata"] = {
        "width": stream["width"],
        "height": stream["height"],
        "bitDepth": found["bitDepth"],
        "chromaSubsampling": next((text for mark, text in (("444", "4:4:4"), ("422", "4:2:2")) if mark in pixel), "4:2:0"),
        "profile": str(stream.get("profile", "")),
        "scanType": "progressive" if stream.get("field_order", "progressive") in ("progressive", "unknown") else "interlaced",
    }
    return found
