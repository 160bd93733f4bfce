"""What fuzz-api.sh tells schemathesis: ids, links and signatures of things that are there, so that not every request ends at "no such thing";
a check that no refusal says anything of the server's inside; and a count of what was answered, written to $FUZZ_TALLY at the end.

$FUZZ_KNOWN is JSON: for the path of an operation, or "*", values for its parameters ("path", "query"), and a body with
its headers.
"""

import atexit
import json
import os
import threading
import zlib
from collections import Counter

import schemathesis

KNOWN = json.loads(os.environ["FUZZ_KNOWN"])
# What a program says when it says too much: its sources, its database, its folders.
INSIDE = [
    "panicked", "backtrace", ".rs:", "/src/", "sqlx", "sea_orm", "sqlite", "postgres", "select *", "select \"", "insert into", "update \"", "no such column",
    "constraint failed", "os error", "bucket", "/store/", "/incoming/", "/scratch", os.environ["FUZZ_FOLDER"].lower(),
]
answers: Counter = Counter()
lock = threading.Lock()
# Bytes of a file, as tus calls them.
schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")


@schemathesis.hook
def before_call(ctx, case, kwargs):
    """Puts what is known into two of three requests; which, depends on the request alone, so that a seed gives the same run."""
    if case.meta is not None and case.meta.phase.name == "stateful":
        # What follows one another there has ids of its own.
        return
    # The text of what is not set holds an address of this process, and the key differs from run to run. Some operations differ in headers alone.
    body = case.body if isinstance(case.body, (dict, list, str, bytes)) else None
    headers = sorted((name.lower(), str(text)) for name, text in (case.headers or {}).items() if name.lower() != "authorization")
    sent = repr((case.path_parameters, case.query, headers, body))
    number = zlib.crc32(sent.encode(errors="replace"))
    if number % 3 == 0:
        return
    for names in (KNOWN.get("*", {}), KNOWN.get(case.path, {})):
        for name, values in names.get("path", {}).items():
            if name in (case.path_parameters or {}):
                case.path_parameters[name] = values[number // 3 % len(values)]
        query = {name: values[number // 3 % len(values)] for name, values in names.get("query", {}).items()}
        if query:
            # One of three is as good a request as can be made: with nothing made up beside what is known.
            case.query = query if number % 3 == 1 else {**(case.query or {}), **query}
        if "body" in names and number % 3 == 1:
            body = names["body"]
            case.body = body.encode() if isinstance(body, str) else body
            case.headers = {**(case.headers or {}), **names.get("headers", {})}


@schemathesis.hook
def after_call(ctx, case, response):
    with lock:
        answers[f"{case.method.upper()} {case.path} {response.status_code}"] += 1


@schemathesis.check
def says_nothing_of_the_inside(ctx, response, case):
    if response.status_code < 400:
        return
    text = (response.text or "").lower()
    # What the request said itself may be said back.
    asked = repr((case.path_parameters, case.query, case.headers, case.body)).lower()
    found = [word for word in INSIDE if word in text and word not in asked]
    assert not found, f"a refusal says {found}"


@atexit.register
def write():
    with open(os.environ["FUZZ_TALLY"], "w", encoding="utf-8") as file:
        json.dump(answers, file)
