"""Starts the edge in front of the distribution."""

from __future__ import annotations

import sys
from pathlib import Path

from places import REGION, Places, port
from processes import Children, clean_environment


def start(children: Children, places: Places, distribution: str) -> None:
    """Starts the edge on its address. What it does with a request it reads from the distribution, as root."""
    environment = clean_environment() | {
        "AWS_ENDPOINT_URL": places.aws,
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": places.root.access,
        "AWS_SECRET_ACCESS_KEY": places.root.secret,
    }
    here = Path(__file__).resolve().parent
    children.start("edge", [sys.executable, "-m", "edge", port(places.edge), distribution], environment, cwd=here)
    children.wait_for("edge", f"{places.edge}/_edge/health")
