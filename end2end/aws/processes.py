"""Children that never outlive us.

Every program of the emulator set is started here. It gets its own session, so one signal reaches it and all it started; the kernel
tells it when we die without having stopped it; and `Children` stops them in reverse order, however the `with` block ends.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

PR_SET_PDEATHSIG = 1
GRACE_SECONDS = 5.0


class StartError(RuntimeError):
    """A program of the set did not come up; the message holds the end of its log."""


def free_port() -> int:
    """A port of the loopback interface that nobody listens on at the moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def die_with_parent(with_signal: signal.Signals = signal.SIGKILL) -> Callable[[], None]:
    """What a child runs before its program: asks the kernel for a signal when the parent is gone."""
    try:
        prctl = ctypes.CDLL(None).prctl
    except AttributeError:  # Not Linux: the `finally` blocks and signal handlers have to do.
        return lambda: None
    return lambda: prctl(PR_SET_PDEATHSIG, int(with_signal), 0, 0, 0)


def clean_environment() -> dict[str, str]:
    """What we were started with, without anybody's AWS account in it: no call may ever leave the machine."""
    return {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}


class Children:
    """The running programs, in the order they were started, and one log file each."""

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        self._running: list[tuple[str, subprocess.Popen[bytes]]] = []

    def __enter__(self) -> Children:
        return self

    def __exit__(self, *_: object) -> None:
        while self._running:
            _, process = self._running.pop()
            stop(process)

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str], cwd: Path | None = None) -> None:
        """Starts one program; what it prints goes to its log file."""
        with (self.logs / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                env=dict(environment),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent(),
            )
        self._running.append((name, process))

    def wait_for(self, name: str, url: str, seconds: float = 180.0) -> None:
        """Waits until `url` answers anything below 500, or says what the program printed last."""
        process = next(process for started, process in self._running if started == name)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and process.poll() is None:
            if _answers(url):
                return
            time.sleep(0.05)
        raise StartError(f"{name} did not start within {seconds:.0f} s. Its last words:\n{self.last_words(name)}")

    def last_words(self, name: str) -> str:
        """The end of a program's log."""
        return (self.logs / f"{name}.log").read_text(errors="replace")[-2000:]


def stop(process: subprocess.Popen[bytes]) -> None:
    """Asks a program and all it started to end, and insists after a moment."""
    _signal_group(process, signal.SIGTERM)
    try:
        process.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        pass
    # Also what the program started and left behind.
    _signal_group(process, signal.SIGKILL)
    process.wait()


def run_in_foreground(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Runs the caller's own command to its end and returns its exit code; stops it when we are told to stop."""
    process = subprocess.Popen(
        command, env=dict(environment), start_new_session=True, preexec_fn=die_with_parent(signal.SIGTERM)
    )
    try:
        code = process.wait()
    finally:
        stop(process)
    return code if code >= 0 else 128 - code


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        pass


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except urllib.error.HTTPError as error:
        return error.code < 500
    except OSError:
        return False
