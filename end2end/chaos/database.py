"""Looks into the product's database from outside."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from typing import Any, Protocol


class Database(Protocol):
    """Answers a question in SQL that SQLite and PostgreSQL both understand."""

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """All rows; ids as they stand in addresses."""


class SQLite:
    """The embedded one, opened to read only."""

    def __init__(self, path: str) -> None:
        self.path = path

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """All rows of an answer."""
        connection = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=30)
        try:
            connection.row_factory = sqlite3.Row
            return [{name: plain(row[name]) for name in row.keys()} for row in connection.execute(sql)]
        finally:
            connection.close()


class PostgreSQL:
    """One that psql reaches."""

    def __init__(self, url: str) -> None:
        self.url = url

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """All rows of an answer."""
        wrapped = f"SELECT coalesce(json_agg(answer), '[]') FROM ({sql}) AS answer"
        done = subprocess.run(["psql", "-XAtq", "-d", self.url, "-c", wrapped], check=True, capture_output=True, text=True)
        return json.loads(done.stdout)


def plain(value: Any) -> Any:
    """SQLite keeps ids as bytes."""
    if isinstance(value, bytes) and len(value) == 16:
        text = value.hex()
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
    return value
