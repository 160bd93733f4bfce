#!/usr/bin/env python3
"""Fills the disk of the data folder and frees it again while files are uploaded and processed, and looks whether anything was lost:

    end2end/faults/disk_full.py BINARY [--cycles 5] [--seed 1] [--keep]

The data folder lies on a small disk in memory (tmpfs), for which this needs root or a kernel that gives users namespaces of their own; elsewhere it
says so and ends well. While the disk is full, uploads may be refused (507, or 503 where the database finds no room) and videos may wait; nothing
else. At the end every file that was acknowledged is there with every byte, every video is done, and rows and store agree (`millrace audit`).
"""

from __future__ import annotations

import argparse
import errno
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path

HERE = Path(__file__).resolve()
sys.path.append(str(HERE.parent.parent / "chaos"))

# pylint: disable=wrong-import-position
from client import Client, Refused, Unanswered
from product import Process
from sets import common

CLIP = HERE.parent.parent.parent / "src" / "doctor" / "clip.mp4"
DISK_MIB = 192
INSIDE = "--inside"
UPLOADERS = 2
# Videos that wait; more would only fill the disk with sources.
MOST_WAITING = 4
PATIENCE_SECONDS = 1200.0


def enter_namespace() -> int:
    """Runs this program again where a disk of its own can be mounted."""
    for options in (["-m"], ["-Urm"]) if shutil.which("unshare") else ():
        if subprocess.run(["unshare", *options, "mount", "-t", "tmpfs", "none", "/mnt"], check=False, capture_output=True).returncode == 0:
            return subprocess.run(["unshare", *options, sys.executable, str(HERE), *sys.argv[1:], INSIDE], check=False).returncode
    print("\n*** SKIPPED, nothing was tested: no disk can be mounted here, neither as root nor in a user namespace. ***\n", file=sys.stderr, flush=True)
    return 0


class Uploads(threading.Thread):
    """Uploads one file after another; what the server refuses for want of room it tries again."""

    def __init__(self, client: Client, number: int, seed: int, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.client, self.number, self.stop = client, number, stop
        self.random = random.Random(f"{seed} {number}")
        self.done: dict[str, str] = {}
        self.open: set[str] = set()
        self.refused = 0
        self.faults: list[str] = []

    def run(self) -> None:
        count = 0
        while not self.stop.is_set():
            count += 1
            # Bytes behind the last box, so that each file is another one and they are not all small.
            padding = self.random.randbytes(self.random.choice((0, 1000, 300_000)))
            data = CLIP.read_bytes() + (len(padding) + 8).to_bytes(4, "big") + b"free" + padding
            send = self.in_parts if self.random.random() < 0.6 else self.in_one_request
            try:
                video = send(f"{self.number}-{count}.mp4", data)
                self.open.add(video)
                self.done[video] = hashlib.sha256(data).hexdigest()
            except Refused as refused:
                self.faults.append(f"an upload was refused for another reason than want of room: {refused}")
            self.wait_for_turn()

    def wait_for_turn(self) -> None:
        """Lets the videos be processed."""
        while not self.stop.wait(0.3):
            try:
                self.open = {video for video in self.open if self.client.json("GET", f"/api/status?videoId={video}")["status"] == "processing"}
            except Unanswered:
                continue
            except Refused as refused:
                self.faults.append(f"one of the videos {sorted(self.open)} was acknowledged and is not there: {refused}")
                self.open.clear()
            if len(self.open) < MOST_WAITING:
                return

    def insist(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> bytes:
        """Asks until there is room for it. What got no answer may have been done: as parts, or as a video that is none of those acknowledged."""
        while True:
            try:
                return self.client.ask(method, path, body, headers)
            except Unanswered:
                pass
            except Refused as refused:
                if refused.status != 507:
                    raise
            self.refused += 1
            time.sleep(0.2)

    def in_one_request(self, name: str, data: bytes) -> str:
        """As scripts do."""
        boundary = uuid.UUID(int=self.random.getrandbits(128), version=4).hex
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
        body = head.encode() + data + f"\r\n--{boundary}--\r\n".encode()
        headers = {"content-type": f"multipart/form-data; boundary={boundary}"}
        return str(json.loads(self.insist("POST", "/api/upload", body, headers))["videoId"])

    def in_parts(self, name: str, data: bytes) -> str:
        """As browsers do: begun anew only where the beginning was refused."""
        upload = str(uuid.UUID(int=self.random.getrandbits(128), version=4))
        begin = json.dumps({"fileName": name, "size": len(data), "uploadId": upload}).encode()
        ticket = json.loads(self.insist("POST", "/api/v1/uploads", begin, {"content-type": "application/json"}))
        size = ticket["partSize"]
        for number in range(1, (len(data) + size - 1) // size + 1):
            part = data[(number - 1) * size : number * size]
            self.insist("PUT", ticket["partUrl"].replace("{number}", str(number)), part, {"x-millrace-crc32c": f"{crc32c(part):08x}"})
        self.insist("POST", f"/api/v1/uploads/{ticket['uploadId']}/complete", None, {})
        return str(ticket["videoId"])


def table() -> list[int]:
    """Of CRC32C (Castagnoli)."""
    sums = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        sums.append(byte)
    return sums


TABLE = table()


def crc32c(data: bytes) -> int:
    """The checksum of a part."""
    value = 0xFFFFFFFF
    for byte in data:
        value = value >> 8 ^ TABLE[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF


def fill(file: Path, leave: int) -> None:
    """Takes all but so many bytes of a disk."""
    with file.open("wb", buffering=0) as out:
        try:
            while (free := os.statvfs(file).f_bavail * os.statvfs(file).f_frsize) > leave:
                out.write(b"\0" * min(free - leave, 1 << 20))
        except OSError as error:
            # Somebody else was faster.
            if error.errno != errno.ENOSPC:
                raise


def settled(client: Client, uploads: list[Uploads]) -> list[str]:
    """Waits until every acknowledged video is over; says which are not done."""
    wanted = {video for one in uploads for video in one.done}
    faults, until = [], time.monotonic() + PATIENCE_SECONDS
    while wanted and time.monotonic() < until:
        for video in list(wanted):
            try:
                status = client.json("GET", f"/api/status?videoId={video}")
            except Unanswered:
                continue
            except Refused as refused:
                wanted.remove(video)
                faults.append(f"video {video} was acknowledged and is not there: {refused}")
                continue
            if status["status"] in ("done", "failed"):
                wanted.remove(video)
                if status["status"] == "failed":
                    faults.append(f"video {video} failed: {status.get('error')}")
        time.sleep(0.5)
    return faults + [f"video {video} is not done" for video in wanted]


def run(arguments: argparse.Namespace, disk: Path, logs: Path) -> int:
    """All cycles, and what is there afterwards."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "none", str(disk)], check=True)
    environment = common("sqlite", disk / "data") | {"MILLRACE_STORAGE_MIN_FREE_BYTES": "4000000"}
    binary = str(arguments.binary.resolve())

    def command(*words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run([binary, *words], env=environment, input=given, text=True, check=False, capture_output=True)

    command("user", "add", "disk@example.com", given="a long enough password\n").check_returncode()
    key = command("key", "add", "disk@example.com", "--name", "disk").stdout.strip()
    client = Client(environment["MILLRACE_PUBLIC_URL"], key)
    server = Process(Path(binary), "serve", environment, logs / "serve.log")
    server.start()
    chance, stop = random.Random(arguments.seed), threading.Event()
    uploads = [Uploads(client, number, arguments.seed, stop) for number in range(UPLOADERS)]
    for one in uploads:
        one.start()
    for cycle in range(arguments.cycles):
        time.sleep(chance.uniform(0.3, 2.0))
        fill(disk / "filler", chance.choice((0, 0, 4096, 200_000, 3_000_000)))
        time.sleep(chance.uniform(0.3, 2.0))
        (disk / "filler").unlink()
        if server.fell_over() is not None:
            print(f"FAULT the server fell over in cycle {cycle}")
            break
    stop.set()
    for one in uploads:
        one.join()
    faults = [fault for one in uploads for fault in one.faults] + settled(client, uploads)
    alive = server.fell_over() is None
    faults += [] if alive and server.stop() == 0 else ["the server fell over"]
    found = command("audit", "--json", "--deep", "--grace-hours", "0")
    report = json.loads(found.stdout or "{}")
    faults += [f"audit: {finding}" for finding in report.get("findings", [])] if report else [f"audit said nothing: {found.stderr[-500:]}"]
    there = {hashlib.sha256(file.read_bytes()).hexdigest() for file in (disk / "data" / "store" / "sources").iterdir()}
    faults += [f"the bytes of video {video} are gone" for one in uploads for video, sum_ in one.done.items() if sum_ not in there]
    for fault in faults:
        print(f"FAULT {fault}")
    count, refused = sum(len(one.done) for one in uploads), sum(one.refused for one in uploads)
    print(f"{arguments.cycles} cycles, {count} files acknowledged, {refused} answers for want of room, {len(faults)} faults", flush=True)
    return 1 if faults else 0


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Fills the disk and frees it again under load.")
    parser.add_argument("binary", type=Path)
    parser.add_argument("--cycles", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="leave the folder with the log")
    parser.add_argument(INSIDE, action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not arguments.inside:
        return enter_namespace()
    folder = Path(tempfile.mkdtemp(prefix="millrace-disk-"))
    disk = folder / "disk"
    disk.mkdir()
    code = run(arguments, disk, folder)
    subprocess.run(["umount", "-l", str(disk)], check=False)
    if code == 0 and not arguments.keep:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        print(f"the log: {folder}")
    return code


if __name__ == "__main__":
    sys.exit(main())
