#!/usr/bin/env python3
"""Breaks the product at random moments while it is used, and looks whether it kept its promises:

    end2end/chaos/chaos.py BINARY [--set sqlite] [--kills 30] [--seed 1] [--workers 1] [--pace 1.0] [--browser] [--keep]
    end2end/chaos/chaos.py BINARY --set postgres --database-faults 20
    end2end/chaos/chaos.py BINARY --set aws --aws-faults 2      (inside end2end/aws/stack.py run -- …)

A server and workers run on one of the sets (sets.py). Uploads in parts, in single requests and by tus, and viewers go on all the time; server,
workers and ffmpeg are killed with SIGKILL at moments that the seed decides, and started again; or the database is stopped at once and paused; or
AWS has bad days. At the end nothing may be lost, doubled, damaged, stuck or left behind. Ends with 1 where something was, and names it.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from breakage import Breakage
from browser import Browser
from client import Client, Dashboard, Refused, Unanswered, patiently
from invariants import audit, check, orphans
from ledger import Ledger
from load import Uploader, Ways
from product import Process, descendants, wait_until_gone
from recovery import Recovery
from sets import NAMES, Setting
from sources import make
from viewers import Viewer

EMAIL = "chaos@example.com"
PASSWORD = "a long enough password for chaos"
UPLOADERS = 3
VIEWERS = 2
STARTS_WITHIN_SECONDS = 240.0


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Breaks the product at random moments while it is used.")
    parser.add_argument("binary", type=Path)
    parser.add_argument("--set", choices=NAMES, default="sqlite")
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1, help="worker processes beside the server, which works itself as well")
    parser.add_argument("--pace", type=float, default=1.0, help="of the pauses between two kills")
    parser.add_argument("--database-faults", type=int, metavar="N", help="stop or pause PostgreSQL N times instead of killing")
    parser.add_argument("--aws-faults", type=int, metavar="N", help="N rounds of S3 and SQS at 1, 10, 50 and 100 % faults instead of killing")
    parser.add_argument("--browser", action="store_true", help="the dashboard's uploader in Chromium as well (CHROMIUM=…)")
    parser.add_argument("--keep", action="store_true", help="leave the folder with data and logs")
    return parser.parse_args()


def main() -> int:
    """Runs, and says how it went."""
    arguments = parse()
    # Told to stop, it leaves through all `finally` blocks.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    folder = Path(tempfile.mkdtemp(prefix="millrace-chaos-"))
    print(f"set {arguments.set}, seed {arguments.seed}; data and logs: {folder}", flush=True)
    setting = Setting.make(arguments.set, folder / "data")
    storm = Storm(arguments, setting, folder)
    try:
        faults = storm.run()
    finally:
        storm.end()
        setting.end()
    for fault in faults:
        print(f"FAULT {fault}")
    print(storm.summary(faults), flush=True)
    if not arguments.keep and not faults:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if faults else 0


class Storm:
    """One run."""

    def __init__(self, arguments: argparse.Namespace, setting: Setting, folder: Path) -> None:
        self.arguments, self.setting, self.folder = arguments, setting, folder
        self.ledger, self.stop = Ledger(), threading.Event()
        self.processes = [self.process("serve", 0)] + [self.process("worker", number + 1) for number in range(arguments.workers)]
        self.recovery = Recovery(setting.database)
        self.breakage = Breakage(arguments, setting, self.processes, self.ledger, self.recovery, folder)
        self.origin = setting.environment["MILLRACE_PUBLIC_URL"]
        self.began = time.monotonic()
        self.browser: Browser | None = None
        self.repaired = Counter[str]()

    def process(self, role: str, number: int) -> Process:
        """One role; its log has its name."""
        return Process(self.arguments.binary.resolve(), role, self.setting.environment, self.folder / f"{role}-{number}.log")

    def command(self, *words: str, given: str = "") -> str:
        """Runs another command of the binary."""
        command = [str(self.arguments.binary.resolve()), *words]
        done = subprocess.run(command, env=self.setting.environment, input=given, text=True, check=True, capture_output=True)
        return done.stdout.strip()

    def ask(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Runs a command that may say no."""
        return subprocess.run([str(self.arguments.binary.resolve()), *words], env=self.setting.environment, text=True, check=False, capture_output=True)

    def run(self) -> list[str]:
        """The whole run; everything that did not hold."""
        self.command("user", "add", EMAIL, given=f"{PASSWORD}\n")
        client = Client(self.origin, self.command("key", "add", EMAIL, "--name", "chaos"))
        owner = Dashboard(self.origin, EMAIL, PASSWORD)
        for process in self.processes:
            process.start()
        self.wait_for_server(client)
        self.setting.tell_where(self.origin)
        owner.sign_in()
        load = self.load(client, owner)
        for thread in load:
            thread.start()
        self.recovery.start()
        self.breakage.run()
        self.stop.set()
        for thread in load:
            thread.join()
        self.recovery.stop()
        print(f"{self.breakage.told()} after {time.monotonic() - self.began:.0f} s; now it has to settle", flush=True)
        self.wait_for_server(client)
        faults = self.ledger.faults + check(client, owner, self.setting.database, self.setting.store, self.ledger, self.folder / "data")
        if self.browser:
            faults += self.browser.check(self.setting.database, self.setting.store)
        faults += self.stop_in_order()
        found, self.repaired = audit(self.ask)
        return faults + found + orphans(self.setting.database, self.setting.store, self.folder / "data")

    def load(self, client: Client, owner: Dashboard) -> list[threading.Thread]:
        """Everybody who uses the product."""
        sources, seed = make(self.folder / "sources", self.arguments.seed), self.arguments.seed
        ways = Ways() if self.has_tus(client) else Ways(tus=0.0)
        threads: list[threading.Thread] = [
            Uploader(client, self.ledger, sources, f"{seed} up {number}", self.stop, ways) for number in range(UPLOADERS)
        ]
        setting = self.setting
        threads += [
            Viewer(client, owner, setting.store, self.ledger, f"{seed} view {number}", self.stop, self.recovery.why) for number in range(VIEWERS)
        ]
        if self.arguments.browser:
            self.browser = Browser(self.origin, EMAIL, PASSWORD, self.folder, sources[0], self.ledger, self.stop)
            threads.append(self.browser)
        return threads

    @staticmethod
    def has_tus(client: Client) -> bool:
        """Whether the store of this set takes what tus clients send."""
        try:
            patiently(lambda: client.ask("OPTIONS", "/api/v1/tus"))
            return True
        except Refused:
            return False

    def wait_for_server(self, client: Client) -> None:
        """Until it answers."""
        until = time.monotonic() + STARTS_WITHIN_SECONDS
        while True:
            try:
                client.ask("GET", "/healthz")
                return
            except (Unanswered, Refused):
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)

    def stop_in_order(self) -> list[str]:
        """An ordinary end leaves nothing running and is no failure."""
        pids = [pid for process in self.processes if process.pid for pid, _ in descendants(process.pid)]
        codes = [(process.role, process.stop()) for process in self.processes]
        faults = [f"{role} ended with {code} after SIGTERM" for role, code in codes if code != 0]
        return faults + [f"process {pid} outlived its parent" for pid in wait_until_gone(pids, 60.0)]

    def end(self) -> None:
        """Nothing keeps running, however the run ended."""
        self.stop.set()
        for process in self.processes:
            process.kill()

    def summary(self, faults: list[str]) -> str:
        """A paragraph for people."""
        ledger = self.ledger
        ways = ", ".join(f"{count} {way}" for way, count in sorted(ledger.ways.items()))
        deleted = sum(known.deleted for known in ledger.uploads)
        again = f"{ledger.bytes_again / max(ledger.cuts, 1) / 1e6:.1f} MB sent again a cut on average, {ledger.most_again / 1e6:.1f} MB at most"
        verdict = f"{len(faults)} FAULTS" if faults else "nothing lost, doubled, damaged, stuck or left behind"
        return (
            f"{self.breakage.told()} in {time.monotonic() - self.began:.0f} s: {sum(ledger.ways.values())} uploads acknowledged ({ways}), {ledger.unknown} "
            f"without an answer, {deleted} deleted again; {ledger.parts_sent} parts, {ledger.cuts} uploads cut, {again}; {ledger.segments} segments "
            f"played; {self.recovery.told()}; {ledger.tried_again} videos tried again by their owner; put right by the audit: "
            f"{dict(self.repaired) or 'nothing'}; {verdict}"
        )


if __name__ == "__main__":
    sys.exit(main())
