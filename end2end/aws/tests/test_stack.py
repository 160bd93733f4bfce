"""`stack.py` leaves nothing running and nothing lying about, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from tests import around

STACK = Path(__file__).resolve().parents[1] / "stack.py"
# Tells where the emulators are, and stays.
TELL_AND_STAY = """
import os, time
print(os.environ["AWS_TEST_ENDPOINT"], os.environ["AWS_TEST_EDGE"], flush=True)
time.sleep(600)
"""
TELL = """
import os
print(os.environ["MILLRACE_PORTS_TRANSCODER"], os.environ["MILLRACE_CLOUDFRONT_PRIVATE_KEY_FILE"])
"""


@around.needs_stack
class Stack(unittest.TestCase):
    """Another set beside the one that the tests run in."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def start(self, command: str) -> subprocess.Popen[str]:
        stack = [sys.executable, str(STACK), "run", "--combination", "fleet", "--", sys.executable, "-c"]
        environment = {**os.environ, "TMPDIR": str(self.folder)}
        process = subprocess.Popen([*stack, command], env=environment, stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.kill)
        return process

    def gone(self, address: str) -> bool:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                around.ask("GET", address)
            except OSError:
                return True
            time.sleep(0.1)
        return False

    def test_the_exit_code_is_the_commands(self) -> None:
        self.assertEqual(self.start("raise SystemExit(7)").wait(300), 7)

    def test_what_the_command_finds(self) -> None:
        process = self.start(TELL)
        transcoder, key = process.stdout.read().split()
        self.assertEqual((process.wait(300), transcoder), (0, "ffmpeg"))
        self.assertFalse(Path(key).parent.exists(), "the run's folder is gone with it")

    def test_all_ends_when_it_is_told_to_stop(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL):
            with self.subTest(number.name):
                process = self.start(TELL_AND_STAY)
                addresses = process.stdout.readline().split()
                self.assertEqual(len(addresses), 2)
                os.kill(process.pid, number)
                process.wait(180)
                self.assertTrue(all(self.gone(address) for address in addresses))
                if number != signal.SIGKILL:
                    self.assertEqual(list(self.folder.iterdir()), [])
