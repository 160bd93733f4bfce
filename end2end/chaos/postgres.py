"""A PostgreSQL of the driver's own, which can be stopped at once, paused and started again."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from product import die_with_us

STARTS_WITHIN_SECONDS = 240.0
# Not what the tests of the adapters run with: a commit that was answered has to be in the log when the server is stopped at once.
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "synchronous_commit": "on",
    # The machine goes on, so what was written to its files is safe; a disk's pace would only slow the storm down.
    "fsync": "off",
}


def programs() -> Path:
    """The folder of the newest installed PostgreSQL, unless the path names one."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
    if not folders:
        raise FileNotFoundError("PostgreSQL's programs initdb and postgres are missing: install postgresql, or put them into PATH")
    return folders[-1]


class PostgreSQLServer:
    """One server with one database."""

    def __init__(self) -> None:
        self._programs = programs()
        self.folder = Path(tempfile.mkdtemp(prefix="millrace-chaos-postgres-"))
        password = secrets.token_hex(16)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self.url = f"postgres://postgres:{password}@127.0.0.1:{self._port}/postgres?sslmode=disable"
        self._child: subprocess.Popen[bytes] | None = None
        given = self.folder / "password"
        given.write_text(password)
        if os.getuid() == 0:
            # PostgreSQL refuses to run as root.
            shutil.chown(self.folder, "postgres", "postgres")
            shutil.chown(given, "postgres", "postgres")
        options = ["--username=postgres", "--auth=scram-sha-256", f"--pwfile={given}", "--encoding=UTF8", "--locale=C", "--no-sync"]
        command = [str(self._programs / "initdb"), f"--pgdata={self.folder / 'data'}", *options]
        subprocess.run(command, check=True, capture_output=True, preexec_fn=self._identity(), cwd=self.folder)

    @staticmethod
    def _identity() -> Callable[[], None]:
        """What a child does before its program: becomes somebody else than root, and dies with us."""
        if os.getuid() != 0:
            return die_with_us
        import pwd  # pylint: disable=import-outside-toplevel

        entry = pwd.getpwnam("postgres")

        def become() -> None:
            os.initgroups("postgres", entry.pw_gid)
            os.setgid(entry.pw_gid)
            os.setuid(entry.pw_uid)
            die_with_us()

        return become

    def start(self) -> None:
        """Starts it, and waits until it takes connections. What a stop at once has left is recovered meanwhile."""
        words = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
        command = [str(self._programs / "postgres"), "-D", str(self.folder / "data"), "-p", str(self._port), *words]
        with (self.folder / "server.log").open("ab") as log:
            self._child = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, preexec_fn=self._identity(), cwd=self.folder)
        until = time.monotonic() + STARTS_WITHIN_SECONDS
        ready = [str(self._programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self._port)]
        while subprocess.run(ready, check=False).returncode != 0:
            if self._child.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"PostgreSQL did not start:\n{(self.folder / 'server.log').read_text()[-2000:]}")
            time.sleep(0.1)

    def stop_at_once(self) -> None:
        """What `pg_ctl stop -m immediate` does: every connection breaks, nothing is written down; the next start recovers."""
        if self._child and self._child.poll() is None:
            self._child.send_signal(signal.SIGQUIT)
            self._child.wait()

    def pause(self, seconds: float) -> None:
        """Neither the postmaster nor any of its children says a word for a while; connections stay open."""
        self.freeze()
        time.sleep(seconds)
        self.thaw()

    def freeze(self) -> None:
        """From now on nothing of it says a word."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on as if nothing had been."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if not self._child:
            return
        # One that is stopped starts no other: who its children are is looked at afterwards.
        send(self._child.pid, number)
        for pid in children(self._child.pid):
            send(pid, number)

    def end(self) -> None:
        """Ends it and forgets all."""
        self.stop_at_once()
        shutil.rmtree(self.folder, ignore_errors=True)


def send(pid: int, number: signal.Signals) -> None:
    """Sends a signal to a process that may have ended."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def children(pid: int) -> list[int]:
    """The processes that one has started."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
