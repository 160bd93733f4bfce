#!/usr/bin/env python3
"""Compares Millrace's one ffmpeg process for a whole ladder with one ffmpeg process for each rung.

usage: benches/transcode/run.py CLIP [ROUNDS]

Both sides make the same rungs with the same encoder settings, as HLS with fMP4 segments. The baseline is the usual script: a run for
each rung (the top one encoded as well) and one for the sound. The two take turns, so that a busy machine is busy for both. Ours is the
product's own adapter with all it does: probe, poster, storing. Only bubblewrap is off (it costs about 20 ms a start), because the
processor time of what runs in its process namespace is not passed up. Prints medians of seconds and processor seconds.
"""

import json
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "target/release/examples/transcode"


def measured(work):
    """Seconds and processor seconds (children included) that `work` takes, and its result."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    result = work()
    seconds, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, result


def ours(clip, folder):
    shutil.rmtree(folder, ignore_errors=True)
    output = subprocess.run([EXAMPLE, clip, folder, "off"], check=True, stdout=subprocess.PIPE).stdout
    return json.loads(output)


def separately(clip, folder, report):
    shutil.rmtree(folder, ignore_errors=True)
    hls = "-f hls -hls_time 4 -hls_playlist_type vod -hls_segment_type fmp4".split()
    facts = report["facts"]["video"]
    encoded = [rung for rung in report["ladder"]["rungs"] if rung["video"]["how"] == "encode"]
    for rung in report["ladder"]["rungs"]:
        # A copied rung has no bit rate of its own; it gets what the source has.
        rate = rung["video"].get("max_bitrate") or facts["bit_rate"] or encoded[0]["video"]["max_bitrate"]
        out = folder / rung["name"]
        out.mkdir(parents=True)
        subprocess.run(
            ["ffmpeg", "-v", "error", "-nostdin", "-y", "-i", clip, "-an", "-vf", f"scale={rung['width']}:{rung['height']}:flags=bicubic"]
            + "-c:v libx264 -preset veryfast -profile:v high -pix_fmt yuv420p -crf 23 -sc_threshold 0".split()
            + ["-maxrate", str(rate), "-bufsize", str(2 * rate), "-force_key_frames", "expr:gte(t,n_forced*2)"]
            + hls + ["-hls_segment_filename", out / "%05d.m4s", out / "index.m3u8"],
            check=True,
        )
    if report["facts"]["audio"]:
        out = folder / "audio"
        out.mkdir()
        subprocess.run(
            ["ffmpeg", "-v", "error", "-nostdin", "-y", "-i", clip, "-vn", "-c:a", "aac", "-b:a", "128k", "-ac", "2"]
            + hls + ["-hls_segment_filename", out / "%05d.m4s", out / "index.m3u8"],
            check=True,
        )


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    clip, rounds = pathlib.Path(sys.argv[1]).resolve(), int(sys.argv[2]) if len(sys.argv) == 3 else 3
    subprocess.run(["cargo", "build", "--quiet", "--release", "-p", "server", "--example", "transcode"], check=True, cwd=ROOT)
    one, many, report = [], [], None
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        for _ in range(rounds):
            seconds, processor, report = measured(lambda: ours(clip, scratch / "ours"))
            one.append((seconds, processor))
            seconds, processor, _ = measured(lambda: separately(clip, scratch / "separate", report))
            many.append((seconds, processor))
    median = lambda runs, column: statistics.median(run[column] for run in runs)
    rungs = " ".join(f"{rung['name']}({rung['video']['how']})" for rung in report["ladder"]["rungs"])
    print(f"{clip.name}: {report['facts']['duration_ms'] / 1000:.1f} s, rungs {rungs}, {rounds} rounds")
    print(f"{'':24}{'seconds':>10}{'cpu seconds':>14}")
    print(f"{'Millrace, one process':24}{median(one, 0):10.2f}{median(one, 1):14.2f}")
    print(f"{'one process a rung':24}{median(many, 0):10.2f}{median(many, 1):14.2f}")
    print(f"{'ratio':24}{median(one, 0) / median(many, 0):10.2f}{median(one, 1) / median(many, 1):14.2f}")


main()
