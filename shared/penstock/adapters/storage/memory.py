"""Artifacts in a dict."""

from penstock.adapters.storage.digests import check, hex_part


class MemoryStorage:
    """See ports.storage.Storage."""

    def __init__(self) -> None:
        self._blobs: dict[str, bytes] = {}

    def put(self, digest: str, data: bytes, *, cluster: str = "") -> bool:  # noqa: ARG002 - of one region
        """Store under its digest."""
        check(digest, data)
        if digest in self._blobs:
            return False
        self._blobs[digest] = bytes(data)
        return True

    def get(self, digest: str) -> bytes | None:
        """The bytes, verified, or None."""
        hex_part(digest)
        data = self._blobs.get(digest)
        if data is not None:
            check(digest, data)
        return data

    def has(self, digest: str) -> bool:
        """Whether it is there."""
        hex_part(digest)
        return digest in self._blobs

    def delete(self, digest: str) -> None:
        """Forget it."""
        hex_part(digest)
        self._blobs.pop(digest, None)

    def digests(self) -> tuple[str, ...]:
        """All, sorted."""
        return tuple(sorted(self._blobs))
