#!/usr/bin/env python3
"""Signed segments from memory and from disk: Millrace's release binary beside nginx and Varnish, on the same files and the same cores.

usage: benches/delivery/run.sh target/release/millrace [--short] [--rounds N] [--json FILE]

All of them take turns in each round, so that a busy machine is busy for all; what counts is the ratio within a round, and the processor time of
the server. Millrace checks an HMAC-SHA256 at each request, nginx an MD5 (secure_link), Varnish nothing on a hit. The load client throws bodies away
in the kernel, so that the server is the limit; wrk, which copies them, stands beside it. Fails only where something broke.
"""

import argparse
import base64
import contextlib
import hashlib
import hmac
import json
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from processes import TICKS, end, facts, free_port, memory, millrace_environment, processor, say, wait_for  # noqa: E402

KEY = bytes(range(32))
SECRET = "a secret for the bench"
EXPIRES = int(time.time()) + 86_400
CONNECTIONS = 32

NGINX = """
worker_processes 2; daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ worker_connections 4096; multi_accept off; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000; sendfile_max_chunk 2m; types {{ video/iso.segment m4s; }}
  open_file_cache max=2000 inactive=60s; open_file_cache_valid 60s; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{ listen 127.0.0.1:{port} reuseport backlog=1024; location /media/ {{
    secure_link $arg_s,$arg_e; secure_link_md5 "$secure_link_expires$uri {secret}";
    if ($secure_link = "") {{ return 403; }} if ($secure_link = "0") {{ return 410; }} alias {published}/; }} }} }}
"""
VARNISH = """
vcl 4.1;
backend files {{ .host = "127.0.0.1"; .port = "{port}"; }}
sub vcl_hash {{ hash_data(regsub(req.url, "\\?.*", "")); return (lookup); }}
"""
WRK = """
local requests, at = {{}}, 0
init = function() for path in io.lines("{paths}") do requests[#requests + 1] = wrk.format("GET", path) end end
request = function() at = at % #requests + 1 return requests[at] end
"""


class Files:
    """Segments of one size below the folder from which all servers read."""

    def __init__(self, published, count, size):
        self.generation, self.size = str(uuid.uuid4()), size
        self.folder = published / self.generation / "v"
        self.folder.mkdir(parents=True)
        noise = random.Random(1).randbytes(size)
        self.names = [f"v/{number:05}.m4s" for number in range(count)]
        for name in self.names:
            (published / self.generation / name).write_bytes(noise)

    def ours(self):
        sign = lambda *parts: hmac.new(KEY, b"".join(parts), hashlib.sha256).digest()
        claims = f"e={EXPIRES}&g=l&k={sign(b'millrace key id', bytes(1))[0]:02x}"
        signature = sign(b"millrace media v2", bytes(1), claims.encode(), bytes(1), uuid.UUID(self.generation).bytes)
        query = f"{claims}&s={base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"
        return [f"/media/{self.generation}/{name}?{query}" for name in self.names]

    def theirs(self):
        def signed(name):
            path = f"/media/{self.generation}/{name}"
            digest = hashlib.md5(f"{EXPIRES}{path} {SECRET}".encode()).digest()
            return f"{path}?e={EXPIRES}&s={base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"
        return [signed(name) for name in self.names]

    def drop(self):
        """Takes them out of the page cache."""
        for path in self.folder.iterdir():
            with open(path, "rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


class Server:
    def __init__(self, name, command, port, env=None):
        self.name, self.port = name, port
        self.process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        os.set_blocking(self.process.stderr.fileno(), False)
        wait_for(name, self.process, port, lambda: (self.process.stderr.read() or b"").decode())

    def paths(self, files):
        return files.ours() if self.name.startswith("millrace") else files.theirs()

    def end(self):
        end(self.process)


class Bench:
    def __init__(self, binary, client, folder, options):
        self.binary, self.client, self.folder, self.options = binary, client, folder, options
        self.data = folder / "data"
        self.published = self.data / "store" / "published"
        self.published.mkdir(parents=True)
        self.results = []

    def millrace(self, name, cache_mb):
        port = free_port()
        ours = {
            "BIND": f"127.0.0.1:{port}", "DATA_DIR": str(self.data), "LOG": "error", "SIGNING_KEY": KEY.hex(), "TRANSCODE_IN_SERVE": "false",
            "DELIVERY_CACHE_MB": str(cache_mb), "HTTP_MAX_CONNECTIONS_PER_ADDRESS": "4096",
        }
        return Server(name, [self.binary, "serve"], port, millrace_environment(ours))

    def nginx(self):
        port, conf = free_port(), self.folder / "nginx.conf"
        conf.write_text(NGINX.format(folder=self.folder, port=port, secret=SECRET, published=self.published))
        return Server("nginx", ["nginx", "-c", conf, "-p", self.folder], port)

    def varnish(self, backend):
        port, vcl = free_port(), self.folder / "bench.vcl"
        vcl.write_text(VARNISH.format(port=backend.port))
        command = ["varnishd", "-F", "-n", self.folder / "varnish", "-a", f"127.0.0.1:{port}", "-f", vcl, "-s", "malloc,512m", "-p", "thread_pools=2"]
        return Server("varnish", command, port)

    def ask(self, server, files, seconds, rounds=None, connections=CONNECTIONS):
        """One run of the load client, with the server's processor time."""
        list_of = self.folder / f"{server.name}.paths"
        list_of.write_text("\n".join(server.paths(files)))
        before = processor(server.process.pid)
        command = [self.client, f"127.0.0.1:{server.port}", list_of, str(connections), str(seconds)] + ([str(rounds)] if rounds else [])
        run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if run.returncode:
            raise SystemExit(f"{server.name} broke: {run.stderr.decode()}")
        told = json.loads(run.stdout)
        spent = max(processor(server.process.pid) - before, 1 / TICKS)
        return {
            "gbit_s": told["bytes"] * 8 / told["seconds"] / 1e9, "gb_per_cpu_s": told["bytes"] / spent / 1e9, "p99_ms": told["p99_us"] / 1e3,
            "p50_ms": told["p50_us"] / 1e3, "requests": told["requests"],
        }

    def wrk(self, server, files, seconds):
        list_of, script = self.folder / "wrk.paths", self.folder / "wrk.lua"
        list_of.write_text("\n".join(server.paths(files)))
        script.write_text(WRK.format(paths=list_of))
        before = processor(server.process.pid)
        command = ["wrk", "-t2", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", script, f"http://127.0.0.1:{server.port}"]
        text = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.decode()
        if "Non-2xx" in text:
            raise SystemExit(f"{server.name} broke: {text}")
        told = next(line.split() for line in text.splitlines() if " requests in " in line)
        spent = max(processor(server.process.pid) - before, 1 / TICKS)
        elapsed = float(told[3].rstrip("s,")) if told[3].endswith("s,") else seconds
        sent = int(told[0]) * files.size
        return {"gbit_s": sent * 8 / elapsed / 1e9, "gb_per_cpu_s": sent / spent / 1e9}

    def compare(self, title, servers, run, targets):
        """Lets all servers take turns, and holds the first one against the others."""
        rounds = []
        for server in servers:
            run(server)
        for _ in range(self.options.rounds):
            turn = [(server.name, run(server)) for server in servers]
            rounds.append(dict(turn))
            servers = servers[1:] + servers[:1]
        names = sorted(rounds[0], key=lambda name: name != "millrace")
        say(f"\n{title}, {self.options.rounds} rounds (median; of ratios also least and most)")
        measures = list(rounds[0]["millrace"])
        for name in names:
            cells = (f"{measure} {statistics.median(turn[name][measure] for turn in rounds):.2f}" for measure in measures if measure != "requests")
            say(f"  {name:9} " + "  ".join(cells))
        for other in names[1:]:
            for measure in measures:
                if measure in ("requests", "p50_ms"):
                    continue
                ratios = [turn["millrace"][measure] / max(turn[other][measure], 1e-9) for turn in rounds]
                wanted = targets.get((other, measure))
                met = lambda middle: middle <= wanted if measure == "p99_ms" else middle >= wanted
                middle = statistics.median(ratios)
                verdict = "" if wanted is None else f"  target {'≤' if measure == 'p99_ms' else '≥'} {wanted}: {'met' if met(middle) else 'MISSED'}"
                say(f"  millrace : {other:8} {measure:12} {middle:.2f}× ({min(ratios):.2f}–{max(ratios):.2f}){verdict}")
                self.results.append({"case": title, "peer": other, "measure": measure, "ratio": middle, "least": min(ratios), "most": max(ratios), "target": wanted})
        self.results.append({"case": title, "rounds": rounds})

    def slow_readers(self, files, cache_mb, count):
        server = self.millrace("millrace-slow", cache_mb)
        try:
            self.ask(server, files, 60, rounds=1)
            full = memory(server.process.pid, "VmRSS")
            list_of = self.folder / "slow.paths"
            list_of.write_text("\n".join(server.paths(files)))
            crawl = [self.client, "--slow", f"127.0.0.1:{server.port}", list_of, str(count), str(self.options.slow_seconds)]
            readers = subprocess.Popen(crawl, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            time.sleep(self.options.slow_seconds / 2)
            beside = self.ask(server, files, 2, connections=4)
            if readers.wait() != 0:
                raise SystemExit(f"slow readers were not served: {readers.stderr.read().decode()}")
            most = memory(server.process.pid, "VmHWM")
        finally:
            server.end()
        say(f"\n{count} slow readers of {len(files.names)} segments of {files.size / 1e6:.1f} MB, cache of {cache_mb} MB")
        say(f"  memory {full:.0f} MiB with a full cache → {most:.0f} MiB at most; beside them {beside['gbit_s']:.1f} Gbit/s for 4 readers, p99 {beside['p99_ms']:.1f} ms")
        self.results.append({"case": "slow readers", "readers": count, "cache_mb": cache_mb, "full_mib": full, "most_mib": most})


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary", type=pathlib.Path)
    parser.add_argument("client", type=pathlib.Path)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    options.rounds = options.rounds or (3 if options.short else 7)
    options.seconds = 1 if options.short else 3
    options.slow_seconds = 8 if options.short else 20
    return options


def measure(bench, options):
    hot = {"1 MB": Files(bench.published, 16, 1_000_000), "300 KB": Files(bench.published, 32, 300_000)}
    many = Files(bench.published, 64 if options.short else 200, 1_000_000)
    targets = {
        "1 MB": {("nginx", "gbit_s"): 1.9, ("nginx", "gb_per_cpu_s"): 2.0, ("nginx", "p99_ms"): 0.7},
        "300 KB": {("nginx", "gbit_s"): 1.6, ("nginx", "gb_per_cpu_s"): 1.6, ("nginx", "p99_ms"): 0.7},
    }
    with contextlib.ExitStack() as stack:
        def started(server):
            stack.callback(server.end)
            return server

        ours, nginx = started(bench.millrace("millrace", 512)), started(bench.nginx())
        servers = [ours, nginx, started(bench.varnish(nginx))]
        for title, files in hot.items():
            bench.compare(f"{title} segments, hot", servers, lambda server: bench.ask(server, files, options.seconds), targets[title])
        bench.compare("1 MB segments, hot, wrk", servers, lambda server: bench.wrk(server, hot["1 MB"], options.seconds), {})
        ours.end()
        # Without memory to keep anything in, each request is one for something that is not there, for as long as the others are measured. (Two
        # turns that find 32 MB full of something else last 25 ms, in which the client's threads begin.)
        ours = started(bench.millrace("millrace", 0))
        cold = {("nginx", "gbit_s"): 1.0}
        bench.compare("1 MB segments, not in our cache", [ours, nginx], lambda server: bench.ask(server, many, options.seconds), cold)

        def from_disk(server):
            many.drop()
            return bench.ask(server, many, 60, rounds=1, connections=4)

        bench.compare("1 MB segments, not in the page cache either", [ours, nginx], from_disk, cold)
        ours.end()
    bench.slow_readers(many, 32, 1_000)


def main():
    options = arguments()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="millrace-bench-", dir=os.environ.get("BENCH_DIR")))
    # nginx's workers and Varnish give up their rights and still have to read here.
    folder.chmod(0o755)
    machine = facts()
    say(f"{machine['cores']} cores ({machine['processor']}), Linux {machine['kernel']}, load {machine['load']:.1f}, {machine['date']}")
    try:
        bench = Bench(options.binary.resolve(), options.client.resolve(), folder, options)
        measure(bench, options)
        if options.json:
            options.json.write_text(json.dumps({"area": "delivery", "machine": machine, "short": options.short, "results": bench.results}, indent=1))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


main()
