"""Files to upload: real clips, each with a tail of its own, so that no two of them have the same bytes."""

from __future__ import annotations

import hashlib
import random
import struct
import subprocess
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

PART_SIZE = 8 * 1024 * 1024

# Name, what ffmpeg makes it of, seconds, bytes of the tail, and how often it is chosen. Some are what viewers get themselves, some are encoded for
# seconds; some are one part, some several.
RECIPES = [
    ("short.mp4", "-f lavfi -i testsrc2=s=320x180:r=30 -c:v libx264 -preset ultrafast -pix_fmt yuv420p", 2, 50_000, 3),
    ("sound.mp4", "-f lavfi -i testsrc2=s=640x360:r=25 -f lavfi -i sine=440 -c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac", 3, 9_000_000, 3),
    ("encoded.mp4", "-f lavfi -i testsrc2=s=640x360:r=30 -c:v mpeg4 -q:v 5", 5, 200_000, 2),
    ("long.mp4", "-f lavfi -i testsrc2=s=854x480:r=30 -c:v mpeg4 -q:v 5", 9, 18_000_000, 1),
    ("parts.mp4", "-f lavfi -i testsrc2=s=320x180:r=30 -c:v mpeg4 -q:v 5", 4, 26_000_000, 2),
]


@dataclass(frozen=True)
class Source:
    """A file, and what is known about it beforehand."""

    path: Path
    seconds: float
    size: int
    sha256: str
    part_sums: tuple[int, ...]
    share: int

    def part(self, number: int) -> bytes:
        """The bytes of a part; parts are numbered from 1."""
        return self.read((number - 1) * PART_SIZE, PART_SIZE)

    def read(self, offset: int, count: int) -> bytes:
        """Some of its bytes."""
        with self.path.open("rb") as file:
            file.seek(offset)
            return file.read(count)


def make(folder: Path, seed: int) -> list[Source]:
    """Makes them all. The same seed gives the same tails."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, recipe, seconds, tail, share in RECIPES:
        path = folder / name
        command = ["ffmpeg", "-v", "error", "-y", *recipe.split(), "-t", str(seconds), "-movflags", "+faststart", str(path)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        # A box that every reader skips.
        with path.open("ab") as file:
            file.write(struct.pack(">I4s", tail + 8, b"free") + random.Random(f"{seed} {name}").randbytes(tail))
        paths.append((path, float(seconds), share))
    with ProcessPoolExecutor() as pool:
        return list(pool.map(describe, paths))


def describe(made: tuple[Path, float, int]) -> Source:
    """Reads a file's sums."""
    path, seconds, share = made
    data = path.read_bytes()
    parts = [data[start : start + PART_SIZE] for start in range(0, len(data), PART_SIZE)]
    return Source(path, seconds, len(data), hashlib.sha256(data).hexdigest(), tuple(map(crc32c, parts)), share)


def sha256(path: Path) -> str:
    """A file's digest."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


TABLE = _table()


def crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli) of some bytes."""
    value, table = 0xFFFFFFFF, TABLE
    for byte in data:
        value = table[(value ^ byte) & 255] ^ value >> 8
    return value ^ 0xFFFFFFFF
