"""`python -m edge PORT DISTRIBUTION_ID`: region, keys and MiniStack's address come from the environment that AWS's SDKs read."""

from __future__ import annotations

import os
import sys

import boto3

from .distribution import Distribution
from .server import Edge, serve


def main() -> None:
    """Puts the parts together and serves."""
    aws = os.environ["AWS_ENDPOINT_URL"]
    cloudfront = boto3.client("cloudfront", region_name=os.environ["AWS_REGION"], endpoint_url=aws)
    serve(Edge(Distribution(cloudfront, sys.argv[2]), aws), int(sys.argv[1]))


if __name__ == "__main__":
    main()
