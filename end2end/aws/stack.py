#!/usr/bin/env python3
"""The emulated AWS, for tests and trials:

    end2end/aws/stack.py run [--combination all|fleet] [--fresh] [--logs FOLDER] -- COMMAND ...

starts MiniStack, our MediaConvert and the edge on free ports of the loopback interface, with deploy/terraform applied and a user that
has the application's policy and nothing else; runs COMMAND with the settings in its environment; stops everything and ends with COMMAND's
exit code. Nothing is left behind when it is told to stop.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType

HERE = Path(__file__).resolve().parent
VENV = HERE / ".venv"

# Started by any Python, it goes on with that of its own virtual environment, which holds what it imports below.
if __name__ == "__main__" and Path(sys.prefix) != VENV:
    if not (VENV / "bin" / "python").exists():
        sys.exit("Run end2end/aws/setup.sh first: it installs the emulators.")
    # By its full path: that is how a virtual environment's Python knows that it is one.
    python = str(VENV / "bin" / "python")
    os.execv(python, [python, str(HERE / "stack.py"), *sys.argv[1:]])

# pylint: disable=wrong-import-position
import account
import cloud
import edge_server
import mediaconvert_server
import settings
import snapshot
from places import Places
from processes import Children, StartError, run_in_foreground


def main() -> int:
    """Reads the command line and runs."""
    arguments = parse()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, end)
    folder = Path(tempfile.mkdtemp(prefix="millrace-aws-"))
    try:
        return run(Places.choose(folder), arguments)
    except StartError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        if arguments.logs:
            arguments.logs.mkdir(parents=True, exist_ok=True)
            for log in folder.glob("*.log"):
                shutil.copy(log, arguments.logs)
        shutil.rmtree(folder, ignore_errors=True)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="The emulated AWS, for tests and trials.")
    verbs = parser.add_subparsers(required=True)
    verb = verbs.add_parser("run", help="run a command with the emulators around it")
    verb.add_argument("--combination", choices=sorted(settings.COMBINATIONS), default="all", help="which services to use")
    verb.add_argument("--fresh", action="store_true", help="apply Terraform anew, though nothing has changed (a minute and a half)")
    verb.add_argument("--logs", type=Path, metavar="FOLDER", help="copy the emulators' logs there at the end")
    verb.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    arguments = parser.parse_args()
    if arguments.command[:1] == ["--"]:
        del arguments.command[0]
    if not arguments.command:
        parser.error("name the command to run, behind --")
    return arguments


def run(places: Places, arguments: argparse.Namespace) -> int:
    """Starts the set, runs the command, stops the set."""
    outputs = snapshot.restore(places, arguments.fresh)
    with Children(places.folder) as children:
        cloud.start(children, places)
        mediaconvert_server.start(children, places)
        edge_server.start(children, places, outputs["settings"]["MILLRACE_CLOUDFRONT_DISTRIBUTION_ID"])
        account.make_mediaconvert_queue(places, outputs["settings"]["MILLRACE_MEDIACONVERT_QUEUE_ARN"])
        app = account.make_app_user(places, outputs["app_policy_arn"])
        return run_in_foreground(arguments.command, settings.environment(places, outputs, app, arguments.combination))


def end(number: int, _: FrameType | None) -> None:
    """Told to stop: leaves through all `with` and `finally` blocks, which stop the programs. A second signal does not disturb that."""
    for other in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(other, signal.SIG_IGN)
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
