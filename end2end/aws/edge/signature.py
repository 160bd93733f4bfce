"""Signed URLs and cookies, verified as CloudFront does: by the trusted keys, the policy's resource, its times and its address."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import json
import re
import time
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

# What CloudFront takes out of the query before the origin sees it.
PARAMETERS = ("Policy", "Signature", "Key-Pair-Id", "Expires", "Hash-Algorithm")
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


class Denied(Exception):
    """The request is answered with 403; `code` is CloudFront's word for why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def verify(url: str, given: Mapping[str, str], keys: Mapping[str, PublicKey], address: str) -> None:
    """Lets a request pass whose parameters were signed by a trusted key for this URL, or raises `Denied`."""
    key_id, signature = given.get("Key-Pair-Id"), given.get("Signature")
    if not key_id:
        raise Denied("MissingKey", "Missing Key-Pair-Id query parameter or cookie value")
    if key_id not in keys:
        raise Denied("InvalidKey", "Unknown Key")
    if not signature or not (given.get("Policy") or given.get("Expires")):
        raise _denied()
    policy = decode(given["Policy"]) if given.get("Policy") else _canned(url, given["Expires"])
    _check_signature(keys[key_id], decode(signature), policy, given.get("Hash-Algorithm"))
    _check_policy(policy, url, address)


def decode(text: str) -> bytes:
    """CloudFront's base64: `-` for `+`, `_` for `=`, `~` for `/`."""
    try:
        return base64.b64decode(text.translate(str.maketrans("-_~", "+=/")), validate=True)
    except (ValueError, binascii.Error) as error:
        raise Denied("MalformedPolicy", "Malformed Policy or Signature") from error


def _canned(url: str, expires: str) -> bytes:
    if not expires.isdigit():
        raise Denied("MalformedPolicy", "Malformed Expires")
    statement = {"Resource": url, "Condition": {"DateLessThan": {"AWS:EpochTime": int(expires)}}}
    return json.dumps({"Statement": [statement]}, separators=(",", ":")).encode()


def _check_signature(key: PublicKey, signature: bytes, policy: bytes, algorithm: str | None) -> None:
    if algorithm not in (None, "SHA1", "SHA256"):
        raise _denied()
    # SHA-1 is CloudFront's default; SHA-256 has to be named.
    digest = hashes.SHA256() if algorithm == "SHA256" else hashes.SHA1()
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, policy, ec.ECDSA(digest))
        else:
            key.verify(signature, policy, padding.PKCS1v15(), digest)
    except InvalidSignature as error:
        raise _denied() from error


def _check_policy(policy: bytes, url: str, address: str) -> None:
    try:
        statements = json.loads(policy)["Statement"]
        resource, condition = statements[0]["Resource"], statements[0]["Condition"]
        ends = int(condition["DateLessThan"]["AWS:EpochTime"])
        starts = int(condition.get("DateGreaterThan", {}).get("AWS:EpochTime", 0))
        network = ipaddress.ip_network(condition.get("IpAddress", {}).get("AWS:SourceIp", "0.0.0.0/0"), strict=False)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise Denied("MalformedPolicy", "Malformed Policy") from error
    if len(statements) != 1:
        raise Denied("MalformedPolicy", "Malformed Policy")
    now: Any = time.time()
    if not starts <= now < ends or not _covers(resource, url) or ipaddress.ip_address(address) not in network:
        raise _denied()


def _covers(resource: str, url: str) -> bool:
    """`*` stands for any characters and `?` for one, slashes too."""
    pattern = "".join({"*": ".*", "?": "."}.get(letter, re.escape(letter)) for letter in resource)
    return re.fullmatch(pattern, url) is not None


def _denied() -> Denied:
    return Denied("AccessDenied", "Access denied")
