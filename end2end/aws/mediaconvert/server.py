"""The HTTP API: routes from the service's model, access by signature scope and policy, then one method an operation.

The signature's scope and key are checked, its arithmetic is not: the secrets of the account's users are known to MiniStack alone.
Below `/_emulator/` lies the tests' own control: faults, the list of jobs, reset.
"""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from . import model
from .api import Api, Refused
from .book import Book
from .faults import Faults
from .jobs import Runner
from .permissions import Permissions

Json = dict[str, Any]
SCOPE = re.compile(r"AWS4-HMAC-SHA256 Credential=([^/,]+)/\d{8}/[\w-]+/mediaconvert/aws4_request,")


@dataclass
class Emulator:
    """All that a request may need."""

    book: Book
    faults: Faults
    runner: Runner
    permissions: Permissions
    api: Api


def serve(emulator: Emulator, port: int) -> None:
    """Serves on the loopback interface until the process ends."""
    handler = type("BoundHandler", (Handler,), {"emulator": emulator})
    Server(("127.0.0.1", port), handler).serve_forever()


class Server(ThreadingHTTPServer):
    """A thread a connection; a burst of connections waits instead of being refused."""

    daemon_threads = True
    request_queue_size = 128


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    # The status line and the body are two writes: without this the second waits for the peer's delayed acknowledgement.
    disable_nagle_algorithm = True
    emulator: Emulator

    def log_message(self, *_: Any) -> None:
        """No line a request: the tests' own output is what matters."""

    def _answer(self) -> None:
        url = urlsplit(self.path)
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            body = json.loads(raw) if raw else {}
            if url.path.startswith("/_emulator/"):
                status, answer = self._control(url.path.removeprefix("/_emulator/"), body)
            else:
                status, answer = self._operation(url.path, dict(parse_qsl(url.query)), body)
        except json.JSONDecodeError:
            self._send(400, {"message": "The body is not JSON."}, "BadRequestException")
        except Refused as refusal:
            self._send(refusal.status, {"message": refusal.message}, refusal.code)
        else:
            self._send(status, answer)

    do_GET = do_POST = do_PUT = do_DELETE = _answer

    def _operation(self, path: str, query: dict[str, str], body: Json) -> tuple[int, Json]:
        caller = self._caller()
        if self.emulator.faults.use_one("throttle"):
            raise Refused("TooManyRequestsException", "Too Many Requests")
        for route in model.routes():
            found = route.path.fullmatch(path)
            if not found or route.method != self.command:
                continue
            values = {name: unquote(value) for name, value in found.groupdict().items()}
            shape = route.input_shape
            if shape:
                # What is in the path or the query is a member of the same shape, but not of the body.
                wrong = model.problems(shape, {**values, **body}) if self.command in ("POST", "PUT") else model.query_problems(shape, query)
                if wrong:
                    raise Refused("BadRequestException", "; ".join(wrong[:10]))
            return route.status, self.emulator.api.call(route.operation, caller, values, query, body)
        raise Refused("NotFoundException", f"No operation of the service is at {self.command} {path}")

    def _caller(self) -> str:
        """Who signed the request."""
        scope = SCOPE.match(self.headers.get("Authorization", ""))
        if not scope or "x-amz-date" not in self.headers:
            raise Refused("MissingAuthenticationTokenException", "Missing Authentication Token", 403)
        caller = self.emulator.permissions.caller(scope[1])
        if not caller:
            raise Refused("UnrecognizedClientException", "The security token included in the request is invalid.", 403)
        return caller

    def _control(self, what: str, body: Json) -> tuple[int, Json]:
        if (self.command, what) == ("PUT", "faults"):
            wrong = self.emulator.faults.order(body)
            return (400, {"problems": wrong}) if wrong else (200, {})
        if (self.command, what) == ("GET", "jobs"):
            return 200, {"jobs": self.emulator.book.all_calls()}
        if (self.command, what) == ("POST", "reset"):
            self.emulator.faults.clear()
            for job in self.emulator.book.forget_jobs():
                self.emulator.runner.abandon(job)
            return 200, {}
        return (200, {}) if (self.command, what) == ("GET", "health") else (404, {})

    def _send(self, status: int, answer: Json, error: str | None = None) -> None:
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("x-amzn-RequestId", str(uuid.uuid4()))
        if error:
            self.send_header("x-amzn-ErrorType", error)
        self.end_headers()
        self.wfile.write(data)
