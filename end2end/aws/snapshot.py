"""The emulated account after Terraform, kept between runs.

Terraform's provider waits a fixed while for AWS to settle, one and a half minutes in all, and MiniStack settles at once. So what one apply
has left in MiniStack is kept in `.snapshot/`, under a hash of everything that it came from, and later runs start from a copy. A clean
clone, and so CI, always applies.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import Any

import cloud
import keys
import mediaconvert_server
import terraform
from places import ENVIRONMENT, Places
from processes import Children

HERE = Path(__file__).resolve().parent
KEPT = HERE / ".snapshot"
PRIVATE_KEY = "signing-key.pem"
# What the outcome of an apply depends on, beside the configuration itself.
MAKERS = ("cloud.py", "keys.py", "places.py", "snapshot.py", "terraform.py", "requirements.txt")


def restore(places: Places, fresh: bool) -> dict[str, Any]:
    """Puts an applied account into the run's folder, before MiniStack starts there, and returns Terraform's outputs."""
    KEPT.mkdir(exist_ok=True)
    kept = KEPT / _fingerprint()
    # Of several runs that start at once, one applies and the others wait for it.
    with (KEPT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if fresh or not kept.is_dir():
            _make(kept)
        return _copy(kept, places)


def _copy(kept: Path, places: Places) -> dict[str, Any]:
    # Queues know their own URL, and a run has its own port.
    made_at = (kept / "address").read_text()
    for name in ("s3", "state"):
        if (kept / name).is_dir():
            shutil.copytree(kept / name, places.folder / name)
    for file in (places.folder / "state").glob("*.json"):
        file.write_text(file.read_text().replace(made_at, places.aws))
    shutil.copy2(kept / PRIVATE_KEY, places.folder / PRIVATE_KEY)
    return json.loads((kept / "outputs.json").read_text().replace(made_at, places.aws))


def _make(kept: Path) -> None:
    """Applies Terraform to an empty account and keeps what it left there."""
    folder = Path(tempfile.mkdtemp(prefix="making-", dir=KEPT))
    try:
        places = Places.choose(folder)
        public_key = keys.make(folder / PRIVATE_KEY)
        with Children(folder) as children:
            # MiniStack writes its state down when it is asked to end.
            cloud.start(children, places, keep_state=True)
            mediaconvert_server.start(children, places)
            outputs = terraform.apply(places, _variables(public_key))
        shutil.rmtree(folder / "terraform")
        (folder / "outputs.json").write_text(json.dumps(outputs))
        (folder / "address").write_text(places.aws)
        shutil.rmtree(kept, ignore_errors=True)
        os.rename(folder, kept)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for older in KEPT.iterdir():
        if older.is_dir() and older != kept:
            shutil.rmtree(older, ignore_errors=True)


def _variables(public_key: str) -> dict[str, Any]:
    return {
        "environment": ENVIRONMENT,
        "app_origins": ["http://127.0.0.1:*", "http://localhost:*"],
        # The edge asks the app that the tests start, whatever is written here.
        "app_domain": "app.example.com",
        "origin_secret": secrets.token_hex(32),
        "cloudfront_public_keys": {"first": public_key},
        "require_tls": False,
    }


def _fingerprint() -> str:
    """Changes with anything that the kept account came from."""
    digest = hashlib.sha256()
    for file in sorted([*terraform.SOURCE.glob("*.tf"), *(HERE / name for name in MAKERS)]):
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
