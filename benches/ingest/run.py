#!/usr/bin/env python3
"""Uploads as fast as they go: Millrace's release binary beside @tus/server, @uploadx/core and nginx's PUT, on the same cores and the same disk.

usage: benches/ingest/run.sh target/release/millrace [--short] [--rounds N] [--json FILE]

All of them take turns in each round, so that a busy machine is busy for all; what counts is the ratio within a round, and the processor time of
the server. Millrace checks a CRC32C of each part, brings it to the disk (fdatasync) before it acknowledges it, and notes it in its database; the
peers do none of that. So the targets are on memory (tmpfs), where bringing to the disk is free; a second table has a real disk, with what that
disk writes durably beside it. Bodies come from the memory of a client that does nothing else. Fails only where something broke.
"""

import argparse
import concurrent.futures
import contextlib
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from processes import TICKS, end, facts, family, free_port, memory, millrace_environment, processor, say, wait_for  # noqa: E402

PIECE = 8 * 1024 * 1024
HERE = pathlib.Path(__file__).resolve().parent
PEERS = ["tus", "uploadx", "nginx"]
TARGETS = {"tus": 4.0, "uploadx": 3.0, "nginx": 1.0}
# What memory may grow by while four uploads come in.
MEMORY_MIB = 32

NGINX = """
worker_processes 2; daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; client_max_body_size 0; client_body_buffer_size 1m; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi; keepalive_requests 1000000;
  server {{ listen 127.0.0.1:{port} reuseport; location /up/ {{ root {folder}/files; dav_methods PUT; create_full_put_path on; }} }} }}
"""


def forget_peak(pid):
    for one in family(pid):
        with contextlib.suppress(OSError):
            pathlib.Path(f"/proc/{one}/clear_refs").write_text("5")


class Server:
    """A server that stores below a folder of its own."""

    def __init__(self, name, folder, command, port, env=None):
        self.name, self.folder, self.port = name, folder, port
        self.log = open(folder / "log", "w+b")
        self.process = subprocess.Popen(command, env=env, cwd=HERE, stdout=subprocess.DEVNULL, stderr=self.log)
        wait_for(name, self.process, port, (folder / "log").read_text)

    def ask(self, method, path, headers, body=b""):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", body, headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.headers, answer.read()

    def end(self):
        end(self.process)
        self.log.close()

    def stored(self):
        """The files that uploads ended in."""
        return [path for path in (self.folder / "files").rglob("*") if path.is_file() and not path.name.lower().endswith((".json", ".meta"))]

    def clear(self):
        for path in (self.folder / "files").rglob("*"):
            if path.is_file():
                path.unlink()


class Millrace(Server):
    def __init__(self, binary, folder):
        port = free_port()
        ours = {"BIND": f"127.0.0.1:{port}", "DATA_DIR": str(folder / "files"), "LOG": "error", "TRANSCODE_IN_SERVE": "false"}
        env = millrace_environment(ours)
        command = lambda *words, text="": subprocess.run([binary, *words], env=env, input=text, text=True, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
        command("user", "add", "bench@example.org", text="a password for the bench\n")
        self.key = command("key", "add", "bench@example.org", "--name", "bench").strip()
        super().__init__("millrace", folder, [binary, "serve"], port, env)

    def known(self):
        return {"Authorization": f"Bearer {self.key}"}

    def stored(self):
        return [path for path in (self.folder / "files" / "store" / "sources").iterdir() if path.is_file()]

    def clear(self):
        for path in self.stored():
            path.unlink()


def lines(stream, requests):
    return ["\t".join([str(stream), method, path, str(length), status, *headers]) for method, path, length, status, headers in requests]


def pieces(size, length):
    return [(offset, min(length, size - offset)) for offset in range(0, size, length)]


def by_parts(server, stream, size, _length):
    """Millrace's own way: parts of 8 MiB, each with its checksum, then the word that they are all."""
    headers = server.known()
    _, body = server.ask("POST", "/api/v1/uploads", headers | {"Content-Type": "application/json"}, json.dumps({"fileName": "bench.mp4", "size": size}).encode())
    ticket = json.loads(body)
    known = f"Authorization: {headers['Authorization']}"
    parts = [
        ("PUT", ticket["partUrl"].replace("{number}", str(number + 1)), part, "200", [known, "X-Millrace-CRC32C: {crc32c}"])
        for number, (_, part) in enumerate(pieces(size, ticket["partSize"]))
    ]
    return parts + [("POST", f"/api/v1/uploads/{ticket['uploadId']}/complete", 0, "200", [known])]


def by_tus(server, stream, size, length):
    path, headers = ("/api/v1/tus", server.known()) if server.name == "millrace" else ("/files", {})
    told, _ = server.ask("POST", path, headers | {"Tus-Resumable": "1.0.0", "Upload-Length": str(size)})
    location = "/" + told["Location"].split("://")[-1].split("/", 1)[1]
    common = ["Tus-Resumable: 1.0.0", "Content-Type: application/offset+octet-stream", *(f"{name}: {value}" for name, value in headers.items())]
    return [("PATCH", location, part, "204", [*common, f"Upload-Offset: {offset}"]) for offset, part in pieces(size, length)]


def by_uploadx(server, stream, size, length):
    about = {"Content-Type": "application/json", "X-Upload-Content-Length": str(size), "X-Upload-Content-Type": "video/mp4"}
    told, _ = server.ask("POST", "/files", about, json.dumps({"name": f"{time.time_ns()}.mp4"}).encode())
    location = "/" + told["Location"].split("://")[-1].lstrip("/").split("/", 1)[1]
    ranges = ((part, f"Content-Range: bytes {offset}-{offset + part - 1}/{size}", offset + part == size) for offset, part in pieces(size, length))
    return [("PUT", location, part, "200" if last else "308", [header]) for part, header, last in ranges]


def by_put(server, stream, size, length):
    """nginx knows no files in pieces: each piece is a file."""
    return [("PUT", f"/up/{stream}-{offset}.mp4", part, "201", []) for offset, part in pieces(size, length)]


class Bench:
    def __init__(self, binary, client, options):
        self.binary, self.client, self.options, self.results = binary, client, options, []

    def servers(self, root):
        def node(kind):
            port, folder = free_port(), root / kind
            return Server(kind, folder, ["node", HERE / "peers.mjs", kind, folder / "files", str(port)], port)

        for name in ["millrace", *PEERS]:
            (root / name / "files").mkdir(parents=True)
        port, conf = free_port(), root / "nginx" / "nginx.conf"
        (root / "nginx" / "files" / "up").mkdir()
        # nginx's workers give up their rights and still have to write here.
        for folder in (root / "nginx", root / "nginx" / "files" / "up"):
            folder.chmod(0o777)
        conf.write_text(NGINX.format(folder=root / "nginx", port=port))
        nginx = Server("nginx", root / "nginx", ["nginx", "-c", conf, "-p", root / "nginx"], port)
        return {"millrace": Millrace(self.binary, root / "millrace"), "tus": node("tus"), "uploadx": node("uploadx"), "nginx": nginx}

    def upload(self, server, way, streams, length):
        """One run: so many uploads at once."""
        size = self.options.size
        plan, pid = server.folder / "plan", server.process.pid
        idle, before = memory(pid, "VmRSS"), processor(pid)
        forget_peak(pid)
        # Beginning counts: it is when room is made for the file.
        began = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(streams) as threads:
            begun = list(threads.map(lambda stream: lines(stream, way(server, stream, size, length)), range(streams)))
        beginning = time.monotonic() - began
        plan.write_text("\n".join(line for requests in begun for line in requests))
        run = subprocess.run([self.client, f"127.0.0.1:{server.port}", plan], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if run.returncode:
            raise SystemExit(f"{server.name} broke: {run.stderr.decode()}\n{(server.folder / 'log').read_text()[-1000:]}")
        told, spent = json.loads(run.stdout), max(processor(pid) - before, 1 / TICKS)
        stored = sum(path.stat().st_size for path in server.stored())
        if not told["bytes"] == stored == size * streams:
            raise SystemExit(f"{server.name} has stored {stored} bytes of {size * streams}")
        grown = memory(pid, "VmHWM") - idle
        server.clear()
        return {"mb_s": told["bytes"] / (beginning + told["seconds"]) / 1e6, "gb_per_cpu_s": told["bytes"] / spent / 1e9, "grown_mib": grown, "peak_mib": grown + idle}

    def compare(self, title, contenders, streams, length, targets):
        """Lets all take turns, and holds ours against the others."""
        rounds = []
        for server, way in contenders.values():
            self.upload(server, way, streams, length)
        order = list(contenders)
        for _ in range(self.options.rounds):
            rounds.append({name: self.upload(*contenders[name], streams, length) for name in order})
            order = order[1:] + order[:1]
        say(f"\n{title}, {self.options.rounds} rounds of {self.options.size * streams / 1e9:.2f} GB (median; of ratios also least and most)")
        middle = lambda name, measure: statistics.median(turn[name][measure] for turn in rounds)
        ours = [name for name in contenders if name.startswith("millrace")]
        for name in contenders:
            cells = (middle(name, "mb_s"), middle(name, "gb_per_cpu_s"), middle(name, "peak_mib"), max(turn[name]["grown_mib"] for turn in rounds))
            say("  {:16} {:7.0f} MB/s  {:5.2f} GB per CPU-second  {:4.0f} MiB at most, grown by {:.0f}".format(name, *cells))
        for mine in ours:
            for other in (name for name in contenders if name not in ours):
                for measure in ("mb_s", "gb_per_cpu_s"):
                    ratios = [turn[mine][measure] / turn[other][measure] for turn in rounds]
                    wanted = targets.get(other) if measure == "mb_s" or other != "nginx" else None
                    ratio = statistics.median(ratios)
                    verdict = "" if wanted is None else f"  target ≥ {wanted}: {'met' if ratio >= wanted else 'MISSED'}"
                    say(f"  {mine} : {other:8} {measure:12} {ratio:.2f}× ({min(ratios):.2f}–{max(ratios):.2f}){verdict}")
                    self.results.append({"case": title, "ours": mine, "peer": other, "measure": measure, "ratio": ratio, "least": min(ratios), "most": max(ratios), "target": wanted})
            if streams == 4 and targets:
                grown = max(turn[mine]["grown_mib"] for turn in rounds)
                say(f"  {mine} grew by {grown:.0f} MiB  target ≤ {MEMORY_MIB}: {'met' if grown <= MEMORY_MIB else 'MISSED'}")
        self.results.append({"case": title, "rounds": rounds})

    def measure(self, where, root, targets):
        servers = self.servers(root)
        pairs = lambda *ways: {name: (servers[name.split()[0]], way) for name, way in ways}
        peers = [("tus", by_tus), ("uploadx", by_uploadx), ("nginx", by_put)]
        try:
            for streams in (1, 4):
                many = "1 upload" if streams == 1 else f"{streams} uploads at once"
                in_pieces = pairs(("millrace parts", by_parts), ("millrace tus", by_tus), *peers)
                self.compare(f"{where}: {many} in pieces of 8 MiB", in_pieces, streams, PIECE, targets)
                # In the short form the four at once stand for themselves.
                if self.options.short and streams > 1:
                    continue
                self.compare(f"{where}: {many} in one body", pairs(("millrace tus", by_tus), *peers), streams, self.options.size, targets)
        finally:
            for server in servers.values():
                server.end()


def durable(folder, size):
    """What this disk takes where each 8 MiB are brought to it: nobody who does so is faster."""
    block, began = os.urandom(1024 * 1024), time.monotonic()
    with open(folder / "durable", "wb", buffering=0) as file:
        os.posix_fallocate(file.fileno(), 0, size)
        for offset in range(0, size, len(block)):
            file.write(block)
            if (offset + len(block)) % PIECE == 0:
                os.fdatasync(file.fileno())
    (folder / "durable").unlink()
    return size / (time.monotonic() - began) / 1e6


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary", type=pathlib.Path)
    parser.add_argument("client", type=pathlib.Path)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--only", choices=["memory", "disk"])
    options = parser.parse_args()
    options.rounds = options.rounds or (2 if options.short else 7)
    options.size = 128_000_000 if options.short else 1_000_000_000
    return options


def main():
    options = arguments()
    machine = facts()
    say(f"{machine['cores']} cores ({machine['processor']}), Linux {machine['kernel']}, load {machine['load']:.1f}, {machine['date']}")
    bench = Bench(options.binary.resolve(), options.client.resolve(), options)
    places = [("memory", "/dev/shm", TARGETS), ("disk", os.environ.get("BENCH_DIR"), {})]
    for where, below, targets in places:
        if options.only not in (None, where):
            continue
        root = pathlib.Path(tempfile.mkdtemp(prefix="millrace-bench-", dir=below))
        root.chmod(0o755)
        try:
            if where == "disk":
                # Fewer rounds of less: each takes as long as the disk does.
                options.rounds, options.size = max(options.rounds // 2, 1), max(options.size // 4, 100_000_000)
            bench.measure(where, root, targets)
            if where == "disk":
                rate = durable(root, options.size)
                say(f"\ndisk: a program that only writes, and brings each 8 MiB to the disk: {rate:.0f} MB/s")
                bench.results.append({"case": "disk: durable writes alone", "mb_s": rate})
        finally:
            shutil.rmtree(root, ignore_errors=True)
    if options.json:
        options.json.write_text(json.dumps({"area": "ingest", "machine": machine, "short": options.short, "results": bench.results}, indent=1))


main()
