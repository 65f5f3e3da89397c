"""Key services in memory: they wrap as well as unwrap, and know who may. For tests of what asks them."""

import base64
import hashlib
from collections.abc import Callable

from penstock.core.errors import NotFound, PenstockError, Refused, Terminal
from penstock.core.secrets.master_keys import ServiceKey
from penstock.ports.keys import KeyRequest


class MemoryKeys:
    """See the port. ``asked``: every request, oldest first; ``fail``: an error for a request, or None.

    A key's name here is its ``str()``. Wrapping is no encryption: the data key is masked by its key's name.
    """

    def __init__(self) -> None:
        self.asked: list[KeyRequest] = []
        self.fail: Callable[[KeyRequest], PenstockError | None] = lambda _request: None
        self._allowed: dict[str, set[str] | None] = {}

    def wrap(self, key: ServiceKey, data_key: bytes, *, only: set[str] | None = None) -> str:
        """The ``enc`` for a data key, which whoever ``only`` names (None: anybody) may unwrap with ``key``."""
        self._allowed[str(key)] = only
        return base64.b64encode(_masked(data_key, str(key)) + hashlib.sha256(data_key).digest()).decode()

    def unwrap(self, request: KeyRequest) -> bytes:
        """See Keys."""
        self.asked.append(request)
        error = self.fail(request) or self._refusal(request)
        if error is not None:
            error.reason = "BuildFailed"
            raise error
        sealed = base64.b64decode(request.key.enc)
        found = _masked(sealed[:-32], str(request.key))
        if hashlib.sha256(found).digest() != sealed[-32:]:
            raise Terminal(f"wrapped with another key (asked as {request})", reason="BuildFailed")
        return found

    def _refusal(self, request: KeyRequest) -> PenstockError | None:
        name = str(request.key)
        if name not in self._allowed:
            return NotFound(f"no such key (asked as {request})")
        only = self._allowed[name]
        if only is not None and str(request) not in only:
            return Refused(f"no right to decrypt with it (asked as {request})")
        return None


def _masked(data: bytes, name: str) -> bytes:
    mask = hashlib.shake_256(name.encode()).digest(len(data))
    return bytes(one ^ other for one, other in zip(data, mask, strict=True))
