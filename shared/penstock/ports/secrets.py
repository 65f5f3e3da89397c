"""The secrets port: the plane's own store of credentials, so that lean stages need no cluster.

Names are reversible and legal in every backend (see core.secrets.names); values are the ``data`` of a Kubernetes
Secret: key -> bytes. Nothing of a value ever stands in a repr, log or error.
"""

from collections.abc import Mapping
from typing import Protocol

SecretData = Mapping[str, bytes]


class Secrets(Protocol):
    """Errors: Transient (unreachable), Refused (no right to it). A name: see core.secrets.names.secret_name."""

    def get(self, name: str, *, newest: bool = False) -> SecretData | None:
        """The value, by a cache that forgets; None where there is none.

        ``newest``: what was read some seconds ago at most. For a caller to whom the cached value looks replaced.
        """

    def put(self, name: str, data: SecretData, *, owner: str) -> bool:
        """Store a copy, marked as the plane's own (``owner``: plane uid). False where an equal value is there already.

        Raises Refused where a secret of that name exists without our owner mark: an operator's is never overwritten.
        """

    def delete(self, name: str, *, owner: str) -> None:
        """Remove our own copy; one that is missing or not ours stays, without an error."""

    def names(self) -> tuple[str, ...]:
        """All names, sorted."""
