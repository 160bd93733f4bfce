"""A tus 1.0 client (https://tus.io/protocols/resumable-upload): creates, sends from where the server is, and asks after every cut."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from dataclasses import dataclass

from client import PAUSE_SECONDS, Client, Paced, Unanswered, patiently
from sources import Source

ENDPOINT = "/api/v1/tus"
VERSION = {"tus-resumable": "1.0.0"}
CHUNK = 6 * 1024 * 1024


@dataclass(frozen=True)
class Made:
    """What an upload became."""

    upload: str
    video: str


class Tus:
    """One upload; `cut` hears how many bytes have to be sent again whenever one is cut off."""

    def __init__(self, client: Client, source: Source, cut: Callable[[int], None]) -> None:
        self.client, self.source, self.cut = client, source, cut

    def upload(self) -> Made | None:
        """Brings it to its end; nothing where it is not known whether it was begun."""
        try:
            location = self.create()
        except Unanswered:
            return None
        offset = patiently(lambda: self.offset(location))
        while offset < self.source.size:
            piece = Paced(self.source.read(offset, CHUNK))
            try:
                self.send(location, offset, piece)
                offset += len(piece)
            except Unanswered:
                time.sleep(PAUSE_SECONDS)
                safe = patiently(lambda: self.offset(location))
                self.cut(max(0, piece.sent - (safe - offset)))
                offset = safe
        upload = location.rstrip("/").rsplit("/", 1)[1]
        return Made(upload, patiently(lambda: self.client.json("GET", f"/api/v1/uploads/{upload}"))["videoId"])

    def create(self) -> str:
        """Where the upload lives."""
        name = base64.b64encode(self.source.path.name.encode()).decode()
        headers = VERSION | {"upload-length": str(self.source.size), "upload-metadata": f"filename {name}"}
        return self.client.answer("POST", ENDPOINT, b"", headers).headers["location"]

    def offset(self, location: str) -> int:
        """How many bytes are safe."""
        return int(self.client.answer("HEAD", location, None, VERSION).headers["upload-offset"])

    def send(self, location: str, offset: int, piece: Paced) -> None:
        """Sends the bytes from `offset` on."""
        headers = VERSION | {"upload-offset": str(offset), "content-type": "application/offset+octet-stream"}
        self.client.ask("PATCH", location, piece, headers)
