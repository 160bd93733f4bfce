"""The service's contract as botocore ships it: routes, and the check of a request body against its shapes.

The shapes say which keys exist, their types, enums, patterns and bounds. What they can't say (settings that need each other) is in
`rules.py`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import botocore.loaders

# Bounds stand in the shapes' names. botocore drops those of doubles from the shape itself; the name keeps them: `__doubleMin0Max1`.
_BOUND = re.compile(r"(Min|Max)(Negative)?(\d+)")


@dataclass(frozen=True)
class Route:
    """One operation's place in the HTTP API."""

    operation: str
    method: str
    path: re.Pattern[str]
    input_shape: str | None
    status: int


@cache
def _service() -> dict[str, Any]:
    return botocore.loaders.Loader().load_service_model("mediaconvert", "service-2")


@cache
def routes() -> tuple[Route, ...]:
    """All operations of the service, the ones that we don't emulate as well."""
    found = []
    for name, operation in _service()["operations"].items():
        http = operation["http"]
        # A queue or a tag's ARN is sent percent-encoded, so a parameter never holds a slash.
        path = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", http["requestUri"])
        shape = operation.get("input", {}).get("shape")
        found.append(Route(name, http["method"], re.compile(f"{path}/?"), shape, http.get("responseCode", 200)))
    return tuple(found)


def error_status(code: str) -> int:
    """The HTTP status that belongs to one of the service's exceptions."""
    return _service()["shapes"][code]["error"]["httpStatusCode"]


def problems(shape_name: str, value: Any, path: str = "") -> list[str]:
    """What is wrong with a request body, each with its place; an empty list means that it fits the shape."""
    shape = _service()["shapes"][shape_name]
    if value is None:
        return []
    check = _CHECKS.get(shape["type"])
    return check(shape_name, shape, value, path) if check else []


def query_problems(shape_name: str, query: dict[str, str]) -> list[str]:
    """The same for the query string, whose values arrive as text."""
    members = _service()["shapes"][shape_name]["members"]
    known = {m.get("locationName", name): m["shape"] for name, m in members.items() if m.get("location") == "querystring"}
    found = []
    for name, text in query.items():
        if name not in known:
            continue  # The real service ignores parameters that it does not know.
        shape = _service()["shapes"][known[name]]
        if shape["type"] == "integer" and not re.fullmatch(r"-?\d+", text):
            found.append(f"{name}: should be an integer")
            continue
        found += problems(known[name], int(text) if shape["type"] == "integer" else text, f"?{name}")
    return found


def _structure(name: str, shape: dict[str, Any], value: Any, path: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{path or '/'}: should be an object"]
    members = {m.get("locationName", key): m["shape"] for key, m in shape["members"].items()}
    found = [f"{path}/{key}: unknown property (not in {name})" for key in value if key not in members]
    for key in shape.get("required", []):
        wire_name = shape["members"][key].get("locationName", key)
        if wire_name not in value:
            found.append(f"{path}/{wire_name}: is a required property")
    for key, member in value.items():
        if key in members:
            found += problems(members[key], member, f"{path}/{key}")
    return found


def _list(name: str, shape: dict[str, Any], value: Any, path: str) -> list[str]:
    if not isinstance(value, list):
        return [f"{path}: should be an array"]
    found = _outside(name, shape, len(value), f"{path}: its length")
    for index, member in enumerate(value):
        found += problems(shape["member"]["shape"], member, f"{path}/{index}")
    return found


def _map(_name: str, shape: dict[str, Any], value: Any, path: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{path}: should be an object"]
    return [p for key, member in value.items() for p in problems(shape["value"]["shape"], member, f"{path}/{key}")]


def _string(name: str, shape: dict[str, Any], value: Any, path: str) -> list[str]:
    if not isinstance(value, str):
        return [f"{path}: should be a string"]
    if "enum" in shape and value not in shape["enum"]:
        return [f"{path}: {value!r} is not one of {', '.join(shape['enum'][:8])}{', …' if len(shape['enum']) > 8 else ''}"]
    found = _outside(name, shape, len(value), f"{path}: its length")
    if "pattern" in shape and not re.search(shape["pattern"], value):
        found.append(f"{path}: does not match {shape['pattern']}")
    return found


def _integer(name: str, shape: dict[str, Any], value: Any, path: str) -> list[str]:
    if isinstance(value, bool) or not isinstance(value, int):
        return [f"{path}: should be an integer"]
    return _outside(name, shape, value, path)


def _number(name: str, shape: dict[str, Any], value: Any, path: str) -> list[str]:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return [f"{path}: should be a number"]
    return _outside(name, shape, value, path)


def _boolean(_name: str, _shape: dict[str, Any], value: Any, path: str) -> list[str]:
    return [] if isinstance(value, bool) else [f"{path}: should be a boolean"]


def _outside(name: str, shape: dict[str, Any], number: float, what: str) -> list[str]:
    low, high = shape.get("min"), shape.get("max")
    if shape["type"] == "double":
        for side, negative, digits in _BOUND.findall(name):
            bound = -int(digits) if negative else int(digits)
            low, high = (bound, high) if side == "Min" else (low, bound)
    if (low is not None and number < low) or (high is not None and number > high):
        return [f"{what}: {number} is not in {'' if low is None else low}..{'' if high is None else high}"]
    return []


_CHECKS = {
    "structure": _structure,
    "list": _list,
    "map": _map,
    "string": _string,
    "integer": _integer,
    "long": _integer,
    "double": _number,
    "boolean": _boolean,
}
