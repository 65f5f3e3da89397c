"""Public Flux fleets through a whole plane: a real Git server, a real control plane of this module's own."""

import json
import shutil
import time
from contextlib import ExitStack

import pytest
import yaml
from tests.fleets import Repository, unpack

from penstock.adapters.git.server import GitServer
from penstock.adapters.registry.memory import MemoryRegistry
from penstock.adapters.telemetry.memory import MemoryTelemetry
from penstock.cli import main
from penstock.cli.plane import change_plane
from penstock.core.records import KustomizationStatus, status_key
from penstock.wiring import Runtime, settings_from
from penstock.wiring.embedded import EmbeddedPlane, Options

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("fleets")]

CLUSTER = "fleet"
FLUX = ".toolkit.fluxcd.io"


@pytest.fixture
def api(own_control_plane):
    """A control plane for one fleet alone: they all use the same namespaces."""
    return own_control_plane


@pytest.fixture
def fleet(tmp_path, api):
    """fleet(name, path, **more repositories): a plane that works on it."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed here: install it, then try again")
    (tmp_path / "git").mkdir()
    with ExitStack() as stack:
        server = stack.enter_context(GitServer(tmp_path / "git"))

        def start(name, path, change=lambda repository: None):
            repository = Repository(server=server, name="fleet", work=unpack(name, tmp_path / "work"))
            change(repository)
            repository.push()
            return stack.enter_context(Fleet(tmp_path / "plane", repository, path, api))

        yield start


class Fleet:
    """An EmbeddedPlane on a repository; started by ``with``."""

    def __init__(self, directory, repository, path, api):
        self.repository, self.api, self.telemetry = repository, api, MemoryTelemetry(most=100_000)
        self.settings = settings_from({"PENSTOCK_ALLOWED_HOSTS": "127.0.0.1"}, data_dir=directory)
        instead = {"telemetry": lambda: self.telemetry, "registry": MemoryRegistry}  # empty: no test asks a public one
        runtime = Runtime(self.settings, instead=instead)
        change_plane(
            runtime,
            {
                "apiVersion": "penstock.dev/v1alpha1",
                "kind": "Plane",
                "metadata": {"name": "fleets"},
                "spec": {
                    "source": {"url": repository.url, "ref": {"branch": "main"}, "interval": "10m"},
                    "clusters": [{"name": CLUSTER, "path": path, "kubeConfig": {"path": str(api.kubeconfig)}}],
                    "policy": {"allowedHosts": ["127.0.0.1"]},
                },
            },
        )
        runtime.close()
        self.plane = EmbeddedPlane(Options(settings=self.settings, instead=instead))

    def __enter__(self):
        self.plane.__enter__()
        assert self.plane.wait_synced(90)  # a source that is out of reach is tried again all the time
        return self

    def __exit__(self, *error):
        self.plane.__exit__(*error)

    @property
    def state(self):
        return self.plane.runtime.port("state")

    def ready(self):
        """``name`` (``namespace/name`` elsewhere than in flux-system) -> ``status reason: message`` of Ready."""
        found = {}
        for record in self.state.list(f"object/{CLUSTER}/Kustomization/"):
            namespace, name = record.key.split("/")[3:]
            held = self.state.get(status_key(CLUSTER, "Kustomization", namespace, name))
            status = KustomizationStatus.from_value(held.value) if held else KustomizationStatus()
            ready = status.condition("Ready")
            text = f"{ready.status} {ready.reason}: {ready.message}" if ready else "unknown"
            found[name if namespace == "flux-system" else f"{namespace}/{name}"] = text
        return found

    def until(self, wanted, seconds=40, said=""):
        """Wait until each Ready begins as wanted, and has these words; all of them."""
        end = time.monotonic() + seconds
        while True:
            found = self.ready()
            if all(said in found.get(n, "") and found.get(n, "").startswith(start) for n, start in wanted.items()):
                return found
            assert time.monotonic() < end, self.told(found)
            time.sleep(0.05)

    def told(self, found):
        """Everything that speaks for a failure."""
        errors = [fact.fields for fact in self.telemetry.facts if fact.fields.get("error")]
        return "\n".join(map(str, (*found.items(), *errors[-5:])))

    def live(self, path):
        status, found = self.api.call("GET", path)
        return found if status == 200 else None

    def nothing_of_flux(self):
        """No Deployment, no definition of Flux was created; the inventories hold none of its objects."""
        deployments = self.live("/apis/apps/v1/deployments")["items"]
        assert [d["metadata"]["name"] for d in deployments if d["metadata"]["namespace"] == "flux-system"] == []
        definitions = self.live("/apis/apiextensions.k8s.io/v1/customresourcedefinitions")["items"]
        assert [d["metadata"]["name"] for d in definitions if FLUX in d["metadata"]["name"]] == []
        for inventory in self.live("/api/v1/namespaces/penstock-system/configmaps")["items"]:
            assert FLUX not in inventory.get("data", {}).get("inventory", "")


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_kustomize_helm_example(fleet, environment):
    running = fleet("fluxcd__flux2-kustomize-helm-example", f"clusters/{environment}")
    found = running.until(
        {
            "flux-system": "True ReconciliationSucceeded",
            "infra-controllers": "False UnsupportedKind",
            "infra-configs": "False DependencyNotReady",
            "apps": "False DependencyNotReady",
        }
    )
    assert set(found) == {"flux-system", "infra-controllers", "infra-configs", "apps"}
    assert "HelmRelease/cert-manager/cert-manager" in found["infra-controllers"]
    assert (
        running.live("/api/v1/namespaces/cert-manager")["metadata"]["labels"]["kustomize.toolkit.fluxcd.io/name"]
        == "infra-controllers"
    )
    assert running.live("/api/v1/namespaces/podinfo") is None  # apps waits
    running.nothing_of_flux()


def test_the_commands_find_the_plane_of_this_machine_and_a_plan_finds_its_work(fleet, capsys):
    running = fleet("fluxcd__flux2-kustomize-helm-example", "clusters/staging")
    running.until({"flux-system": "True", "infra-controllers": "False UnsupportedKind"})
    here = ("--data-dir", str(running.settings.data_dir))
    assert main(["status", *here]) == 1
    assert "kustomization/flux-system/infra-controllers" in capsys.readouterr().out
    assert main(["reconcile", "kustomization/flux-system", "--wait", "20s", *here]) == 0
    assert main(["reconcile", "kustomization/infra-controllers", "--wait", "20s", *here]) == 1
    said = capsys.readouterr().err
    assert "is not ready: UnsupportedKind: " in said
    assert "HelmRelease/" in said
    assert main(["reconcile", "kustomization/infra-controllers", "--plan", *here]) == 0
    assert "0 changes (0 created, 0 configured, 0 deleted) at latest@sha256:" in capsys.readouterr().out
    source = ("--source", str(running.repository.work), "--path", "clusters/staging")
    assert main(["plan", *source, "--kubeconfig", str(running.api.kubeconfig), "-o", "json"]) == 1
    found = json.loads(capsys.readouterr().out)
    changes = {
        each["name"].partition("/")[2]: [c["object"] for c in each["changes"]] for each in found["kustomizations"]
    }
    assert (changes["flux-system"], changes["infra-controllers"], changes["apps"]) == ([], [], ["Namespace/podinfo"])
    running.__exit__(None, None, None)
    assert main(["status", *here]) == 1
    assert "no plane serves from" in capsys.readouterr().err


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_multi_tenancy_waits_for_a_source_that_must_be_signed(fleet, environment):
    """Its registry is out of reach here: nothing of the artifact is believed, and everything behind it waits."""
    running = fleet("fluxcd__flux2-multi-tenancy", f"clusters/{environment}")
    found = running.until(
        {
            "flux-system": "True",
            "kyverno-controller": "False ArtifactFailed: Source artifact not found",
            "kyverno-policies": "False DependencyNotReady",
            "tenants": "False DependencyNotReady",
        }
    )
    assert len(found) == 5
    assert not found["kyverno"].startswith("True")
    assert "is not served yet" not in str(found)
    running.nothing_of_flux()


TENANT = {
    "production/settings.yaml": {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "settings", "namespace": "apps"},
        "data": {"team": "dev"},
    }
}
ESCAPE = {
    "production/escape.yaml": {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "dev-team-is-admin"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "dev-team", "namespace": "apps"}],
    }
}


CHILDS = {
    "child/namespace.yaml": {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "child"}},
}


def child(namespace, **more):
    """A Kustomization that a tenant's render makes."""
    spec = {
        "interval": "1h",
        "prune": True,
        "path": "./child",
        "sourceRef": {"kind": "GitRepository", "name": "dev-team"},
    }
    return {
        "production/child.yaml": {
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
            "kind": "Kustomization",
            "metadata": {"name": "child", "namespace": namespace},
            "spec": spec | more,
        }
    }


def test_multi_tenancys_tenants_run_impersonated(fleet, tmp_path):
    """The fleet with its tenants freed from kyverno, and the tenant's repository on this machine."""
    tenant = Repository(server=None, name="dev-team", work=tmp_path / "dev-team")

    def local(repository):
        nonlocal tenant
        tenant = Repository(server=repository.server, name="dev-team", work=tmp_path / "dev-team")
        write(tenant, TENANT)
        tenant.push("dev-team")
        (repository.work / "clusters/production/infrastructure.yaml").unlink()  # kyverno's registry is not here
        edit(
            repository,
            "clusters/production/tenants.yaml",
            lambda text: text.replace("    - name: kyverno-policies\n", "").replace("  dependsOn:\n", ""),
        )
        edit(
            repository,
            "tenants/base/dev-team/sync.yaml",
            lambda text: text.replace("https://github.com/fluxcd/flux2-multi-tenancy", tenant.url),
        )

    running = fleet("fluxcd__flux2-multi-tenancy", "clusters/production", local)
    running.until({"tenants": "True", "apps/dev-team": "True"})
    settings = running.live("/api/v1/namespaces/apps/configmaps/settings")
    assert settings["data"] == {"team": "dev"}
    impersonated = '"impersonatedUser":{"username":"system:serviceaccount:apps:dev-team"'
    eventually(lambda: impersonated in (running.api.folder / "audit.log").read_text())
    write(tenant, ESCAPE)
    tenant.push("dev-team")
    wake(running, "apps", "dev-team")
    found = running.until({"apps/dev-team": "False AccessDenied"})
    assert "dev-team-is-admin" in found["apps/dev-team"]
    assert running.live("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/dev-team-is-admin") is None
    (tenant.work / "production/escape.yaml").unlink()
    for namespace, spec, said in (
        (
            "flux-system",
            {},
            "dev-team may not create Kustomizations of kustomize.toolkit.fluxcd.io in namespace flux-system",
        ),
        ("apps", {"kubeConfig": {"secretRef": {"name": "other"}}}, "may not choose another kubeConfig"),
    ):
        write(tenant, child(namespace, **spec))
        tenant.push("dev-team")
        wake(running, "apps", "dev-team")
        running.until({"apps/dev-team": "False AccessDenied"}, said=said)
        assert f"{namespace}/child" not in running.ready(), "nothing of it is stored"
    write(tenant, child("apps") | CHILDS)
    tenant.push("dev-team")
    wake(running, "apps", "dev-team")
    found = running.until({"apps/dev-team": "True", "apps/child": "False AccessDenied"})
    assert 'User "system:serviceaccount:apps:dev-team" cannot' in found["apps/child"], (
        "it inherits its parent's account"
    )
    assert running.live("/api/v1/namespaces/child") is None
    running.nothing_of_flux()


def test_a_repository_with_fluxs_own_components_installs_none(fleet):
    """wahooli's: gotk-components beside the user's, and a Kustomization over the root's own path."""
    running = fleet("wahooli__gitops-repo", "clusters/nas")
    found = running.until(
        {"flux-system": "True", "infrastructure-core": "False BuildFailed", "apps": "False Dependency"}
    )
    assert "substitute from 'Secret/cluster-infrastructure-vars' error: not found" in found["infrastructure-core"]
    root = KustomizationStatus.from_value(
        running.state.get(status_key(CLUSTER, "Kustomization", "flux-system", "flux-system")).value
    )
    left_out = {name for name, _ in root.summary["leftOut"]}
    assert {"Namespace/flux-system", "Deployment/flux-system/kustomize-controller"} <= left_out
    assert "CustomResourceDefinition/kustomizations.kustomize.toolkit.fluxcd.io" in left_out
    eventually(lambda: all(status.startswith(("True", "False")) for status in running.ready().values()))
    running.nothing_of_flux()


def eventually(check, seconds=10):
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end
        time.sleep(0.1)


def write(repository, files):
    for path, document in files.items():
        file = repository.work / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(yaml.safe_dump(document))


def edit(repository, path, change):
    file = repository.work / path
    before = file.read_text()
    assert change(before) != before, path
    file.write_text(change(before))


def wake(running, namespace, source):
    """What a webhook would publish."""
    from penstock.core.messages import SourceChanged

    running.plane.runtime.publish([SourceChanged(cluster=CLUSTER, namespace=namespace, name=source)])
