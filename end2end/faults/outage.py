#!/usr/bin/env python3
"""A real server whose real PostgreSQL goes away while a film plays and a file is uploaded:

    end2end/faults/outage.py BINARY [--keep]

First it is stopped at once, then all of its processes are frozen. Meanwhile every segment and playlist of the film that had begun to play is there, with
the same bytes; everything that has to be written down is refused with 503 and a time to come again. Once it is back, the upload goes on by itself, from
the part it had come to, and its video is done. The server is the same process all the while.
"""

from __future__ import annotations

import argparse
import http.client
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

sys.path.append(str(Path(__file__).resolve().parent.parent / "chaos"))

# pylint: disable=wrong-import-position
from client import PAUSE_SECONDS, Client, Unanswered, patiently
from postgres import PostgreSQLServer
from product import Process
from sets import Setting
from sources import Source, describe
from viewers import addresses

PATIENCE_SECONDS = 900.0
# Everything is asked for so often while the database is away.
ROUNDS = 4
FILM = "-f lavfi -i testsrc2=s=320x180:r=25:d=30 -f lavfi -i sine=440:d=30 -c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 50 -c:a aac"
PARTS = "-f lavfi -i testsrc2=s=640x360:r=30:d=4 -c:v mjpeg -q:v 1"


def make(path: Path, recipe: str, tail: int = 0) -> Source:
    """A file of ffmpeg's, with a box at its end that every reader skips."""
    subprocess.run(["ffmpeg", "-v", "error", "-y", *recipe.split(), str(path)], check=True, stdin=subprocess.DEVNULL)
    with path.open("ab") as file:
        file.write((tail + 8).to_bytes(4, "big") + b"free" + bytes(tail))
    return describe((path, 0.0, 1))


def raw(method: str, url: str, key: str = "", body: bytes | None = None, headers: dict[str, str] | None = None) -> tuple[int, str, bytes]:
    """One request: its status, when to come again, and its body."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=PATIENCE_SECONDS)
    try:
        sent = dict(headers or {}) | ({"authorization": f"Bearer {key}"} if key else {})
        connection.request(method, address.path + (f"?{address.query}" if address.query else ""), body, sent)
        answer = connection.getresponse()
        return answer.status, answer.getheader("retry-after", ""), answer.read()
    finally:
        connection.close()


@dataclass
class Viewing:
    """A film that has begun to play."""

    url: str
    playlists: list[str] = field(default_factory=list)
    segments: dict[str, bytes] = field(default_factory=dict)

    @classmethod
    def begin(cls, client: Client, video: str) -> Viewing:
        """Asks for what a player asks for first."""
        viewing = cls(client.json("GET", f"/api/stream?videoId={video}")["url"])
        top = client.ask("GET", viewing.url).decode()
        viewing.playlists = addresses(top, viewing.url.rsplit("/", 1)[0])
        for playlist in viewing.playlists:
            named = addresses(client.ask("GET", playlist).decode(), playlist.rsplit("/", 1)[0])
            viewing.segments |= {address: b"" for address in named}
        first = next(iter(viewing.segments))
        viewing.segments[first] = client.ask("GET", first)
        return viewing

    def go_on(self) -> int:
        """Plays all of it; every answer is whole, and the same as ever."""
        for playlist in (self.url, *self.playlists):
            status, _, text = raw("GET", playlist)
            assert status == 200 and text.startswith(b"#EXTM3U"), f"{playlist}: {status} {text[:200]!r}"
        for address, known in self.segments.items():
            status, _, got = raw("GET", address)
            assert status == 200 and got and known in (b"", got), f"{address}: {status}, {len(got)} bytes"
            self.segments[address] = got
        return len(self.segments)


class Upload(threading.Thread):
    """Sends a file as programs do: one part after the other, each until it is acknowledged."""

    def __init__(self, client: Client, source: Source) -> None:
        super().__init__(daemon=True)
        self.client, self.source = client, source
        self.id, self.video = str(uuid.uuid4()), ""
        self.first_part, self.go_on = threading.Event(), threading.Event()
        # Answers that said to come again, and times that each part was acknowledged.
        self.put_off = 0
        self.acknowledged = dict.fromkeys(range(1, len(source.part_sums) + 1), 0)

    def run(self) -> None:
        begin = {"fileName": self.source.path.name, "size": self.source.size, "uploadId": self.id}
        ticket = patiently(lambda: self.client.json("POST", "/api/v1/uploads", begin))
        for number in self.acknowledged:
            headers = {"x-millrace-crc32c": f"{self.source.part_sums[number - 1]:08x}"}
            path = ticket["partUrl"].replace("{number}", str(number))
            while not self.acknowledged[number]:
                try:
                    self.client.ask("PUT", path, self.source.part(number), headers)
                    self.acknowledged[number] += 1
                except Unanswered:
                    self.put_off += 1
                    time.sleep(PAUSE_SECONDS)
            self.first_part.set()
            self.go_on.wait()
        self.video = patiently(lambda: self.client.json("POST", f"/api/v1/uploads/{self.id}/complete"))["videoId"]


class Stage:
    """The server, its database and its clips."""

    def __init__(self, binary: Path, folder: Path) -> None:
        self.setting = Setting.make("postgres", folder / "data")
        self.folder = folder
        run = [str(binary)]
        environment = self.setting.environment
        words = {"input": "correct horse battery staple\n", "text": True, "check": True, "capture_output": True, "env": environment}
        subprocess.run([*run, "user", "add", "ada@example.org"], **words)
        key = subprocess.run([*run, "key", "add", "ada@example.org", "--name", "outage"], **words).stdout.strip()
        self.server = Process(binary, "serve", environment, folder / "server.log")
        self.server.start()
        self.client = Client(environment["MILLRACE_PUBLIC_URL"], key)
        self.film = self._film(make(folder / "film.mp4", FILM))
        self.source = make(folder / "parts.mov", PARTS, 20_000_000)

    @property
    def postgres(self) -> PostgreSQLServer:
        """Its database."""
        assert self.setting.postgres
        return self.setting.postgres

    def _film(self, source: Source) -> str:
        upload = Upload(self.client, source)
        upload.go_on.set()
        upload.run()
        self.until_done(upload.video)
        return upload.video

    def until(self, what: str, so: Callable[[], bool]) -> None:
        """Waits until something is so."""
        give_up = time.monotonic() + PATIENCE_SECONDS
        while not so():
            assert time.monotonic() < give_up, f"it never came to this: {what}; the log is in {self.folder}"
            time.sleep(0.1)

    def until_done(self, video: str) -> None:
        """Waits until a video is done."""
        self.until("the video is done", lambda: patiently(lambda: self.client.json("GET", f"/api/status?videoId={video}"))["status"] == "done")

    def asks_to_come_again(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> bool:
        """Whether a request is refused with 503 and a time."""
        status, again, _ = raw(method, self.client.origin + path, self.client.key, body, headers)
        return status == 503 and again.isdigit()

    def refuses_to_write(self, upload: str) -> None:
        """Every way of an upload is told to come again."""
        json = {"content-type": "application/json"}
        form = b'--x\r\ncontent-disposition: form-data; name="file"; filename="a.mp4"\r\n\r\nbytes\r\n--x--\r\n'
        tus = {"tus-resumable": "1.0.0", "upload-length": "5"}
        for method, path, body, headers in [
            ("POST", "/api/v1/uploads", b'{"fileName":"a.mp4","size":5}', json),
            ("PUT", f"/api/v1/uploads/{upload}/parts/2", b"bytes", {"x-millrace-crc32c": "00000000"}),
            ("POST", f"/api/v1/uploads/{upload}/complete", b"", {}),
            ("POST", "/api/upload", form, {"content-type": "multipart/form-data; boundary=x"}),
            ("POST", "/api/v1/tus", b"", tus),
            ("GET", f"/api/status?videoId={self.film}", None, {}),
        ]:
            assert self.asks_to_come_again(method, path, body, headers), f"{method} {path} was not told to come again"

    def outage(self, name: str, begin: Callable[[], None], end: Callable[[], None]) -> None:
        """The database goes away, and comes back."""
        viewing, upload, process = Viewing.begin(self.client, self.film), Upload(self.client, self.source), self.server.pid
        upload.start()
        assert upload.first_part.wait(PATIENCE_SECONDS), "the upload does not begin"
        begin()
        try:
            self.until("the server notices", lambda: self.asks_to_come_again("GET", "/api/v1/uploads"))
            upload.go_on.set()
            for _ in range(ROUNDS):
                played = viewing.go_on()
                self.refuses_to_write(upload.id)
            assert raw("GET", f"{self.client.origin}/livez")[0] == 200 and raw("GET", f"{self.client.origin}/readyz")[0] == 503
            self.until("the upload was told to come again", lambda: upload.put_off > 0)
            assert not upload.video and not any(count for number, count in upload.acknowledged.items() if number > 1)
        finally:
            end()
        upload.join(PATIENCE_SECONDS)
        assert upload.video, f"the upload does not go on; the log is in {self.folder}"
        assert set(upload.acknowledged.values()) == {1}, upload.acknowledged
        assert self.setting.store.sha256(upload.id) == self.source.sha256, "the source is another"
        self.until_done(upload.video)
        viewing.go_on()
        assert self.server.pid == process is not None, "it is another process"
        print(f"{name}: {played} segments played on {ROUNDS} times, the upload was put off {upload.put_off} times and went on by itself", flush=True)

    def end(self) -> int:
        """Ends all of it as an operator would."""
        code = self.server.stop()
        self.setting.end()
        return code


def main() -> None:
    """Both outages."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("binary", type=Path)
    arguments.add_argument("--keep", action="store_true", help="leave data and log where they are")
    given = arguments.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="millrace-outage-"))
    stage = Stage(given.binary.resolve(), folder)
    try:
        stage.outage("PostgreSQL stopped at once", stage.postgres.stop_at_once, stage.postgres.start)
        stage.outage("PostgreSQL frozen", stage.postgres.freeze, stage.postgres.thaw)
    finally:
        code = stage.end()
    assert code == 0, f"the server ended with {code}; its log is in {folder}"
    if not given.keep:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
