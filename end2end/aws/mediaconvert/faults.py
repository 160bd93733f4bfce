"""Faults to order, set by `PUT /_emulator/faults`. Each order replaces the last; counts run down; `reset` clears them all.

    {"throttle": 2,                        the next 2 API calls answer 429
     "lose_response": 1,                   the next CreateJob makes its job, but answers 500
     "error": {"code": 1010, "message": "..."},   the next job ends so
     "slow_seconds": 5,                    every job takes that much longer, before it encodes
     "late_seconds": 2,                    how late `late` is
     "events": {"COMPLETE": "drop"}}       per status: drop | double | late | before_progress
"""

from __future__ import annotations

import threading
from typing import Any

EVENT_FAULTS = {"drop", "double", "late", "before_progress"}
KNOWN = {"throttle", "lose_response", "error", "slow_seconds", "late_seconds", "events"}


class Faults:
    """What is ordered and not yet delivered."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._orders: dict[str, Any] = {}

    def order(self, orders: dict[str, Any]) -> list[str]:
        """Takes a new order, or says what is wrong with it."""
        wrong = [f"unknown fault {name!r}" for name in orders if name not in KNOWN]
        wrong += [f"unknown event fault {kind!r}" for kind in orders.get("events", {}).values() if kind not in EVENT_FAULTS]
        if not wrong:
            with self._lock:
                self._orders = dict(orders)
        return wrong

    def clear(self) -> None:
        """Forgets all orders."""
        with self._lock:
            self._orders = {}

    def use_one(self, name: str) -> bool:
        """Whether a counted fault is due now; counts it down."""
        with self._lock:
            left = self._orders.get(name, 0)
            if left > 0:
                self._orders[name] = left - 1
            return left > 0

    def take_error(self) -> dict[str, Any] | None:
        """The error in which the job that asks is to end."""
        with self._lock:
            return self._orders.pop("error", None)

    def of_event(self, status: str) -> str | None:
        """What is to happen to events of one status."""
        with self._lock:
            return self._orders.get("events", {}).get(status)

    def seconds(self, name: str, otherwise: float = 0.0) -> float:
        """A duration that was ordered."""
        with self._lock:
            return float(self._orders.get(name, otherwise))
