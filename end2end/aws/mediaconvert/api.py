"""The operations, one method each; the names are the service's own."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from . import model, outputs, probe, rules
from .book import Book
from .faults import Faults
from .jobs import Runner, split
from .permissions import Permissions

Json = dict[str, Any]
MISSING = "The resource you requested does not exist."


class Refused(Exception):
    """The answer is one of the service's exceptions."""

    def __init__(self, code: str, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status or model.error_status(code)


class Api:
    """What the service does on request. Bodies come checked against the model."""

    def __init__(self, book: Book, runner: Runner, s3: Any, faults: Faults, permissions: Permissions) -> None:
        self._book = book
        self._runner = runner
        self._s3 = s3
        self._faults = faults
        self._permissions = permissions

    def call(self, operation: str, caller: str, path: dict[str, str], query: dict[str, str], body: Json) -> Json:
        """Runs one operation for one caller."""
        name = re.sub(r"(?<!^)([A-Z])", r"_\1", operation).lower()
        method = getattr(self, f"_do_{name}", None)
        if not method:
            raise Refused("InternalServerErrorException", f"The emulator has no {operation}.")
        return method(caller=caller, path=path, query=query, body=body)

    def _do_create_job(self, caller: str, body: Json, **_: Any) -> Json:
        queue = self._book.queue_arn(body.get("queue") or "Default")
        self._require(caller, "mediaconvert:CreateJob", queue)
        if body.get("tags"):
            self._require(caller, "mediaconvert:TagResource", queue)
        wrong = rules.broken(body)
        if not wrong and not self._book.queue(queue):
            wrong = [f"/queue: there is no queue {queue}"]
        if not wrong:
            wrong = [f"this emulator does not do {thing}" for thing in outputs.not_emulated(body)]
        if wrong:
            raise Refused("BadRequestException", "; ".join(wrong[:10]))
        if not self._permissions.may_pass(caller, body["role"]):
            raise _forbidden(caller, "iam:PassRole", body["role"])
        job, is_new = self._book.add_job(body)
        answer = {"job": dict(job)}
        if is_new:
            self._runner.start(job)
        if self._faults.use_one("lose_response"):
            raise Refused("InternalServerErrorException", "The response was lost; the job exists.")
        return answer

    def _do_get_job(self, caller: str, path: dict[str, str], **_: Any) -> Json:
        job = self._job(caller, "GetJob", path)
        with self._book.lock:
            return {"job": dict(job)}

    def _do_cancel_job(self, caller: str, path: dict[str, str], **_: Any) -> Json:
        job = self._job(caller, "CancelJob", path)
        if not self._runner.cancel(job):
            raise Refused("ConflictException", f"The job is {job['status']}: it can't be canceled any more.")
        return {}

    def _do_list_jobs(self, caller: str, query: dict[str, str], **_: Any) -> Json:
        self._require(caller, "mediaconvert:ListJobs", "*")
        return self._page("jobs", self._book.jobs(query), query)

    def _do_search_jobs(self, caller: str, query: dict[str, str], **_: Any) -> Json:
        self._require(caller, "mediaconvert:SearchJobs", "*")
        return self._page("jobs", self._book.jobs(query), query)

    def _do_probe(self, caller: str, body: Json, **_: Any) -> Json:
        self._require(caller, "mediaconvert:Probe", "*")
        results = [self._probe_one(caller, file["fileUrl"]) for file in body.get("inputFiles") or []]
        if not results:
            raise Refused("BadRequestException", "inputFiles is a required property")
        return {"probeResults": results}

    def _probe_one(self, caller: str, url: str) -> Json:
        if not re.fullmatch(r"s3://[^/]+/.+", url):
            raise Refused("BadRequestException", "fileUrl: the emulator probes files in S3 only")
        bucket, key = split(url)
        # Probing reads with the rights of who asks, not with those of the role.
        self._require(caller, "s3:GetObject", f"arn:aws:s3:::{bucket}/{key}")
        with tempfile.TemporaryDirectory(prefix="mediaconvert-probe-") as folder:
            target = Path(folder) / "source"
            try:
                head = self._s3.head_object(Bucket=bucket, Key=key)
                self._s3.download_file(bucket, key, str(target))
            except ClientError as error:
                raise Refused("NotFoundException", f"The file {url} was not found.") from error
            try:
                facts = probe.look_into(target)
            except probe.NotMedia as error:
                raise Refused("UnprocessableEntityException", f"The file can't be probed: {error}") from error
        return probe.answer(facts, head["ETag"], head["ContentLength"], head.get("ContentType", "application/octet-stream"))

    def _do_create_queue(self, caller: str, body: Json, **_: Any) -> Json:
        self._require(caller, "mediaconvert:CreateQueue", self._book.queue_arn(body["name"]))
        queue = self._book.add_queue(body)
        if not queue:
            raise Refused("ConflictException", f"There is a queue {body['name']} already.")
        return {"queue": queue}

    def _do_get_queue(self, caller: str, path: dict[str, str], **_: Any) -> Json:
        self._require(caller, "mediaconvert:GetQueue", self._book.queue_arn(path["name"]))
        queue = self._book.queue(path["name"])
        if not queue:
            raise Refused("NotFoundException", MISSING)
        return {"queue": queue}

    def _do_list_queues(self, caller: str, query: dict[str, str], **_: Any) -> Json:
        self._require(caller, "mediaconvert:ListQueues", "*")
        return self._page("queues", self._book.queues(), query)

    def _do_delete_queue(self, caller: str, path: dict[str, str], **_: Any) -> Json:
        self._require(caller, "mediaconvert:DeleteQueue", self._book.queue_arn(path["name"]))
        if not self._book.drop_queue(path["name"]):
            raise Refused("NotFoundException", MISSING)
        return {}

    def _do_list_tags_for_resource(self, caller: str, path: dict[str, str], **_: Any) -> Json:
        self._require(caller, "mediaconvert:ListTagsForResource", path["arn"])
        return {"resourceTags": {"arn": path["arn"], "tags": self._tags(path["arn"])}}

    def _do_tag_resource(self, caller: str, body: Json, **_: Any) -> Json:
        self._require(caller, "mediaconvert:TagResource", body["arn"])
        self._tags(body["arn"]).update(body["tags"])
        return {}

    def _do_describe_endpoints(self, caller: str, **_: Any) -> Json:
        # Deprecated by the service in favour of its regional endpoint; the project must not need it.
        raise _forbidden(caller, "mediaconvert:DescribeEndpoints", "*")

    def _tags(self, arn: str) -> dict[str, str]:
        tags = self._book.tags(arn)
        if tags is None:
            raise Refused("NotFoundException", MISSING)
        return tags

    def _job(self, caller: str, operation: str, path: dict[str, str]) -> Json:
        job = self._book.job(path["id"])
        # A job's ARN ends in its id, so the right can be decided before we know whether there is one.
        arn = self._book.queue_arn("x").replace(":queues/x", f":jobs/{path['id']}")
        self._require(caller, f"mediaconvert:{operation}", arn)
        if not job:
            raise Refused("NotFoundException", MISSING)
        return job

    def _page(self, name: str, found: list[Json], query: dict[str, str]) -> Json:
        start = int(query.get("nextToken") or 0)
        end = start + int(query.get("maxResults") or 20)
        with self._book.lock:
            page: Json = {name: [dict(item) for item in found[start:end]]}
        if end < len(found):
            page["nextToken"] = str(end)
        return page

    def _require(self, caller: str, action: str, resource: str) -> None:
        if not self._permissions.allows(caller, action, resource):
            raise _forbidden(caller, action, resource)


def _forbidden(caller: str, action: str, resource: str) -> Refused:
    sentence = f"User: {caller} is not authorized to perform: {action} on resource: {resource}"
    return Refused("AccessDeniedException", sentence, 403)
