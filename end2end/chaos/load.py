"""Those who upload: each goes on until its file is acknowledged, whatever happens meanwhile."""

from __future__ import annotations

import json
import random
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from client import PAUSE_SECONDS, Client, Paced, Refused, Unanswered, patiently
from ledger import Acknowledged, Ledger
from sources import Source
from tus import Tus

PARTS_IN_FLIGHT = 3
# Videos come no faster than they can be worked on.
MOST_WAITING = 12


@dataclass(frozen=True)
class Ways:
    """How files are sent, and how often each way is chosen."""

    parts: float = 0.6
    single: float = 0.2
    tus: float = 0.2

    def choose(self, by: random.Random) -> str:
        """One of them."""
        names, weights = zip(*vars(self).items())
        return by.choices(names, weights)[0]


class Uploader(threading.Thread):
    """Uploads one file after another until it is told to stop; the one at hand is still brought to its end."""

    def __init__(self, client: Client, ledger: Ledger, sources: list[Source], seed: str, stop: threading.Event, ways: Ways) -> None:
        super().__init__(daemon=True)
        self.client, self.ledger, self.sources, self.stop, self.ways = client, ledger, sources, stop, ways
        self.random = random.Random(seed)

    def run(self) -> None:
        send: dict[str, Callable[[Source], None]] = {"parts": self.in_parts, "single": self.in_one_request, "tus": self.by_tus}
        while not self.stop.is_set():
            source, way = self.random.choices(self.sources, [source.share for source in self.sources])[0], self.ways.choose(self.random)
            if self.ledger.waiting() < MOST_WAITING:
                try:
                    send[way](source)
                except Refused as refused:
                    self.ledger.fault(f"an upload of {source.path.name} was refused ({way}): {refused}")
            self.stop.wait(self.random.uniform(0.2, 1.5))

    def in_parts(self, source: Source) -> None:
        """As the browser and resuming programs do: the server's list of parts is the truth after every cut."""
        upload = str(uuid.UUID(int=self.random.getrandbits(128), version=4))
        begin = {"fileName": source.path.name, "size": source.size, "uploadId": upload}
        ticket = patiently(lambda: self.client.json("POST", "/api/v1/uploads", begin))
        acknowledged: set[int] = set()
        cut: dict[int, int] = {}
        while True:
            received = set(ticket["received"])
            if lost := acknowledged - received:
                self.ledger.fault(f"upload {upload}: parts {sorted(lost)} were acknowledged and are gone")
                acknowledged &= received
            missing = [number for number in range(1, len(source.part_sums) + 1) if number not in received]
            if cut:
                # What went over the line and did not stay.
                self.ledger.cut(sum(count for number, count in cut.items() if number in missing))
            if not missing:
                break
            self.random.shuffle(missing)
            cut = self.send(source, ticket, missing, acknowledged)
            ticket = patiently(lambda: self.client.json("GET", f"/api/v1/uploads/{upload}"))
        answer = patiently(lambda: self.client.json("POST", f"/api/v1/uploads/{upload}/complete"))
        again = answer
        if self.random.random() < 0.3:
            again = patiently(lambda: self.client.json("POST", f"/api/v1/uploads/{upload}/complete"))
        if answer["videoId"] != ticket["videoId"] or again["videoId"] != ticket["videoId"]:
            self.ledger.fault(f"upload {upload}: {ticket['videoId']} became {answer['videoId']} and {again['videoId']}")
        self.ledger.acknowledge(Acknowledged(source, answer["videoId"], upload), "in parts")

    def send(self, source: Source, ticket: dict, missing: list[int], acknowledged: set[int]) -> dict[int, int]:
        """Sends each of these parts once, a few at a time; gives those that were cut off, and how much of them was on the line by then. What became
        of them, the server's list says."""
        turn, cut = iter(missing), dict[int, int]()
        lock = threading.Lock()

        def sender() -> None:
            while True:
                with lock:
                    number = next(turn, None)
                if number is None:
                    return
                body = Paced(source.part(number))
                try:
                    self.send_part(source.part_sums[number - 1], ticket, number, body)
                    with self.ledger.lock:
                        self.ledger.parts_sent += 1
                    acknowledged.add(number)
                except Unanswered:
                    cut[number] = body.sent
                    time.sleep(PAUSE_SECONDS)
                except Refused as refused:
                    self.ledger.fault(f"upload {ticket['uploadId']}: part {number} was refused: {refused}")
                    time.sleep(PAUSE_SECONDS)

        senders = [threading.Thread(target=sender, daemon=True) for _ in range(min(PARTS_IN_FLIGHT, len(missing)))]
        for thread in senders:
            thread.start()
        for thread in senders:
            thread.join()
        return cut

    def send_part(self, crc32c: int, ticket: dict, number: int, body: Paced) -> None:
        """Through the server, or straight to the store where the store takes parts by itself."""
        if "targetUrl" not in ticket:
            headers = {"x-millrace-crc32c": f"{crc32c:08x}"}
            self.client.ask("PUT", ticket["partUrl"].replace("{number}", str(number)), body, headers)
            return
        target = self.client.json("POST", ticket["targetUrl"].replace("{number}", str(number)), {"crc32c": crc32c})
        if target["state"] == "put":
            try:
                self.client.ask("PUT", target["url"], body, dict(target["headers"]))
            except Refused as refused:
                # A store has its bad days; what it says then is no word of ours.
                if refused.status < 500:
                    raise
                raise Unanswered(str(refused)) from refused

    def in_one_request(self, source: Source) -> None:
        """As a form does. An answer that is lost says nothing: nobody sends it again."""
        boundary = uuid.UUID(int=self.random.getrandbits(128), version=4).hex
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{source.path.name}"\r\n\r\n'
        body = Paced(head.encode() + source.path.read_bytes() + f"\r\n--{boundary}--\r\n".encode())
        headers = {"content-type": f"multipart/form-data; boundary={boundary}"}
        try:
            answer = self.client.ask("POST", "/api/upload", body, headers)
        except Unanswered:
            with self.ledger.lock:
                self.ledger.unknown += 1
            return
        self.ledger.acknowledge(Acknowledged(source, json.loads(answer)["videoId"], None), "in one request")

    def by_tus(self, source: Source) -> None:
        """As tus clients do."""
        tus = Tus(self.client, source, self.ledger.cut)
        if made := tus.upload():
            self.ledger.acknowledge(Acknowledged(source, made.video, made.upload), "by tus")
        else:
            with self.ledger.lock:
                self.ledger.unknown += 1
