"""The account's jobs and queues, in memory."""

from __future__ import annotations

import threading
import time
import uuid
from typing import Any

Json = dict[str, Any]
# The service promises idempotence of a request token for this long, and no longer.
TOKEN_SECONDS = 60.0
UNFINISHED = ("SUBMITTED", "PROGRESSING")


class Book:
    """Who asked for what, and what became of it. Jobs are plain wire dictionaries; change them under `lock`."""

    def __init__(self, account: str, region: str) -> None:
        self.lock = threading.RLock()
        self._prefix = f"arn:aws:mediaconvert:{region}:{account}"
        self._jobs: dict[str, Json] = {}
        self._tokens: dict[str, tuple[str, float]] = {}
        self._calls: dict[str, int] = {}
        self._queues: dict[str, Json] = {}
        self._tags: dict[str, dict[str, str]] = {}
        self.add_queue({"name": "Default"}, "SYSTEM")

    def forget_jobs(self) -> list[Json]:
        """Empties the list of jobs and returns what was on it."""
        with self.lock:
            jobs = list(self._jobs.values())
            self._jobs, self._tokens, self._calls = {}, {}, {}
            return jobs

    def add_job(self, body: Json) -> tuple[Json, bool]:
        """A new job, or the one that the same token made within the last minute; and whether it is new."""
        with self.lock:
            token = body.get("clientRequestToken")
            made = self._tokens.get(token) if token else None
            if made and time.monotonic() - made[1] < TOKEN_SECONDS and made[0] in self._jobs:
                self._calls[made[0]] += 1
                return self._jobs[made[0]], False
            job_id = f"{int(time.time() * 1000)}-{uuid.uuid4().hex[:6]}"
            job = {key: value for key, value in body.items() if key != "tags"}
            job |= {
                "id": job_id,
                "arn": f"{self._prefix}:jobs/{job_id}",
                "queue": self.queue_arn(body.get("queue") or "Default"),
                "status": "SUBMITTED",
                "createdAt": int(time.time()),
                "timing": {"submitTime": int(time.time())},
                "priority": body.get("priority", 0),
                "retryCount": 0,
                "jobPercentComplete": 0,
            }
            self._jobs[job_id] = job
            self._calls[job_id] = 1
            self._tags[job["arn"]] = dict(body.get("tags") or {})
            if token:
                self._tokens[token] = (job_id, time.monotonic())
            return job, True

    def job(self, job_id: str) -> Json | None:
        """One job."""
        with self.lock:
            return self._jobs.get(job_id)

    def jobs(self, query: dict[str, str]) -> list[Json]:
        """The jobs that match, newest first unless asked otherwise."""
        with self.lock:
            found = [job for job in self._jobs.values() if _matches(job, query, self)]
        return found if query.get("order") == "ASCENDING" else found[::-1]

    def all_calls(self) -> list[Json]:
        """All jobs with how often CreateJob was answered with them: what tests look at."""
        with self.lock:
            return [{**job, "createCalls": self._calls[job_id]} for job_id, job in self._jobs.items()]

    def queue_arn(self, name_or_arn: str) -> str:
        """The ARN of a queue that is named either way."""
        return name_or_arn if name_or_arn.startswith("arn:") else f"{self._prefix}:queues/{name_or_arn}"

    def add_queue(self, body: Json, kind: str = "CUSTOM") -> Json | None:
        """A new queue, or nothing if the name is taken."""
        with self.lock:
            name = body["name"]
            if name in self._queues:
                return None
            queue = {
                "name": name,
                "arn": self.queue_arn(name),
                "type": kind,
                "status": body.get("status", "ACTIVE"),
                "pricingPlan": body.get("pricingPlan", "ON_DEMAND"),
                "createdAt": int(time.time()),
                "lastUpdated": int(time.time()),
                "submittedJobsCount": 0,
                "progressingJobsCount": 0,
            }
            if "description" in body:
                queue["description"] = body["description"]
            self._queues[name] = queue
            self._tags[queue["arn"]] = dict(body.get("tags") or {})
            return queue

    def queue(self, name_or_arn: str) -> Json | None:
        """One queue."""
        with self.lock:
            return self._queues.get(name_or_arn.rsplit("/", 1)[-1])

    def queues(self) -> list[Json]:
        """All queues."""
        with self.lock:
            return list(self._queues.values())

    def drop_queue(self, name: str) -> bool:
        """Removes a queue; says whether there was one."""
        with self.lock:
            return self._queues.pop(name, None) is not None

    def tags(self, arn: str) -> dict[str, str] | None:
        """The tags of a job or a queue, to read and to change."""
        return self._tags.get(arn)


def _matches(job: Json, query: dict[str, str], book: Book) -> bool:
    if query.get("status") not in (None, job["status"]):
        return False
    if query.get("queue") and book.queue_arn(query["queue"]) != job["queue"]:
        return False
    sources = [source.get("fileInput", "") for source in job["settings"].get("inputs", [])]
    return not query.get("inputFile") or any(query["inputFile"] in source for source in sources)
