#!/usr/bin/env python3
"""Kills the product at random moments while it is used, and looks whether it kept its promises:

    end2end/chaos/chaos.py BINARY [--kills 30] [--seed 1] [--workers 1] [--postgres URL] [--keep]

A server and workers run on files and SQLite, or on files and PostgreSQL. Uploads (in parts and in single requests) and viewers go on all the
time; server, workers and ffmpeg are killed with SIGKILL at moments that the seed decides, and started again. At the end nothing may be lost,
doubled, damaged, stuck or left behind. Ends with 1 where something was, and names it.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from client import Client, Refused, Unanswered
from database import Database, PostgreSQL, SQLite
from invariants import check
from load import Ledger, Uploader, Viewer
from product import Process, descendants, kill_engine, wait_until_gone
from sources import make

EMAIL = "chaos@example.com"
UPLOADERS = 3
VIEWERS = 2
STARTS_WITHIN_SECONDS = 60.0


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Kills the product at random moments while it is used.")
    parser.add_argument("binary", type=Path)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1, help="worker processes beside the server, which works itself as well")
    parser.add_argument("--postgres", metavar="URL", help="a superuser's: a database is made there and dropped")
    parser.add_argument("--keep", action="store_true", help="leave the folder with data and logs")
    return parser.parse_args()


def main() -> int:
    """Runs, and says how it went."""
    arguments = parse()
    folder = Path(tempfile.mkdtemp(prefix="millrace-chaos-"))
    print(f"seed {arguments.seed}, {arguments.kills} kills, {'PostgreSQL' if arguments.postgres else 'SQLite'}; data and logs: {folder}")
    storm = Storm(arguments, folder)
    try:
        faults = storm.run()
    finally:
        storm.end()
    for fault in faults:
        print(f"FAULT {fault}")
    print(storm.summary(faults))
    if not arguments.keep and not faults:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if faults else 0


class Storm:
    """One run."""

    def __init__(self, arguments: argparse.Namespace, folder: Path) -> None:
        self.arguments, self.folder, self.data = arguments, folder, folder / "data"
        self.random = random.Random(arguments.seed)
        self.ledger, self.killed = Ledger(), Counter[str]()
        self.orphaned: dict[str, tuple[int, float]] = {}
        self.recovered: list[float] = []
        self.environment = self.settings()
        self.database = self.open_database()
        names = ["serve"] + ["worker"] * arguments.workers
        self.processes = [
            Process(arguments.binary.resolve(), role, self.environment, folder / f"{role}-{number}.log") for number, role in enumerate(names)
        ]
        self.origin = f"http://{self.environment['MILLRACE_BIND']}"
        self.began = time.monotonic()

    def settings(self) -> dict[str, str]:
        """The environment of all processes."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{probe.getsockname()[1]}"
        ours = {
            "MILLRACE_BIND": address,
            "MILLRACE_PUBLIC_URL": f"http://{address}",
            "MILLRACE_DATA_DIR": str(self.data),
            "MILLRACE_LOG": "info",
            # The clients here are one address and one account.
            "MILLRACE_HTTP_REQUESTS_PER_MINUTE_ADDRESS": "0",
            "MILLRACE_HTTP_REQUESTS_PER_MINUTE_ACCOUNT": "0",
        }
        if self.arguments.postgres:
            ours["MILLRACE_DATABASE_URL"] = self.make_postgres_database()
        theirs = {name: value for name, value in os.environ.items() if not name.startswith("MILLRACE_")}
        return theirs | ours

    def make_postgres_database(self) -> str:
        """A database of this run's own; the server it is in goes with whoever started it."""
        name = f"chaos_{random.SystemRandom().getrandbits(64):016x}"
        subprocess.run(["psql", "-Xq", "-d", self.arguments.postgres, "-c", f"CREATE DATABASE {name}"], check=True)
        head, _, query = self.arguments.postgres.partition("?")
        return f"{head.rsplit('/', 1)[0]}/{name}" + (f"?{query}" if query else "")

    def open_database(self) -> Database:
        """How this driver looks into it."""
        url = self.environment.get("MILLRACE_DATABASE_URL")
        return PostgreSQL(url) if url else SQLite(str(self.data / "millrace.db"))

    def command(self, *words: str, given: str = "") -> str:
        """Runs another command of the binary."""
        command = [str(self.arguments.binary), *words]
        done = subprocess.run(command, env=self.environment, input=given, text=True, check=True, capture_output=True)
        return done.stdout.strip()

    def run(self) -> list[str]:
        """The whole run; everything that did not hold."""
        sources = make(self.folder / "sources", self.arguments.seed)
        self.command("user", "add", EMAIL, given="a long enough password for chaos\n")
        client = Client(self.origin, self.command("key", "add", EMAIL, "--name", "chaos"))
        for process in self.processes:
            process.start()
        self.wait_for_server(client)
        stop = threading.Event()
        seed = self.arguments.seed
        load: list[threading.Thread] = [Uploader(client, self.ledger, sources, f"{seed} up {n}", stop) for n in range(UPLOADERS)]
        load += [Viewer(client, self.ledger, f"{seed} view {n}", stop) for n in range(VIEWERS)]
        watch = threading.Thread(target=self.watch_orphans, args=(stop,), daemon=True)
        for thread in [*load, watch]:
            thread.start()
        self.kill_at_random()
        stop.set()
        for thread in load:
            thread.join()
        watch.join()
        self.wait_for_server(client)
        faults = self.ledger.faults + check(client, self.database, self.ledger, self.data)
        return faults + self.stop_in_order()

    def kill_at_random(self) -> None:
        """The storm itself."""
        while sum(self.killed.values()) < self.arguments.kills:
            # Mostly seconds apart, so that something happens in between; sometimes at once, so that starts are hit as well.
            time.sleep(self.random.choice([0.05, 0.3, 1.0, 2.0, 4.0]) * self.random.uniform(0.5, 1.5))
            victim = self.random.choice(self.processes)
            if self.random.random() < 0.35:
                if kill_engine(victim, self.random.getrandbits(16)):
                    self.killed["ffmpeg"] += 1
            elif victim.pid is not None:
                engines = [pid for pid, _ in descendants(victim.pid)]
                self.note_orphans(victim.pid)
                victim.kill()
                self.killed[victim.role] += 1
                if left := wait_until_gone(engines, 10.0):
                    self.ledger.fault(f"killed {victim.role}, but {len(left)} of the processes that it had started live on")
                time.sleep(self.random.choice([0.0, 0.0, 0.5, 2.0]))
            for process in self.processes:
                if (code := process.fell_over()) is not None:
                    self.ledger.fault(f"{process.role} ended by itself with {code}; its log is in {self.folder}")
                process.start()

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

    def jobs(self, which: str) -> list[dict]:
        """Rows of jobs; none where the database is busy just now."""
        try:
            return self.database.rows(f"SELECT id, state, fence, lease_owner FROM jobs WHERE {which}")
        except (sqlite3.Error, subprocess.CalledProcessError):
            return []

    def note_orphans(self, pid: int) -> None:
        """Remembers which jobs a process has that is about to be killed."""
        for row in self.jobs("state = 'running'"):
            if str(row["lease_owner"]).split("-")[1:2] == [str(pid)]:
                self.orphaned[row["id"]] = (row["fence"], time.monotonic())

    def watch_orphans(self, stop: threading.Event) -> None:
        """Measures how long a job whose worker was killed waits for the next one."""
        while not stop.wait(0.2):
            rows = {row["id"]: row for row in self.jobs("state <> 'done'")} if self.orphaned else {}
            for job, (fence, since) in list(self.orphaned.items()):
                if job in rows and rows[job]["fence"] > fence and self.orphaned.pop(job, None):
                    self.recovered.append(time.monotonic() - since)

    def stop_in_order(self) -> list[str]:
        """An ordinary end leaves nothing running and is no failure."""
        pids = [pid for process in self.processes if process.pid for pid, _ in descendants(process.pid)]
        codes = [(process.role, process.stop()) for process in self.processes]
        faults = [f"{role} ended with {code} after SIGTERM" for role, code in codes if code != 0]
        return faults + [f"process {pid} outlived its parent" for pid in wait_until_gone(pids, 10.0)]

    def end(self) -> None:
        """Nothing keeps running, however the run ended."""
        for process in self.processes:
            process.kill()

    def summary(self, faults: list[str]) -> str:
        """One line for people."""
        kinds = Counter(fault.split(":")[0] for fault in faults)
        kills = ", ".join(f"{count} {name}" for name, count in sorted(self.killed.items()))
        recovery = ""
        if self.recovered:
            worst = max(self.recovered)
            recovery = f"; jobs of killed workers went on after {statistics.median(self.recovered):.1f} s (median), {worst:.1f} s at most"
        return (
            f"{sum(self.killed.values())} kills ({kills}) in {time.monotonic() - self.began:.0f} s: {len(self.ledger.uploads)} uploads acknowledged, "
            f"{self.ledger.unknown} without an answer, {self.ledger.parts_again} parts cut off of {self.ledger.parts_sent} that arrived, "
            f"{self.ledger.segments} segments played{recovery}; "
            + (f"{len(faults)} FAULTS: {dict(kinds)}" if faults else "nothing lost, doubled, damaged, stuck or left behind")
        )


if __name__ == "__main__":
    sys.exit(main())
