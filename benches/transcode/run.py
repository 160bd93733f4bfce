#!/usr/bin/env python3
"""Compares Millrace's one ffmpeg process for a whole ladder with one ffmpeg process for each rung: what it costs, and how it looks.

usage: benches/transcode/run.sh [CLIP...] [--short] [--rounds N] [--json FILE]

Without a CLIP, two are made: one that browsers play, whose pictures are kept as they are, and the same pictures as HEVC, where everything has to be encoded. Both sides make the same rungs
with the same encoder settings, as HLS with fMP4 segments. The baseline is the usual script: a run for each rung (the top one encoded as well) and one for the sound. The two take turns, so
that a busy machine is busy for both. Ours is the product's own adapter with all it does: probe, poster, storing. Only the sandbox is off (it costs about 20 ms a start), because the
processor time of what runs in its process namespace is not passed up.

Then VMAF of each encoded rung against the source, both scaled to the source's size, ours beside theirs. Prints medians with their spread; exits with 1 only where something broke.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import imageio_ffmpeg

# Processor time beside separate runs, and how much worse a rung may look.
TARGETS = {"kept": 0.42, "encoded": 0.75}
VMAF_SLACK = 0.5
# Pictures that move as a whole, in part and not at all, with grain: 20 seconds of 1080p30, 10 for the short form.
PICTURES = "gradients=s=1920x1080:r=30:speed=0.03:n=5[g];testsrc2=s=960x540:r=30[t];[g][t]overlay=x='480+300*sin(t)':y='270+200*cos(t)',noise=alls=2:allf=t"
SOUND = "sine=frequency=330:beep_factor=3"


def say(text):
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def machine():
    model = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    version = subprocess.run(["ffmpeg", "-version"], check=True, capture_output=True, text=True).stdout.split()[2]
    return {
        "cores": os.cpu_count(), "processor": model[1] if model else platform.machine(), "kernel": platform.release(),
        "load": os.getloadavg()[0], "ffmpeg": version, "date": datetime.date.today().isoformat(),
    }


def made(folder, seconds):
    """A source that plays as it is, and the same one that does not."""
    folder.mkdir(parents=True, exist_ok=True)
    kept, encoded = folder / f"h264-{seconds}.mp4", folder / f"hevc-{seconds}.mp4"
    run = ["ffmpeg", "-v", "error", "-nostdin", "-y"]
    if not kept.exists():
        codecs = "-c:v libx264 -preset veryfast -crf 22 -pix_fmt yuv420p -g 60 -c:a aac -b:a 128k -ac 2 -shortest".split()
        inputs = ["-f", "lavfi", "-t", str(seconds), "-i", PICTURES, "-f", "lavfi", "-t", str(seconds), "-i", SOUND]
        subprocess.run([*run, *inputs, *codecs, folder / "part.mp4"], check=True)
        (folder / "part.mp4").rename(kept)
    if not encoded.exists():
        codecs = "-c:v libx265 -preset ultrafast -crf 20 -x265-params log-level=error -tag:v hvc1 -c:a copy".split()
        subprocess.run([*run, "-i", kept, *codecs, folder / "part.mp4"], check=True)
        (folder / "part.mp4").rename(encoded)
    return [kept, encoded]


def measured(work):
    """Seconds and processor seconds (children included) that `work` takes, and its result."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    result = work()
    seconds, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, result


def ours(example, clip, folder):
    shutil.rmtree(folder, ignore_errors=True)
    return json.loads(subprocess.run([example, clip, folder, "off"], check=True, stdout=subprocess.PIPE).stdout)


def separately(clip, folder, report):
    shutil.rmtree(folder, ignore_errors=True)
    hls = "-f hls -hls_time 4 -hls_playlist_type vod -hls_segment_type fmp4".split()
    facts, rungs = report["facts"]["video"], report["ladder"]["rungs"]
    largest = next((rung["video"]["max_bitrate"] for rung in rungs if rung["video"]["how"] == "encode"), 5_000_000)
    for rung in rungs:
        # A rung that is kept as it is has no bit rate of its own; it gets what the source has.
        rate = rung["video"].get("max_bitrate") or facts["bit_rate"] or largest
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


def joined(folder):
    """A rendition as one file, and its bytes: no player's rules about playlists stand between."""
    whole = folder / "whole.mp4"
    with open(whole, "wb") as file:
        for part in [folder / "init.mp4", *sorted(folder.glob("*.m4s"))]:
            file.write(part.read_bytes())
    return whole, whole.stat().st_size


def vmaf(clip, rendition, facts):
    """Its pictures beside the source's, one in five, at the source's size."""
    size = f"{facts['display_width']}:{facts['display_height']}"
    # What is tagged and what is not would be taken for different colours, and one of them converted.
    same = "setpts=PTS-STARTPTS,setparams=range=tv:colorspace=bt709:color_primaries=bt709:color_trc=bt709"
    graph = (
        f"[0:v]{same},scale={size}:flags=bicubic,format=yuv420p[ours];[1:v]{same},format=yuv420p[source];"
        f"[ours][source]libvmaf=n_threads={os.cpu_count()}:n_subsample=5"
    )
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-nostdin", "-i", rendition, "-i", clip, "-lavfi", graph, "-f", "null", "-"]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    return float(re.search(r"VMAF score: ([0-9.]+)", told)[1])


def middle(values, digits=2):
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def compare(example, clip, rounds, scratch):
    one, many, report = [], [], None
    for _ in range(rounds):
        *figures, report = measured(lambda: ours(example, clip, scratch / "ours"))
        one.append(figures)
        many.append(measured(lambda: separately(clip, scratch / "separate", report))[:2])
    rungs = report["ladder"]["rungs"]
    kind = "encoded" if all(rung["video"]["how"] == "encode" for rung in rungs) else "kept"
    ratios = [[own[column] / peer[column] for own, peer in zip(one, many)] for column in (0, 1)]
    verdict = "held" if statistics.median(ratios[1]) <= TARGETS[kind] else "MISSED"
    names = ", ".join(f"{rung['name']} ({rung['video']['how']})" for rung in rungs)
    say(f"\n{clip.name}: {report['facts']['duration_ms'] / 1000:.1f} s, {names}; {rounds} rounds, median (least–most)")
    say(f"  {'':24}{'seconds':>24}{'processor seconds':>24}")
    for label, runs in [("Millrace, one process", one), ("one process a rung", many)]:
        say(f"  {label:24}{middle([run[0] for run in runs]):>24}{middle([run[1] for run in runs]):>24}")
    say(f"  {'ratio':24}{middle(ratios[0]):>24}{middle(ratios[1]):>24}  target ≤ {TARGETS[kind]}: {verdict}")
    looks = []
    for rung in rungs:
        if rung["video"]["how"] != "encode":
            continue
        row = {"rung": rung["name"]}
        for side, folder in [("ours", pathlib.Path(report["published"])), ("theirs", scratch / "separate")]:
            whole, size = joined(folder / rung["name"])
            row[side] = {"vmaf": vmaf(clip, whole, report["facts"]["video"]), "bytes": size}
        looks.append(row)
        lost = row["theirs"]["vmaf"] - row["ours"]["vmaf"]
        say(
            f"  {row['rung']:>8}: VMAF {row['ours']['vmaf']:.2f} beside {row['theirs']['vmaf']:.2f}, {row['ours']['bytes'] / 1e6:.2f} MB beside "
            f"{row['theirs']['bytes'] / 1e6:.2f}; target at most {VMAF_SLACK} lower: {'held' if lost <= VMAF_SLACK else 'MISSED'}"
        )
    return {
        "clip": clip.name, "kind": kind, "target": TARGETS[kind], "rounds": rounds, "ours": one, "separate": many,
        "ratio": {"seconds": ratios[0], "processor": ratios[1]}, "vmaf": looks,
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("example", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("clips", type=pathlib.Path, nargs="*")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--short", action="store_true", help="clips of 10 seconds, once")
    parser.add_argument("--json", type=pathlib.Path)
    given = parser.parse_args()
    rounds = given.rounds or (1 if given.short else 3)
    clips = [clip.resolve() for clip in given.clips] or made(given.folder / "clips", 10 if given.short else 20)
    facts = machine()
    say(", ".join(f"{name}: {value}" for name, value in facts.items()))
    results = []
    for clip in clips:
        with tempfile.TemporaryDirectory(dir=given.folder) as scratch:
            results.append(compare(given.example, clip, rounds, pathlib.Path(scratch)))
    if given.json:
        given.json.write_text(json.dumps({"area": "transcode", "machine": facts, "short": given.short, "results": results}, indent=1))


main()
