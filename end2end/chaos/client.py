"""HTTP as a patient client speaks it: the server may be gone at any moment, and comes back."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

T = TypeVar("T")

TIMEOUT_SECONDS = 30.0
PAUSE_SECONDS = 0.3
# One connection's share of a line, and how much is sent at a time.
LINE_BYTES_PER_SECOND = 12_000_000
PIECE = 256 * 1024
# 408, 423, 429 and 503 say to come again; the others come from what stands in front of a server that is gone, or from a store with a bad day.
COME_AGAIN = (408, 423, 429, 502, 503, 504)


class Unanswered(Exception):
    """No answer, or one that says to come again: nothing is known about what was asked for."""


class Refused(Exception):
    """An answer that says no."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status} {text[:500]}")
        self.status = status


class Paced:
    """Bytes that are sent no faster than a line takes them, so that an upload is under way when something breaks."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        # How many have been handed to the line.
        self.sent = 0

    def __len__(self) -> int:
        return len(self._data)

    def __iter__(self) -> Iterator[bytes]:
        for start in range(0, len(self._data), PIECE):
            piece = self._data[start : start + PIECE]
            self.sent += len(piece)
            yield piece
            time.sleep(len(piece) / LINE_BYTES_PER_SECOND)


@dataclass(frozen=True)
class Answer:
    """What came back."""

    body: bytes
    headers: Mapping[str, str]


def exchange(method: str, url: str, body: bytes | Paced | None, headers: Mapping[str, str]) -> Answer:
    """One request on a connection of its own."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=TIMEOUT_SECONDS)
    try:
        sent = dict(headers) | ({"content-length": str(len(body))} if isinstance(body, Paced) else {})
        connection.request(method, address.path + (f"?{address.query}" if address.query else ""), body, sent)
        answer = connection.getresponse()
        text = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise Unanswered(repr(error)) from error
    finally:
        connection.close()
    if answer.status in COME_AGAIN:
        raise Unanswered(f"{answer.status} {text[:300]!r}")
    if answer.status >= 400:
        raise Refused(answer.status, text.decode(errors="replace"))
    return Answer(text, {name.lower(): value for name, value in answer.getheaders()})


def patiently(ask: Callable[[], T]) -> T:
    """Asks until there is an answer. What is asked so may be asked twice."""
    while True:
        try:
            return ask()
        except Unanswered:
            time.sleep(PAUSE_SECONDS)


@dataclass(frozen=True)
class Client:
    """Asks one server in the name of one key."""

    origin: str
    key: str

    def answer(self, method: str, path: str, body: bytes | Paced | None = None, headers: Mapping[str, str] | None = None) -> Answer:
        """One request. The key goes to the interface alone, not to where its answers lead."""
        url = path if path.startswith("http") else self.origin + path
        sent = dict(headers or {})
        if url.startswith(f"{self.origin}/api/"):
            sent["authorization"] = f"Bearer {self.key}"
        return exchange(method, url, body, sent)

    def ask(self, method: str, path: str, body: bytes | Paced | None = None, headers: Mapping[str, str] | None = None) -> bytes:
        """One request; the body of its answer."""
        return self.answer(method, path, body, headers).body

    def json(self, method: str, path: str, body: Any = None) -> Any:
        """One request with JSON both ways."""
        headers = {} if body is None else {"content-type": "application/json"}
        answer = self.ask(method, path, None if body is None else json.dumps(body).encode(), headers)
        return json.loads(answer) if answer else None


class Dashboard:
    """What a user's browser asks the dashboard for, in a session."""

    def __init__(self, origin: str, email: str, password: str) -> None:
        self.origin, self._email, self._password = origin, email, password
        self._cookie = ""

    def sign_in(self) -> None:
        """Begins a session."""
        answer = self._post("/app/sign-in", {"email": self._email, "password": self._password})
        self._cookie = answer.headers.get("set-cookie", "").split(";", 1)[0]

    def delete(self, video: str) -> None:
        """Deletes a video; one that is gone already is deleted."""
        try:
            self._post("/app/videos/delete", {"id": video})
        except Refused as refused:
            if "not_found" not in str(refused).lower() and refused.status != 404:
                raise

    def retry(self, video: str) -> None:
        """Has a failed video processed once more."""
        self._post("/app/videos/retry", {"id": video})

    def _post(self, path: str, fields: Mapping[str, str]) -> Answer:
        headers = {"content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin"}
        if self._cookie:
            headers["cookie"] = self._cookie
        return exchange("POST", self.origin + path, urlencode(fields).encode(), headers)
