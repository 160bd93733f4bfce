#!/usr/bin/env python3
"""A proxy in front of (emulated) AWS that has bad days to order:

    end2end/faults/s3_proxy.py UPSTREAM PORT       then: PUT /_faults {"percent": 50, "kinds": ["slow_down", "cut"], "seed": 1}

S3's requests fail in the ways that its users tell of; SQS's messages come doubled, late and in another order, and are not gone when they were
acknowledged. Nothing is changed in a request that gets through, so its signature holds.

    slow_down      503 SlowDown, and nothing is done
    internal       500 InternalError, and nothing is done
    lost_answer    it is done, and the connection breaks before the answer
    late_error     CompleteMultipartUpload alone: 200, and an error in its body; nothing is done (what S3 writes of that operation)
    cut            the connection breaks after some of the answer's bytes
    delay          it takes seconds longer
    queue_double   SendMessage alone: the message is sent five times
    queue_reorder  ReceiveMessage alone: what it brings comes in another order, and later
    queue_keep     DeleteMessage alone: 200, and nothing is done
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import threading
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import urlsplit

S3_KINDS = ("slow_down", "internal", "lost_answer", "late_error", "cut", "delay")
QUEUE_KINDS = ("queue_double", "queue_reorder", "queue_keep")
COPIES = 5
DELAY_SECONDS = 2.0
LONGEST_HEAD = 64 * 1024
PIECE = 64 * 1024


class Broken(Exception):
    """The connection ends here."""


@dataclass
class Orders:
    """What is to go wrong, and what has."""

    percent: float = 0.0
    kinds: tuple[str, ...] = S3_KINDS
    random: random.Random = field(default_factory=lambda: random.Random(1))
    done: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Request:
    """A request's head."""

    method: str
    target: str
    lines: list[bytes]
    headers: dict[str, str]

    @property
    def head(self) -> bytes:
        """As it is passed on: one request a connection."""
        kept = [line for line in self.lines if not line.lower().startswith((b"connection:", b"expect:"))]
        return b"\r\n".join([*kept, b"Connection: close", b"", b""])

    @property
    def queue_action(self) -> str:
        """What is asked of SQS, if it is SQS that is asked."""
        service, _, action = self.headers.get("x-amz-target", "").partition(".")
        return action if service == "AmazonSQS" else ""

    @property
    def completes(self) -> bool:
        """Whether it makes an object of its parts."""
        return self.method == "POST" and "uploadId=" in self.target

    @property
    def is_s3(self) -> bool:
        """S3 has its answers signed for in the head or in the address; a browser's question beforehand has neither."""
        return "/s3/" in self.headers.get("authorization", "") or "X-Amz-Signature" in self.target


class Proxy:
    """The proxy, in a thread of its own."""

    def __init__(self, upstream: str) -> None:
        address = urlsplit(upstream)
        self._upstream = (address.hostname or "127.0.0.1", address.port or 80)
        self._loop = asyncio.new_event_loop()
        self.orders = Orders()
        # Held, since the loop does not: a task that nobody holds may be collected while it waits.
        self._serving: set[asyncio.Task[None]] = set()

    def start(self, port: int = 0) -> str:
        """Starts it on the loopback interface; its address."""
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        server = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._connected, "127.0.0.1", port, limit=LONGEST_HEAD), self._loop).result()
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    def stop(self) -> None:
        """No more requests get through."""

        async def end() -> None:
            for task in self._serving:
                task.cancel()
            await asyncio.gather(*self._serving, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)

    def order(self, percent: float, kinds: tuple[str, ...] = S3_KINDS, seed: int = 1) -> None:
        """From now on so many of a hundred requests go wrong, in one of these ways."""
        self.orders = Orders(percent, kinds, random.Random(seed), self.orders.done)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await read_head(reader)
            if request.target == "/_faults":
                await self._ordered(request, reader, writer)
            else:
                await self._handle(request, reader, writer)
        except (Broken, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            writer.transport.abort()
        finally:
            writer.close()

    async def _ordered(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        orders = json.loads(await reader.readexactly(int(request.headers.get("content-length", "0"))))
        self.order(orders["percent"], tuple(orders.get("kinds", S3_KINDS)), orders.get("seed", 1))
        await answer(writer, 200, json.dumps(self.orders.done))

    def _fault(self, request: Request) -> str:
        """What goes wrong with this request; nothing mostly."""
        orders, action = self.orders, request.queue_action
        if orders.random.random() * 100 >= orders.percent:
            return ""
        fits = {
            "queue_double": action == "SendMessage",
            "queue_reorder": action == "ReceiveMessage",
            "queue_keep": action == "DeleteMessage",
            "late_error": request.completes,
        }
        possible = [kind for kind in orders.kinds if fits.get(kind, request.is_s3)]
        return orders.random.choice(possible) if possible else ""

    async def _handle(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        fault = self._fault(request)
        if fault:
            self.orders.done[fault] += 1
        if request.headers.get("expect", "").lower() == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if fault in ("slow_down", "internal", "late_error", "queue_keep"):
            await swallow(request, reader)
            await answer(writer, *refusal(fault))
            return
        if fault in ("delay", "queue_reorder"):
            await asyncio.sleep(self.orders.random.uniform(0.2, DELAY_SECONDS))
        if fault in ("queue_double", "queue_reorder"):
            await self._with_body(request, fault, reader, writer)
            return
        await self._pass_on(request, fault, reader, writer)

    async def _with_body(self, request: Request, fault: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A message's request is small: it is held, and its answer as well."""
        body = await reader.readexactly(int(request.headers.get("content-length", "0")))
        received = b""
        for _ in range(COPIES if fault == "queue_double" else 1):
            from_upstream, to_upstream = await asyncio.open_connection(*self._upstream)
            to_upstream.write(request.head + body)
            received = await from_upstream.read()
            to_upstream.close()
        head, _, text = received.partition(b"\r\n\r\n")
        if fault == "queue_reorder" and text.startswith(b"{") and b"chunked" not in head.lower():
            told = json.loads(text)
            self.orders.random.shuffle(told.get("Messages") or [])
            text = json.dumps(told).encode()
            lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length:")]
            head = b"\r\n".join([*lines, b"Content-Length: %d" % len(text)])
        writer.write(head + b"\r\n\r\n" + text)
        await writer.drain()

    async def _pass_on(self, request: Request, fault: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_upstream, to_upstream = await asyncio.open_connection(*self._upstream)
        try:
            to_upstream.write(request.head)
            sending = asyncio.ensure_future(copy_body(request, reader, to_upstream))
            # S3's answer begins when the body has come, or before where it refuses it.
            left = self.orders.random.randrange(1, 200_000) if fault == "cut" else None
            while piece := await from_upstream.read(PIECE):
                if fault == "lost_answer":
                    raise Broken
                if left is not None:
                    piece, left = piece[:left], left - len(piece)
                writer.write(piece)
                await writer.drain()
                if left is not None and left <= 0:
                    raise Broken
            sending.cancel()
        finally:
            to_upstream.close()


async def read_head(reader: asyncio.StreamReader) -> Request:
    """A request up to its empty line."""
    lines = (await reader.readuntil(b"\r\n\r\n"))[:-4].split(b"\r\n")
    method, target, _ = lines[0].decode("latin-1").split(" ", 2)
    pairs = (line.decode("latin-1").split(":", 1) for line in lines[1:])
    return Request(method, target, lines, {name.strip().lower(): value.strip() for name, value in pairs})


async def pieces(request: Request, reader: asyncio.StreamReader):
    """A body as it came, chunk sizes included."""
    if request.headers.get("transfer-encoding", "").lower() == "chunked":
        while True:
            line = await reader.readuntil(b"\r\n")
            size = int(line.split(b";")[0], 16)
            yield line + await reader.readexactly(size + 2) if size else line
            if not size:
                # Trailers, and the empty line behind them.
                while True:
                    line = await reader.readuntil(b"\r\n")
                    yield line
                    if line == b"\r\n":
                        return
    left = int(request.headers.get("content-length", "0"))
    while left > 0:
        piece = await reader.read(min(left, PIECE))
        if not piece:
            raise Broken
        left -= len(piece)
        yield piece


async def copy_body(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Passes a body on; what breaks off, breaks off there as well."""
    try:
        async for piece in pieces(request, reader):
            writer.write(piece)
            await writer.drain()
    except (Broken, OSError, asyncio.IncompleteReadError):
        writer.transport.abort()


async def swallow(request: Request, reader: asyncio.StreamReader) -> None:
    """Reads a body for nothing."""
    async for _ in pieces(request, reader):
        pass


def refusal(fault: str) -> tuple[int, str]:
    """What AWS says then."""
    if fault == "queue_keep":
        return 200, "{}"
    status, code = {"slow_down": (503, "SlowDown"), "internal": (500, "InternalError"), "late_error": (200, "InternalError")}[fault]
    return status, f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>As ordered.</Message></Error>'


async def answer(writer: asyncio.StreamWriter, status: int, text: str) -> None:
    """A whole answer of our own."""
    kind = "application/json" if text.startswith("{") else "application/xml"
    head = f"HTTP/1.1 {status} Ordered\r\nContent-Type: {kind}\r\nContent-Length: {len(text)}\r\nConnection: close\r\n\r\n"
    writer.write(head.encode() + text.encode())
    await writer.drain()


if __name__ == "__main__":
    print(Proxy(sys.argv[1]).start(int(sys.argv[2])), flush=True)
    threading.Event().wait()
