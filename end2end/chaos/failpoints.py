#!/usr/bin/env python3
"""Has the product die at every one of its failure points, once each, and looks whether it kept its promises:

    end2end/chaos/failpoints.py BINARY [--set sqlite|postgres] [--only POINT …] [--lanes 3] [--keep]

BINARY is built with `cargo build --features failpoints --bin millrace`. The points stand in server/src/failpoints.rs. For each, a server is started
that dies there; a client does what leads there, patiently as a real one; the server is started again without; and in the end there has to be one
video of each upload, with the bytes that were sent, and nothing left of what was deleted. A point that nobody came by is a fault as well.
"""

from __future__ import annotations

import argparse
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from client import PAUSE_SECONDS, Client, Dashboard, Refused, patiently
from invariants import audit, leftovers, orphans
from ledger import Acknowledged, Ledger
from load import Uploader, Ways
from product import Process
from sets import Setting
from sources import Source, describe, make
from viewers import compare, look_at

POINTS = Path(__file__).resolve().parents[2] / "server" / "src" / "failpoints.rs"
EMAIL, PASSWORD = "chaos@example.com", "a long enough password for chaos"
# How long anything may take on a machine that is busy with other things as well.
PATIENCE_SECONDS = 600.0

# How long a process may take to a point once what stands before it can be seen.
DIES_WITHIN_SECONDS = 15.0


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Has the product die at every one of its failure points.")
    parser.add_argument("binary", type=Path)
    parser.add_argument("--set", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--only", nargs="*", help="these points alone")
    parser.add_argument("--lanes", type=int, default=3, help="servers at a time, each with data of its own")
    parser.add_argument("--keep", action="store_true", help="leave the folder with data and logs")
    return parser.parse_args()


def main() -> int:
    """Runs, and says how it went."""
    arguments = parse()
    text = POINTS.read_text().split("pub const ALL", 1)[1].split("];", 1)[0]
    points = [point for point in re.findall(r'^ +"([a-z_.]+)",$', text, re.MULTILINE) if not arguments.only or point in arguments.only]
    folder = Path(tempfile.mkdtemp(prefix="millrace-failpoints-"))
    print(f"{len(points)} points; data and logs: {folder}", flush=True)
    began = time.monotonic()
    sources = make(folder / "sources", 1)
    lanes = [Lane(arguments, folder / f"lane-{number}", sources) for number in range(min(arguments.lanes, len(points)))]
    try:
        with ThreadPoolExecutor(len(lanes)) as pool:
            faults = [fault for found in pool.map(lambda lane: lane[1].run(points[lane[0] :: len(lanes)]), enumerate(lanes)) for fault in found]
    finally:
        for lane in lanes:
            lane.end()
    print(f"died at {len(points)} points in {time.monotonic() - began:.0f} s; {f'{len(faults)} FAULTS' if faults else 'nothing lost, doubled or left behind'}")
    if not arguments.keep and not faults:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if faults else 0


class Lane:
    """One server with its data, on which points are tried one after the other."""

    def __init__(self, arguments: argparse.Namespace, folder: Path, sources: list[Source]) -> None:
        folder.mkdir()
        self.binary, self.folder, self.ledger = arguments.binary.resolve(), folder, Ledger()
        self.sources = {source.path.stem: source for source in sources}
        broken = folder / "broken.mp4"
        broken.write_bytes(b"This is no video, whatever its name says.\n" * 50)
        self.broken = describe((broken, 0.0, 1))
        self.setting = Setting.make(arguments.set, folder / "data")
        self.server = self.process()
        self.origin = self.setting.environment["MILLRACE_PUBLIC_URL"]
        self.owner = Dashboard(self.origin, EMAIL, PASSWORD)
        self.pool = ThreadPoolExecutor(1)

    def process(self, dies_at: str | None = None) -> Process:
        """A server; one that dies at a point, if it is given."""
        more = {"FAILPOINTS": f"{dies_at}=return"} if dies_at else {}
        return Process(self.binary, "serve", self.setting.environment | more, self.folder / "serve.log")

    def command(self, *words: str, given: str = "") -> str:
        """Another command of the binary."""
        done = subprocess.run([str(self.binary), *words], env=self.setting.environment, input=given, text=True, check=True, capture_output=True)
        return done.stdout.strip()

    def ask(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command that may say no."""
        return subprocess.run([str(self.binary), *words], env=self.setting.environment, text=True, check=False, capture_output=True)

    def run(self, points: list[str]) -> list[str]:
        """Tries them; everything that did not hold."""
        self.command("user", "add", EMAIL, given=f"{PASSWORD}\n")
        self.client = Client(self.origin, self.command("key", "add", EMAIL, "--name", "failpoints"))
        self.uploader = Uploader(self.client, self.ledger, [], "failpoints", threading.Event(), Ways())
        self.server.start()
        patiently(self.owner.sign_in)
        for point in points:
            began = time.monotonic()
            try:
                self.die_at(point)
                print(f"{point}: {time.monotonic() - began:.1f} s", flush=True)
            except (Refused, TimeoutError) as fault:
                self.ledger.fault(f"{point}: {fault}")
        for fault in self.left():
            self.ledger.fault(fault)
        if (code := self.server.stop()) != 0:
            self.ledger.fault(f"ended with {code} after SIGTERM")
        for fault in audit(self.ask)[0] + orphans(self.setting.database, self.setting.store, self.folder / "data"):
            self.ledger.fault(fault)
        return self.ledger.faults

    def left(self) -> list[str]:
        """What is left where nothing should be, and what is not there any more."""
        found = [fault for known in self.ledger.alive() for fault in compare(self.setting.store, known)]
        videos = self.setting.database.rows("SELECT id FROM videos")
        if not 0 <= len(videos) - len(self.ledger.alive()) <= self.ledger.unknown:
            found.append(f"{len(videos)} videos of {len(self.ledger.alive())} uploads and {self.ledger.unknown} without an answer")
        return found + leftovers(self.setting.database, self.setting.store, self.folder / "data")

    def die_at(self, point: str) -> None:
        """One point."""
        known = self.upload(self.sources["sound"], "parts") if point.startswith(("video.delete", "removal")) else None
        if known:
            self.wait_until(known, "done")
        if (code := self.server.stop()) != 0:
            self.ledger.fault(f"{point}: the one before ended with {code}")
        self.server = self.process(dies_at=point)
        self.server.start()
        client = self.pool.submit(self.lead_to, point, known)
        # Not the other way round: a process ends with the thread that started it.
        self.start_again(point, client)
        client.result()

    def start_again(self, point: str, client: Future[None]) -> None:
        """Waits until the server has died there, and starts it again without the point."""
        dying = self.server
        until = None
        while (code := dying.code()) is None:
            if client.done():
                client.result()
                # What was written down can be seen by the client before the process has come to the point behind it.
                until = until or time.monotonic() + DIES_WITHIN_SECONDS
                if time.monotonic() > until:
                    raise TimeoutError("nobody came by")
            time.sleep(0.05)
        if code != -signal.SIGKILL:
            self.ledger.fault(f"{point}: it ended with {code}, not there")
        self.server = self.process()
        self.server.start()

    def lead_to(self, point: str, known: Acknowledged | None) -> None:
        """What a client does that comes by there, to its end."""
        if known:
            patiently(lambda: self.owner.delete(known.video))
            known.deleted = True
            self.wait_until_gone(known)
        elif point.startswith("job.failed"):
            known = self.upload(self.broken, "parts")
            self.wait_until(known, "failed")
        elif point.startswith("job.given_back"):
            known = self.upload(self.sources["long"], "parts")
            self.wait_until_begun(known)
            self.server.terminate()
            self.wait_until(known, "done")
        else:
            known = self.upload(self.sources["sound"], "single" if "single" in point else "tus" if "append" in point else "parts")
            self.wait_until(known, "done")
        if not known.deleted and known.source is not self.broken:
            for fault in patiently(lambda: look_at(self.client, known))[1]:
                self.ledger.fault(f"{point}: {fault}")

    def upload(self, source: Source, way: str) -> Acknowledged:
        """Uploads until it is acknowledged: a form that got no answer is sent again by its user."""
        before = len(self.ledger.uploads)
        while len(self.ledger.uploads) == before:
            if way == "single":
                self.uploader.in_one_request(source)
                time.sleep(PAUSE_SECONDS)
            elif way == "tus":
                self.uploader.by_tus(source)
            else:
                self.uploader.in_parts(source)
        return self.ledger.uploads[-1]

    def wait_until(self, known: Acknowledged, wanted: str) -> None:
        """Until a video has a status."""
        until = time.monotonic() + PATIENCE_SECONDS
        while (status := patiently(lambda: self.client.json("GET", f"/api/status?videoId={known.video}"))["status"]) != wanted:
            if time.monotonic() > until or status in ("done", "failed"):
                raise TimeoutError(f"video {known.video} is {status}, not {wanted}")
            time.sleep(0.2)

    def wait_until_begun(self, known: Acknowledged) -> None:
        """Until its encode runs."""
        until = time.monotonic() + PATIENCE_SECONDS
        while not self.setting.database.rows(f"SELECT stage FROM videos WHERE stage = 'encoding' AND {self.is_video(known)}"):
            if time.monotonic() > until:
                raise TimeoutError(f"video {known.video} is not encoded")
            time.sleep(0.05)

    def is_video(self, known: Acknowledged) -> str:
        """A condition; ids are bytes in SQLite."""
        return f"id = '{known.video}'" if self.setting.postgres else f"hex(id) = '{known.video.replace('-', '').upper()}'"

    def wait_until_gone(self, known: Acknowledged) -> None:
        """Until nothing is left of a deleted one."""
        until = time.monotonic() + PATIENCE_SECONDS
        while self.setting.store.sha256(str(known.upload)) or self.setting.database.rows(f"SELECT id FROM videos WHERE {self.is_video(known)}"):
            if time.monotonic() > until:
                raise TimeoutError(f"video {known.video} was deleted, and is still there")
            time.sleep(0.2)

    def end(self) -> None:
        """Nothing keeps running."""
        self.server.kill()
        self.setting.end()


if __name__ == "__main__":
    sys.exit(main())
