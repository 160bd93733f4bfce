"""The dashboard's own uploader, in Chromium: a helper (browser.mjs) chooses files as a user does, and says when the page calls them uploaded."""

from __future__ import annotations

import json
import random
import struct
import subprocess
import threading
from pathlib import Path

from database import Database
from ledger import Ledger
from product import die_with_us
from sources import Source, sha256
from stores import Store

HELPER = Path(__file__).resolve().parent / "browser.mjs"
# Two parts, and a bit.
TAIL = 18_000_000


class Browser(threading.Thread):
    """One user in front of one page."""

    def __init__(self, origin: str, email: str, password: str, folder: Path, source: Source, ledger: Ledger, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.origin, self.email, self.password, self.source, self.ledger, self.stop = origin, email, password, source, ledger, stop
        self.folder = folder / "browser"
        self.uploaded: dict[str, str] = {}

    def run(self) -> None:
        self.folder.mkdir(exist_ok=True)
        with (self.folder / "log").open("ab") as log:
            helper = subprocess.Popen(
                ["node", str(HELPER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, preexec_fn=die_with_us
            )
        assert helper.stdin and helper.stdout
        helper.stdin.write(json.dumps({"origin": self.origin, "email": self.email, "password": self.password}) + "\n")
        number = 0
        while not self.stop.is_set():
            number += 1
            file = self.file(number)
            try:
                helper.stdin.write(f"{file}\n")
                helper.stdin.flush()
                told = helper.stdout.readline().strip()
            except OSError as error:
                told = repr(error)
            if told != f"uploaded {file}":
                self.ledger.fault(f"browser: {file.name} was not uploaded: {told!r}; the helper's log is in {self.folder}")
                break
            self.uploaded[file.stem] = sha256(file)
            with self.ledger.lock:
                self.ledger.ways["by the dashboard"] += 1
            file.unlink()
        helper.stdin.close()
        helper.wait(60)

    def file(self, number: int) -> Path:
        """A clip like no other, with a name of its own."""
        path = self.folder / f"browser-{number}.mp4"
        tail = struct.pack(">I4s", TAIL + 8, b"free") + random.Random(f"{self.origin} {number}").randbytes(TAIL)
        path.write_bytes(self.source.path.read_bytes() + tail)
        return path

    def check(self, database: Database, store: Store) -> list[str]:
        """Each file is one video that plays, with the bytes that were chosen."""
        found = []
        rows = database.rows("SELECT videos.title AS title, videos.stage AS stage, uploads.id AS upload FROM videos JOIN uploads ON video_id = videos.id")
        for title, digest in self.uploaded.items():
            own = [row for row in rows if row["title"] == title]
            if [row["stage"] for row in own] != ["ready"]:
                found.append(f"browser: {title} became {own}")
            elif (there := store.sha256(own[0]["upload"])) != digest:
                found.append(f"browser: the source of {title} is {there}, not {digest}")
        return found
