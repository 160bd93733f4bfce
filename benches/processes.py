"""What measurements of servers share: free ports, what a family of processes has taken so far, and the facts of the machine."""

import contextlib
import os
import pathlib
import platform
import signal
import socket
import subprocess
import sys
import time

TICKS = os.sysconf("SC_CLK_TCK")


def say(text):
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def facts():
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    return {"cores": os.cpu_count(), "processor": model, "kernel": platform.release(), "load": os.getloadavg()[0], "date": time.strftime("%Y-%m-%d")}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def family(pid):
    """A process and those below it."""
    found = [pid]
    for one in found:
        with contextlib.suppress(OSError):
            found += [int(child) for child in pathlib.Path(f"/proc/{one}/task/{one}/children").read_text().split()]
    return found


def processor(pid):
    """Seconds of processor time so far, of the whole family."""
    seconds = 0.0
    for one in family(pid):
        with contextlib.suppress(OSError):
            fields = pathlib.Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()
            seconds += (int(fields[11]) + int(fields[12])) / TICKS
    return seconds


def memory(pid, name):
    """MiB of the whole family, by a line of its status: `VmRSS`, `VmHWM`."""
    mib = 0.0
    for one in family(pid):
        with contextlib.suppress(OSError):
            lines = pathlib.Path(f"/proc/{one}/status").read_text().splitlines()
            mib += next((int(line.split()[1]) for line in lines if line.startswith(name)), 0) / 1024
    return mib


def millrace_environment(settings):
    """This environment with these settings of Millrace's and no others."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("MILLRACE_")}
    return others | {f"MILLRACE_{name}": str(value) for name, value in settings.items()}


def wait_for(name, process, port, log):
    """Waits until a server listens; `log` gives what it said if it does not start."""
    deadline = time.monotonic() + 60
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"{name} does not start: {log()[-1000:]}")
        time.sleep(0.1)


def end(process):
    """Ends a server that was started here."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
