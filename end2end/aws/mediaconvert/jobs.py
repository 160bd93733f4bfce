"""A job from SUBMITTED to its end: read the source with the role's rights, encode, store, and tell about it."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from . import outputs, probe
from .book import UNFINISHED, Book
from .events import Events
from .faults import Faults
from .permissions import Permissions

Json = dict[str, Any]
PHASES = ["PROBING", "TRANSCODING", "UPLOADING"]

# Numbers from the documented list of error codes. 1010 is documented for an input that can't be opened. For the others the list has the
# number; that it is the one for this very case is our reading.
CANNOT_OPEN, NO_VIDEO, NO_AUDIO, NO_ACCESS, NOT_FOUND, INTERNAL = 1010, 1075, 1076, 1401, 1404, 1999


class Failed(Exception):
    """The job ends in ERROR."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Canceled(Exception):
    """The job was canceled while it ran."""


@dataclass
class Run:
    """What belongs to a running job and to nobody's eyes."""

    job: Json
    canceled: threading.Event = field(default_factory=threading.Event)
    ffmpeg: subprocess.Popen[str] | None = None


class Runner:
    """Runs jobs, each in a thread of its own."""

    def __init__(self, book: Book, s3: Any, events: Events, faults: Faults, permissions: Permissions, time_divider: float) -> None:
        self._book = book
        self._s3 = s3
        self._events = events
        self._faults = faults
        self._permissions = permissions
        self._divider = time_divider
        self._runs: dict[str, Run] = {}

    def start(self, job: Json) -> None:
        """Begins with a job."""
        run = Run(job)
        self._runs[job["id"]] = run
        threading.Thread(target=self._run, args=(run,), daemon=True).start()

    def cancel(self, job: Json) -> bool:
        """Cancels a job that is not finished; says whether it could."""
        with self._book.lock:
            if job["status"] not in UNFINISHED:
                return False
            job["status"] = "CANCELED"
            job["timing"]["finishTime"] = int(time.time())
            self.abandon(job)
        self._events.send(job, "CANCELED")
        return True

    def abandon(self, job: Json) -> None:
        """Stops a job without a word: a test is over."""
        with self._book.lock:
            run = self._runs.get(job["id"])
            if run:
                run.canceled.set()
        if run and run.ffmpeg:
            run.ffmpeg.kill()

    def _run(self, run: Run) -> None:
        job = run.job
        folder = Path(tempfile.mkdtemp(prefix="mediaconvert-"))
        try:
            self._wait(run, 3.0 / self._divider)
            self._encode(run, folder)
        except Canceled:
            pass
        except Failed as failure:
            self._fail(job, failure.code, failure.message)
        except Exception as failure:  # noqa: BLE001 - a job must not end in silence
            self._fail(job, INTERNAL, f"Internal error: {failure!r}"[:300])
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            self._runs.pop(job["id"], None)

    def _encode(self, run: Run, folder: Path) -> None:
        job = run.job
        self._change(run, status="PROGRESSING", currentPhase="PROBING")
        job["timing"]["startTime"] = int(time.time())
        self._events.send(job, "PROGRESSING")
        if not self._permissions.trusts_us(job["role"]):
            raise Failed(NO_ACCESS, f"Unable to assume role [{job['role']}].")
        source = folder / "source"
        facts = self._open(job, source)
        self._check(job, facts)
        self._events.send(job, "INPUT_INFORMATION", inputDetails=[_input_details(job, facts)])
        self._change(run, currentPhase="TRANSCODING", jobPercentComplete=5)
        self._tell(job, 0)
        ordered = self._faults.take_error()
        if ordered:
            raise Failed(int(ordered["code"]), str(ordered.get("message", "Ordered by a test.")))
        self._wait(run, self._faults.seconds("slow_seconds"))
        groups = outputs.plan(job, folder)
        self._ffmpeg(run, outputs.arguments(job, groups, facts, source), facts.seconds)
        outputs.finish(groups, facts)
        self._change(run, currentPhase="UPLOADING", jobPercentComplete=92)
        self._tell(job, 0)
        self._upload(run, groups)
        self._complete(run, groups, facts.seconds)

    def _open(self, job: Json, target: Path) -> probe.Facts:
        url = job["settings"]["inputs"][0]["fileInput"]
        bucket, key = split(url)
        if not self._permissions.allows(job["role"], "s3:GetObject", f"arn:aws:s3:::{bucket}/{key}"):
            raise Failed(NO_ACCESS, f"Unable to open input file [{url}]: [Failed probe/open: [Failed to read data: AccessDenied]]")
        try:
            self._s3.download_file(bucket, key, str(target))
        except ClientError as error:
            reason = "[Failed probe/open: [Failed to read data: HeadObject failed]]"
            raise Failed(NOT_FOUND, f"Unable to open input file [{url}]: {reason}") from error
        try:
            return probe.look_into(target)
        except probe.NotMedia as error:
            raise Failed(CANNOT_OPEN, f"Unable to open input file [{url}]: [Failed probe/open: [{error}]]") from error

    def _check(self, job: Json, facts: probe.Facts) -> None:
        described = [output for group in job["settings"]["outputGroups"] for output in group["outputs"]]
        if any(output.get("videoDescription") for output in described) and not facts.video:
            raise Failed(NO_VIDEO, "The input has no video track, but an output describes video.")
        if any(output.get("audioDescriptions") for output in described) and not facts.audio:
            raise Failed(NO_AUDIO, "The input has no audio track, but an output holds nothing but audio.")

    def _ffmpeg(self, run: Run, arguments: list[str], seconds: float) -> None:
        command = ["nice", "-n", "15", "ffmpeg", "-hide_banner", "-loglevel", "error", "-nostdin", "-y", "-progress", "pipe:1", *arguments]
        interval = float((run.job.get("statusUpdateInterval") or "SECONDS_60").split("_")[1]) / self._divider
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        run.ffmpeg = process
        if run.canceled.is_set():  # Canceled before there was anything to kill.
            process.kill()
        complaints: list[str] = []
        reader = threading.Thread(target=lambda: complaints.append(process.stderr.read()))
        reader.start()
        told = time.monotonic()
        for line in process.stdout:
            name, _, value = line.strip().partition("=")
            if name != "out_time_us" or not value.isdigit():
                continue
            share = min(1.0, int(value) / 1e6 / max(seconds, 0.1))
            run.job["jobPercentComplete"] = int(5 + 85 * share)
            if time.monotonic() - told >= interval:
                told = time.monotonic()
                self._tell(run.job, int(share * 100))
        process.wait()
        reader.join()
        if run.canceled.is_set():
            raise Canceled
        if process.returncode:
            raise Failed(INTERNAL, ("".join(complaints).strip() or "the encoder failed")[-300:])

    def _upload(self, run: Run, groups: list[outputs.Group]) -> None:
        for group in groups:
            options = group.upload_options()
            for path in sorted(group.folder.iterdir()):
                if run.canceled.is_set():
                    raise Canceled
                key = group.prefix + path.name
                if not self._permissions.allows(run.job["role"], "s3:PutObject", f"arn:aws:s3:::{group.bucket}/{key}"):
                    target = f"s3://{group.bucket}/{key}"
                    raise Failed(NO_ACCESS, f"Unable to write to output file [{target}]: [Failed to write data: Access Denied]")
                kind = outputs.CONTENT_TYPES.get(path.suffix, "application/octet-stream")
                with path.open("rb") as body:
                    self._s3.put_object(Bucket=group.bucket, Key=key, Body=body, ContentType=kind, **options)

    def _complete(self, run: Run, groups: list[outputs.Group], seconds: float) -> None:
        job = run.job
        full = outputs.details(groups, seconds)
        # GetJob tells durations and sizes, and never where the files are.
        shown = [{"outputDetails": [_without_paths(output) for output in group["outputDetails"]]} for group in full]
        self._change(run, status="COMPLETE", jobPercentComplete=100, outputGroupDetails=shown)
        job["timing"]["finishTime"] = int(time.time())
        self._events.send(job, "COMPLETE", paddingInserted=0, blackVideoDetected=0, outputGroupDetails=full)

    def _fail(self, job: Json, code: int, message: str) -> None:
        with self._book.lock:
            if job["status"] not in UNFINISHED:
                return
            job |= {"status": "ERROR", "errorCode": code, "errorMessage": message}
            job["timing"]["finishTime"] = int(time.time())
        self._events.send(job, "ERROR", errorCode=code, errorMessage=message)

    def _change(self, run: Run, **values: Any) -> None:
        with self._book.lock:
            if run.canceled.is_set():
                raise Canceled
            run.job |= values

    def _wait(self, run: Run, seconds: float) -> None:
        if run.canceled.wait(seconds):
            raise Canceled

    def _tell(self, job: Json, percent: int) -> None:
        """Progress. `PROGRESSING` is sent once only; all that follows is a `STATUS_UPDATE`."""
        at = PHASES.index(job["currentPhase"])
        states = ["COMPLETE"] * at + ["PROGRESSING"] + ["PENDING"] * (len(PHASES) - at - 1)
        shares = [100] * at + [percent] + [0] * (len(PHASES) - at - 1)
        phases = {name: {"status": state, "percentComplete": share} for name, state, share in zip(PHASES, states, shares)}
        progress = {"phaseProgress": phases, "jobPercentComplete": job["jobPercentComplete"], "currentPhase": job["currentPhase"]}
        self._events.send(job, "STATUS_UPDATE", jobProgress={**progress, "retryCount": 0}, framesDecoded=0)


def split(url: str) -> tuple[str, str]:
    """Bucket and key of an `s3://` URL."""
    found = re.fullmatch(r"s3://([^/]+)/(.+)", url)
    if not found:
        raise Failed(CANNOT_OPEN, f"Unable to open input file [{url}]: the emulator reads from S3 only")
    return found[1], found[2]


def _without_paths(output: Json) -> Json:
    kept = {"durationInMs": output["durationInMs"]}
    if "videoDetails" in output:
        kept["videoDetails"] = {side: output["videoDetails"][side] for side in ("widthInPx", "heightInPx")}
    return kept


def _input_details(job: Json, facts: probe.Facts) -> Json:
    tracks = probe.answer(facts, "", 0, "")["container"]["tracks"]
    pictures = [t for t in tracks if t["trackType"] == "video"]
    sounds = [t for t in tracks if t["trackType"] == "audio"]
    return {
        "id": 1,
        "uri": job["settings"]["inputs"][0]["fileInput"],
        "video": [
            {
                "streamId": t["index"],
                "codec": t["codec"],
                "width": t["videoProperties"]["width"],
                "height": t["videoProperties"]["height"],
                "frameRate": t["videoProperties"]["frameRate"]["numerator"] / t["videoProperties"]["frameRate"]["denominator"],
                "bitDepth": t["videoProperties"]["bitDepth"],
            }
            for t in pictures
        ],
        "audio": [
            {
                "streamId": t["index"],
                "codec": t["codec"],
                "channels": t["audioProperties"]["channels"],
                "sampleRate": t["audioProperties"]["sampleRate"],
                "language": t["audioProperties"]["languageCode"].upper(),
            }
            for t in sounds
        ],
    }
