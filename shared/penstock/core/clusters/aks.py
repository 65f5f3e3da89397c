"""Azure AKS: where a cluster is. Its API server takes Entra ID's tokens for one application, the same in all clusters.

https://learn.microsoft.com/rest/api/aks/managed-clusters/list-cluster-user-credentials
"""

import base64
import binascii
from collections.abc import Iterator

from penstock.core.http import HttpRequest, HttpResponse
from penstock.core.identity.answers import json_of
from penstock.core.identity.azure import Cloud

_VERSION = "2025-04-01"


def user_credentials(cluster: str, cloud: Cloud, token: str) -> HttpRequest:
    """The request for the kubeconfigs that users of the cluster are given; they hold no credential with Entra ID."""
    url = f"https://{cloud.manager}{cluster}/listClusterUserCredential?api-version={_VERSION}"
    return HttpRequest(method="POST", path="", url=url, headers={"authorization": f"Bearer {token}"})


def kubeconfigs(answer: HttpResponse, cluster: str) -> Iterator[bytes]:
    """The kubeconfigs in that answer, in its order."""
    found = json_of(answer, f"Azure listClusterUserCredential for {cluster}").get("kubeconfigs")
    for each in found if isinstance(found, list) else ():
        try:
            yield base64.b64decode(str(each["value"]), validate=True)
        except (KeyError, TypeError, binascii.Error):
            continue
