"""Who may speak to the cluster: its administrator, and ServiceAccounts by tokens that it gave them (TokenRequest).

Whoever is let in may do everything: RBAC is stored, never evaluated.
"""

import base64
import json
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

from penstock.devcluster.statuses import ApiError, Cause, Subject, invalid

AUDIENCE = "https://kubernetes.default.svc"
LEAST_SECONDS = 600
_DEFAULT_SECONDS = 3600


@dataclass(frozen=True, kw_only=True, slots=True)
class _Given:
    uid: str
    namespace: str
    name: str
    audiences: tuple[str, ...]
    expires: float


@dataclass(slots=True, kw_only=True)
class Tokens:
    """``admin``: the administrator's bearer token."""

    admin: str = field(repr=False)
    _given: dict[str, _Given] = field(default_factory=dict, repr=False)

    def is_admin(self, authorization: str) -> bool:
        """Whether the header is the administrator's."""
        return secrets.compare_digest(authorization.encode(), f"Bearer {self.admin}".encode())

    def account(self, authorization: str) -> tuple[str, str, str] | None:
        """Namespace, name and uid of the ServiceAccount whose token the header has; None for another one."""
        found = self._given.get(authorization.removeprefix("Bearer "))
        if found is None or found.expires <= time.time() or AUDIENCE not in found.audiences:
            return None
        return found.namespace, found.name, found.uid

    def give(self, account: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
        """The TokenRequest with its status. Raises ApiError (422) for a time that is too short."""
        metadata, spec = account["metadata"], request.get("spec") or {}
        seconds = int(spec.get("expirationSeconds") or _DEFAULT_SECONDS)
        if seconds < LEAST_SECONDS:
            raise _too_short(metadata["name"], seconds)
        expires = int(time.time()) + seconds
        audiences = tuple(spec.get("audiences") or (AUDIENCE,))
        claims = {
            "aud": audiences,
            "exp": expires,
            "iss": AUDIENCE,
            "jti": secrets.token_hex(8),
            "sub": f"system:serviceaccount:{metadata['namespace']}:{metadata['name']}",
        }
        token = ".".join((_part({"alg": "none"}), _part(claims), ""))
        self._given[token] = _Given(
            uid=metadata["uid"],
            namespace=metadata["namespace"],
            name=metadata["name"],
            audiences=audiences,
            expires=expires,
        )
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(expires))
        return {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {"name": metadata["name"], "namespace": metadata["namespace"]},
            "spec": {"audiences": [*audiences], "expirationSeconds": seconds},
            "status": {"token": token, "expirationTimestamp": moment},
        }


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _too_short(name: str, seconds: int) -> ApiError:
    problem = f"may not specify a duration less than {LEAST_SECONDS // 60} minutes"
    cause = Cause(
        reason="FieldValueInvalid", message=f"Invalid value: {seconds}: {problem}", field="spec.expirationSeconds"
    )
    return invalid(
        Subject(group="authentication.k8s.io", resource="TokenRequest", kind="TokenRequest", name=name), [cause]
    )
