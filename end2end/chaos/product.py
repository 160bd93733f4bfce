"""The processes under test: a server and workers, which are killed and started again."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

PR_SET_PDEATHSIG = 1
STOP_WITHIN_SECONDS = 180.0


def die_with_us() -> None:
    """Runs in the child before its program: should this driver die, so does the child."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)


class Process:
    """One role of the binary."""

    def __init__(self, binary: Path, role: str, environment: Mapping[str, str], log: Path) -> None:
        self.role = role
        self._command = [str(binary), role]
        self._environment = dict(environment)
        self._log = log
        self._child: subprocess.Popen[bytes] | None = None
        self.starts = 0

    @property
    def pid(self) -> int | None:
        """Its process id, while it runs."""
        return self._child.pid if self._child and self._child.poll() is None else None

    def start(self) -> None:
        """Starts it, if it does not run."""
        if self.pid is not None:
            return
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(
                self._command, env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_us
            )
        self.starts += 1

    def kill(self) -> None:
        """Ends it as a power cut would: nothing of it gets to say anything."""
        if self._child and self._child.poll() is None:
            self._child.kill()
            self._child.wait()

    def terminate(self) -> None:
        """Asks it to end, and waits for nothing."""
        if self._child and self._child.poll() is None:
            self._child.terminate()

    def code(self) -> int | None:
        """How it ended, once it has."""
        return self._child.poll() if self._child else None

    def fell_over(self) -> int | None:
        """The exit code of a process that ended though nobody killed it."""
        if self._child is None:
            return None
        code = self._child.poll()
        return code if code is not None and code != -signal.SIGKILL else None

    def stop(self) -> int:
        """Asks it to end, as an operator would, and waits for it."""
        if self._child is None:
            return 0
        if self._child.poll() is None:
            self._child.terminate()
            try:
                self._child.wait(STOP_WITHIN_SECONDS)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
                print(f"{self.role} did not end by itself", file=sys.stderr)
        return self._child.returncode


def descendants(pid: int) -> list[tuple[int, str]]:
    """All processes below one, with their names."""
    children: dict[int, list[tuple[int, str]]] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text()
        except OSError:
            continue
        name = stat[stat.index("(") + 1 : stat.rindex(")")]
        parent = int(stat[stat.rindex(")") + 2 :].split()[1])
        children.setdefault(parent, []).append((int(entry.name), name))
    found, open_ends = [], [pid]
    while open_ends:
        for child in children.get(open_ends.pop(), []):
            found.append(child)
            open_ends.append(child[0])
    return found


def kill_engine(processes: list[Process], choose: int) -> bool:
    """Kills one ffmpeg or ffprobe that works for one of them; false where there is none."""
    pids = [process.pid for process in processes if process.pid]
    engines = [child for pid in pids for child, name in descendants(pid) if name in ("ffmpeg", "ffprobe")]
    if not engines:
        return False
    try:
        os.kill(engines[choose % len(engines)], signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def wait_until_gone(pids: list[int], seconds: float) -> list[int]:
    """Those of some processes that are still there after a while."""
    until = time.monotonic() + seconds
    while (left := [pid for pid in pids if Path(f"/proc/{pid}").exists()]) and time.monotonic() < until:
        time.sleep(0.1)
    return left
