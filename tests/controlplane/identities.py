"""Identities with exactly the rights that ``penstock cluster add NAME --print-rbac`` prints, on a real API server.

Tests hand these to the plane: never an administrator, whom RBAC does not ask.
"""

import re
import textwrap
import time
from collections.abc import Callable, Sequence

import yaml

from penstock.cli.rbac import Wanted, account, manifests
from penstock.core.reconcile.inventory import NAMESPACE

CLUSTER = "test"
PLURALS = {
    "Namespace": "/api/v1/namespaces",
    "ServiceAccount": "/api/v1/namespaces/{}/serviceaccounts",
    "Role": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings",
    "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
}
Call = Callable[..., tuple[int, dict]]


def printed(profile: str, accounts: Sequence[str] = ()) -> str:
    """What the command prints."""
    return manifests(Wanted(cluster=CLUSTER, profile=profile, accounts=tuple(account(each) for each in accounts)))


def grant(call: Call, text: str) -> list[dict]:
    """``kubectl apply -f -``, as an administrator (``call``: see fixtures.ControlPlane); the documents."""
    documents = list(yaml.safe_load_all(text))
    for document in documents:
        metadata = document["metadata"]
        path = f"{PLURALS[document['kind']].format(metadata.get('namespace', ''))}/{metadata['name']}"
        status, answer = call(
            "PATCH",
            f"{path}?fieldManager=kubectl&force=true&fieldValidation=Strict",
            document,
            Content_Type="application/apply-patch+yaml",
        )
        assert status in (200, 201), answer
    return documents


def kubeconfig(call: Call, cluster: dict, text: str, *, bound_to: dict | None = None) -> bytes:
    """What the printed commands make: the kubeconfig that stands in them, with what kubectl would put in.

    ``cluster``: server and authority; ``bound_to``: an object that the token ends with.
    """
    here = re.search(r"^#   cat > .*<<EOF\n(.*?)^#   EOF$", text, re.MULTILINE | re.DOTALL)
    assert here, text
    plain = textwrap.dedent(re.sub("^#", "", here[1], flags=re.MULTILINE))
    name = re.search(r"create token (\S+) -n penstock-system", text)[1]
    values = {
        "$server": cluster["server"],
        "$ca": cluster["certificate-authority-data"],
        "$token": token(call, name, bound_to=bound_to),
    }
    for word, value in values.items():
        plain = plain.replace(word, value)
    assert "$" not in plain, plain
    return plain.encode()


def token(call: Call, name: str, *, bound_to: dict | None = None) -> str:
    """A token of a ServiceAccount in penstock-system, by TokenRequest (``kubectl create token``)."""
    spec = {"expirationSeconds": 2160 * 3600, **({"boundObjectRef": bound_to} if bound_to else {})}
    path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{name}/token"
    deadline = time.monotonic() + 10
    while True:
        status, answer = call("POST", path, {"spec": spec})
        if status == 201:
            return answer["status"]["token"]
        assert time.monotonic() < deadline, answer
        time.sleep(0.1)
