"""The identity port: what proves to a cloud, or to another cluster, who asks.

``who`` is a ServiceAccount of a cluster (object-level workload identity), or None: the plane's own identity (a Lambda
role, a Cloud Run service account, a managed identity, or what the environment says). Which of them may be used for
what is the caller's decision, by policy, before it asks.

Values are kept until shortly before they expire; ``fresh`` asks anew, after a 401. Errors of every call:
``InvalidDocument`` (an annotation is missing or wrong), ``NotFound`` (no such ServiceAccount), ``Refused`` (the cloud
or the API server says no), ``Transient``. Messages name the account and the call, never a token.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from penstock.core.identity.sigv4 import AwsKeys
from penstock.core.resources import Gvk, Manifest


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceAccountToken:
    """A ServiceAccount's own token (a JWT), and the POSIX time at which it ends."""

    token: str = field(repr=False)
    expires: float


class Home(Protocol):
    """What is asked of the cluster that an account belongs to; ports.cluster.Cluster is one."""

    def get(self, gvk: Gvk, namespace: str, name: str) -> Manifest | None:
        """See ports.cluster.Cluster."""

    def request_token(
        self, namespace: str, name: str, *, audiences: Sequence[str] = (), seconds: int = 3600
    ) -> ServiceAccountToken:
        """See ports.cluster.Cluster."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """A ServiceAccount whose identity is taken.

    ``home``: gives the plane's own connection to its cluster, where its token is requested; ``cluster``: that
    cluster's name in the Plane; ``gke``: its resource name, where the Plane says that it is a GKE cluster, else "";
    ``audiences``: of the token, in place of what the cloud expects by default.
    """

    home: Callable[[], Home] = field(repr=False, compare=False)
    cluster: str
    namespace: str
    name: str
    gke: str = ""
    audiences: tuple[str, ...] = ()

    def __str__(self) -> str:
        """``ServiceAccount namespace/name``."""
        return f"ServiceAccount {self.namespace}/{self.name}"


@dataclass(frozen=True, kw_only=True, slots=True)
class CloudIdentity:
    """Whose identity logs in at a cloud's service. ``provider``: aws | azure | gcp; ``who``: see above."""

    provider: str
    who: Account | None = None

    def __str__(self) -> str:
        """Who asks, for people."""
        return "the plane's own identity" if self.who is None else str(self.who)


@dataclass(frozen=True, kw_only=True, slots=True)
class Bearer:
    """A bearer token, and the POSIX time at which it ends."""

    token: str = field(repr=False)
    expires: float


@dataclass(frozen=True, kw_only=True, slots=True)
class AwsCredentials:
    """Keys to sign with, and the POSIX time at which they end (inf: unknown)."""

    keys: AwsKeys
    expires: float


class Identities(Protocol):
    """Safe to use from several threads."""

    def aws(self, who: Account | None, region: str, *, fresh: bool = False) -> AwsCredentials:
        """Keys of the role in ``eks.amazonaws.com/role-arn`` (AssumeRoleWithWebIdentity in ``region``)."""

    def gcp(self, who: Account | None, *, fresh: bool = False) -> Bearer:
        """An OAuth access token with scope cloud-platform, by workload identity federation."""

    def azure(self, who: Account | None, scope: str, *, fresh: bool = False) -> Bearer:
        """An access token of Microsoft Entra ID for ``scope``, by a federated credential."""

    def kubernetes(self, who: Account, *, fresh: bool = False) -> Bearer:
        """The ServiceAccount's own token for ``who.audiences`` (TokenRequest; none: the API server's)."""
