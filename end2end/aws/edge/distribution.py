"""The distribution as the control plane has it: behaviours, origins, trusted keys, policies. Read again every moment, so that a key
that is added or removed is known soon, as in a rotation."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.serialization import load_pem_public_key

from .signature import PublicKey

REMEMBER_SECONDS = 1.0


@dataclass(frozen=True)
class Behaviour:
    """What happens to requests of one path pattern."""

    pattern: str
    to_app: bool
    methods: frozenset[str]
    keys: dict[str, PublicKey]
    needs_signature: bool
    forwards_encoding: bool
    origin_headers: dict[str, str]
    headers_policy: dict[str, Any]

    def matches(self, path: str) -> bool:
        """Path patterns know `*` and `?`, and no leading slash is the same as one."""
        letters = self.pattern if self.pattern.startswith(("/", "*")) else f"/{self.pattern}"
        return re.fullmatch("".join({"*": ".*", "?": "."}.get(letter, re.escape(letter)) for letter in letters), path) is not None

    def add_headers(self, headers: dict[str, str], has_origin: bool) -> None:
        """What the response headers policy adds to an answer."""
        cors = self.headers_policy.get("CorsConfig")
        if cors and has_origin:
            override = cors["OriginOverride"]
            _put(headers, "Access-Control-Allow-Origin", ", ".join(cors["AccessControlAllowOrigins"]["Items"]), override)
            exposed = cors.get("AccessControlExposeHeaders", {}).get("Items")
            if exposed:
                _put(headers, "Access-Control-Expose-Headers", ", ".join(exposed), override)
        for item in self.headers_policy.get("CustomHeadersConfig", {}).get("Items", []):
            _put(headers, item["Header"], item["Value"], item["Override"])
        security = self.headers_policy.get("SecurityHeadersConfig", {})
        if "ContentTypeOptions" in security:
            _put(headers, "X-Content-Type-Options", "nosniff", security["ContentTypeOptions"]["Override"])


def _put(headers: dict[str, str], name: str, value: str, override: bool) -> None:
    present = next((key for key in headers if key.lower() == name.lower()), None)
    if present and not override:
        return
    if present:
        del headers[present]
    headers[name] = value


class Distribution:
    """One distribution, looked up with root's rights."""

    def __init__(self, cloudfront: Any, distribution_id: str) -> None:
        self._cloudfront = cloudfront
        self._id = distribution_id
        self._lock = threading.Lock()
        self._read_at = 0.0
        self._behaviours: list[Behaviour] = []
        self.domain = cloudfront.get_distribution(Id=distribution_id)["Distribution"]["DomainName"]

    def behaviour(self, path: str) -> Behaviour:
        """The first behaviour whose pattern matches; the default one comes last."""
        with self._lock:
            if time.monotonic() - self._read_at > REMEMBER_SECONDS:
                self._behaviours = self._read()
                self._read_at = time.monotonic()
            return next(b for b in self._behaviours if b.matches(path))

    def _read(self) -> list[Behaviour]:
        config = self._cloudfront.get_distribution_config(Id=self._id)["DistributionConfig"]
        origins = {origin["Id"]: origin for origin in config["Origins"]["Items"]}
        special = config.get("CacheBehaviors", {}).get("Items", [])
        return [self._of(entry, origins) for entry in [*special, {**config["DefaultCacheBehavior"], "PathPattern": "*"}]]

    def _of(self, entry: dict[str, Any], origins: dict[str, Any]) -> Behaviour:
        origin = origins[entry["TargetOriginId"]]
        groups = entry.get("TrustedKeyGroups", {})
        policy_id = entry.get("ResponseHeadersPolicyId")
        policy = self._cloudfront.get_response_headers_policy(Id=policy_id) if policy_id else None
        cache = self._cloudfront.get_cache_policy(Id=entry["CachePolicyId"])["CachePolicy"]["CachePolicyConfig"]
        in_key = cache["ParametersInCacheKeyAndForwardedToOrigin"]
        custom = origin.get("CustomHeaders", {}).get("Items", [])
        return Behaviour(
            pattern=entry["PathPattern"],
            to_app="CustomOriginConfig" in origin,
            methods=frozenset(entry["AllowedMethods"]["Items"]),
            keys={key_id: key for group in groups.get("Items", []) for key_id, key in self._keys(group).items()},
            needs_signature=bool(groups.get("Enabled")),
            forwards_encoding=in_key["EnableAcceptEncodingGzip"],
            origin_headers={header["HeaderName"]: header["HeaderValue"] for header in custom},
            headers_policy=policy["ResponseHeadersPolicy"]["ResponseHeadersPolicyConfig"] if policy else {},
        )

    def _keys(self, group_id: str) -> dict[str, PublicKey]:
        group = self._cloudfront.get_key_group(Id=group_id)["KeyGroup"]["KeyGroupConfig"]
        found = {}
        for key_id in group["Items"]:
            key = self._cloudfront.get_public_key(Id=key_id)["PublicKey"]["PublicKeyConfig"]
            found[key_id] = load_pem_public_key(key["EncodedKey"].encode())
        return found
