#!/usr/bin/env python3
"""Holds what the packager makes of a file against the file itself: decoded frames and samples, one by one, with their times.

usage: benches/packager/verify.py PACKAGE FOLDER [--only WORD] [CLIP...]

PACKAGE is the built example `package` (cargo build --release -p server --example package). The clips of clips.py are made in FOLDER where
they are not there yet; more clips may be named. ffmpeg decodes both sides, the source with its edit lists applied. Frames have to be
identical and at the same times; of a picture that begins late the first frame is held from 0. Samples have to be identical at the same
times; what the packager sends in front of them to be decoded only, ffmpeg's HLS reader shows before 0, and is left out.
Exits with 1 where anything differs or is refused or taken against expectation.
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import tempfile

import clips


def decoded(source, stream):
    """Time in seconds, and hash, of each frame; None where there is no such stream."""
    # The times as they are in the file: not counted from the first one, and finer than the frame rate.
    command = ["ffmpeg", "-v", "error", "-nostdin", "-copyts", "-i", source, "-map", f"0:{stream}:0", "-fps_mode", "passthrough"]
    command += ["-enc_time_base", "1:90000"] if stream == "v" else []
    result = subprocess.run([*map(str, command), "-f", "framemd5", "-"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if "matches no streams" in result.stderr:
        return None, ""
    base, frames = 0, []
    for line in result.stdout.splitlines():
        if line.startswith("#tb 0:"):
            numerator, denominator = line.split(":")[1].split("/")
            base = int(numerator) / int(denominator)
        elif not line.startswith("#"):
            fields = [field.strip() for field in line.split(",")]
            frames.append((int(fields[2]) * base, fields[5], int(fields[4])))
    return frames, result.stderr.strip()


def compared_pictures(theirs, ours, late=0):
    """What differs, or None, and by how many seconds the first frame is held. The source's times are `late` by a known number of seconds."""
    theirs = [(time - late, *rest) for time, *rest in theirs]
    if [frame[1] for frame in theirs] != [frame[1] for frame in ours]:
        same = sum(1 for one, other in zip(theirs, ours) if one[1] == other[1])
        return f"{len(theirs)} frames, ours {len(ours)}, the same at {same} places", 0
    held = theirs[0][0] - ours[0][0]
    far = max((abs(one[0] - other[0]) for one, other in list(zip(theirs, ours))[1:]), default=0)
    if far > 0.0015 or held < -0.0015 or (held > 0.0015 and abs(ours[0][0]) > 0.0015):
        return f"a frame is {far * 1e3:.1f} ms off, the first {held * 1e3:.1f} ms", 0
    return None, held


def compared_sounds(theirs, ours):
    """What differs, or None, and how many packets there are more in front. ffmpeg cuts what an edit list hides of the first packet, and of
    the last: where a frame is shorter, its end or its beginning is compared by the place of its neighbours."""
    if len(theirs) < 3 or len(ours) < len(theirs):
        return f"{len(theirs)} packets, ours {len(ours)}", 0
    # By time: hashes repeat where it is silent.
    lead = min(range(len(ours)), key=lambda index: abs(ours[index][0] - theirs[1][0])) - 1
    whole = theirs[1:-1]
    mine = ours[lead + 1 : lead + 1 + len(whole)]
    if [frame[1] for frame in whole] != [frame[1] for frame in mine]:
        same = sum(1 for one, other in zip(whole, mine) if one[1] == other[1])
        return f"{len(whole)} packets, the same at {same} places", 0
    far = max((abs(one[0] - other[0]) for one, other in zip(whole, mine)), default=0)
    if far > 0.0015:
        return f"a packet is {far * 1e3:.1f} ms off", 0
    behind = len(ours) - lead - len(theirs)
    if not 0 <= behind <= 1:
        return f"{behind} packets more at the end", 0
    return None, lead


def compared(source, folder, late):
    differences, notes = [], []
    for stream, compare in (("v", lambda *both: compared_pictures(*both, late)), ("a", compared_sounds)):
        theirs, _ = decoded(source, stream)
        ours, complaints = decoded(folder / "index.m3u8", stream)
        if complaints:
            differences.append(f"{stream}: ffmpeg says {complaints.splitlines()[0]}")
        if not theirs and not ours:
            notes.append(f"{stream}: none")
            continue
        if not theirs or not ours:
            differences.append(f"{stream}: only one side has it")
            continue
        difference, extra = compare(theirs, ours)
        if difference:
            differences.append(f"{stream}: {difference}")
        notes.append(f"{stream}: {len(theirs)}" + (f" ({'held' if stream == 'v' else 'lead'} {extra:.3g})" if extra else ""))
    return differences, notes


def checked(package, source, expected):
    with tempfile.TemporaryDirectory(prefix="packager-") as folder:
        folder = pathlib.Path(folder)
        result = subprocess.run([package, "dump", source, folder], stdout=subprocess.PIPE, text=True)
        report = json.loads(result.stdout)
        if result.returncode == 3:
            right = expected != "packaged" and expected in report["refused"]
            return right, f"refused: {report['refused']}"
        if result.returncode != 0 or expected not in ("packaged", "either", clips.LATE):
            return False, f"against expectation: {report}"
        differences, notes = compared(source, folder, 0.08 if expected == clips.LATE else 0)
        stopgaps = "; ".join(report["stopgaps"])
        line = f"{report['segments']} segments, {report['reads_to_open']} reads, {report['memory']:,} bytes kept; " + ", ".join(notes + differences)
        return not differences, line + (f"; until the ladder is there: {stopgaps}" if stopgaps else "")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("package", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--only", default="")
    parser.add_argument("clips", nargs="*", type=pathlib.Path)
    arguments = parser.parse_intermixed_args()
    if not shutil.which("ffmpeg"):
        parser.error("ffmpeg is missing")
    all_right = True
    sources = [(path, "either") for path in arguments.clips]
    if arguments.only != "none":
        sources += clips.make(arguments.folder, lambda name: arguments.only in name)
    for source, expected in sources:
        right, line = checked(arguments.package.resolve(), source, expected)
        all_right &= right
        print(f"{'ok  ' if right else 'BAD '} {source.name:32} {line}", flush=True)
    raise SystemExit(0 if all_right else 1)


if __name__ == "__main__":
    main()
