"""The service's events, and the way EventBridge takes them: through the rules that match, to the queues that are their targets.

Programs can't put events of `aws.*` sources onto a bus, neither on AWS nor on MiniStack. So this plays EventBridge for them: it asks
the real control plane for the enabled rules, lets it match the patterns, and sends to the targets. A wrong pattern or a wrong
`userMetadata` thus means here what it means on AWS: silence.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from typing import Any

from .faults import Faults

# Events that tell of progress: what `before_progress` overtakes.
PROGRESS = {"PROGRESSING", "INPUT_INFORMATION", "STATUS_UPDATE"}
LATE_SECONDS = 2.0


class Events:
    """Sends events as ordered: once, twice, late, in the wrong order, or never."""

    def __init__(self, rules: Any, queues: Any, faults: Faults, account: str, region: str) -> None:
        self._rules = rules
        self._queues = queues
        self._faults = faults
        self._account = account
        self._region = region
        self._held: dict[str, list[dict[str, Any]]] = {}
        self._lock = threading.Lock()

    def send(self, job: dict[str, Any], status: str, **detail: Any) -> None:
        """Tells that a job is in `status`."""
        event = self._event(job, status, detail)
        fault = self._faults.of_event(status)
        if status in PROGRESS and self._is_overtaken():
            with self._lock:
                self._held.setdefault(job["id"], []).append(event)
            return
        if fault == "late":
            delay = self._faults.seconds("late_seconds", LATE_SECONDS)
            later = threading.Timer(delay, self._deliver, [event])
            later.daemon = True
            later.start()
        elif fault != "drop":
            self._deliver(event)
        if fault == "double":
            self._deliver(event)
        if status not in PROGRESS:
            with self._lock:
                overtaken = self._held.pop(job["id"], [])
            for earlier in overtaken:
                self._deliver(earlier)

    def _is_overtaken(self) -> bool:
        return any(self._faults.of_event(status) == "before_progress" for status in ("COMPLETE", "ERROR", "CANCELED"))

    def _event(self, job: dict[str, Any], status: str, detail: dict[str, Any]) -> dict[str, Any]:
        return {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": "MediaConvert Job State Change",
            "source": "aws.mediaconvert",
            "account": self._account,
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "region": self._region,
            "resources": [job["arn"]],
            "detail": {
                "timestamp": int(time.time() * 1000),
                "accountId": self._account,
                "queue": job["queue"],
                "jobId": job["id"],
                "status": status,
                "userMetadata": job.get("userMetadata", {}),
                **detail,
            },
        }

    def _deliver(self, event: dict[str, Any]) -> None:
        body = json.dumps(event)
        for rule in self._rules.list_rules().get("Rules", []):
            if rule.get("State") != "ENABLED" or "EventPattern" not in rule:
                continue
            if not self._rules.test_event_pattern(EventPattern=rule["EventPattern"], Event=body)["Result"]:
                continue
            for target in self._rules.list_targets_by_rule(Rule=rule["Name"])["Targets"]:
                queue_name = target["Arn"].rsplit(":", 1)[1]
                url = self._queues.get_queue_url(QueueName=queue_name)["QueueUrl"]
                self._queues.send_message(QueueUrl=url, MessageBody=body)
