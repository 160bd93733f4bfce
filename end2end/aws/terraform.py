"""Applies deploy/terraform to the emulators: the very files that an operator applies, with the endpoints overridden in a copy."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from places import ACCOUNT, REGION, Places
from processes import StartError

PROJECT = Path(__file__).resolve().parents[2]
SOURCE = PROJECT / "deploy" / "terraform"
SCRIPT = PROJECT / "scripts" / "terraform.sh"
SERVICES = ("s3", "sqs", "iam", "sts", "cloudfront", "events", "cloudwatch")


def apply(places: Places, variables: Mapping[str, Any]) -> dict[str, Any]:
    """Applies everything and returns the outputs by name."""
    if not shutil.which("terraform"):
        raise StartError("Terraform is missing. Install it as https://developer.hashicorp.com/terraform/install says, then try again.")
    folder = places.folder / "terraform"
    folder.mkdir()
    for file in SOURCE.glob("*.tf"):
        shutil.copy(file, folder)
    (folder / "emulators_override.tf.json").write_text(json.dumps(_override(places)))
    (folder / "test.auto.tfvars.json").write_text(json.dumps(dict(variables)))
    found = subprocess.run([str(SCRIPT), "--plugin-folder"], capture_output=True, text=True, check=False)
    if found.returncode:
        raise StartError(found.stderr)
    plugins = found.stdout
    _run(folder, "init", "-input=false", *([f"-plugin-dir={plugins}"] if plugins else []))
    _run(folder, "apply", "-input=false", "-auto-approve", "-parallelism=30")
    outputs = json.loads(_run(folder, "output", "-json"))
    return {name: output["value"] for name, output in outputs.items()}


def _override(places: Places) -> dict[str, Any]:
    """What only the emulators need: their addresses, root's keys, and no questions to the real AWS."""
    endpoints = {service: places.aws for service in SERVICES} | {"mediaconvert": places.mediaconvert}
    provider = {
        "region": REGION,
        "access_key": places.root.access,
        "secret_key": places.root.secret,
        "s3_use_path_style": True,
        "skip_credentials_validation": True,
        "skip_metadata_api_check": True,
        "skip_region_validation": True,
        "max_retries": 2,
        "allowed_account_ids": [ACCOUNT],
        "endpoints": [endpoints],
    }
    return {"provider": {"aws": provider}}


def _run(folder: Path, *arguments: str) -> str:
    """Runs Terraform quietly; what it says is shown if it fails."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TF_"))}
    # A mirror may be named there; a file that is missing would only make Terraform warn.
    configuration = os.environ.get("TF_CLI_CONFIG_FILE", "")
    if Path(configuration).is_file():
        environment["TF_CLI_CONFIG_FILE"] = configuration
    environment["CHECKPOINT_DISABLE"] = "1"
    command = ["terraform", arguments[0], "-no-color", *arguments[1:]]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StartError(f"terraform {arguments[0]} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout
