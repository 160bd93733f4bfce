"""Looks into the product's store from outside: what lies there, and whether it is what was sent."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any, Protocol

# What lies in a store: names below `sources`, `incoming` and `published`.
Names = dict[str, set[str]]


class Store(Protocol):
    """A place where bytes lie."""

    def sha256(self, upload: str) -> str | None:
        """The digest of an upload's source; none where it is not there."""

    def names(self) -> Names:
        """Everything that lies there."""


class Files:
    """The store on a disk."""

    def __init__(self, data: Path) -> None:
        self._root = data / "store"

    def sha256(self, upload: str) -> str | None:
        """The digest of an upload's source."""
        try:
            with (self._root / "sources" / upload).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            return None

    def names(self) -> Names:
        """The entries of each folder."""
        return {kind: self._entries(self._root / kind) for kind in ("sources", "incoming", "published")}

    @staticmethod
    def _entries(folder: Path) -> set[str]:
        return {entry.name for entry in folder.iterdir()} if folder.exists() else set()


class Buckets:
    """The store on (emulated) S3, looked at as root, past any proxy. What an upload without a row left there goes by the bucket's rule, a day later."""

    def __init__(self, environment: dict[str, str]) -> None:
        # Only the emulators' virtual environment has it, and only this store needs it.
        import boto3  # pylint: disable=import-outside-toplevel
        from botocore.config import Config  # pylint: disable=import-outside-toplevel

        self._input, self._output = environment["MILLRACE_S3_INPUT_BUCKET"], environment["MILLRACE_S3_OUTPUT_BUCKET"]
        self._s3: Any = boto3.client(
            "s3",
            region_name=environment["AWS_REGION"],
            endpoint_url=os.environ["AWS_TEST_ENDPOINT"],
            aws_access_key_id=os.environ["AWS_TEST_ADMIN_ACCESS_KEY_ID"],
            aws_secret_access_key=os.environ["AWS_TEST_ADMIN_SECRET_ACCESS_KEY"],
            config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
        )

    def sha256(self, upload: str) -> str | None:
        """The digest of an upload's source."""
        try:
            body = self._s3.get_object(Bucket=self._input, Key=f"sources/{upload}")["Body"]
        except self._s3.exceptions.NoSuchKey:
            return None
        digest = hashlib.sha256()
        for piece in body.iter_chunks(1 << 20):
            digest.update(piece)
        return digest.hexdigest()

    def names(self) -> Names:
        """The second part of each key."""
        found: Names = {"sources": set(), "incoming": set(), "published": set()}
        for bucket in {self._input, self._output}:
            for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
                for entry in page.get("Contents", []):
                    kind, name = entry["Key"].split("/", 2)[:2]
                    found.setdefault(kind, set()).add(name)
        return found
