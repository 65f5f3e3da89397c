"""Who applies: the plane for the platform's own Kustomizations, a service account for each tenant's."""

import pytest
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
