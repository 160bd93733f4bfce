#!/usr/bin/env python3
"""Makes backups while files are uploaded and processed, brings one back into an empty folder, and looks whether everything is there and plays:

    end2end/faults/backup.py BINARY [--videos 6]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve()
sys.path.append(str(HERE.parent.parent / "chaos"))

# pylint: disable=wrong-import-position
from client import Client, patiently
from disk_full import Uploads, settled
from product import Process
from sets import common


def main() -> int:
    """The whole way."""
    parser = argparse.ArgumentParser(description="Backup under load, and the way back.")
    parser.add_argument("binary", type=Path)
    parser.add_argument("--videos", type=int, default=6, help="videos in the backup at least")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="millrace-backup-"))
    binary, kept = str(arguments.binary.resolve()), folder / "kept"
    first = common("sqlite", folder / "first") | {"MILLRACE_STORAGE_MIN_FREE_BYTES": "0"}
    second = common("sqlite", folder / "second") | {"MILLRACE_STORAGE_MIN_FREE_BYTES": "0"}

    def command(environment: dict[str, str], *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        done = subprocess.run([binary, *words], env=environment, input=given, text=True, check=False, capture_output=True)
        if done.returncode != 0:
            print(f"{' '.join(words)}: {done.stdout}{done.stderr}", file=sys.stderr)
        return done

    command(first, "user", "add", "backup@example.com", given="a long enough password\n").check_returncode()
    key = command(first, "key", "add", "backup@example.com", "--name", "backup").stdout.strip()
    server, client, stop = Process(arguments.binary.resolve(), "serve", first, folder / "first.log"), Client(first["MILLRACE_PUBLIC_URL"], key), threading.Event()
    server.start()
    uploads = Uploads(client, 1, 1, stop)
    uploads.start()
    while len(uploads.done) < arguments.videos:
        time.sleep(0.5)
        # The first ones are made under load and brought up to date by the last one.
        command(first, "backup", str(kept)).check_returncode()
    wanted = dict(uploads.done)
    command(first, "backup", str(kept)).check_returncode()
    command(first, "backup", str(kept), "--verify").check_returncode()
    stop.set()
    uploads.join()
    server.stop()

    command(second, "restore", str(kept)).check_returncode()
    faults = [] if command(second, "restore", str(kept)).returncode != 0 else ["a backup was written over what is there"]
    server, client = Process(arguments.binary.resolve(), "serve", second, folder / "second.log"), Client(second["MILLRACE_PUBLIC_URL"], key)
    server.start()
    patiently(lambda: client.ask("GET", "/healthz"))
    restored = Uploads(client, 2, 2, stop)
    restored.done = wanted
    faults += settled(client, [restored])
    for video in wanted:
        stream = patiently(lambda video=video: client.json("GET", f"/api/stream?videoId={video}"))["url"]
        if b"#EXTM3U" not in patiently(lambda stream=stream: client.ask("GET", stream)):
            faults.append(f"video {video} does not play")
    server.stop()
    report = json.loads(command(second, "audit", "--json", "--deep", "--grace-hours", "0").stdout)
    faults += [f"audit: {finding}" for finding in report["findings"]]
    there = {hashlib.sha256(file.read_bytes()).hexdigest() for file in (folder / "second" / "store" / "sources").iterdir()}
    faults += [f"the bytes of video {video} are gone" for video, sum_ in wanted.items() if sum_ not in there]
    for fault in faults:
        print(f"FAULT {fault}")
    print(f"{len(wanted)} videos brought back, {len(faults)} faults", flush=True)
    if not faults:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
