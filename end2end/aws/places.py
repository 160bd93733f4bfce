"""Where the programs of one run listen, and with whose keys they are called."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from processes import free_port

ACCOUNT = "123456789012"
REGION = "us-east-1"
ENVIRONMENT = "test"


@dataclass(frozen=True)
class Keys:
    """An access key pair."""

    access: str
    secret: str


@dataclass(frozen=True)
class Places:
    """The addresses and the folder of one run."""

    folder: Path
    aws: str
    mediaconvert: str
    edge: str
    root: Keys

    @classmethod
    def choose(cls, folder: Path) -> Places:
        """Free ports of the loopback interface, and keys of the account's root that nobody knew before."""
        addresses = (f"http://127.0.0.1:{free_port()}" for _ in range(3))
        return cls(folder, *addresses, Keys("AKIAMILLRACEROOT0000", secrets.token_hex(20)))

    def client(self, service: str, keys: Keys | None = None) -> Any:
        """A boto3 client of one service, as root unless other keys are given."""
        address = self.mediaconvert if service == "mediaconvert" else self.aws
        return client(service, address, keys or self.root)


def client(service: str, address: str, keys: Keys) -> Any:
    """A boto3 client that asks once and waits for nobody."""
    settings = Config(
        retries={"total_max_attempts": 1},
        connect_timeout=5,
        read_timeout=60,
        # boto3 presigns with the old SigV2 on an endpoint it does not know, unless it is told.
        signature_version="s3v4" if service == "s3" else None,
        s3={"addressing_style": "path"},
    )
    return boto3.client(
        service,
        region_name=REGION,
        aws_access_key_id=keys.access,
        aws_secret_access_key=keys.secret,
        endpoint_url=address,
        config=settings,
    )


def port(address: str) -> str:
    """The port of an address."""
    return address.rsplit(":", 1)[1]
