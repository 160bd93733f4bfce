"""The viewers' side: checks the signature, strips it, passes the request to the bucket or to the app, streams the answer back.

It caches nothing, and drops what CloudFront drops on the way to an origin: query strings, cookies and most headers.
"""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from .distribution import Behaviour, Distribution
from .signature import PARAMETERS, Denied, verify

CHUNK = 256 * 1024
TO_ORIGIN = ("range", "if-range", "if-none-match", "if-modified-since", "if-match", "if-unmodified-since")
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "date", "server", "trailer", "upgrade"}


class Edge:
    """What all connections share. The app's address is set by tests once the app runs."""

    def __init__(self, distribution: Distribution, aws: str) -> None:
        self.distribution = distribution
        self.aws = aws
        self.app: str | None = None


def serve(edge: Edge, port: int) -> None:
    """Serves on the loopback interface until the process ends."""
    handler = type("BoundHandler", (Handler,), {"edge": edge})
    Server(("127.0.0.1", port), handler).serve_forever()


class Server(ThreadingHTTPServer):
    """A thread a connection; a burst of connections waits instead of being refused."""

    daemon_threads = True
    request_queue_size = 128


class Handler(BaseHTTPRequestHandler):
    """One viewer's connection, and its connections to the origins."""

    protocol_version = "HTTP/1.1"
    # Head and body are two writes: without this the second waits for the peer's delayed acknowledgement.
    disable_nagle_algorithm = True
    edge: Edge

    def setup(self) -> None:
        super().setup()
        self._origins: dict[str, http.client.HTTPConnection] = {}

    def finish(self) -> None:
        super().finish()
        for connection in self._origins.values():
            connection.close()

    def log_message(self, *_: Any) -> None:
        """No line a request: a signed URL is not for logs."""

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        if url.path.startswith("/_edge/"):
            self._control(url.path, body)
            return
        behaviour = self.edge.distribution.behaviour(url.path)
        try:
            if self.command not in behaviour.methods:
                raise Denied("MethodNotAllowed", "This distribution is not configured to allow the HTTP request method")
            # A preflight can't carry a signature, and nothing is given away in the answer.
            if behaviour.needs_signature and self.command != "OPTIONS":
                self._check(behaviour)
        except Denied as refusal:
            self._refuse(403, refusal.code, refusal.message)
            return
        self._forward(behaviour, url.path)

    do_GET = do_HEAD = do_OPTIONS = do_PUT = do_POST = do_DELETE = do_PATCH = _answer

    def _check(self, behaviour: Behaviour) -> None:
        url = urlsplit(self.path)
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        given = {name: query[name] for name in PARAMETERS if name in query} or dict(self._signed_cookies())
        # The policy speaks of the URL without its own parameters; their order in it is kept.
        rest = "&".join(part for part in url.query.split("&") if part and part.split("=")[0] not in PARAMETERS)
        plain = f"http://{self.headers['Host']}{url.path}{'?' + rest if rest else ''}"
        verify(plain, given, behaviour.keys, self.client_address[0])

    def _signed_cookies(self) -> Iterator[tuple[str, str]]:
        try:
            cookies = SimpleCookie(self.headers.get("Cookie", ""))
        except CookieError:
            return
        for name in PARAMETERS:
            if f"CloudFront-{name}" in cookies:
                yield name, cookies[f"CloudFront-{name}"].value

    def _forward(self, behaviour: Behaviour, path: str) -> None:
        origin = self.edge.app if behaviour.to_app else self.edge.aws
        if not origin:
            self._refuse(502, "OriginUnreachable", "The app's address is not set: PUT /_edge/app")
            return
        headers = {name: self.headers[name] for name in TO_ORIGIN if name in self.headers}
        headers |= {"User-Agent": "Amazon CloudFront", **behaviour.origin_headers}
        if behaviour.to_app:  # MiniStack takes it for a loop of distributions.
            headers["Via"] = "1.1 edge.cloudfront.net (CloudFront)"
        # An origin of its own is addressed by its own name; MiniStack knows the distribution, and its way to the bucket, by the domain.
        headers["Host"] = urlsplit(origin).netloc if behaviour.to_app else self.edge.distribution.domain
        if behaviour.forwards_encoding and "gzip" in self.headers.get("Accept-Encoding", ""):
            headers["Accept-Encoding"] = "gzip"
        try:
            response = self._ask(origin, path, headers)
        except OSError as error:
            self._refuse(502, "OriginUnreachable", f"The origin did not answer: {type(error).__name__}")
            return
        self._relay(behaviour, response)

    def _ask(self, origin: str, path: str, headers: dict[str, str]) -> http.client.HTTPResponse:
        """Asks the origin; a kept connection may have been closed meanwhile, then once more on a new one."""
        for is_last in (False, True):
            fresh = origin not in self._origins
            connection = self._origins.setdefault(origin, http.client.HTTPConnection(urlsplit(origin).netloc, timeout=30))
            try:
                connection.request(self.command, path, headers=headers)
                return connection.getresponse()
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                del self._origins[origin]
                if fresh or is_last:
                    raise OSError(str(error)) from error
        raise AssertionError("the loop returns or raises")

    def _relay(self, behaviour: Behaviour, response: http.client.HTTPResponse) -> None:
        headers = {name: value for name, value in response.getheaders() if name.lower() not in HOP_BY_HOP}
        behaviour.add_headers(headers, has_origin="Origin" in self.headers)
        headers["X-Cache"] = "Miss from cloudfront" if response.status < 400 else "Error from cloudfront"
        has_body = self.command != "HEAD" and response.status not in (204, 304)
        is_chunked = has_body and response.getheader("Content-Length") is None
        self.send_response(response.status)
        for name, value in headers.items():
            self.send_header(name, value)
        if is_chunked:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while piece := response.read(CHUNK):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if is_chunked else piece)
        if is_chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _control(self, path: str, body: bytes) -> None:
        if (self.command, path) == ("PUT", "/_edge/app"):
            self.edge.app = body.decode().strip().rstrip("/") or None
        elif (self.command, path) != ("GET", "/_edge/health"):
            self._refuse(404, "NotFound", "No such control")
            return
        self.send_response(204)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _refuse(self, status: int, code: str, message: str) -> None:
        text = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(text)))
        self.send_header("X-Cache", "Error from cloudfront")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)
