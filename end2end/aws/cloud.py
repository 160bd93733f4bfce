"""MiniStack: the emulated S3, SQS, EventBridge, IAM, CloudWatch and CloudFront, with signatures and policies enforced."""

from __future__ import annotations

import sys

from places import ACCOUNT, REGION, Places, port
from processes import Children, clean_environment


def start(children: Children, places: Places, keep_state: bool = False) -> None:
    """Starts MiniStack on its address, with what lies in the run's folder, and waits for it."""
    state = places.folder / "state"
    environment = clean_environment() | {
        # Checks SigV4, expiry, IAM and bucket policies: without it everything is allowed to everybody.
        "AUTH": "true",
        # It listens on all interfaces unless told.
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": port(places.aws),
        # The host that it writes into queue URLs.
        "MINISTACK_HOST": "127.0.0.1",
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "MINISTACK_REGION": REGION,
        # The key pair of the account's root.
        "AWS_ACCESS_KEY_ID": places.root.access,
        "AWS_SECRET_ACCESS_KEY": places.root.secret,
        # Objects on disk: sources of some hundred megabytes would else lie in memory.
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(places.folder / "s3"),
        "PERSIST_STATE": "1" if keep_state or state.is_dir() else "0",
        "STATE_DIR": str(state),
        "LOG_LEVEL": "WARNING",
    }
    children.start("ministack", [sys.executable, "-m", "ministack"], environment, cwd=places.folder)
    children.wait_for("ministack", f"{places.aws}/_ministack/health")
