"""What has to be true once the storm is over, looked at from outside: by the API, in the database, in the store."""

from __future__ import annotations

import json
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from client import Client, Dashboard, Refused, patiently
from database import Database
from ledger import Ledger
from stores import Store
from viewers import compare, look_at, was_killed

# A lease and a worker's look at the rows; the longest wait before a try that a storm's last kill has caused; and the work that is left.
SETTLED_WITHIN_SECONDS = 1200.0
# What nothing refers to is deleted in a minute's rhythm; what a store refused to delete, a minute later.
TIDY_WITHIN_SECONDS = 600.0


def check(client: Client, owner: Dashboard, database: Database, store: Store, ledger: Ledger, data: Path) -> list[str]:
    """Everything that does not hold."""
    found = settle(database, owner, ledger)
    for known in ledger.alive():
        found += compare(store, known)
    found += videos(client, database, ledger)
    found += leftovers(database, store, data)
    return found


def settle(database: Database, owner: Dashboard, ledger: Ledger) -> list[str]:
    """Waits until nothing is on its way any more; what then still is, is stuck. What was given up because of kills is tried again once more."""
    until = time.monotonic() + SETTLED_WITHIN_SECONDS
    while True:
        open_jobs = database.rows("SELECT id, video_id, state, attempt, last_error FROM jobs WHERE state IN ('queued', 'running')")
        failed = database.rows(
            "SELECT videos.id AS id, last_error FROM videos JOIN jobs ON video_id = videos.id WHERE stage = 'failed' AND jobs.state = 'failed'"
        )
        for row in failed:
            if not was_killed(str(row["last_error"])):
                return [f"failed: video {row['id']}: {row['last_error']}"]
            try:
                patiently(lambda video=row["id"]: owner.retry(video))
                with ledger.lock:
                    ledger.tried_again += 1
            except Refused as refused:
                return [f"failed: video {row['id']} cannot be tried again: {refused}"]
        if not open_jobs and not failed or time.monotonic() > until:
            return [f"stuck: {job}" for job in open_jobs]
        time.sleep(0.5)


def videos(client: Client, database: Database, ledger: Ledger) -> list[str]:
    """Each acknowledged upload is one video, and it plays to its end; what was deleted is gone."""
    found = []
    rows = {row["id"]: row for row in database.rows("SELECT id, stage, failure_code FROM videos WHERE title NOT LIKE 'browser-%'")}
    for video, count in Counter(known.video for known in ledger.uploads).items():
        if count > 1:
            found.append(f"doubled: {count} uploads became video {video}")
    alive = ledger.alive()
    many = len(rows) - len({known.video for known in alive})
    if not 0 <= many <= ledger.unknown:
        found.append(f"doubled or lost: {len(rows)} videos of {len(alive)} uploads and {ledger.unknown} of which no answer came")
    for row in database.rows("SELECT video_id, count(*) AS count FROM jobs WHERE state NOT IN ('failed', 'replaced') GROUP BY video_id HAVING count(*) > 1"):
        found.append(f"doubled: {row['count']} jobs of video {row['video_id']}")
    found += [f"not deleted: video {known.video}" for known in ledger.uploads if known.deleted and known.video in rows]
    for known in alive:
        row = rows.get(known.video)
        if row is None or row["stage"] != "ready":
            found.append(f"not done: video {known.video} is {row}")
            continue
        try:
            found += patiently(lambda known=known: look_at(client, known))[1]
        except Refused as fault:
            found.append(f"incomplete: video {known.video}: {fault}")
    return found


def leftovers(database: Database, store: Store, data: Path) -> list[str]:
    """Everything in the store belongs to a row, at the latest when the tidying has been by. But for an upload whose process died between its
    place in the store and its row: that goes when the product has held rows and store against each other, a day later."""
    until = time.monotonic() + TIDY_WITHIN_SECONDS
    while (found := [orphan for orphan in orphans(database, store, data) if "incoming/" not in orphan]) and time.monotonic() < until:
        time.sleep(2.0)
    return found


def orphans(database: Database, store: Store, data: Path) -> list[str]:
    """What nothing refers to, and what is referred to and not there."""
    uploads = database.rows("SELECT id, multipart_id, complete FROM uploads")
    complete = {row["id"] for row in uploads if row["complete"]}
    unfinished = {row["multipart_id"] for row in uploads if not row["complete"]}
    # A body whose request was cut off is kept as long as it might still become a video, and is noted to go.
    noted = database.rows("SELECT kind, target, multipart_id FROM removals")
    kept = {row["target"] for row in noted if row["kind"] == "source"}
    begun = {row["multipart_id"] for row in noted if row["kind"] == "multipart"}
    streams = {f"stream-sources-{upload}" for upload in kept}
    columns = ("generation_id", "poster_generation_id")
    generations = {row[column] for row in database.rows("SELECT generation_id, poster_generation_id FROM videos") for column in columns} - {None}
    known = {"sources": complete | kept, "incoming": unfinished | begun | streams, "published": generations}
    there = store.names()
    found = [f"orphan: {kind}/{name}" for kind, names in there.items() for name in names - known.get(kind, set())]
    found += [f"missing: sources/{name}" for name in complete - there["sources"]]
    found += [f"missing: published/{name}" for name in generations - there["published"]]
    scratch = data / "scratch"
    found += [f"orphan: scratch/{entry.name}" for entry in (scratch.iterdir() if scratch.exists() else []) if entry.is_dir()]
    return found


def audit(run: Callable[..., subprocess.CompletedProcess[str]]) -> tuple[list[str], Counter[str]]:
    """What the product itself finds when it looks at everything, and what it has put right; to be asked once nothing runs any more."""
    done = run("audit", "--json", "--deep", "--repair", "--grace-hours", "0")
    try:
        findings = json.loads(done.stdout)["findings"]
    except (ValueError, KeyError):
        return [f"audit: ended with {done.returncode}: {done.stdout[:500]} {done.stderr[-500:]}"], Counter()
    repaired = Counter(finding["kind"] for finding in findings if finding["repaired"])
    return [f"audit: {finding}" for finding in findings if not finding["repaired"]], repaired
