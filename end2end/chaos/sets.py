"""The sets that a storm runs on: which adapters, which database, and how this driver looks behind them."""

from __future__ import annotations

import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from client import exchange
from database import Database, PostgreSQL, SQLite
from postgres import PostgreSQLServer
from stores import Buckets, Files, Store

FAULTS = Path(__file__).resolve().parent.parent / "faults"
sys.path.append(str(FAULTS))

# pylint: disable=wrong-import-position
from s3_proxy import Proxy

NAMES = ("sqlite", "postgres", "aws")


@dataclass
class Setting:
    """One set, put together."""

    name: str
    environment: dict[str, str]
    database: Database
    store: Store
    # Where it has one: what may be stopped under load, and what stands in front of AWS.
    postgres: PostgreSQLServer | None = None
    proxy: Proxy | None = None

    @classmethod
    def make(cls, name: str, data: Path) -> Setting:
        """Starts what the set needs. `aws` finds the emulators in the environment (end2end/aws/stack.py run)."""
        environment = common(name, data)
        if name == "sqlite":
            return cls(name, environment, SQLite(str(data / "millrace.db")), Files(data))
        postgres = PostgreSQLServer()
        postgres.start()
        environment["MILLRACE_DATABASE_URL"] = postgres.url
        if name == "postgres":
            return cls(name, environment, PostgreSQL(postgres.url), Files(data), postgres)
        proxy = Proxy(environment["MILLRACE_AWS_ENDPOINT"])
        environment["MILLRACE_AWS_ENDPOINT"] = proxy.start()
        return cls(name, environment, PostgreSQL(postgres.url), Buckets(environment), postgres, proxy)

    def tell_where(self, origin: str) -> None:
        """The edge has to know where the application is."""
        if self.name == "aws":
            exchange("PUT", f"{os.environ['AWS_TEST_EDGE']}/_edge/app", origin.encode(), {})

    def end(self) -> None:
        """Ends what was started."""
        if self.proxy:
            self.proxy.stop()
        if self.postgres:
            self.postgres.end()


def common(name: str, data: Path) -> dict[str, str]:
    """The environment of all processes."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    ours = {
        "MILLRACE_BIND": address,
        "MILLRACE_PUBLIC_URL": f"http://{address}",
        "MILLRACE_DATA_DIR": str(data),
        "MILLRACE_LOG": "info",
        # The clients here are one address and one account.
        "MILLRACE_HTTP_REQUESTS_PER_MINUTE_ADDRESS": "0",
        "MILLRACE_HTTP_REQUESTS_PER_MINUTE_ACCOUNT": "0",
    }
    # The emulators' environment is settings as Terraform prints them; anybody else's are not meant for us.
    theirs = {key: value for key, value in os.environ.items() if name == "aws" or not key.startswith("MILLRACE_")}
    return {key: value for key, value in theirs.items() if key != "FAILPOINTS"} | ours
