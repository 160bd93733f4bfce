"""Starts our MediaConvert emulator beside MiniStack."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from places import ACCOUNT, REGION, Places, port
from processes import Children, clean_environment

# How much faster time goes by than for the service, whose shortest interval of progress is 10 s. The environment may name another.
TIME_DIVIDER = "20"
SETTING = "MEDIACONVERT_TIME_DIVIDER"


def start(children: Children, places: Places) -> None:
    """Starts the emulator on its address. It acts as root, and asks IAM what callers and roles may do."""
    environment = clean_environment() | {
        "AWS_ENDPOINT_URL": places.aws,
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": places.root.access,
        "AWS_SECRET_ACCESS_KEY": places.root.secret,
        "MEDIACONVERT_ACCOUNT": ACCOUNT,
        SETTING: os.environ.get(SETTING, TIME_DIVIDER),
    }
    here = Path(__file__).resolve().parent
    children.start("mediaconvert", [sys.executable, "-m", "mediaconvert", port(places.mediaconvert)], environment, cwd=here)
    children.wait_for("mediaconvert", f"{places.mediaconvert}/_emulator/health")
