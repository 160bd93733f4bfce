"""ffmpeg's command lines for a job's outputs, and the playlists that it leaves out.

What comes out is plausible, in names and in form; quality, price and timing are not the service's.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .probe import Facts

Json = dict[str, Any]
# The fastest that still has what the profiles MAIN and HIGH promise.
PRESET = os.environ.get("MEDIACONVERT_X264_PRESET", "superfast")
# With these settings of the group, segments and fragments get these suffixes.
VIDEO_SUFFIX, AUDIO_SUFFIX = "cmfv", "cmfa"
ROTATIONS = {"DEGREES_90": "transpose=clock", "DEGREES_180": "hflip,vflip", "DEGREES_270": "transpose=cclock"}
TONE_MAP = "zscale=t=linear:npl=100,format=gbrpf32le,zscale=p=bt709,tonemap=hable,zscale=t=bt709:m=bt709:r=tv"


@dataclass
class Encoded:
    """One output as it lies on disk."""

    output: Json
    playlist: Path | None
    files: list[Path] = field(default_factory=list)
    width: int = 0
    height: int = 0

    @property
    def is_video(self) -> bool:
        """Whether it holds pictures."""
        return bool(self.output.get("videoDescription"))


def turned(settings: Json) -> tuple[list[str], list[str]]:
    """What a job's `rotate` means: arguments in front of the input, and filters behind it."""
    rotate = (settings["inputs"][0].get("videoSelector") or {}).get("rotate", "DEGREE_0")
    if rotate == "AUTO":
        return [], []  # ffmpeg does so by itself.
    return ["-noautorotate"], [ROTATIONS[rotate]] if rotate in ROTATIONS else []


def upright_size(facts: Facts, settings: Json) -> tuple[int, int]:
    """The size of the pictures once they are turned."""
    rotate = (settings["inputs"][0].get("videoSelector") or {}).get("rotate", "DEGREE_0")
    width, height = facts.video["width"], facts.video["height"]
    lies = facts.rotation() in (90, 270) if rotate == "AUTO" else rotate in ("DEGREES_90", "DEGREES_270")
    return (height, width) if lies else (width, height)


def target_size(video: Json, source: tuple[int, int]) -> tuple[int, int]:
    """The size of an output: what is not said follows the source's shape, to the next even number."""
    width, height = video.get("width"), video.get("height")
    if not width and not height:
        width, height = source
    width = width or height * source[0] / source[1]
    height = height or width * source[1] / source[0]
    return round(width / 2) * 2, round(height / 2) * 2


def filters(video: Json, facts: Facts, size: tuple[int, int], before: list[str]) -> str:
    """The filter chain of one output of pictures."""
    corrector = (video.get("videoPreprocessors") or {}).get("colorCorrector") or {}
    chain = list(before)
    if facts.is_hdr and corrector.get("hdrToSdrToneMapper") and corrector.get("colorSpaceConversion") == "FORCE_709":
        chain.append(TONE_MAP)
    both = video.get("width") and video.get("height")
    behaviour = video.get("scalingBehavior", "DEFAULT")
    box = f"{size[0]}:{size[1]}"
    if both and behaviour in ("DEFAULT", "FIT", "FIT_NO_UPSCALE"):
        chain.append(f"scale={box}:force_original_aspect_ratio=decrease:force_divisible_by=2")
        if behaviour == "DEFAULT":
            chain.append(f"pad={box}:(ow-iw)/2:(oh-ih)/2")
    elif both and behaviour == "FILL":
        chain.append(f"scale={box}:force_original_aspect_ratio=increase,crop={box}")
    else:
        chain.append(f"scale={box}")
    return ",".join([*chain, "setsar=1", "format=yuv420p"])


def h264(video: Json) -> list[str]:
    """The encoder's arguments for one output's H.264 settings."""
    settings = video["codecSettings"]["h264Settings"]
    size = settings.get("gopSize", 90)
    every = f"{size}" if settings.get("gopSizeUnits") == "SECONDS" else f"{size}/30"
    most = settings.get("maxBitrate") or settings.get("bitrate") or 5_000_000
    profile = {"BASELINE": "baseline", "MAIN": "main"}.get(settings.get("codecProfile", "MAIN"), "high")
    arguments = ["-c:v", "libx264", "-preset", PRESET, "-profile:v", profile]
    arguments += ["-crf", "26", "-maxrate", str(most), "-bufsize", str(2 * most)]
    # Closed GOPs of a fixed length; x264 would put a key frame at a cut as well.
    arguments += ["-force_key_frames", f"expr:gte(t,n_forced*{every})", "-g", "600", "-sc_threshold", "0", "-flags", "+cgop"]
    if settings.get("framerateControl") == "SPECIFIED":
        arguments += ["-r", f"{settings['framerateNumerator']}/{settings['framerateDenominator']}"]
    return arguments


def aac(audio: Json) -> list[str]:
    """The encoder's arguments for one output's AAC settings."""
    settings = audio["codecSettings"]["aacSettings"]
    channels = {"CODING_MODE_1_0": "1", "CODING_MODE_5_1": "6"}.get(settings["codingMode"], "2")
    return ["-c:a", "aac", "-b:a", str(settings.get("bitrate", 128_000)), "-ar", str(settings["sampleRate"]), "-ac", channels]


def segmented(group: Json, folder: Path, name: str, is_video: bool) -> tuple[list[str], Path]:
    """The muxer's arguments for one rendition of a CMAF group, and where its playlist will lie."""
    suffix = VIDEO_SUFFIX if is_video else AUDIO_SUFFIX
    playlist = folder / f"{name}.m3u8"
    arguments = ["-f", "hls", "-hls_segment_type", "fmp4", "-hls_time", str(group["segmentLength"]), "-hls_playlist_type", "vod"]
    arguments += ["-hls_flags", "independent_segments", "-start_number", "1"]
    arguments += ["-hls_fmp4_init_filename", f"{name}init.{suffix}", "-hls_segment_filename", str(folder / f"{name}_%05d.{suffix}")]
    return [*arguments, str(playlist)], playlist


def captures(output: Json, facts: Facts, size: tuple[int, int], before: list[str], folder: Path, name: str) -> list[str]:
    """The arguments for an output of still pictures: one at the start, then one each interval, numbered from zero."""
    video = output["videoDescription"]
    settings = video["codecSettings"]["frameCaptureSettings"]
    interval = settings.get("framerateDenominator", 1) / settings.get("framerateNumerator", 1)
    pick = f"select=isnan(prev_selected_t)+gte(t-prev_selected_t\\,{interval})"
    chain = filters(video, facts, size, before).removesuffix(",format=yuv420p")
    # 1..100 of the service to ffmpeg's 31..2.
    scale = 2 + round((100 - settings.get("quality", 80)) * 29 / 99)
    most = settings.get("maxCaptures", 10_000_000)
    pattern = str(folder / f"{name}.%07d.{output.get('extension', 'jpg')}")
    frames = ["-fps_mode", "passthrough", "-frames:v", str(most), "-q:v", str(scale)]
    return ["-an", "-vf", f"{pick},{chain},format=yuvj420p", *frames, "-start_number", "0", pattern]
