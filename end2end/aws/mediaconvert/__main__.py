"""`python -m mediaconvert PORT`: the account, its region and keys come from the environment that AWS's SDKs read."""

from __future__ import annotations

import os
import sys

import boto3
from botocore.config import Config

from .api import Api
from .book import Book
from .events import Events
from .faults import Faults
from .jobs import Runner
from .permissions import Permissions
from .server import Emulator, serve


def main() -> None:
    """Puts the parts together and serves."""
    region, account = os.environ["AWS_REGION"], os.environ["MEDIACONVERT_ACCOUNT"]
    endpoint = os.environ["AWS_ENDPOINT_URL"]

    def client(service: str):
        settings = Config(signature_version="s3v4" if service == "s3" else None, s3={"addressing_style": "path"}, max_pool_connections=32)
        return boto3.client(service, region_name=region, endpoint_url=endpoint, config=settings)

    book, faults, s3 = Book(account, region), Faults(), client("s3")
    permissions = Permissions(client("iam"), os.environ["AWS_ACCESS_KEY_ID"], account, region)
    events = Events(client("events"), client("sqs"), faults, account, region)
    runner = Runner(book, s3, events, faults, permissions, float(os.environ.get("MEDIACONVERT_TIME_DIVIDER", "1")))
    api = Api(book, runner, s3, faults, permissions)
    serve(Emulator(book, faults, runner, permissions, api), int(sys.argv[1]))


if __name__ == "__main__":
    main()
