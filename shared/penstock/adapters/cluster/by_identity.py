"""Connections by an identity instead of a kubeconfig: where the cluster is, and its tokens."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from penstock.adapters.cluster import kubeconfig as kubeconfigs
from penstock.adapters.cluster.credentials import Credentials, Login, Renewed, token_file
from penstock.adapters.cluster.kubeconfig import Connection
from penstock.adapters.http.addresses import Guard
from penstock.adapters.identity.http import Send
from penstock.core.clusters import aks, eks, gke
from penstock.core.clusters.access import ClusterAccess
from penstock.core.clusters.endpoints import Endpoint, chosen, endpoint, only_its_own
from penstock.core.errors import Refused, Terminal
from penstock.core.identity.azure import AKS_SCOPE, Cloud
from penstock.ports.cluster import RemoteCluster
from penstock.ports.identity import Bearer, Identities

MARGIN = 60.0
"""Seconds before its end at which a token is not used any more."""

KEPT = 60.0
"""Seconds for which a token is used without asking who the account is now."""

Known = tuple[Endpoint | None, ...]


class ByIdentity:
    """``send``: for look-ups at the clouds; ``azure_cloud``: gives the cloud of Azure that the plane belongs to."""

    def __init__(
        self,
        identities: Identities,
        send: Send,
        *,
        azure_cloud: Callable[[], Cloud],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._identities, self._send, self._azure_cloud, self._clock = identities, send, azure_cloud, clock

    def connection(self, remote: RemoteCluster, *, token_path: str = "") -> Connection:
        """Where the cluster is and how to speak to it. ``token_path``: the operator's file with a token."""
        found = self._endpoint(remote)
        credentials = token_file(token_path) if token_path else self._credentials(remote)
        who = str(remote.account or (f"the token in {token_path}" if token_path else "the plane's own identity"))
        return Connection(
            server=found.address,
            credentials=credentials,
            user=f"{who} ({remote.access.provider})",
            ca=found.authority.encode(),
            guard=Guard(allowed_hosts=remote.allowed_hosts),
        )

    def _endpoint(self, remote: RemoteCluster) -> Endpoint:
        """The cluster's endpoint. The plane's own token, where a manifest asks for it, goes nowhere unlooked."""
        access, guarded = remote.access, remote.account is None and remote.allowed_hosts is not None
        told = Endpoint(address=access.address, authority=access.authority)
        complete = bool(access.address) and (bool(access.authority) or gke.is_googles(access.address))
        if access.provider == "generic" or (complete and not guarded):
            return told
        known = self._known(remote)
        found = chosen(access, known, remote.name)
        return only_its_own(access, found, known, remote.name) if guarded else found

    def _known(self, remote: RemoteCluster) -> Known:
        access, account = remote.access, remote.account
        if access.provider == "aws":
            given = self._identities.aws(account, eks.region_of(access.cluster))
            asked = eks.describe(access.cluster, given.keys, self._now())
            return eks.described(self._send(asked), access.cluster)
        if access.provider == "gcp":
            asked = gke.describe(access, self._identities.gcp(account).token)
            return gke.described(self._send(asked), access)
        cloud = self._azure_cloud()
        asked = aks.user_credentials(access.cluster, cloud, self._identities.azure(account, cloud.scope).token)
        return tuple(_of_aks(data, access) for data in aks.kubeconfigs(self._send(asked), access.cluster))

    def _credentials(self, remote: RemoteCluster) -> Credentials:
        def source(refused: bool) -> tuple[Login, float]:
            bearer = self._bearer(remote, fresh=refused)
            now = self._clock()
            if bearer.expires <= now:
                raise Terminal(f"{remote.name}: a token that has ended was given: are the clocks right?")
            due = bearer.expires - min(MARGIN, (bearer.expires - now) / 2)
            return Login(authorization=f"Bearer {bearer.token}"), min(due, now + KEPT)

        return Renewed(source, clock=self._clock)

    def _bearer(self, remote: RemoteCluster, *, fresh: bool) -> Bearer:
        access, account = remote.access, remote.account
        if access.provider == "aws":
            given = self._identities.aws(account, eks.region_of(access.cluster), fresh=fresh)
            token, end = eks.token(access.cluster, given.keys, self._now()), self._clock() + eks.TOKEN_SECONDS
            return Bearer(token=token, expires=min(end, given.expires))
        if access.provider == "gcp":
            return self._identities.gcp(account, fresh=fresh)
        if access.provider == "azure":
            return self._identities.azure(account, AKS_SCOPE, fresh=fresh)
        if account is None:
            raise Refused(f"{remote.name}: provider generic needs a ServiceAccount, whose token the cluster trusts")
        return self._identities.kubernetes(account, fresh=fresh)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)


def _of_aks(data: bytes, access: ClusterAccess) -> Endpoint | None:
    """The endpoint in a kubeconfig that Azure gives. Only where and whom to trust is taken from it."""
    where = kubeconfigs.server_of(data, name=access.cluster)
    if where.has_own_credentials:
        raise Refused(
            f"{access.cluster} gives its users a credential of its own: Microsoft Entra ID is not enabled there"
            " (az aks update --enable-aad)"
        )
    return endpoint(where.server, where.authority.decode(errors="replace"))
