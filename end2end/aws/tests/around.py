"""What the tests find around them: the emulators of `stack.py run`, and a caller for each of the two users."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.request
from functools import cache
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from mediaconvert import model
from places import Keys, client

Json = dict[str, Any]
INSIDE = "AWS_TEST_ENDPOINT" in os.environ
needs_stack = unittest.skipUnless(INSIDE, "run it by test.sh: it needs the emulators")


def setting(name: str) -> str:
    """A setting or an address from the environment."""
    return os.environ[name]


def as_app(service: str) -> Any:
    """A client with the application's rights."""
    return _client(service, Keys(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]))


def as_root(service: str) -> Any:
    """A client with all rights."""
    return _client(service, Keys(os.environ["AWS_TEST_ADMIN_ACCESS_KEY_ID"], os.environ["AWS_TEST_ADMIN_SECRET_ACCESS_KEY"]))


def _client(service: str, keys: Keys) -> Any:
    return client(service, setting("AWS_TEST_MEDIACONVERT" if service == "mediaconvert" else "AWS_TEST_ENDPOINT"), keys)


def input_bucket() -> str:
    return setting("MILLRACE_S3_INPUT_BUCKET")


def output_bucket() -> str:
    return setting("MILLRACE_S3_OUTPUT_BUCKET")


def order(faults: Json) -> None:
    """Orders faults from our MediaConvert."""
    ask("PUT", f"{setting('AWS_TEST_MEDIACONVERT')}/_emulator/faults", json.dumps(faults).encode())


def ask(method: str, url: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> tuple[int, dict[str, str], bytes]:
    """Any request; a refusal is an answer too."""
    request = urllib.request.Request(url, method=method, data=body, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=120) as response:
            return response.status, dict(response.headers.items()), response.read()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers.items()), error.read()


def refusal(call: Any, *arguments: Any, **named: Any) -> str:
    """The code with which a call is refused; an empty string if it is not."""
    try:
        call(*arguments, **named)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return ""


def for_boto(body: Json) -> Json:
    """A body in the names of the wire, in the spelling that boto3 wants."""
    return _respell("CreateJobRequest", body)


def _respell(shape_name: str, value: Any) -> Any:
    shape = model._service()["shapes"][shape_name]  # pylint: disable=protected-access
    if shape["type"] == "structure":
        names = {member.get("locationName", name): (name, member["shape"]) for name, member in shape["members"].items()}
        return {names[key][0]: _respell(names[key][1], item) for key, item in value.items()}
    if shape["type"] == "list":
        return [_respell(shape["member"]["shape"], item) for item in value]
    if shape["type"] == "map":
        return {key: _respell(shape["value"]["shape"], item) for key, item in value.items()}
    return value


@cache
def clip(width: int = 640, height: int = 360, seconds: float = 5, sound: bool = True, turned: bool = False, hdr: bool = False) -> bytes:
    """A small video."""
    arguments = ["-f", "lavfi", "-i", f"testsrc2=size={width}x{height}:rate=30"]
    if sound:
        arguments += ["-f", "lavfi", "-i", "sine=440:sample_rate=48000", "-c:a", "aac"]
    encode = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-t", str(seconds)]
    if hdr:
        encode += ["-color_trc", "arib-std-b67", "-color_primaries", "bt2020", "-colorspace", "bt2020nc"]
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "clip.mp4"
        subprocess.run(["nice", "ffmpeg", "-v", "error", "-y", *arguments, *encode, str(target)], check=True)
        content = target.read_bytes()
    return _turn(content) if turned else content


def _turn(content: bytes) -> bytes:
    """Writes a quarter turn clockwise into the video track's header, as telephones do; ffmpeg's ways to do so differ by version."""
    matrix = content.index(b"tkhd") + 4 + 40
    quarter = struct.pack(">9i", 0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000)
    return content[:matrix] + quarter + content[matrix + len(quarter) :]


ENDS = ("COMPLETE", "ERROR", "CANCELED")


def events_until(job_id: str, seconds: float = 300, linger: float = 1) -> list[Json]:
    """The events of one job, as the queue gives them, until it has ended and for a moment longer."""
    queues, url = as_app("sqs"), setting("MILLRACE_SQS_QUEUE_URL")
    found: list[Json] = []
    deadline = time.monotonic() + seconds
    ended = False
    while time.monotonic() < deadline:
        answer = queues.receive_message(QueueUrl=url, WaitTimeSeconds=1, MaxNumberOfMessages=10)
        for message in answer.get("Messages", []):
            queues.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            event = json.loads(message["Body"])
            if event.get("detail", {}).get("jobId") == job_id:
                found.append(event)
        if not ended and any(event["detail"]["status"] in ENDS for event in found):
            ended = True
            deadline = time.monotonic() + linger
    return found


def statuses(events: list[Json]) -> list[str]:
    return [event["detail"]["status"] for event in events]
