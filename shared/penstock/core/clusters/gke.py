"""Google GKE: where a cluster is. Its API server takes OAuth access tokens as they are.

https://cloud.google.com/kubernetes-engine/docs/reference/rest/v1/projects.locations.clusters/get
https://cloud.google.com/kubernetes-engine/docs/concepts/network-isolation (DNS-based endpoint)
https://cloud.google.com/kubernetes-engine/enterprise/multicluster-management/gateway (Connect Gateway)
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from penstock.core.clusters.access import FLEET, ClusterAccess
from penstock.core.clusters.endpoints import Endpoint, endpoint, pem
from penstock.core.http import HttpRequest, HttpResponse
from penstock.core.identity.answers import inner, json_of, malformed

_DNS = ".gke.goog"
_GATEWAY = "connectgateway.googleapis.com"


def is_googles(address: str) -> bool:
    """Whether an address is a DNS endpoint or Connect Gateway: Google's own certificate stands there."""
    name = urlsplit(address).hostname or ""
    return name.endswith((_DNS, f"-{_GATEWAY}")) or name == _GATEWAY


def describe(access: ClusterAccess, token: str) -> HttpRequest:
    """The request for a cluster's description, or for a fleet member's address at Connect Gateway."""
    member = FLEET.fullmatch(access.cluster)
    if member is None:
        url = f"https://container.googleapis.com/v1/{access.cluster}"
    else:
        region = "" if member["location"] == "global" else f"{member['location']}-"
        url = f"https://{region}{_GATEWAY}/v1/{access.cluster}:generateCredentials"
    return HttpRequest(method="GET", path="", url=url, headers={"authorization": f"Bearer {token}"})


def described(answer: HttpResponse, access: ClusterAccess) -> tuple[Endpoint | None, ...]:
    """The endpoints in that answer: the IP address first where it is served, then the DNS name."""
    if FLEET.fullmatch(access.cluster):
        what = f"Google connectgateway generateCredentials for {access.cluster}"
        found = endpoint(str(json_of(answer, what).get("endpoint") or ""))
        if found is None or not is_googles(found.address):
            raise malformed(what)
        return (found,)
    what = f"Google container.clusters.get for {access.cluster}"
    cluster = json_of(answer, what)
    return _of_cluster(cluster, pem(inner(cluster, "masterAuth", what).get("clusterCaCertificate"), what), what)


def _of_cluster(cluster: Mapping[str, Any], authority: str, what: str) -> tuple[Endpoint | None, ...]:
    config, private = inner(cluster, "controlPlaneEndpointsConfig", what), inner(cluster, "privateClusterConfig", what)
    name, addresses = inner(config, "dnsEndpointConfig", what), inner(config, "ipEndpointsConfig", what)
    known = [
        cluster.get("endpoint"),
        addresses.get("publicEndpoint"),
        addresses.get("privateEndpoint"),
        private.get("publicEndpoint"),
        private.get("privateEndpoint"),
    ]
    by_address = [] if addresses.get("enabled") is False else [endpoint(str(each or ""), authority) for each in known]
    by_name = endpoint(str(name.get("endpoint") or "")) if name.get("allowExternalTraffic") else None
    return (*(each for each in by_address if each is not None and not is_googles(each.address)), by_name)
