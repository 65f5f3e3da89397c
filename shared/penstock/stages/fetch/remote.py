"""How to get at a source: its URL under the plane's policy, and its credentials from the plane's store."""

from collections.abc import Mapping

from penstock.core.errors import Refused
from penstock.core.flux.gitrepository import GitRepository
from penstock.core.flux.plane import Policy, parse_plane
from penstock.core.messages import PLANE
from penstock.core.records import PLANE_KEY, PlaneRecord
from penstock.core.secrets.names import FETCH, secret_name
from penstock.core.sources.addresses import GuardedUrl
from penstock.ports.deps import Deps
from penstock.ports.git import Remote


def remote_of(repository: GitRepository, cluster: str, deps: Deps) -> Remote:
    """The remote. The plane's own source is the operator's URL; any other reaches only what the policy allows.

    Raises Refused where its Secret is not in the store, or is not ours to read.
    """
    url = repository.url if cluster == PLANE else GuardedUrl(repository.url, policy_of(cluster, deps).allowed_hosts)
    return Remote(
        url=url,
        credentials=_credentials(repository, cluster, deps),
        timeout=repository.timeout.total_seconds(),
    )


def policy_of(cluster: str, deps: Deps) -> Policy:
    """The Plane's policy for a cluster; the strictest where there is no Plane yet."""
    found = deps.state.get(PLANE_KEY)
    return parse_plane(PlaneRecord.from_value(found.value).document).policy_for(cluster) if found else Policy()


def _credentials(repository: GitRepository, cluster: str, deps: Deps) -> Mapping[str, bytes]:
    own = {"username": repository.username.encode(), "password": repository.password.encode()}
    if not repository.secret:
        return own if repository.username else {}
    data = stored_secret(cluster, repository.namespace, repository.secret, deps)
    if repository.username and not {"username", "password", "bearerToken"} & set(data):
        return {**data, **own}
    return data


def stored_secret(cluster: str, namespace: str, name: str, deps: Deps) -> Mapping[str, bytes]:
    """The plane's copy of a Secret that a source names. Raises Refused where it has none."""
    stored_as = secret_name(FETCH, cluster, namespace, name)
    data = deps.secrets.get(stored_as)
    if data is None:
        todo = (
            f"make {stored_as} there, or give it in the environment (PENSTOCK_SECRET_…)"
            if cluster == PLANE
            else f"put it into the repository or the cluster, or make {stored_as} there"
        )
        raise Refused(
            f"failed to get secret '{namespace}/{name}': it is not in the plane's store: {todo}",
            reason="AuthenticationFailed",
        )
    return data
