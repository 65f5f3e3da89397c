"""Who applies: the plane for the platform's own Kustomizations, a service account for each tenant's."""

import pytest
import yaml
from tests.memory_plane import MemoryPlane, config_map, kustomization, namespace

from penstock.adapters.cluster.memory import Grant

TENANT = "system:serviceaccount:team:builder"
CHILD = "team/child.yaml"


@pytest.fixture
def plane():
    """A tenant whose account may do anything in its own namespace, flux-system included where a test says so."""
    made = MemoryPlane()
    made.cluster.grants.append(Grant(user=TENANT, namespace="team"))
    made.push(
        {
            "clusters/prod/platform.yaml": kustomization(
                "platform", "platform", serviceAccountName="kustomize-controller"
            ),
            "clusters/prod/team.yaml": kustomization("team", "team", namespace="team", serviceAccountName="builder"),
            "platform/namespace.yaml": namespace("team"),
            "team/settings.yaml": config_map("settings", "team", key="1"),
        }
    )
    made.settle()
    return made


def test_fluxs_own_account_stands_for_the_plane_and_a_tenants_is_impersonated(plane):
    assert plane.ready("platform").startswith("True")
    assert plane.ready("team", namespace="team").startswith("True")
    assert plane.config_map("settings", "team") == {"key": "1"}


def test_a_tenant_applies_nothing_outside_its_rights(plane):
    plane.push({"team/settings.yaml": config_map("settings", "flux-system", key="1")})
    plane.settle()
    assert "False" in plane.ready("team", namespace="team")
    assert plane.config_map("settings", "flux-system") is None


def test_a_missing_right_is_named_before_anything_is_written(plane):
    """The ConfigMap would be allowed, the Secret is not; a refused attempt asks for all, and names all."""
    may = frozenset({"get", "list", "patch", "create"})
    plane.cluster.grants[1:] = [
        Grant(user=TENANT, namespace="team", verbs=may, kinds=frozenset({"ConfigMap"})),
        Grant(user=TENANT, namespace="team", verbs=frozenset({"get", "list"}), kinds=frozenset({"Secret"})),
    ]
    plane.cluster.calls.clear()
    files = {"team/more.yaml": config_map("more", "team"), "team/secret.yaml": secret("team")}
    plane.push({**files, "team/settings.yaml": None})
    plane.settle()
    ready = plane.ready("team", namespace="team")
    missing = "may not patch and create secrets in namespace team; delete configmaps in namespace team"
    assert ready.startswith(f"False AccessDenied: {TENANT} {missing}: nothing was changed"), ready
    assert [call for call in plane.writes() if "/team/" in call[1]] == []
    plane.cluster.grants.append(Grant(user=TENANT, namespace="team"))
    plane.reconcile("team", namespace="team")
    assert plane.ready("team", namespace="team").startswith("True")
    assert plane.config_map("settings", "team") is None


def test_rights_that_a_plan_may_bring_are_not_judged_beforehand(plane):
    """A namespace that it makes, a binding that it writes: only trying tells."""
    plane.cluster.grants[1:] = [Grant(user=TENANT, verbs=frozenset({"get", "list"}))]
    plane.push({"team/fresh.yaml": namespace("fresh"), "team/inside.yaml": config_map("inside", "fresh")})
    plane.settle()
    ready = plane.ready("team", namespace="team")
    assert "may not patch and create namespaces at cluster scope: nothing" in ready
    assert "fresh;" not in ready
    binding = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "b"}}
    plane.push({"team/binding.yaml": yaml.safe_dump(binding)})
    plane.settle()
    assert "cannot patch" in plane.ready("team", namespace="team"), "the API server's own word"


def secret(where):
    metadata = {"name": "login", "namespace": where}
    return yaml.safe_dump({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"k": "MQ=="}})


@pytest.mark.parametrize(
    ("grants", "named", "said"),
    [
        ([], "builder", "may not create Kustomizations"),
        ([Grant(user=TENANT, namespace="flux-system")], "kustomize-controller", "may not run as the plane itself"),
    ],
)
def test_a_tenants_render_does_not_run_with_the_planes_rights(plane, grants, named, said):
    plane.cluster.grants.extend(grants)
    plane.push({CHILD: kustomization("child", "team", serviceAccountName=named)})
    plane.settle()
    assert said in plane.ready("team", namespace="team")
    assert not plane.known("Kustomization", "child")
