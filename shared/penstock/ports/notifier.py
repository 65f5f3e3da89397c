"""The notifier port: one HTTP request to a provider that a user named in a manifest."""

from typing import Protocol

from penstock.core.http import HttpRequest, HttpResponse


class Notifier(Protocol):
    """Sends what core.notify made."""

    def send(self, request: HttpRequest) -> HttpResponse:
        """One POST, at most 15 s, no redirects followed, at most 64 KiB of answer read.

        Raises Refused where the address is loopback, link-local, private or a metadata server and the operator
        has not allowed the host (checked after DNS resolution, and connected to that very address); Transient
        on connection errors. Neither message holds the URL's path or query (they often are the secret).
        """
