"""How long the jobs of a killed worker wait for the next one."""

from __future__ import annotations

import sqlite3
import statistics
import subprocess
import threading
import time

from database import Database


class Recovery(threading.Thread):
    """Looks at the rows of jobs all the time."""

    def __init__(self, database: Database) -> None:
        super().__init__(daemon=True)
        self.database = database
        self._orphaned: dict[str, tuple[int, float]] = {}
        self._seconds: list[float] = []
        self._over = threading.Event()

    def rows(self, columns: str, which: str) -> list[dict]:
        """Rows of jobs; none where the database is busy or away just now."""
        try:
            return self.database.rows(f"SELECT {columns} FROM jobs WHERE {which}")
        except (sqlite3.Error, subprocess.CalledProcessError):
            return []

    def why(self, video: str) -> str:
        """The reason of a failed job."""
        rows = self.rows("video_id, last_error, state", "state = 'failed'")
        return next((str(row["last_error"]) for row in rows if row["video_id"] == video), "")

    def note(self, pid: int) -> None:
        """Remembers which jobs a process has that is about to be killed."""
        for row in self.rows("id, fence, lease_owner", "state = 'running'"):
            if str(row["lease_owner"]).split("-")[1:2] == [str(pid)]:
                self._orphaned.setdefault(row["id"], (row["fence"], time.monotonic()))

    def run(self) -> None:
        while not self._over.wait(0.2):
            rows = {row["id"]: row["fence"] for row in self.rows("id, fence", "state <> 'done'")} if self._orphaned else {}
            for job, (fence, since) in list(self._orphaned.items()):
                if rows.get(job, fence) > fence and self._orphaned.pop(job, None):
                    self._seconds.append(time.monotonic() - since)

    def stop(self) -> None:
        """No more looks."""
        self._over.set()
        self.join()

    def told(self) -> str:
        """The numbers."""
        if not self._seconds:
            return "no job lost its worker"
        ordered = sorted(self._seconds)
        late = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
        median = statistics.median(ordered)
        return f"{len(ordered)} jobs of killed workers went on after {median:.1f} s (median), {late:.1f} s (p99), {ordered[-1]:.1f} s at most"
