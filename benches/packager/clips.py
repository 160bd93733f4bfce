"""Makes the clips that the packager is checked on, with ffmpeg and, where that will not write what cameras and editors do, by hand.

Each clip says what has to come of it: "packaged", or a piece of the sentence that it is refused with.
"""

import os
import pathlib
import struct
import subprocess

PICTURE = ["-f", "lavfi", "-i", "testsrc2=s=320x240:r=25:d=12"]
SOUND = ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=12"]
# Noise substitution decodes differently from run to run of a decoder: off, so that samples can be compared.
X264 = "-c:v libx264 -preset veryfast -pix_fmt yuv420p -g 50 -keyint_min 50 -sc_threshold 0".split()
AAC = "-c:a aac -aac_pns 0 -b:a 96k".split()


def ffmpeg(*arguments):
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-y", *map(str, arguments)], check=True)


def encoded(*more, video=X264, audio=AAC, inputs=PICTURE + SOUND):
    return lambda out, folder: ffmpeg(*inputs, *video, *audio, *more, out)


def copied(source, *more, before=()):
    return lambda out, folder: ffmpeg(*before, "-i", folder / source, "-c", "copy", *more, out)


def late(which, seconds, of="closed groups.mp4"):
    """Picture or sound begins later than the other, which an edit list says."""

    def make(out, folder):
        source = folder / of
        tracks = ["0:v", "1:a"] if which == "picture" else ["1:v", "0:a"]
        ffmpeg("-itsoffset", seconds, "-i", source, "-i", source, "-map", tracks[0], "-map", tracks[1], "-c", "copy", out)

    return make


# ---- by hand -------------------------------------------------------------------------------------------------------------------------

HOLDERS = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts"}


def boxes(data, start=0, end=None):
    """Kind, start, start of the content, and end of each box."""
    end = len(data) if end is None else end
    while start + 8 <= end:
        size, kind = struct.unpack(">I4s", data[start : start + 8])
        head = 8
        if size == 1:
            size, head = struct.unpack(">Q", data[start + 8 : start + 16])[0], 16
        yield kind, start, start + head, start + size
        start += size


def rebuilt(data, start, end, change):
    """The boxes of a range, with `change(kind, content)` in the place of the content of each that it gives one for."""
    out = b""
    for kind, _, content, stop in boxes(data, start, end):
        changed = change(kind, data[content:stop])
        if changed is not None:
            kind, body = changed
        else:
            body = rebuilt(data, content, stop, change) if kind in HOLDERS else data[content:stop]
        out += struct.pack(">I4s", len(body) + 8, kind) + body
    return out


def beyond_four_gib(out, folder):
    """A hole of 5 GiB between the header and the samples, and 64-bit offsets."""
    data = (folder / "closed groups.mp4").read_bytes()
    top = {kind: (start, content, stop) for kind, start, content, stop in boxes(data)}
    start, _, stop = top[b"mdat"]
    hole = 5 << 30
    head = data[: top[b"ftyp"][2]]
    shift = len(head) + hole - start

    def change(kind, content):
        if kind == b"stco":
            count = struct.unpack(">I", content[4:8])[0]
            offsets = [offset + shift for offset in struct.unpack(f">{count}I", content[8:])]
            return b"co64", content[:8] + struct.pack(f">{count}Q", *offsets)
        return None

    with open(out, "wb") as file:
        file.write(head + struct.pack(">I4sQ", 1, b"free", hole))
        file.seek(len(head) + hole)
        file.write(data[start:stop])
        moov, _, moov_stop = top[b"moov"]
        file.write(rebuilt(data, moov, moov_stop, change))


def moved_edit(seconds, delayed_by=0):
    """Edit lists that begin later in their media, and perhaps after a pause, as an editor writes them that cuts without encoding."""

    def make(out, folder):
        data = (folder / "closed groups.mp4").read_bytes()
        clocks = iter([12_800, 48_000])

        def change(kind, content):
            if kind != b"elst":
                return None
            duration, start, rate = struct.unpack(">IiI", content[8:20])
            pieces = [(duration - seconds * 1_000, start + int(seconds * next(clocks)), rate)]
            if delayed_by:
                pieces.insert(0, (int(delayed_by * 1_000), -1, rate))
            return b"elst", struct.pack(">II", 0, len(pieces)) + b"".join(struct.pack(">IiI", *map(int, piece)) for piece in pieces)

        moov = next(box for box in boxes(data) if box[0] == b"moov")
        # `moov` is the last box: nothing moves.
        out.write_bytes(data[: moov[1]] + rebuilt(data, moov[1], moov[3], change))

    return make


def high_efficiency(out, folder):
    """AAC at 24 kHz that announces a doubled rate: what an HE-AAC encoder writes around samples that have nothing for the upper half."""
    plain = folder / "24 kHz.tmp.mp4"
    ffmpeg(*PICTURE, *SOUND, *X264, *AAC, "-ar", "24000", "-ac", "2", plain)
    data = plain.read_bytes()
    announced = bytes.fromhex("131056e500")
    assert data.count(announced) == 1, "the encoder writes another configuration"
    out.write_bytes(data.replace(announced, bytes.fromhex("131056e598")))
    plain.unlink()


def cut_short(out, folder):
    data = (folder / "moov first.mp4").read_bytes()
    out.write_bytes(data[: len(data) * 2 // 3])


def repeated(seconds, *more):
    """A long film of little work: a short one over and over."""

    def make(out, folder):
        short = folder / "short.tmp.mp4"
        video = "-c:v libx264 -preset veryfast -pix_fmt yuv420p -g 20 -sc_threshold 0 -bf 2".split()
        source = ["-f", "lavfi", "-i", "testsrc2=s=128x96:r=10:d=60", "-f", "lavfi", "-i", "sine=sample_rate=16000:duration=60"]
        ffmpeg(*source, *video, *"-c:a aac -aac_pns 0 -b:a 16k".split(), short)
        ffmpeg("-stream_loop", "-1", "-i", short, "-t", seconds, "-c", "copy", *more, out)
        short.unlink()

    return make


# Without an edit list ffmpeg shows a picture with negative offsets late by the two frames that are reordered; browsers and the standard do not.
LATE = "packaged; ffmpeg shows the source late"
FRAGMENTS = "+frag_keyframe+empty_moov"

# Name, how it is made, what has to come of it. Some are made of those before them.
CLIPS = [
    ("closed groups.mp4", encoded("-bf", 2), "packaged"),
    ("moov first.mp4", copied("closed groups.mp4", "-movflags", "+faststart"), "packaged"),
    ("three B-frames.mp4", encoded("-bf", 3, "-b_strategy", 2), "packaged"),
    ("baseline.mp4", encoded("-profile:v", "baseline"), "packaged"),
    ("only key frames.mp4", encoded(video=X264 + ["-g", "1"]), "packaged"),
    ("variable frame rate.mp4", encoded("-vf", "select='not(eq(mod(n,7),3))*not(between(n,80,95))'", "-fps_mode", "vfr"), "packaged"),
    ("30000 in 1001.mov", encoded("-r", "30000/1001", "-timecode", "01:00:00:00"), "packaged"),
    ("negative offsets.mp4", copied("three B-frames.mp4", "-movflags", "+negative_cts_offsets"), "packaged"),
    ("no edit list.mp4", copied("three B-frames.mp4", "-use_editlist", 0), "packaged"),
    ("late picture.mp4", late("picture", 1.5), "packaged"),
    ("late sound.mp4", late("sound", 1.3), "packaged"),
    ("longer sound.mp4", encoded(inputs=["-f", "lavfi", "-i", "testsrc2=s=320x240:r=25:d=5"] + SOUND), "packaged"),
    ("turned.mp4", copied("closed groups.mp4", "-metadata:s:v:0", "rotate=90"), "packaged"),
    ("mono 44.1 kHz.mp4", encoded("-ac", 1, "-ar", 44_100), "packaged"),
    ("late sound, mono.mp4", late("sound", 0.9, "mono 44.1 kHz.mp4"), "packaged"),
    ("5.1.mp4", encoded("-ac", 6), "packaged"),
    ("no sound.mp4", encoded(audio=["-an"]), "packaged"),
    ("HE-AAC.mp4", high_efficiency, "packaged"),
    ("late HE-AAC.mp4", late("sound", 0.9, "HE-AAC.mp4"), "begins too late"),
    ("stretched.mp4", encoded("-vf", "setsar=4/3"), "packaged"),
    ("interlaced.mp4", encoded("-flags", "+ildct+ilme", "-x264opts", "tff=1"), "packaged"),
    ("two sounds.mp4", encoded("-map", 0, "-map", 1, "-map", 1), "packaged"),
    ("fragmented.mp4", copied("three B-frames.mp4", "-movflags", FRAGMENTS + "+default_base_moof"), "packaged"),
    ("fragmented finely.mp4", copied("closed groups.mp4", "-movflags", "+empty_moov", "-frag_duration", 300_000), "packaged"),
    ("fragmented for DASH.mp4", copied("three B-frames.mp4", "-movflags", FRAGMENTS + "+dash+global_sidx+negative_cts_offsets"), LATE),
    ("whole groups cut off.mp4", moved_edit(4), "packaged"),
    ("whole groups cut off, late.mp4", moved_edit(4, 0.7), "packaged"),
    ("beyond 4 GiB.mp4", beyond_four_gib, "packaged"),
    ("five hours.mp4", repeated(5 * 3_600), "packaged"),
    ("open groups.mp4", encoded("-bf", 3, "-x264-params", "open-gop=1:bframes=3"), "group of pictures is open"),
    ("key frames far apart.mp4", encoded(video=X264 + ["-g", "1000", "-keyint_min", "1000"]), "too far apart"),
    ("cut inside a group.mp4", moved_edit(3), "cut inside a group"),
    ("fragments and movie box.mp4", copied("closed groups.mp4", "-movflags", "+frag_keyframe"), "in fragments"),
    ("4:4:4.mp4", encoded(video=X264 + ["-pix_fmt", "yuv444p"]), "profile"),
    ("grey.mp4", encoded(video=X264 + ["-pix_fmt", "gray"]), "4:2:0"),
    ("HEVC.mp4", encoded(video="-c:v libx265 -preset ultrafast -x265-params log-level=error -pix_fmt yuv420p".split()), "not H.264"),
    ("MP3.mp4", encoded(audio=["-c:a", "libmp3lame"]), "not AAC"),
    ("cut short.mp4", cut_short, "damaged"),
]


def make(folder, wanted=lambda name: True):
    """Makes what is not there yet; gives path and expectation of each clip that is wanted."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, how, expected in CLIPS:
        path = folder / name
        if not path.exists() and (wanted(name) or name == "closed groups.mp4"):
            unfinished = folder / f"unfinished{path.suffix}"
            how(unfinished, folder)
            os.replace(unfinished, path)
        if wanted(name):
            yield path, expected
