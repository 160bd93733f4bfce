"""The multivariant playlist of a CMAF group, as the service writes it: one audio group, codecs from the init segments."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from .encode import Encoded
from .probe import Facts


def multivariant(renditions: list[Encoded], facts: Facts) -> str:
    """The text of the playlist."""
    sounds = [r for r in renditions if not r.is_video]
    rate = Fraction(facts.video.get("avg_frame_rate", "30/1").replace("/0", "/1")) if facts.video else Fraction(30)
    lines = ["#EXTM3U", "#EXT-X-VERSION:6", "#EXT-X-INDEPENDENT-SEGMENTS"]
    group_id = "program_audio"
    for index, sound in enumerate(sounds):
        settings = (sound.output["containerSettings"].get("cmfcSettings")) or {}
        group_id = settings.get("audioGroupId", group_id)
        stream = (sound.output["audioDescriptions"][0]).get("streamName") or f"Audio {index + 1}"
        default = "YES" if index == 0 or settings.get("audioTrackType") == "ALTERNATE_AUDIO_AUTO_SELECT_DEFAULT" else "NO"
        channels = "1" if _coding_mode(sound) == "CODING_MODE_1_0" else "2"
        lines.append(
            f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="{group_id}",NAME="{stream}",DEFAULT={default},AUTOSELECT=YES,'
            f'CHANNELS="{channels}",URI="{sound.playlist.name}"'
        )
    sound_peak, sound_average = map(max, zip(*(_bandwidth(s) for s in sounds))) if sounds else (0, 0)
    for picture in (r for r in renditions if r.is_video):
        peak, average = _bandwidth(picture)
        codecs = ",".join([_avc(picture), *(["mp4a.40.2"] if sounds else [])])
        audio = f',AUDIO="{group_id}"' if sounds else ""
        lines.append(
            f'#EXT-X-STREAM-INF:BANDWIDTH={peak + sound_peak},AVERAGE-BANDWIDTH={average + sound_average},CODECS="{codecs}",'
            f"RESOLUTION={picture.width}x{picture.height},FRAME-RATE={float(rate):.3f}{audio}"
        )
        lines.append(picture.playlist.name)
    return "\n".join(lines) + "\n"


def _coding_mode(sound: Encoded) -> str:
    return sound.output["audioDescriptions"][0]["codecSettings"]["aacSettings"]["codingMode"]


def _bandwidth(rendition: Encoded) -> tuple[int, int]:
    """Bits per second of the fattest segment, and of all together."""
    seconds: list[float] = []
    sizes: list[int] = []
    for line in rendition.playlist.read_text().splitlines():
        if line.startswith("#EXTINF:"):
            seconds.append(float(line[8:].split(",")[0]))
        elif line and not line.startswith("#"):
            sizes.append((rendition.playlist.parent / line).stat().st_size)
    # A last segment of a few frames says nothing about the peak.
    peak = max((size * 8 / length for size, length in zip(sizes, seconds) if length > 0.5), default=sum(sizes) * 8)
    return round(peak), round(sum(sizes) * 8 / max(sum(seconds), 0.1))


def _avc(rendition: Encoded) -> str:
    """`avc1.PPCCLL` from the init segment's decoder configuration."""
    init = next(path for path in rendition.files if "init." in path.name).read_bytes()
    record = init.index(b"avcC") + 5
    return f"avc1.{init[record : record + 3].hex()}"


def read_segments(playlist: Path) -> list[Path]:
    """The files that a media playlist names, its init segment first."""
    found = []
    for line in playlist.read_text().splitlines():
        if line.startswith("#EXT-X-MAP:"):
            found.append(playlist.parent / line.split('URI="')[1].split('"')[0])
        elif line and not line.startswith("#"):
            found.append(playlist.parent / line)
    return found
