"""Everything that was promised, and everything that went wrong; shared by all threads."""

from __future__ import annotations

import random
import threading
from collections import Counter
from dataclasses import dataclass, field

from sources import Source


@dataclass(eq=False)
class Acknowledged:
    """What the server has said yes to, and so must keep."""

    source: Source
    video: str
    upload: str | None
    # Seen playing; deleted by its owner; somebody looks at it just now.
    done: bool = False
    deleted: bool = False
    busy: bool = False


@dataclass
class Ledger:
    """What the clients know."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    uploads: list[Acknowledged] = field(default_factory=list)
    # Single requests whose answer was lost: each made a video or none, and nobody can know which.
    unknown: int = 0
    ways: Counter[str] = field(default_factory=Counter)
    parts_sent: int = 0
    cuts: int = 0
    bytes_again: int = 0
    most_again: int = 0
    segments: int = 0
    # Videos whose every try a kill had ended, and which their owner had tried again.
    tried_again: int = 0
    faults: list[str] = field(default_factory=list)

    def fault(self, text: str) -> None:
        """Notes something that must not happen."""
        with self.lock:
            self.faults.append(text)
        print(f"FAULT {text}", flush=True)

    def acknowledge(self, known: Acknowledged, way: str) -> None:
        """Notes what was acknowledged."""
        with self.lock:
            self.uploads.append(known)
            self.ways[way] += 1

    def cut(self, again: int) -> None:
        """Notes an upload that was cut off, and how many bytes of it went over the wire once more."""
        with self.lock:
            self.cuts += 1
            self.bytes_again += again
            self.most_again = max(self.most_again, again)

    def waiting(self) -> int:
        """Videos that nobody has seen playing yet."""
        with self.lock:
            return sum(not known.done for known in self.uploads)

    def alive(self) -> list[Acknowledged]:
        """What has to be there."""
        with self.lock:
            return [known for known in self.uploads if not known.deleted]

    def borrow(self, by: random.Random) -> Acknowledged | None:
        """One that nobody else looks at; those that were not seen playing yet go first, mostly."""
        with self.lock:
            free = [known for known in self.uploads if not known.busy and not known.deleted]
            new = [known for known in free if not known.done]
            known = by.choice(new if new and by.random() < 0.7 else free) if free else None
            if known:
                known.busy = True
            return known

    def give_back(self, known: Acknowledged) -> None:
        """Others may look at it."""
        with self.lock:
            known.busy = False
