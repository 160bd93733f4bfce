"""Those who watch what is ready, compare it with what was sent, and delete some of it."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass

from client import Client, Dashboard, Refused, Unanswered, patiently
from ledger import Acknowledged, Ledger
from stores import Store

# So many videos stay until the end; of the others, half go once they have been seen whole.
KEPT = 40
# What players see of a video may differ by a group of pictures.
LENGTH_TOLERANCE_SECONDS = 0.6


@dataclass(frozen=True)
class Played:
    """What a player would have got."""

    count: int
    seconds: list[float]


def play(client: Client, video: str) -> Played:
    """Fetches all that a video's playlists name."""
    url = client.json("GET", f"/api/stream?videoId={video}")["url"]
    base = url.rsplit("/", 1)[0]
    count, seconds = 0, []
    for playlist in addresses(client.ask("GET", url).decode(), base):
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


def look_at(client: Client, known: Acknowledged) -> tuple[Played, list[str]]:
    """Plays a video that is done, and says what is wrong with it."""
    played = play(client, known.video)
    wrong = [length for length in played.seconds if abs(length - known.source.seconds) > LENGTH_TOLERANCE_SECONDS]
    return played, [f"incomplete: video {known.video} of {known.source.seconds} s has playlists of {wrong} s"] if wrong or not played.seconds else []


def compare(store: Store, known: Acknowledged) -> list[str]:
    """Whether the source that was acknowledged is there, byte for byte. Of one that came in a single request only its video is known."""
    if known.upload is None:
        return []
    found = store.sha256(known.upload)
    if found is None:
        return [f"lost: the source of upload {known.upload}"]
    return [] if found == known.source.sha256 else [f"damaged: the source of upload {known.upload} is {found}, not {known.source.sha256}"]


def was_killed(reason: str) -> bool:
    """Whether a job failed because of a worker's death, or an ffmpeg's."""
    return any(sign in reason for sign in ("worker", "137", "signal"))


class Viewer(threading.Thread):
    """Plays what is done, from the top: a playlist that was given leads to segments that are there."""

    def __init__(self, client: Client, owner: Dashboard, store: Store, ledger: Ledger, seed: str, stop: threading.Event, why: Callable[[str], str]):
        super().__init__(daemon=True)
        self.client, self.owner, self.store, self.ledger, self.stop, self.why = client, owner, store, ledger, stop, why
        self.random = random.Random(seed)

    def run(self) -> None:
        while not self.stop.wait(0.2):
            if (known := self.ledger.borrow(self.random)) is None:
                continue
            try:
                self.visit(known)
            except Unanswered:
                continue
            except Refused as refused:
                self.ledger.fault(f"video {known.video} could not be played: {refused}")
                self.stop.wait(2.0)
            finally:
                self.ledger.give_back(known)

    def visit(self, known: Acknowledged) -> None:
        """Looks how far it is, plays it, and perhaps deletes it."""
        status = self.client.json("GET", f"/api/status?videoId={known.video}")["status"]
        if status == "failed":
            self.try_again(known)
        if status != "done":
            return
        played, wrong = look_at(self.client, known)
        with self.ledger.lock:
            self.ledger.segments += played.count
        for fault in wrong:
            self.ledger.fault(fault)
        known.done = True
        if len(self.ledger.alive()) > KEPT and self.random.random() < 0.5:
            for fault in compare(self.store, known):
                self.ledger.fault(fault)
            patiently(lambda: self.owner.delete(known.video))
            known.deleted = True

    def try_again(self, known: Acknowledged) -> None:
        """A job whose every try was killed is given up, and says so; its owner presses the button. Any other failure is one."""
        reason = self.why(known.video)
        if not was_killed(reason):
            self.ledger.fault(f"failed: video {known.video}: {reason}")
            known.done = known.deleted = True
            return
        try:
            self.owner.retry(known.video)
            with self.ledger.lock:
                self.ledger.tried_again += 1
        except Refused:
            # Asked twice, since the first answer was lost: then it is under way.
            pass
