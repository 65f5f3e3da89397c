"""The buckets port: the objects of one bucket of somebody else's object store.

Errors: Transient (unreachable, timeout, 429, 5xx), Refused with reason ``AuthenticationFailed`` (401, 403), NotFound
(no such bucket), Terminal for anything else. Messages never hold credentials.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from penstock.core.sources.bucket import BucketObject
from penstock.ports.identity import CloudIdentity

FAILED = "BucketOperationFailed"


@dataclass(frozen=True, kw_only=True, slots=True)
class LdapSts:
    """An STS that gives keys to who is known to its directory (AssumeRoleWithLDAPIdentity).

    ``credentials``: ``username`` and ``password``; ``certificates``: ``ca.crt``.
    """

    endpoint: str
    credentials: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    certificates: Mapping[str, bytes] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class RemoteBucket:
    """A bucket, and how to get in.

    ``provider``: generic (S3's API) | aws | gcp | azure; ``endpoint``: ``https://host[:port]``; ``credentials``: the
    data of Flux's Secret (``accesskey`` and ``secretkey``; for gcp ``serviceaccount``; for azure ``accountKey``,
    ``sasKey``, or an application's), empty for a public bucket; ``identity``: whose cloud identity reads it where there
    are none; ``sts``: who gives temporary keys for it; ``proxy``: its URL; ``certificates``: ``ca.crt``, ``tls.crt``
    and ``tls.key``; ``allowed_hosts``: private addresses that it may be at; ``timeout``: seconds for one call.
    """

    name: str
    endpoint: str
    provider: str = "generic"
    region: str = ""
    credentials: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    identity: CloudIdentity | None = None
    sts: LdapSts | None = None
    certificates: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    proxy: str = field(default="", repr=False)
    allowed_hosts: tuple[str, ...] = ()
    timeout: float = 60.0


class Buckets(Protocol):
    """One bucket at a time; nothing is kept on disk."""

    def objects(self, bucket: RemoteBucket, prefix: str, *, most: int) -> tuple[BucketObject, ...]:
        """Every object whose key begins so. Raises Refused beyond ``most``."""

    def read(self, bucket: RemoteBucket, key: str, *, most: int) -> tuple[bytes, str] | None:
        """An object's bytes and its etag now; None where it is gone. Raises Refused beyond ``most`` bytes."""
