#!/usr/bin/env python3
"""Runs the short form of every benchmark, one after the other, and writes what came out to docs/benchmarks.md: the losses too.

usage: benches/all.py BINARY [--long] [--only AREA...] [--out FILE]

Each area stays its own command (`make help` lists them); this one calls them, shows what they print as it comes, and makes one table of their ratios and targets. `--only` runs some areas and
keeps what the file says of the others. Exits with 1 where something broke, never where a target is missed.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import re
import shlex
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]


def figure(what, peer, values, target=None, held=None, unit="×"):
    """One line of the table. `values` are those of the rounds, or a median with its least and its most."""
    values = [float(value) for value in values]
    return {"what": what, "peer": peer, "middle": statistics.median(values), "least": min(values), "most": max(values), "target": target, "held": held, "unit": unit}


def at_most(what, peer, values, limit, unit="×"):
    return figure(what, peer, values, f"≤ {limit}", statistics.median(values) <= limit, unit)


def at_least(what, peer, values, limit, unit="×"):
    return figure(what, peer, values, f"≥ {limit}", statistics.median(values) >= limit, unit)


def instant(told):
    for row in told["results"]:
        film = f"film of {row['minutes']} min"
        ratio = lambda peers: [peer / own for own, peer in zip(row["ours_ms"], row[peers])]
        what = f"last byte acknowledged → first segment, {film}"
        yield at_least(what, "`ffmpeg -c copy`", ratio("ffmpeg_ms"), 20)
        yield figure(what, "its first segment", ratio("ffmpeg_first_ms"))
        limit = at_most if row["minutes"] == 60 else lambda *given: figure(*given[:3], unit=given[4])
        yield limit(what, "the clock", row["ours_ms"], 50, " ms")
        yield figure(f"last byte sent → acknowledged, {film}", "the clock", row["acknowledged_ms"], unit=" ms")
        yield at_least(f"packaged segments, warm, {film}", "the processor", [row["gb_per_cpu_second"]["warm"]], 5, " GB/CPU-s")


def delivery(told):
    names = {"gbit_s": "Gbit/s", "gb_per_cpu_s": "GB per CPU-second", "p99_ms": "p99"}
    for row in told["results"]:
        if "ratio" not in row:
            continue
        values, given = [row["least"], row["ratio"], row["most"]], (f"{row['case']}: {names[row['measure']]}", row["peer"])
        bounded = at_most if row["measure"] == "p99_ms" else at_least
        yield bounded(*given, values, row["target"]) if row["target"] else figure(*given, values)


def ingest(told):
    names = {"mb_s": "MB/s", "gb_per_cpu_s": "GB per CPU-second"}
    for row in told["results"]:
        if "ratio" not in row:
            continue
        values, given = [row["least"], row["ratio"], row["most"]], (f"{row['case']}, {row['ours']}: {names[row['measure']]}", row["peer"])
        yield at_least(*given, values, row["target"]) if row["target"] else figure(*given, values)


def page(told):
    for name, row in told["pages"].items():
        yield at_least(f"performance score, {name}", told["tool"], [row["from"], row["score"], row["to"]], told["target"], "")


def first_frame(told):
    for name, row in told["networks"].items():
        values = [row["ratio"][which] for which in ("from", "median", "to")]
        yield at_most(f"first frame of the embed page, {name} network", told["peer"], values, told["target"])


def transcode(told):
    for row in told["results"]:
        peer = "a run of ffmpeg a rung"
        yield at_most(f"ladder of {row['clip']} ({row['kind']} top rung): CPU-seconds", peer, row["ratio"]["processor"], row["target"])
        yield figure(f"ladder of {row['clip']}: seconds", peer, row["ratio"]["seconds"])
        for rung in row["vmaf"]:
            lost = rung["theirs"]["vmaf"] - rung["ours"]["vmaf"]
            yield at_most(f"VMAF lost, {row['clip']}, {rung['rung']}", peer, [lost], 0.5, "")


def data(told):
    for of in told["results"]:
        for row in of["rows"]:
            values = [*row["spread"], row["ratio"]]
            yield figure(f"{of['database']}: {row['what']}", row["peer"], values)
            if "page" in row["what"] and row["peer"] != "OFFSET":
                yield at_most(f"{of['database']}: {row['what']}: p99", "the clock", [row["ours"]["p99Ms"]], 2, " ms")


# What runs: the area's name, its heading, its command, and what makes figures of its report.
AREAS = [
    ("instant", "Instant playback", "benches/instant/run.py {binary} {target}/packager-clips {short} --json {json}", instant),
    ("transcode", "Transcode cost", "benches/transcode/run.sh {short} --json {json}", transcode),
    ("ingest", "Uploads", "benches/ingest/run.sh {binary} {short} --json {json}", ingest),
    ("delivery", "Delivery", "benches/delivery/run.sh {binary} {short} --json {json}", delivery),
    ("first-frame", "First frame", "node benches/first-frame/run.mjs {binary} {short} --json {json}", first_frame),
    ("page", "Pages", "benches/page/run.sh {binary} {short} --json {json}", page),
    ("data", "Library, search and jobs", "benches/data/run.sh {short} --json {json}", data),
]


def say(text=""):
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def run(command, place):
    """What a benchmark prints, shown as it comes, and what it reports."""
    lines = []
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            sys.stdout.write(line)
            sys.stdout.flush()
            lines.append(line.rstrip())
    return (process.returncode == 0 and place.exists() and json.loads(place.read_text())), "\n".join(lines).strip()


def number(value):
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def table(figures):
    rows = ["| What | Beside | Median | Least–most | Target | |", "|---|---|---|---|---|---|"]
    for one in figures:
        spread = "" if one["least"] == one["most"] else f"{number(one['least'])}–{number(one['most'])}"
        verdict = {None: "", True: "held", False: "**missed**"}[one["held"]]
        rows.append(f"| {one['what']} | {one['peer']} | {number(one['middle'])}{one['unit']} | {spread} | {one['target'] or ''} | {verdict} |")
    return "\n".join(rows)


def machine():
    model = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    memory = int(re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text())[1]) / 2**20
    return f"{os.cpu_count()} cores ({model[1] if model else platform.machine()}), {memory:.0f} GiB, Linux {platform.release()}"


def section(name, title, command, figures, printed, load, short):
    shown = " ".join(command.format(binary="target/release/millrace", target="target", short=short, json="FILE").split())
    return (
        f"<!-- {name} -->\n## {title}\n\n{datetime.date.today()}, load {load[0]:.1f} before and {load[1]:.1f} after: `{shown}`\n\n{table(figures)}\n\n"
        f"<details><summary>What it printed</summary>\n\n```text\n{printed}\n```\n\n</details>\n"
    )


HEAD = """# Benchmarks

Written by `make bench`; do not edit by hand. Ratios against named peers, measured in turns within one run on one machine, which other programs share: take the ratios, not the times. Where a command says `--short`,
each area's own command (`make help`) takes longer and spreads less. A ratio says how many times ours is the peer's, but for *instant playback* and *library, search and jobs*, where it says how many times as long the peer takes.
What is missed is said.

Machine: {machine}
"""


def sections(text):
    """What a file of this kind says, by area."""
    parts = re.split(r"(?m)^<!-- ([a-z-]+) -->\n", text)
    return {name: f"<!-- {name} -->\n{body.rstrip()}\n" for name, body in zip(parts[1::2], parts[2::2])}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary", type=pathlib.Path)
    parser.add_argument("--long", action="store_true", help="all rounds instead of the short forms")
    parser.add_argument("--only", nargs="+", choices=[name for name, *_ in AREAS])
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "docs" / "benchmarks.md")
    given = parser.parse_args()
    told, broken = sections(given.out.read_text()) if given.out.exists() else {}, []
    with tempfile.TemporaryDirectory(prefix="millrace-bench-") as folder:
        for name, title, command, figures in AREAS:
            if given.only and name not in given.only:
                continue
            say(f"==> {title}")
            place, target = pathlib.Path(folder) / f"{name}.json", os.environ.get("CARGO_TARGET_DIR", ROOT / "target")
            short = "" if given.long else "--short"
            words = command.format(binary=given.binary.resolve(), target=target, short=short, json=place)
            before = os.getloadavg()[0]
            report, printed = run(shlex.split(words), place)
            if not report:
                broken.append(name)
                continue
            told[name] = section(name, title, command, list(figures(report)), printed, (before, os.getloadavg()[0]), short)
    body = "\n".join(told[name] for name, *_ in AREAS if name in told)
    given.out.write_text(f"{HEAD.format(machine=machine())}\n{body}")
    say(f"==> {given.out.relative_to(ROOT) if given.out.is_relative_to(ROOT) else given.out}")
    if broken:
        raise SystemExit(f"broke: {', '.join(broken)}")


main()
