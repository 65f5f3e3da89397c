"""The registry port: what a container registry has, and the files of one artifact.

Errors: Transient (unreachable, timeout, 429, 5xx), Refused with reason ``AuthenticationFailed`` (401, 403), NotFound
(no such repository, tag or blob), Terminal for answers that break the distribution specification: a body whose digest
is not the one that was asked for never gets out of an adapter. Messages never hold credentials.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from penstock.core.signatures.attached import Attached
from penstock.core.sources.oci import ImageName
from penstock.core.tree import MemoryTree
from penstock.ports.identity import CloudIdentity

FAILED_PULL = "OCIArtifactPullFailed"
FAILED_LAYER = "OCIArtifactLayerOperationFailed"


@dataclass(frozen=True, kw_only=True, slots=True)
class RemoteImage:
    """A repository of a registry, and how to get in.

    ``login``: the data of a Secret of type kubernetes.io/dockerconfigjson; ``identity``: whose cloud identity logs in
    where there is none; ``certificates``: of ``certSecretRef`` (``ca.crt``, ``tls.crt`` and ``tls.key``); ``insecure``:
    plain HTTP; ``proxy``: its URL; ``allowed_hosts``: private addresses that it may be at (see
    core.sources.addresses); ``timeout``: seconds for one call.
    """

    name: ImageName
    login: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    identity: CloudIdentity | None = None
    certificates: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    proxy: str = field(default="", repr=False)
    insecure: bool = False
    allowed_hosts: tuple[str, ...] = ()
    timeout: float = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class PullLimits:
    """What an artifact may cost before it is refused: files and bytes unpacked, bytes as sent."""

    files: int = 50_000
    bytes: int = 256 * 1024 * 1024
    packed_bytes: int = 128 * 1024 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class PulledImage:
    """An artifact's files and its manifest's annotations."""

    tree: MemoryTree
    annotations: Mapping[str, str]


class Registry(Protocol):
    """One repository at a time; nothing is kept on disk."""

    def tags(self, image: RemoteImage) -> tuple[str, ...]:
        """Every tag of the repository."""

    def digest(self, image: RemoteImage, tag: str) -> str:
        """``sha256:<hex>`` of the manifest, or index, that a tag points at now."""

    def pull(self, image: RemoteImage, digest: str, *, media_type: str, limits: PullLimits) -> PulledImage:
        """The files of the layer of that media type ("": the first one) of the image with that digest.

        Of an index: of its image for linux/amd64. Raises Terminal where the layer is no gzipped tarball, or over the
        limits.
        """

    def signatures(self, image: RemoteImage, digest: str, kind: str) -> tuple[Attached, ...]:
        """What is kept beside a digest as signatures of a kind (cosign | notation), the last ones first.

        Nothing of it is verified but that each has the digest by which it is named. At most
        core.signatures.attached.MOST_SIGNATURES are given; one that is too large is left out.
        """
