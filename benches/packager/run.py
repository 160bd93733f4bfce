#!/usr/bin/env python3
"""How soon a source can be played, and how many bytes of segments come out of a processor second.

usage: benches/packager/run.py PACKAGE FOLDER [ROUNDS]

PACKAGE is the built example `package` (cargo build --release -p server --example package); clips of one, ten and sixty minutes are made in
FOLDER. Our side is one process that opens the file, writes all playlists, and has the first segment in memory; the other is
`ffmpeg -c copy` to HLS with segments of the same kind, until its first segment is complete (it opens the second one) and until its playlist
is. The two take turns, with the file in the page cache. Prints medians and the spread of the ratios; on a
busy machine the processor seconds tell more than the clock.
"""

import json
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import clips

MINUTES = (1, 10, 60)


def source(folder, minutes):
    path = folder / f"{minutes} minutes.mp4"
    short = folder / "one minute.mp4"
    if not short.exists():
        clips.ffmpeg(
            *"-f lavfi -i testsrc2=s=1280x720:r=30:d=60 -f lavfi -i sine=sample_rate=48000:duration=60 -vf noise=alls=4:allf=t".split(),
            *"-c:v libx264 -preset veryfast -b:v 2M -maxrate 3M -bufsize 4M -g 60 -keyint_min 60 -sc_threshold 0 -bf 2 -pix_fmt yuv420p".split(),
            *"-c:a aac -b:a 128k".split(),
            short,
        )
    if not path.exists():
        clips.ffmpeg("-stream_loop", minutes - 1, "-i", short, "-c", "copy", path)
    return path


def ours(package, path):
    began = time.monotonic()
    result = subprocess.run([package, "first", path], check=True, stdout=subprocess.PIPE)
    seconds = time.monotonic() - began
    return seconds, json.loads(result.stdout)


def theirs(path):
    """Seconds until the first segment is complete, and until the playlist is."""
    with tempfile.TemporaryDirectory(prefix="packager-") as folder:
        folder = pathlib.Path(folder)
        command = ["ffmpeg", "-v", "error", "-nostdin", "-i", path, "-c", "copy", "-f", "hls", "-hls_time", "4", "-hls_playlist_type", "vod"]
        command += ["-hls_segment_type", "fmp4", "-hls_segment_filename", folder / "%05d.m4s", folder / "index.m3u8"]
        began = time.monotonic()
        process = subprocess.Popen(command)
        second, first_seconds = folder / "00001.m4s", None
        while process.poll() is None:
            if first_seconds is None and second.exists():
                first_seconds = time.monotonic() - began
            time.sleep(0.0005)
        seconds = time.monotonic() - began
        if process.returncode != 0:
            raise SystemExit("ffmpeg failed")
        return first_seconds or seconds, seconds


def processor():
    """Processor milliseconds of all processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (usage.ru_utime + usage.ru_stime) * 1e3


def spread(values):
    return f"{statistics.median(values):8.1f} ({min(values):.1f}–{max(values):.1f})"


def main():
    package, folder = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2])
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    folder.mkdir(parents=True, exist_ok=True)
    print("milliseconds: median (least–most)")
    for minutes in MINUTES:
        path = source(folder, minutes)
        ours(package, path)
        whole, inside, first, all_of_it, ratios, complete, our_processor, their_processor = [], [], [], [], [], [], [], []
        for _ in range(rounds):
            marks = [processor()]
            seconds, report = ours(package, path)
            marks.append(processor())
            first_seconds, all_seconds = theirs(path)
            our_processor.append(marks[1] - marks[0])
            their_processor.append(processor() - marks[1])
            whole.append(seconds * 1e3)
            inside.append(report["first_segment_ms"])
            first.append(first_seconds * 1e3)
            all_of_it.append(all_seconds * 1e3)
            ratios.append(first_seconds / seconds)
            complete.append(all_seconds / seconds)
        print(f"{minutes} min, {path.stat().st_size / 1e6:,.0f} MB; index {report['memory'] / 1e6:.2f} MB, {report['reads']} reads")
        for what, values in [
            ("ours, whole process", whole),
            ("ours, in the process", inside),
            ("ffmpeg, first segment", first),
            ("ffmpeg, playlist", all_of_it),
            ("ours, processor", our_processor),
            ("ffmpeg, processor", their_processor),
            ("ratio, first segment", ratios),
            ("ratio, playlist", complete),
        ]:
            print(f"    {what:24} {spread(values)}")
        warm = subprocess.run([package, "warm", path, "2"], check=True, stdout=subprocess.PIPE)
        report = json.loads(warm.stdout)
        print(f"    warm segments: {report['gb_per_cpu_second']:.1f} GB per processor second, {report['mean_segment'] / 1e3:,.0f} kB each")


if __name__ == "__main__":
    main()
