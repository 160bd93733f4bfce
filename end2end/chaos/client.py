"""HTTP as a patient client speaks it: the server may be gone at any moment, and comes back."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 30.0


class Unanswered(Exception):
    """No answer, or one that says to come again: nothing is known about what was asked for."""


class Refused(Exception):
    """An answer that says no."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status} {text[:500]}")
        self.status = status


@dataclass(frozen=True)
class Client:
    """Asks one server in the name of one key."""

    origin: str
    key: str

    def ask(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> bytes:
        """One request."""
        address = urlsplit(path if path.startswith("http") else self.origin + path)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=TIMEOUT_SECONDS)
        target = address.path + (f"?{address.query}" if address.query else "")
        sent = dict(headers or {})
        if address.path.startswith("/api/"):
            sent["authorization"] = f"Bearer {self.key}"
        try:
            connection.request(method, target, body, sent)
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise Unanswered(repr(error)) from error
        finally:
            connection.close()
        if answer.status in (408, 429, 503):
            raise Unanswered(f"{answer.status} {text[:300]!r}")
        if answer.status >= 400:
            raise Refused(answer.status, text.decode(errors="replace"))
        return text

    def json(self, method: str, path: str, body: Any = None) -> Any:
        """One request with JSON both ways."""
        headers = {} if body is None else {"content-type": "application/json"}
        answer = self.ask(method, path, None if body is None else json.dumps(body).encode(), headers)
        return json.loads(answer) if answer else None
