"""Collecting what stands beside an artifact, from whatever can read one repository."""

from collections.abc import Callable, Iterator
from typing import Protocol

from penstock.core.errors import NotFound
from penstock.core.signatures.attached import (
    COSIGN,
    MOST_SIGNATURE_BYTES,
    MOST_SIGNATURES,
    Attached,
    Layer,
    referring,
    signature_layers,
    signature_tag,
)


class Reader(Protocol):
    """One repository. What is named by a digest has that digest; NotFound where there is no such thing."""

    def manifest(self, reference: str) -> bytes:
        """The manifest under a tag or digest."""

    def blob(self, digest: str, most: int) -> bytes:
        """A blob."""

    def referrers(self, digest: str) -> bytes:
        """The index of manifests whose subject this digest is."""


def collect(reader: Reader, digest: str, kind: str) -> tuple[Attached, ...]:
    """See Registry.signatures."""
    found: list[Attached] = []
    for layer in _layers(reader, digest, kind):
        if layer.blob.size <= MOST_SIGNATURE_BYTES:
            data = reader.blob(layer.blob.digest, MOST_SIGNATURE_BYTES)
            found.append(Attached(media_type=layer.blob.media_type, data=data, annotations=layer.annotations))
        if len(found) >= MOST_SIGNATURES:
            break
    return tuple(found)


def _layers(reader: Reader, digest: str, kind: str) -> Iterator[Layer]:
    for manifest in _manifests(reader, digest, kind):
        yield from signature_layers(manifest, kind)


def _manifests(reader: Reader, digest: str, kind: str) -> Iterator[bytes]:
    for each in referring(_or_nothing(lambda: reader.referrers(digest)) or b"{}", kind):
        yield reader.manifest(each.digest)
    if kind == COSIGN:
        beside = _or_nothing(lambda: reader.manifest(signature_tag(digest)))
        if beside:
            yield beside


def _or_nothing(read: Callable[[], bytes]) -> bytes:
    try:
        return read()
    except NotFound:
        return b""
