"""Identities (see the port): a ServiceAccount's token from its own API server, exchanged at the cloud it names."""

import time
from collections.abc import Callable, Hashable, Mapping

from penstock.adapters.identity.http import HttpSender, Send
from penstock.adapters.identity.kept import Kept
from penstock.adapters.identity.own import Own
from penstock.core.errors import NotFound
from penstock.core.identity import accounts, aws, azure, gcp
from penstock.core.identity.azure import Cloud
from penstock.core.resources import Gvk, Manifest
from penstock.ports.identity import Account, AwsCredentials, Bearer

SERVICE_ACCOUNT = Gvk(version="v1", kind="ServiceAccount")
TOKEN_SECONDS = 3600
"""Asked of the API server; it may give less, or more."""

EXCHANGE_SECONDS = 600
"""The same for a token that is exchanged at once: the least that the API server gives."""


class CloudIdentities:
    """``send``: for token endpoints; ``azure_settings``: see Own; ``clock``: POSIX seconds."""

    def __init__(
        self,
        send: Send | None = None,
        azure_settings: Mapping[str, str] | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._send, self._clock = send or HttpSender(), clock
        self._own = Own(self._send, azure_settings or {}, clock)
        self._kept = Kept(clock)

    def aws(self, who: Account | None, region: str, *, fresh: bool = False) -> AwsCredentials:
        """See Identities."""
        if who is None:
            return self._own.aws()
        account = read_account(who)
        role = accounts.aws_role(account, region)

        def assume() -> tuple[AwsCredentials, float]:
            token = _exchanged_token(who, aws.TOKEN_AUDIENCE)
            keys, expires = aws.assumed(self._send(aws.assume_role(role, token)), role)
            return AwsCredentials(keys=keys, expires=expires), expires

        return self._kept.get(_key("aws", who, account, role), assume, fresh=fresh)

    def gcp(self, who: Account | None, *, fresh: bool = False) -> Bearer:
        """See Identities."""
        if who is None:
            return self._kept.get(("gcp",), lambda: _with_end(self._own.gcp()), fresh=fresh)
        account = read_account(who)
        federation = accounts.gcp_federation(account, who.gke)

        def exchange() -> tuple[Bearer, float]:
            token = _exchanged_token(who, federation.token_audience)
            answer = self._send(gcp.exchange(federation, token))
            given, expires = gcp.exchanged(answer, self._clock())
            if federation.email:
                answer = self._send(gcp.impersonate(federation.email, given))
                given, expires = gcp.impersonated(answer, federation.email)
            return Bearer(token=given, expires=expires), expires

        return self._kept.get(_key("gcp", who, account, federation), exchange, fresh=fresh)

    def azure(self, who: Account | None, scope: str, *, fresh: bool = False) -> Bearer:
        """See Identities."""
        if who is None:
            return self._kept.get(("azure", scope), lambda: _with_end(self._own.azure(scope)), fresh=fresh)
        account = read_account(who)
        application = accounts.azure_application(account, self._own.cloud)

        def exchange() -> tuple[Bearer, float]:
            token = _exchanged_token(who, azure.TOKEN_AUDIENCE)
            answer = self._send(azure.with_assertion(application, scope, token))
            what = f"Azure token for {who} as {application.client}"
            given, expires = azure.granted(answer, what, self._clock())
            return Bearer(token=given, expires=expires), expires

        return self._kept.get(_key("azure", who, account, (application, scope)), exchange, fresh=fresh)

    def kubernetes(self, who: Account, *, fresh: bool = False) -> Bearer:
        """See Identities."""
        account = read_account(who)

        def request() -> tuple[Bearer, float]:
            return _with_end(_token(who, who.audiences, TOKEN_SECONDS))

        return self._kept.get(_key("kubernetes", who, account, None), request, fresh=fresh)

    @property
    def azure_cloud(self) -> Cloud:
        """Azure's cloud that the plane belongs to."""
        return self._own.cloud


def read_account(who: Account) -> Manifest:
    """The ServiceAccount as it is now: an annotation that changed counts at once. Raises NotFound."""
    found = who.home().get(SERVICE_ACCOUNT, who.namespace, who.name)
    if found is None:
        raise NotFound(f"{who} not found in cluster {who.cluster}", reason="ReconciliationFailed")
    return found


def _key(cloud: str, who: Account, account: Manifest, identity: Hashable) -> Hashable:
    return cloud, who.cluster, who.namespace, who.name, account["metadata"].get("uid"), who.audiences, identity


def _exchanged_token(who: Account, audience: str) -> str:
    return _token(who, who.audiences or (audience,), EXCHANGE_SECONDS).token


def _token(who: Account, audiences: tuple[str, ...], seconds: int) -> Bearer:
    given = who.home().request_token(who.namespace, who.name, audiences=audiences, seconds=seconds)
    return Bearer(token=given.token, expires=given.expires)


def _with_end(bearer: Bearer) -> tuple[Bearer, float]:
    return bearer, bearer.expires
