"""The storm itself: what is broken, and when, as the seed decides."""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter
from pathlib import Path

from ledger import Ledger
from product import Process, descendants, kill_engine, wait_until_gone
from recovery import Recovery
from sets import Setting

# Percentages of AWS's answers that are faults, one after the other, and how long each lasts.
BAD_DAYS = (1, 10, 50, 100)
BAD_DAY_SECONDS = 20.0
GOOD_DAY_SECONDS = 15.0
LONGEST_PAUSE_SECONDS = 60.0


class Breakage:
    """Kills, or stops, or spoils."""

    def __init__(
        self, arguments: argparse.Namespace, setting: Setting, processes: list[Process], ledger: Ledger, recovery: Recovery, folder: Path
    ) -> None:
        self.arguments, self.setting, self.processes, self.ledger = arguments, setting, processes, ledger
        self.recovery, self.folder = recovery, folder
        self.random = random.Random(arguments.seed)
        self.done = Counter[str]()

    def run(self) -> None:
        """All of it."""
        if self.arguments.database_faults is not None:
            self.break_database(self.arguments.database_faults)
        elif self.arguments.aws_faults is not None:
            self.break_aws(self.arguments.aws_faults)
        else:
            self.kill(self.arguments.kills)

    def told(self) -> str:
        """What was done."""
        kinds = ", ".join(f"{count} {name}" for name, count in sorted(self.done.items()))
        spoilt = f" ({dict(self.setting.proxy.orders.done)})" if self.setting.proxy and self.setting.proxy.orders.done else ""
        what = "faults" if self.arguments.database_faults is not None or self.arguments.aws_faults is not None else "kills"
        return f"{sum(self.done.values())} {what} ({kinds}){spoilt}"

    def kill(self, count: int) -> None:
        """Kills server, workers and ffmpeg."""
        shown = 0
        while sum(self.done.values()) < count:
            # Mostly seconds apart, so that something happens in between; sometimes at once, so that starts are hit as well.
            time.sleep(self.random.choice([0.05, 0.3, 1.0, 2.0, 4.0]) * self.random.uniform(0.5, 1.5) * self.arguments.pace)
            victim = self.random.choice(self.processes)
            if self.random.random() < 0.35:
                if kill_engine(self.processes, self.random.getrandbits(16)):
                    self.done["ffmpeg"] += 1
            else:
                self.kill_process(victim)
                time.sleep(self.random.choice([0.0, 0.0, 0.5, 2.0]) * self.arguments.pace)
            self.start_all()
            if sum(self.done.values()) // 50 > shown:
                shown = sum(self.done.values()) // 50
                print(f"{self.told()}; {len(self.ledger.uploads)} uploads, {self.ledger.waiting()} not done yet", flush=True)

    def kill_process(self, victim: Process) -> None:
        """Kills one; what it had started has to go with it."""
        if victim.pid is None:
            return
        engines = [pid for pid, _ in descendants(victim.pid)]
        self.recovery.note(victim.pid)
        victim.kill()
        self.done[victim.role] += 1
        if left := wait_until_gone(engines, 60.0):
            self.ledger.fault(f"killed {victim.role}, but {len(left)} of the processes that it had started live on")

    def start_all(self) -> None:
        """Starts what was killed. Nothing ends by itself."""
        for process in self.processes:
            if (code := process.fell_over()) is not None:
                self.ledger.fault(f"{process.role} ended by itself with {code}; its log is in {self.folder}")
            process.start()

    def break_database(self, count: int) -> None:
        """Stops PostgreSQL at once and starts it again, or lets it say nothing for a while."""
        if not self.setting.postgres:
            raise SystemExit("--database-faults needs --set postgres or aws")
        for number in range(count):
            time.sleep(self.random.uniform(3.0, 10.0) * self.arguments.pace)
            if number % 2 == 0:
                self.setting.postgres.stop_at_once()
                time.sleep(self.random.choice([0.0, 1.0, 5.0, 15.0]) * self.arguments.pace)
                self.setting.postgres.start()
                self.done["PostgreSQL stopped at once"] += 1
            else:
                seconds = self.random.choice([2.0, 10.0, 30.0, LONGEST_PAUSE_SECONDS]) * min(1.0, self.arguments.pace)
                self.setting.postgres.pause(seconds)
                self.done["PostgreSQL paused"] += 1
            for process in self.processes:
                if (code := process.fell_over()) is not None:
                    self.ledger.fault(f"{process.role} ended with {code} since the database was away; its log is in {self.folder}")
                    process.start()
            print(f"{self.told()}; {len(self.ledger.uploads)} uploads, {self.ledger.waiting()} not done yet", flush=True)

    def break_aws(self, rounds: int) -> None:
        """S3 and SQS fail, more and more; then they are well for a while."""
        if not (proxy := self.setting.proxy):
            raise SystemExit("--aws-faults needs --set aws")
        for number in range(rounds):
            for percent in BAD_DAYS:
                proxy.order(percent, seed=self.arguments.seed * 1000 + number)
                time.sleep(BAD_DAY_SECONDS * self.arguments.pace)
                self.done[f"× {percent} % of S3"] += 1
                proxy.order(60, ("queue_double", "queue_reorder", "queue_keep"), self.arguments.seed * 1000 + number)
                time.sleep(GOOD_DAY_SECONDS * self.arguments.pace)
                self.done["× 60 % of SQS"] += 1
                proxy.order(0)
                self.start_all()
                print(f"{self.told()}; {len(self.ledger.uploads)} uploads, {self.ledger.waiting()} not done yet", flush=True)
