"""The environment of the command: Millrace's settings as Terraform prints them, the emulators' addresses, and what tests alone need."""

from __future__ import annotations

import secrets
from typing import Any

from places import REGION, Keys, Places
from processes import clean_environment
from snapshot import PRIVATE_KEY

# Which ports differ from "everything on AWS".
COMBINATIONS = {
    "all": {},
    # S3, SQS and CloudFront with workers that run ffmpeg themselves.
    "fleet": {"MILLRACE_PORTS_TRANSCODER": "ffmpeg"},
}


def environment(places: Places, outputs: dict[str, Any], app: Keys, combination: str) -> dict[str, str]:
    """Everything that the command is started with, what it inherits included."""
    secret = outputs["secret_settings"]
    emulated = {
        "MILLRACE_AWS_ENDPOINT": places.aws,
        "MILLRACE_S3_PATH_STYLE": "true",
        "MILLRACE_MEDIACONVERT_ENDPOINT": places.mediaconvert,
        "MILLRACE_CLOUDFRONT_URL": places.edge,
        "MILLRACE_CLOUDFRONT_PRIVATE_KEY_FILE": str(places.folder / PRIVATE_KEY),
        "MILLRACE_SIGNING_KEY": secrets.token_hex(32),
    }
    credentials = {
        "AWS_ACCESS_KEY_ID": app.access,
        "AWS_SECRET_ACCESS_KEY": app.secret,
        "AWS_REGION": REGION,
        # No other source of credentials is to be asked, should these be missing somewhere.
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }
    for_tests = {
        "AWS_TEST_ADMIN_ACCESS_KEY_ID": places.root.access,
        "AWS_TEST_ADMIN_SECRET_ACCESS_KEY": places.root.secret,
        "AWS_TEST_ENDPOINT": places.aws,
        "AWS_TEST_MEDIACONVERT": places.mediaconvert,
        "AWS_TEST_EDGE": places.edge,
        "AWS_TEST_DLQ_URL": outputs["dead_letter_queue_url"],
        "AWS_TEST_ORIGIN_SECRET": secret["MILLRACE_CLOUDFRONT_ORIGIN_SECRET"],
    }
    # Where the application is, each test decides for the servers that it starts.
    settings = {name: value for name, value in outputs["settings"].items() if name != "MILLRACE_PUBLIC_URL"}
    return clean_environment() | settings | secret | emulated | COMBINATIONS[combination] | credentials | for_tests
