"""The downloads port: one file behind a URL that a manifest names (a remote file of a kustomization).

Errors: NotFound (404, 410), Refused (401, 403, over the limit, an address that is not allowed, a redirect away from
TLS), Transient (unreachable, timeout, 408, 429, 5xx), else Terminal; the reason is ``DownloadFailed``. Messages never
hold the URL's query.
"""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, kw_only=True, slots=True)
class Download:
    """What may be spent on a file. ``timeout``: seconds for all of it; ``most``: bytes."""

    url: str
    timeout: float = 30.0
    most: int = 16 * 1024 * 1024


class Downloads(Protocol):
    """Sends no credentials, and keeps nothing."""

    def get(self, download: Download) -> bytes:
        """The bytes of the file: one GET, at most three redirects followed.

        A url that is a GuardedUrl (core.sources.addresses) reaches only the addresses that it may, after redirects too.
        """
