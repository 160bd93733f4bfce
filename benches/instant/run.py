#!/usr/bin/env python3
"""From the last byte of an upload to the first segment in a viewer's hands, through the real server.

usage: benches/instant/run.py BINARY FOLDER [--rounds 5] [--short] [--json FILE]

The server runs as it does for everybody, on files and SQLite, without workers so that only this is measured. Clips of one, ten and sixty minutes are made
in FOLDER. Ours: all but the last 4 KiB are there; these, `GET /api/stream`, both kinds of playlists, the init segment and the first segment are asked for, one after the
other on one connection. The clock is read when the last byte is acknowledged (it is on disk then) and when the first segment is here. The other side is `ffmpeg -c copy` to
HLS of the same file, which has it on disk as well when it begins: until it has ended, and, since a player could begin sooner, until its first segment is complete (it opens
the second one). The two take turns. Then every segment of the picture is asked for, once cut from the source and then over and over: bytes a second of the server's
processor, cold and warm. Prints medians and the spread; exits with 1 only where something broke.
"""

import argparse
import base64
import datetime
import http.client
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse

BENCHES = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(BENCHES), str(BENCHES / "packager")]
import run as packager  # noqa: E402
from processes import TICKS, processor  # noqa: E402


# Bytes of a request of the upload, and of its last one.
PIECE = 32 << 20
LAST_BYTES = 4 << 10
# Bytes that are asked for before warm segments are counted: a small film's few segments are over before its server's processor time can be told.
LEAST_WARM = 2_000_000_000


class Server:
    """The binary in a folder of its own."""

    def __init__(self, binary, folder):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        settings = {
            "MILLRACE_BIND": f"127.0.0.1:{self.port}",
            "MILLRACE_PUBLIC_URL": f"http://127.0.0.1:{self.port}",
            "MILLRACE_DATA_DIR": str(folder),
            "MILLRACE_TRANSCODE_IN_SERVE": "false",
            "MILLRACE_UPLOAD_MAX_UNFINISHED": "0",
        }
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("MILLRACE_")} | settings
        self.log = open(folder / "log", "wb")
        self.process = subprocess.Popen([binary, "serve"], env=self.environment, stdout=self.log, stderr=self.log)
        self.binary = binary
        self.wait()
        self.command(["user", "add", "ada@example.org"], "correct horse battery staple\n")
        self.key = self.command(["key", "add", "ada@example.org", "--name", "bench"]).strip()

    def wait(self):
        for _ in range(600):
            if self.process.poll() is not None:
                raise SystemExit("the server did not start")
            try:
                return socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.1)
        raise SystemExit("the server does not answer")

    def command(self, words, given=""):
        done = subprocess.run([self.binary, *words], env=self.environment, input=given, capture_output=True, text=True, check=True)
        return done.stdout

    def processor(self):
        """Seconds of processor time so far."""
        return processor(self.process.pid)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


class Client:
    """One connection."""

    def __init__(self, server):
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port)
        self.bearer = {"authorization": f"Bearer {server.key}"}

    def send(self, method, url, body=None, headers=None, key=True):
        """An answer that says yes, read to its end."""
        parts = urllib.parse.urlsplit(url)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        self.connection.request(method, path, body=body, headers={**(self.bearer if key else {}), **(headers or {})})
        answer = self.connection.getresponse()
        answer.whole = answer.read()
        if answer.status >= 300:
            raise SystemExit(f"{method} {path.split('?')[0]}: {answer.status} {answer.whole[:300]!r}")
        return answer

    def ask(self, method, url, key=True):
        return self.send(method, url, key=key).whole


def lines(text):
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def upload(client, path):
    """By tus, all but the last bytes; where to send those, and what they are."""
    size = path.stat().st_size
    name = base64.b64encode(path.name.encode()).decode()
    begun = client.send("POST", "/api/v1/tus", headers={"Tus-Resumable": "1.0.0", "Upload-Length": str(size), "Upload-Metadata": f"filename {name}"})
    location, last = begun.headers["Location"], size - LAST_BYTES
    with open(path, "rb") as file:
        for offset in range(0, last, PIECE):
            append(client, location, offset, file.read(min(PIECE, last - offset)))
        return location, last, file.read()


def append(client, location, offset, body):
    headers = {"Tus-Resumable": "1.0.0", "Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
    return client.send("PATCH", location, body, headers)


def first_segment(client, location, offset, body):
    """Milliseconds from the acknowledgement of the last bytes until the first segment is here, those until they were acknowledged, and the playlist of the picture."""
    began = time.monotonic()
    video_id = append(client, location, offset, body).headers["millrace-video-id"]
    acknowledged = time.monotonic()
    url = json.loads(client.ask("GET", f"/api/stream?videoId={video_id}"))["url"]
    multivariant = client.ask("GET", url, key=False).decode()
    playlist = client.ask("GET", urllib.parse.urljoin(url, lines(multivariant)[0]), key=False).decode()
    client.ask("GET", re.search(r'URI="([^"]+)"', playlist)[1], key=False)
    client.ask("GET", lines(playlist)[0], key=False)
    return (time.monotonic() - acknowledged) * 1e3, (acknowledged - began) * 1e3, playlist


def throughput(server, client, playlist):
    """Gigabytes of segments for a second of the server's processor: the first time, and from then on."""
    found = []
    for least in (1, LEAST_WARM):
        before, sent = server.processor(), 0
        while sent < least:
            sent += sum(len(client.ask("GET", segment, key=False)) for segment in lines(playlist))
        found.append(sent / 1e9 / max(server.processor() - before, 1 / TICKS))
    return found


def machine():
    model = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    return {
        "date": datetime.date.today().isoformat(),
        "cores": os.cpu_count(),
        "processor": model[1] if model else platform.machine(),
        "kernel": platform.release(),
        "load": os.getloadavg()[0],
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--short", action="store_true", help="one and ten minutes, three rounds")
    parser.add_argument("--json", type=pathlib.Path)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    rounds, results = 3 if given.short else given.rounds, []
    data = pathlib.Path(tempfile.mkdtemp(prefix="millrace-bench-"))
    server = Server(given.binary.resolve(), data)
    try:
        client = Client(server)
        print(", ".join(f"{name}: {value}" for name, value in machine().items()))
        print("milliseconds: median (least–most)")
        for minutes in (1, 10) if given.short else packager.MINUTES:
            path = packager.source(given.folder, minutes)
            ours, complete, first, whole, playlist = [], [], [], [], ""
            for _ in range(rounds):
                total, answered, playlist = first_segment(client, *upload(client, path))
                ours.append(total)
                complete.append(answered)
                theirs = packager.theirs(path)
                first.append(theirs[0] * 1e3)
                whole.append(theirs[1] * 1e3)
            begun = [peer / own for own, peer in zip(ours, first)]
            ended = [peer / own for own, peer in zip(ours, whole)]
            cold, warm = throughput(server, client, playlist)
            print(f"{minutes} min, {path.stat().st_size / 1e6:,.0f} MB")
            rows = [("last byte acknowledged → segment", ours), ("last byte sent → acknowledged", complete), ("ffmpeg -c copy", whole), ("ffmpeg -c copy, first segment", first)]
            for what, values in [*rows, ("ratio, ffmpeg -c copy", ended), ("ratio, its first segment", begun)]:
                print(f"    {what:34} {packager.spread(values)}")
            print(f"    segments: {cold:.1f} GB per processor second cut from the source, {warm:.1f} warm")
            results.append({
                "minutes": minutes, "ours_ms": ours, "acknowledged_ms": complete, "ffmpeg_first_ms": first, "ffmpeg_ms": whole,
                "gb_per_cpu_second": {"cold": cold, "warm": warm},
            })
    finally:
        server.stop()
        shutil.rmtree(data, ignore_errors=True)
    if given.json:
        given.json.write_text(json.dumps({"area": "instant", "machine": machine(), "results": results}, indent=1))


if __name__ == "__main__":
    main()
