"""Logins of sources, with the plane's own identities and the operator's proxy."""

from collections.abc import Mapping

from penstock.adapters.cluster.proxies import proxy_from
from penstock.adapters.http.trust import tls_context
from penstock.adapters.identity.clouds import CloudIdentities
from penstock.adapters.identity.http import HttpSender, Send
from penstock.adapters.identity.logins import SourceLogins
from penstock.wiring.settings import Settings


def source_logins(settings: Settings) -> SourceLogins:
    """What registries, Git hosts and object stores take; the clouds' libraries load when they are used."""
    send = HttpSender(proxy_from(settings.proxies))
    identities = CloudIdentities(send, settings.azure)

    def guarded(allowed_hosts: tuple[str, ...] | None, certificates: Mapping[str, bytes]) -> Send:
        return HttpSender(trust=lambda: tls_context(certificates), allowed_hosts=allowed_hosts)

    return SourceLogins(lambda: identities, send, guarded)
