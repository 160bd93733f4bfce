"""Who may do what, by the account's real policies.

The emulated IAM holds the users, roles and policies that Terraform made; MiniStack's evaluator decides on them, as it does for S3 and
SQS. So a right that is missing in the app's policy, in `iam:PassRole` or in MediaConvert's own role fails here as it would on AWS.
"""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import unquote

from botocore.exceptions import ClientError
from ministack.core.iam_evaluator import EvalContext, evaluate, parse_policy_document

SERVICE = "mediaconvert.amazonaws.com"
REMEMBER_SECONDS = 2.0


class Permissions:
    """Asks the account's IAM, as root."""

    def __init__(self, iam: Any, root_key: str, account: str, region: str) -> None:
        self._iam = iam
        self._root_key = root_key
        self._account = account
        self._region = region
        self._remembered: dict[str, tuple[float, list[Any]]] = {}

    def caller(self, access_key: str) -> str | None:
        """The ARN of the user that an access key belongs to."""
        if access_key == self._root_key:
            return f"arn:aws:iam::{self._account}:root"
        try:
            user = self._iam.get_access_key_last_used(AccessKeyId=access_key).get("UserName")
        except ClientError:
            return None
        return f"arn:aws:iam::{self._account}:user/{user}" if user else None

    def allows(self, principal: str, action: str, resource: str, context: dict[str, str] | None = None) -> bool:
        """Whether a user or a role may do something."""
        if principal.endswith(":root"):
            return True
        request = EvalContext(
            principal_arn=principal,
            principal_type="AssumedRole" if ":role/" in principal else "User",
            principal_account=self._account,
            action=action,
            resource_arn=resource,
            region=self._region,
            source_ip="127.0.0.1",
            secure_transport=True,
            service_context={key.lower(): value for key, value in (context or {}).items()},
        )
        return evaluate(request, self._policies(principal)).decision == "Allow"

    def may_pass(self, principal: str, role: str) -> bool:
        """Whether a caller may hand a role to this service."""
        return self.allows(principal, "iam:PassRole", role, {"iam:PassedToService": SERVICE})

    def trusts_us(self, role: str) -> bool:
        """Whether a role lets this service, acting for this account, take it on."""
        try:
            document = _document(self._iam.get_role(RoleName=role.rsplit("/", 1)[-1])["Role"]["AssumeRolePolicyDocument"])
        except ClientError:
            return False
        for statement in document["Statement"]:
            services = (statement.get("Principal") or {}).get("Service", [])
            if SERVICE not in ([services] if isinstance(services, str) else services):
                continue
            request = EvalContext(SERVICE, "Service", self._account, "sts:AssumeRole", role, self._region)
            request.service_context = {"aws:sourceaccount": self._account}
            parsed = parse_policy_document({"Statement": [{**statement, "Resource": "*"}]})
            if evaluate(request, [parsed]).decision == "Allow":
                return True
        return False

    def _policies(self, principal: str) -> list[Any]:
        now = time.monotonic()
        made, policies = self._remembered.get(principal, (0.0, []))
        if now - made > REMEMBER_SECONDS or not policies:
            policies = [parse_policy_document(document) for document in self._documents(principal)]
            self._remembered[principal] = (now, policies)
        return policies

    def _documents(self, principal: str) -> list[dict[str, Any]]:
        kind = "role" if ":role/" in principal else "user"
        name = {f"{kind.capitalize()}Name": principal.rsplit("/", 1)[-1]}
        ask = lambda verb: getattr(self._iam, verb.format(kind))
        found = []
        try:
            for attached in ask("list_attached_{}_policies")(**name)["AttachedPolicies"]:
                policy = self._iam.get_policy(PolicyArn=attached["PolicyArn"])["Policy"]
                version = self._iam.get_policy_version(PolicyArn=policy["Arn"], VersionId=policy["DefaultVersionId"])
                found.append(_document(version["PolicyVersion"]["Document"]))
            for inline in ask("list_{}_policies")(**name)["PolicyNames"]:
                found.append(_document(ask("get_{}_policy")(**name, PolicyName=inline)["PolicyDocument"]))
        except ClientError:
            return []
        return found


def _document(value: Any) -> dict[str, Any]:
    """A policy as IAM returns it: parsed already, or text that may be percent-encoded."""
    return value if isinstance(value, dict) else json.loads(unquote(value))
