#!/usr/bin/env python3
"""How fast a file gets into S3 through Millrace's presigned parts, beside boto3's upload_file, on one machine and against one MiniStack.

Ours does what the browser does: begin, then for each part read, sum, ask for the place, PUT it there, three at a time, then complete. boto3
sends parts of the same size, as many at a time, with the same checksum. The two take turns, first one and then the other goes first, so that
a busy machine is busy for both. Printed are medians of the wall clock, their ratio, and the processor seconds that Millrace's own process
took for each GB: the bytes go past it.

Over plain HTTP boto3 sums each part once more, by SHA-256, for its signature; a presigned part needs none. That is a difference between
the two ways, not noise. `--mebibytes` and `--rounds` change the size and the number of rounds.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import queue
import secrets
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from awscrt import checksums
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

HERE = Path(__file__).resolve().parent
REGION = "us-east-1"
INPUT, OUTPUT = "bench-input", "bench-output"
IN_FLIGHT = 3
EMAIL = "bench@example.org"
TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Reads the command line, measures, prints."""
    parser = argparse.ArgumentParser(description="Upload to S3 through presigned parts, beside boto3.")
    parser.add_argument("binary", type=Path)
    parser.add_argument("--mebibytes", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="millrace-s3-upload-", dir=os.environ.get("BENCH_DIR")))
    try:
        measure(arguments.binary.resolve(), arguments.mebibytes << 20, arguments.rounds, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def measure(binary: Path, size: int, rounds: int, folder: Path) -> None:
    """The whole measurement, in a folder of its own."""
    if shutil.disk_usage(folder).free < size * 4:
        sys.exit(f"{folder} needs {size * 4 / 1e9:.0f} GB of free space; set BENCH_DIR to another folder.")
    file = folder / "file.bin"
    write_noise(file, size)
    keys = ("AKIABENCHROOT0000000", secrets.token_hex(20))
    with ministack(folder, keys) as endpoint:
        store = s3_client(endpoint, keys)
        for bucket in (INPUT, OUTPUT):
            store.create_bucket(Bucket=bucket)
        with millrace(binary, folder, endpoint, keys) as server:
            seconds: dict[str, list[float]] = {"Millrace": [], "boto3": []}
            work: list[float] = []
            for number in range(rounds + 1):
                ways = ["Millrace", "boto3"] if number % 2 else ["boto3", "Millrace"]
                for way in ways:
                    before, began = server.processor_seconds(), time.monotonic()
                    if way == "Millrace":
                        server.upload(file, size)
                    else:
                        by_boto3(store, file, server.part_size or 8 << 20)
                    taken = time.monotonic() - began
                    spent = server.processor_seconds() - before
                    check_and_empty(store, size)
                    # The first round warms both up.
                    if number:
                        seconds[way].append(taken)
                        if way == "Millrace":
                            work.append(spent)
                    print(f"round {number}{' (warm-up)' if not number else ''}: {way:8} {taken:6.2f} s", flush=True)
    report(size, seconds, work)


def report(size: int, seconds: dict[str, list[float]], work: list[float]) -> None:
    """The table at the end."""
    print(f"\n{size / 1e9:.2f} GB, {len(work)} rounds, {IN_FLIGHT} parts at a time      median      MB/s     fastest   slowest")
    for way, taken in seconds.items():
        median = statistics.median(taken)
        print(f"{way:44} {median:6.2f} s  {size / 1e6 / median:8.0f}  {min(taken):7.2f} s {max(taken):7.2f} s")
    ratio = statistics.median(seconds["boto3"]) / statistics.median(seconds["Millrace"])
    print(f"Throughput of Millrace to that of boto3: {ratio:.2f}")
    print(f"Processor seconds of Millrace's process for each GB: {statistics.median(work) / (size / 1e9):.3f}")


def write_noise(file: Path, size: int) -> None:
    """A file of bytes that nobody can compress and no two parts of which are alike."""
    with file.open("wb") as out:
        for _ in range(0, size, 1 << 20):
            out.write(os.urandom(min(1 << 20, size - out.tell())))


def s3_client(endpoint: str, keys: tuple[str, str]) -> Any:
    """A boto3 client of the emulated S3."""
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=keys[0],
        aws_secret_access_key=keys[1],
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}, max_pool_connections=IN_FLIGHT + 2),
    )


def by_boto3(store: Any, file: Path, part_size: int) -> None:
    """boto3's own way."""
    config = TransferConfig(multipart_threshold=part_size, multipart_chunksize=part_size, max_concurrency=IN_FLIGHT)
    store.upload_file(str(file), INPUT, "sources/boto3", Config=config, ExtraArgs={"ChecksumAlgorithm": "CRC32C"})


def check_and_empty(store: Any, size: int) -> None:
    """Exactly one object of the right size must have come of it; then it goes."""
    objects = store.list_objects_v2(Bucket=INPUT).get("Contents", [])
    if [found["Size"] for found in objects] != [size]:
        sys.exit(f"The upload left {objects}")
    store.delete_object(Bucket=INPUT, Key=objects[0]["Key"])


class Server:
    """A running Millrace, and a client that sends as the browser does."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, key: str) -> None:
        self.process, self.port, self.key = process, port, key
        self.part_size = 0

    def processor_seconds(self) -> float:
        """What its process has used so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def ask(self, connection: http.client.HTTPConnection, path: str, body: Any = None) -> Any:
        """One POST to the server."""
        headers = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        connection.request("POST", path, json.dumps(body or {}), headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{path}: {answer.status} {text!r}")
        return json.loads(text)

    def upload(self, file: Path, size: int) -> None:
        """The way of the browser."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        ticket = self.ask(connection, "/api/v1/uploads", {"fileName": "bench.mp4", "size": size})
        self.part_size = ticket["partSize"]
        numbers: queue.SimpleQueue[int] = queue.SimpleQueue()
        for number in range(1, -(-size // self.part_size) + 1):
            numbers.put(number)
        failures: list[BaseException] = []
        senders = [threading.Thread(target=self._send, args=(file, ticket, numbers, failures)) for _ in range(IN_FLIGHT)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        if failures:
            raise failures[0]
        self.ask(connection, f"/api/v1/uploads/{ticket['uploadId']}/complete")

    def _send(self, file: Path, ticket: Any, numbers: queue.SimpleQueue[int], failures: list[BaseException]) -> None:
        ours = http.client.HTTPConnection("127.0.0.1", self.port)
        store: http.client.HTTPConnection | None = None
        try:
            with file.open("rb", buffering=0) as source:
                while not failures:
                    number = numbers.get_nowait()
                    source.seek((number - 1) * self.part_size)
                    part = source.read(self.part_size)
                    target = self.ask(ours, ticket["targetUrl"].replace("{number}", str(number)), {"crc32c": checksums.crc32c(part)})
                    url = urllib.parse.urlsplit(target["url"])
                    store = store or http.client.HTTPConnection(url.netloc)
                    store.request("PUT", f"{url.path}?{url.query}", part, dict(target["headers"]))
                    answer = store.getresponse()
                    text = answer.read()
                    if answer.status != 200:
                        raise RuntimeError(f"part {number}: {answer.status} {text!r}")
        except queue.Empty:
            pass
        except BaseException as failure:  # pylint: disable=broad-exception-caught
            failures.append(failure)


@contextmanager
def running(command: list[str], environment: dict[str, str], log: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A program that listens on a port, until the block ends."""
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=environment, cwd=log.parent, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        wait_for(process, port, log)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Waits until somebody listens."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    sys.exit(f"It did not start. Its last words:\n{log.read_text(errors='replace')[-2000:]}")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def own_environment() -> dict[str, str]:
    """What we were started with, without settings of somebody's AWS account or Millrace."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MILLRACE_"))}


@contextmanager
def ministack(folder: Path, keys: tuple[str, str]) -> Iterator[str]:
    """The emulated S3: its address. Signatures are checked and objects lie on the disk."""
    port = free_port()
    environment = own_environment() | {
        "AUTH": "true",
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "AWS_ACCESS_KEY_ID": keys[0],
        "AWS_SECRET_ACCESS_KEY": keys[1],
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(folder / "s3"),
        "STATE_DIR": str(folder / "state"),
        "LOG_LEVEL": "WARNING",
    }
    with running([sys.executable, str(HERE / "native_sums.py")], environment, folder / "ministack.txt", port):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def millrace(binary: Path, folder: Path, endpoint: str, keys: tuple[str, str]) -> Iterator[Server]:
    """Millrace on that S3. It works on no video: what is measured is the upload."""
    port = free_port()
    environment = own_environment() | {
        "MILLRACE_BIND": f"127.0.0.1:{port}",
        "MILLRACE_DATA_DIR": str(folder / "data"),
        "MILLRACE_LOG": "error",
        "MILLRACE_TRANSCODE_IN_SERVE": "false",
        "MILLRACE_PORTS_STORE": "s3",
        "MILLRACE_AWS_REGION": REGION,
        "MILLRACE_S3_ENDPOINT": endpoint,
        "MILLRACE_S3_PATH_STYLE": "true",
        "MILLRACE_S3_INPUT_BUCKET": INPUT,
        "MILLRACE_S3_OUTPUT_BUCKET": OUTPUT,
        "AWS_ACCESS_KEY_ID": keys[0],
        "AWS_SECRET_ACCESS_KEY": keys[1],
        "AWS_EC2_METADATA_DISABLED": "true",
    }

    def run(*arguments: str, text: str = "") -> str:
        done = subprocess.run([str(binary), *arguments], env=environment, input=text, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"millrace {' '.join(arguments)}: {done.stderr}")
        return done.stdout.strip()

    run("user", "add", EMAIL, text="a password for the bench\n")
    key = run("key", "add", EMAIL, "--name", "s3-upload")
    with running([str(binary), "serve"], environment, folder / "millrace.txt", port) as process:
        yield Server(process, port, key)


if __name__ == "__main__":
    main()
