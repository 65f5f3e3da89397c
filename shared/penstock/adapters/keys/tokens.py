"""What key services want to see: access keys for AWS, bearer tokens for Google and Azure, a token for Vault."""

import time
import uuid
from collections.abc import Callable

from penstock.adapters.identity.http import Send
from penstock.adapters.identity.kept import Kept
from penstock.adapters.keys.vault_settings import VaultSettings
from penstock.core.errors import Refused, Terminal
from penstock.core.identity.azure import granted, managed
from penstock.core.identity.sigv4 import AwsKeys
from penstock.core.secrets.credentials import (
    AzurePrincipal,
    Credential,
    GoogleAccount,
    ManagedIdentity,
    VaultToken,
)
from penstock.core.secrets.master_keys import AzureKey, VaultKey
from penstock.core.secrets.services import azure, gcp, vault
from penstock.ports.identity import Account, Identities
from penstock.ports.keys import KeyRequest

Who = Credential | Account | None


class Tokens:
    """Tokens that last are kept in memory until shortly before they end. ``clock``: POSIX seconds."""

    def __init__(
        self,
        identities: Callable[[], Identities],
        send: Send,
        send_vault: Send,
        settings: VaultSettings,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._identities, self._send, self._send_vault = identities, send, send_vault
        self._settings, self._clock = settings, clock
        self._kept = Kept(clock)

    def aws(self, who: Who, region: str) -> AwsKeys:
        """Keys to sign with."""
        if isinstance(who, AwsKeys):
            return who
        return self._identities().aws(_no_secret(who), region).keys

    def google(self, who: Who) -> str:
        """An access token."""
        if not isinstance(who, GoogleAccount):
            return self._identities().gcp(_no_secret(who)).token
        account = who

        def ask() -> tuple[str, float]:
            answer = self._send(gcp.token_request(account, self._clock()))
            return granted(answer, "Google's token server", self._clock())

        return self._kept.get(account, ask)

    def azure(self, who: Who, key: AzureKey) -> str:
        """An access token for the key's vault."""
        cloud = azure.cloud_of(key)
        if isinstance(who, ManagedIdentity):
            return self._managed(who, cloud.scope)
        if not isinstance(who, AzurePrincipal):
            return self._identities().azure(_no_secret(who), cloud.scope).token
        principal = who

        def ask() -> tuple[str, float]:
            request = azure.token_request(principal, cloud, self._clock(), str(uuid.uuid4()))
            return granted(self._send(request), "Microsoft Entra ID", self._clock())

        return self._kept.get((principal, cloud.scope), ask)

    def vault(self, request: KeyRequest, key: VaultKey) -> str:
        """A Vault token: a Secret's, the plane's own, or that of a login with a ServiceAccount's token."""
        who = request.who
        if isinstance(who, VaultToken):
            return who.token
        if who is None:
            if not self._settings.token:
                raise Refused("the plane has no Vault token of its own (environment variable VAULT_TOKEN)")
            return self._settings.token
        account = _no_secret(who)
        assert account is not None
        if not request.login_path:
            raise Refused("ServiceAccounts cannot log in: policy.sopsVaults gives this Vault no loginPath")
        return self._login(account, key.address, request.login_path)

    def _login(self, account: Account, address: str, path: str) -> str:
        """The role is the one that Flux asks for: ``<namespace>_<name>``; the audience is the address."""
        role = f"{account.namespace}_{account.name}"

        def ask() -> tuple[str, float]:
            jwt = self._identities().kubernetes(account).token
            answer = self._send_vault(vault.login(address, path, role, jwt))
            token, seconds = vault.logged_in(answer, path, role)
            return token, self._clock() + seconds

        return self._kept.get((vault.origin_of(address), path, account.cluster, role), ask)

    def _managed(self, who: ManagedIdentity, scope: str) -> str:
        def ask() -> tuple[str, float]:
            answer = self._send(managed(scope, who.client))
            return granted(answer, f"Azure token for {who}", self._clock())

        return self._kept.get((who, scope), ask)


def _no_secret(who: Who) -> Account | None:
    """A ServiceAccount, or the plane itself. Raises Terminal for credentials of another service."""
    if who is None or isinstance(who, Account):
        return who
    raise Terminal(f"{who} is for another service")
