"""The storage port: immutable, content-addressed artifacts, and nothing else."""

from typing import Protocol


class Storage(Protocol):
    """Bytes under their own digest. Errors: Transient (unreachable), Terminal (stored bytes don't match)."""

    def put(self, digest: str, data: bytes, *, cluster: str = "") -> bool:
        """Store ``data`` under ``sha256:<hex>``; False where it was there already. Never half-visible.

        Raises Terminal when the digest is not that of the data.
        """

    def get(self, digest: str) -> bytes | None:
        """The bytes, verified against the digest; None where there are none."""

    def has(self, digest: str) -> bool:
        """Whether it is there, without its bytes: whether they are whole, ``get`` tells."""

    def delete(self, digest: str) -> None:
        """Forget it; a digest that is not there is no error."""

    def digests(self) -> tuple[str, ...]:
        """All that is stored (for garbage collection)."""
