"""What has to be true once the storm is over, looked at from outside: by the API, in the database, in the store's folder."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from pathlib import Path

from client import Client, Refused, Unanswered
from database import Database
from load import Ledger, play

# A lease, a worker's look at the rows, and a retry or two.
SETTLED_WITHIN_SECONDS = 240.0
# What nothing refers to is deleted in a minute's rhythm.
TIDY_WITHIN_SECONDS = 240.0
# What players see of a video may differ by a group of pictures.
LENGTH_TOLERANCE_SECONDS = 0.6


def settle(database: Database) -> list[str]:
    """Waits until nothing is on its way any more; what then still is, is stuck."""
    until = time.monotonic() + SETTLED_WITHIN_SECONDS
    while True:
        open_jobs = database.rows("SELECT id, video_id, state, attempt, last_error FROM jobs WHERE state IN ('queued', 'running')")
        if not open_jobs or time.monotonic() > until:
            return [f"stuck: {job}" for job in open_jobs]
        time.sleep(0.5)


def check(client: Client, database: Database, ledger: Ledger, data: Path) -> list[str]:
    """Everything that does not hold."""
    found = settle(database)
    found += acknowledged_bytes(ledger, data)
    found += videos(client, database, ledger)
    found += leftovers(database, data)
    return found


def acknowledged_bytes(ledger: Ledger, data: Path) -> list[str]:
    """Every file that was acknowledged in parts is there, byte for byte."""
    found = []
    for known in ledger.uploads:
        if known.upload is None:
            continue
        path = data / "store" / "sources" / known.upload
        if not path.exists():
            found.append(f"lost: the source of upload {known.upload}")
        elif (sha256 := hashlib.sha256(path.read_bytes()).hexdigest()) != known.source.sha256:
            found.append(f"damaged: the source of upload {known.upload} is {sha256}, not {known.source.sha256}")
    return found


def videos(client: Client, database: Database, ledger: Ledger) -> list[str]:
    """Each acknowledged upload is one video, and it plays to its end."""
    found = []
    rows = {row["id"]: row for row in database.rows("SELECT id, stage, failure_code FROM videos")}
    for video, count in Counter(known.video for known in ledger.uploads).items():
        if count > 1:
            found.append(f"doubled: {count} uploads became video {video}")
    many = len(rows) - len({known.video for known in ledger.uploads})
    if not 0 <= many <= ledger.unknown:
        found.append(f"doubled or lost: {len(rows)} videos of {len(ledger.uploads)} uploads and {ledger.unknown} of which no answer came")
    for row in database.rows("SELECT video_id, count(*) AS count FROM jobs GROUP BY video_id HAVING count(*) > 1"):
        found.append(f"doubled: {row['count']} jobs of video {row['video_id']}")
    for known in ledger.uploads:
        row = rows.get(known.video)
        if row is None or row["stage"] != "ready":
            found.append(f"not done: video {known.video} is {row}")
            continue
        try:
            seconds = play(client, known.video).seconds
        except (Refused, Unanswered) as fault:
            found.append(f"incomplete: video {known.video}: {fault}")
            continue
        if any(abs(length - known.source.seconds) > LENGTH_TOLERANCE_SECONDS for length in seconds):
            found.append(f"incomplete: video {known.video} of {known.source.seconds} s has playlists of {seconds} s")
    return found


def leftovers(database: Database, data: Path) -> list[str]:
    """Everything in the store belongs to a row, at the latest when the tidying has been by."""
    until = time.monotonic() + TIDY_WITHIN_SECONDS
    while (found := orphans(database, data)) and time.monotonic() < until:
        time.sleep(2.0)
    return found


def orphans(database: Database, data: Path) -> list[str]:
    """What nothing refers to."""
    uploads = database.rows("SELECT id, multipart_id, complete FROM uploads")
    complete = {row["id"] for row in uploads if row["complete"]}
    unfinished = {row["multipart_id"] for row in uploads if not row["complete"]}
    # A body whose request was cut off is kept as long as it might still become a video, and is noted to go.
    noted = {row["target"] for row in database.rows("SELECT target FROM removals WHERE kind = 'source'")}
    generations = {
        row[column]
        for row in database.rows("SELECT generation_id, poster_generation_id FROM videos")
        for column in ("generation_id", "poster_generation_id")
    }
    store = data / "store"
    known = {"sources": complete | noted, "incoming": unfinished, "published": generations}
    found = []
    for kind, names in known.items():
        folder = store / kind
        found += [f"orphan: {kind}/{entry.name}" for entry in (folder.iterdir() if folder.exists() else []) if entry.name not in names]
    scratch = data / "scratch"
    found += [f"orphan: scratch/{entry.name}" for entry in (scratch.iterdir() if scratch.exists() else [])]
    return found
