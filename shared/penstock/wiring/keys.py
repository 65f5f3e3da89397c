"""The key services that SOPS files may need, with the plane's own identities and the operator's proxy."""

import ssl

from penstock.adapters.cluster.proxies import proxy_from
from penstock.adapters.identity.clouds import CloudIdentities
from penstock.adapters.identity.http import HttpSender
from penstock.adapters.keys.services import KeyServices
from penstock.core.errors import Terminal
from penstock.ports.keys import Keys
from penstock.wiring.settings import Settings


def key_services(settings: Settings) -> Keys:
    """AWS KMS, Google Cloud KMS, Azure Key Vault and Vault."""
    proxy_for = proxy_from(settings.proxies)
    send = HttpSender(proxy_for)
    send_vault = HttpSender(proxy_for, trust=lambda: _trust(settings.vault.ca_file))
    identities = CloudIdentities(send, settings.azure)
    return KeyServices(lambda: identities, send, send_vault, settings=settings.vault)


def _trust(path: str) -> ssl.SSLContext | None:
    """The certificate authorities in a file, instead of the public ones."""
    if not path:
        return None
    try:
        return ssl.create_default_context(cafile=path)
    except (OSError, ssl.SSLError) as error:
        raise Terminal(f"VAULT_CACERT {path}: {type(error).__name__}; it must be a PEM file") from error
