"""The load: uploads that go on until they are acknowledged, and viewers that play what is ready."""

from __future__ import annotations

import json
import random
import threading
import time
import uuid
from dataclasses import dataclass, field

from client import Client, Refused, Unanswered
from sources import Source

PAUSE_SECONDS = 0.3
PARTS_IN_FLIGHT = 3


@dataclass
class Acknowledged:
    """What the server has said yes to, and so must keep."""

    source: Source
    video: str
    upload: str | None


@dataclass
class Ledger:
    """Everything that was promised, and everything that went wrong; shared by all threads."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    uploads: list[Acknowledged] = field(default_factory=list)
    # Single requests whose answer was lost: each made a video or none, and nobody can know which.
    unknown: int = 0
    parts_sent: int = 0
    parts_again: int = 0
    segments: int = 0
    faults: list[str] = field(default_factory=list)

    def fault(self, text: str) -> None:
        """Notes something that must not happen."""
        with self.lock:
            self.faults.append(text)


class Uploader(threading.Thread):
    """Uploads one file after another until it is told to stop; the one at hand is still brought to its end."""

    def __init__(self, client: Client, ledger: Ledger, sources: list[Source], seed: str, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.client, self.ledger, self.sources, self.stop = client, ledger, sources, stop
        self.random = random.Random(seed)

    def run(self) -> None:
        while not self.stop.is_set():
            source = self.random.choice(self.sources)
            try:
                if self.random.random() < 0.75:
                    self.in_parts(source)
                else:
                    self.in_one_request(source)
            except Refused as refused:
                self.ledger.fault(f"an upload of {source.path.name} was refused: {refused}")
            # Videos come no faster than they can be worked on.
            self.stop.wait(self.random.uniform(0.5, 3.0))

    def patiently(self, method: str, path: str, body: object = None) -> dict:
        """Asks until there is an answer. What is asked here may be asked twice."""
        while True:
            try:
                return self.client.json(method, path, body)
            except Unanswered:
                time.sleep(PAUSE_SECONDS)

    def in_parts(self, source: Source) -> None:
        """As the browser and resuming programs do: the server's list of parts is the truth after every cut."""
        upload = str(uuid.UUID(int=self.random.getrandbits(128), version=4))
        begin = {"fileName": source.path.name, "size": source.size, "uploadId": upload}
        ticket = self.patiently("POST", "/api/v1/uploads", begin)
        acknowledged: set[int] = set()
        while True:
            received = set(ticket["received"])
            if lost := acknowledged - received:
                self.ledger.fault(f"upload {upload}: parts {sorted(lost)} were acknowledged and are gone")
                acknowledged &= received
            missing = [number for number in range(1, len(source.part_sums) + 1) if number not in received]
            if not missing:
                break
            self.random.shuffle(missing)
            self.send(source, upload, missing, acknowledged)
            ticket = self.patiently("GET", f"/api/v1/uploads/{upload}")
        answer = self.patiently("POST", f"/api/v1/uploads/{upload}/complete")
        again = self.patiently("POST", f"/api/v1/uploads/{upload}/complete") if self.random.random() < 0.3 else answer
        if answer["videoId"] != ticket["videoId"] or again["videoId"] != ticket["videoId"]:
            self.ledger.fault(f"upload {upload}: {ticket['videoId']} became {answer['videoId']} and {again['videoId']}")
        with self.ledger.lock:
            self.ledger.uploads.append(Acknowledged(source, answer["videoId"], upload))

    def send(self, source: Source, upload: str, missing: list[int], acknowledged: set[int]) -> None:
        """Sends each of these parts once, a few at a time; what fails is found out from the server's list."""
        turn = iter(missing)
        lock = threading.Lock()

        def sender() -> None:
            while True:
                with lock:
                    number = next(turn, None)
                if number is None:
                    return
                headers = {"x-millrace-crc32c": f"{source.part_sums[number - 1]:08x}"}
                try:
                    self.client.ask("PUT", f"/api/v1/uploads/{upload}/parts/{number}", source.part(number), headers)
                    with self.ledger.lock:
                        self.ledger.parts_sent += 1
                    acknowledged.add(number)
                except Unanswered:
                    with self.ledger.lock:
                        self.ledger.parts_again += 1
                    time.sleep(PAUSE_SECONDS)
                except Refused as refused:
                    self.ledger.fault(f"upload {upload}: part {number} was refused: {refused}")
                    time.sleep(PAUSE_SECONDS)

        senders = [threading.Thread(target=sender, daemon=True) for _ in range(min(PARTS_IN_FLIGHT, len(missing)))]
        for thread in senders:
            thread.start()
        for thread in senders:
            thread.join()

    def in_one_request(self, source: Source) -> None:
        """As a form does. An answer that is lost says nothing: nobody sends it again."""
        boundary = uuid.UUID(int=self.random.getrandbits(128), version=4).hex
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{source.path.name}"\r\n\r\n'
        body = head.encode() + source.path.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
        headers = {"content-type": f"multipart/form-data; boundary={boundary}"}
        try:
            answer = self.client.ask("POST", "/api/upload", body, headers)
        except Unanswered:
            with self.ledger.lock:
                self.ledger.unknown += 1
            return

        with self.ledger.lock:
            self.ledger.uploads.append(Acknowledged(source, json.loads(answer)["videoId"], None))


class Viewer(threading.Thread):
    """Plays what is done, from the top: a playlist that was given leads to segments that are there."""

    def __init__(self, client: Client, ledger: Ledger, seed: str, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.client, self.ledger, self.stop = client, ledger, stop
        self.random = random.Random(seed)

    def run(self) -> None:
        while not self.stop.wait(0.2):
            with self.ledger.lock:
                known = self.random.choice(self.ledger.uploads) if self.ledger.uploads else None
            if known is None:
                continue
            try:
                if self.client.json("GET", f"/api/status?videoId={known.video}")["status"] == "done":
                    pieces = play(self.client, known.video)
                    with self.ledger.lock:
                        self.ledger.segments += pieces.count
            except Unanswered:
                continue
            except Refused as refused:
                self.ledger.fault(f"video {known.video} could not be played: {refused}")


@dataclass(frozen=True)
class Played:
    """What a player would have got."""

    count: int
    seconds: list[float]


def play(client: Client, video: str) -> Played:
    """Fetches all that a video's playlists name."""
    url = client.json("GET", f"/api/stream?videoId={video}")["url"]
    base = url.rsplit("/", 1)[0]
    playlists = addresses(client.ask("GET", url).decode(), base)
    count, seconds = 0, []
    for playlist in playlists:
        text = client.ask("GET", playlist).decode()
        if "#EXT-X-ENDLIST" not in text:
            raise Refused(200, f"{playlist} has no end")
        seconds.append(sum(float(line[8:].split(",")[0]) for line in text.splitlines() if line.startswith("#EXTINF:")))
        for address in addresses(text, playlist.rsplit("/", 1)[0]):
            if not client.ask("GET", address):
                raise Refused(200, f"{address} is empty")
            count += 1
    return Played(count, seconds)


def addresses(playlist: str, base: str) -> list[str]:
    """All addresses in a playlist, made absolute."""
    found = []
    for line in playlist.splitlines():
        if line.startswith("#"):
            if 'URI="' in line:
                found.append(line.split('URI="', 1)[1].split('"', 1)[0])
        elif line:
            found.append(line)
    root = "/".join(base.split("/")[:3])
    return [text if "://" in text else root + text if text.startswith("/") else f"{base}/{text}" for text in dict.fromkeys(found)]
