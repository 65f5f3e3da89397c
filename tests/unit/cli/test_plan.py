"""`penstock plan` on small fleets and a cluster in memory: what is read, rendered, compared and printed."""

import subprocess
from itertools import chain

import pytest
import yaml
from tests.memory_plane import config_map, kustomization, namespace

from penstock.adapters.cluster.memory import MemoryCluster
from penstock.cli import main
from penstock.cli.plan import guest, report, source, text
from penstock.cli.plan.fields import ABSENT, FieldChange, field_changes
from penstock.cli.plan.outlook import outlooks
from penstock.cli.plan.planner import ENCRYPTED, Planner
from penstock.cli.plan.rehearsal import Rehearsal
from penstock.cli.plan.shown import Planned
from penstock.core.errors import NotFound, Refused, Terminal
from penstock.core.reconcile.inventory import Inventory, Owner, Shown, to_config_map
from penstock.core.reconcile.order import staged
from penstock.core.resources import Gvk, ObjectRef
from penstock.core.tree import memory_tree
from penstock.ports.cluster import ApplyOptions

CONFIG_MAP = Gvk(version="v1", kind="ConfigMap")
FLEET = {
    "clusters/prod/apps.yaml": kustomization("apps", "apps"),
    "apps/namespace.yaml": namespace("apps"),
    "apps/a.yaml": config_map("a", key="1"),
    "apps/secret.yaml": yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "login", "namespace": "apps"},
            "stringData": {"password": "canary-one"},
        }
    ),
}


class One:
    """Clusters that are all the same one."""

    def __init__(self, cluster):
        self.cluster = cluster

    def connect(self, cluster, *, impersonate=""):
        return self.cluster

    def connect_kubeconfig(self, kubeconfig, *, name, impersonate="", allowed_hosts=()):
        return self.cluster


def fleet(files):
    return source.FleetSource(where="here", revision="main@sha1:" + "a" * 40, branch="main", tree=memory_tree(files))


def rendered(files, clusters=None):
    return {
        s.ref.removeprefix("flux-system/"): s
        for s in Rehearsal(fleet(files), "clusters/prod", clusters, lambda _: None).run()
    }


def made(files, cluster=None):
    """A Report of files against a cluster."""
    clusters, world = One(cluster) if cluster else None, guest.World()
    rehearsal = Rehearsal(fleet(files), "clusters/prod", clusters, lambda _: None)
    sections = rehearsal.run()
    planned = (
        Planner(rehearsal, clusters, world, lambda _: None).run(sections)
        if clusters
        else [Planned(section=s) for s in sections]
    )
    return report.Report(
        source=fleet(files), cluster="it", compared=bool(cluster), planned=planned, outlooks=outlooks(sections)
    )


def shown(found):
    return {change.object: change for planned in found.planned for change in planned.changes}


def applied(cluster, files, manager="penstock"):
    """The fleet's objects as a reconcile would have left them, inventories included."""
    for section in rendered(files).values():
        name = section.ref.partition("/")[2]
        for manifest in chain.from_iterable(staged(section.rendered.apply)):
            cluster.apply(manifest, ApplyOptions(field_manager=manager))
        if cluster.get(Gvk(version="v1", kind="Namespace"), "", "penstock-system") is None:
            cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "penstock-system"}})
        owner = Owner(plane="f" * 32, cluster="production", namespace="flux-system", name=name)
        inventory = Inventory(owner=str(owner), entries=section.rendered.versions())
        cluster.create(to_config_map(inventory, owner, Shown()))


def test_an_empty_cluster_gets_everything():
    cluster = MemoryCluster()
    found = made(FLEET, cluster)
    assert {name: change.action for name, change in shown(found).items()} == {
        "Namespace/apps": "created",
        "ConfigMap/apps/a": "created",
        "Secret/apps/login": "created",
    }
    assert "its namespace apps is created by this plan" in shown(found)["ConfigMap/apps/a"].reason
    assert (report.exit_status(found), cluster.api.read(ObjectRef(kind="Namespace", name="apps"))) == (1, None)
    assert text.summary(found) == "3 changes (3 created, 0 configured, 0 deleted) in 2 Kustomizations"


def test_a_cluster_that_a_plane_keeps_in_sync_shows_what_git_changed():
    cluster = MemoryCluster()
    applied(cluster, FLEET | {"apps/old.yaml": config_map("old", key="1")})
    cluster.calls.clear()
    found = made(FLEET | {"apps/a.yaml": config_map("a", key="2", more="3")}, cluster)
    changes = {name: change for name, change in shown(found).items() if change.action != "unchanged"}
    assert {name: change.action for name, change in changes.items()} == {
        "ConfigMap/apps/a": "configured",
        "ConfigMap/apps/old": "deleted",
    }
    assert changes["ConfigMap/apps/a"].fields == (
        FieldChange(path="data.key", old="1", new="2"),
        FieldChange(path="data.more", new="3"),
    )
    assert [planned.notes for planned in found.planned] == [(), ()]
    assert {verb for verb, _ in cluster.calls} <= {"get", "list", "patch"}
    assert cluster.get(CONFIG_MAP, "apps", "a")["data"] == {"key": "1"}


def test_a_kustomization_that_left_the_repository_is_shown_with_its_objects():
    more = {"clusters/prod/more.yaml": kustomization("more", "more"), "more/b.yaml": config_map("b", key="1")}
    cluster = MemoryCluster()
    applied(cluster, FLEET | more)
    found = made(FLEET, cluster)
    assert [name for name, change in shown(found).items() if change.action == "deleted"] == ["ConfigMap/apps/b"]
    printed = "\n".join(text.lines(found, details=False))
    assert "Kustomization flux-system/more\n    it leaves the repository" in printed
    assert report.value(found)["kustomizations"][-1]["outlook"] == "removed"
    broken = made({**FLEET, "clusters/prod/broken.yaml": "kind: x"}, cluster)
    assert [c for c in shown(broken).values() if c.action == "deleted"] == []


def test_nothing_changed_is_exit_0():
    cluster = MemoryCluster()
    applied(cluster, FLEET)
    found = made(FLEET, cluster)
    assert (report.exit_status(found), text.summary(found)) == (
        0,
        "0 changes (0 created, 0 configured, 0 deleted) in 2 Kustomizations",
    )


def test_secrets_are_masked_everywhere():
    cluster = MemoryCluster()
    applied(cluster, FLEET)
    changed = {**FLEET, "apps/secret.yaml": FLEET["apps/secret.yaml"].replace("canary-one", "canary-two")}
    found = made(changed, cluster)
    printed = "\n".join(text.lines(found, details=True)) + str(report.value(found))
    assert "data.password: *** → *** (another value)" in printed
    for value in ("canary", "Y2FuYXJ5"):
        assert value not in printed


@pytest.mark.parametrize("details", [False, True])
def test_every_document_is_accounted_for(details):
    release = {
        "apiVersion": "helm.toolkit.fluxcd.io/v2",
        "kind": "HelmRelease",
        "metadata": {"name": "web", "namespace": "apps"},
        "spec": {"interval": "1h"},
    }
    component = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "kustomize-controller",
            "namespace": "flux-system",
            "labels": {"app.kubernetes.io/part-of": "flux"},
        },
        "spec": {"template": {"spec": {"containers": []}}},
    }
    files = {
        **FLEET,
        "clusters/prod/apps.yaml": kustomization("apps", "apps", wait=True),
        "clusters/prod/after.yaml": kustomization("after", "after", dependsOn=[{"name": "apps"}]),
        "clusters/prod/flux.yaml": yaml.safe_dump(component),
        "apps/release.yaml": yaml.safe_dump(release),
        "after/b.yaml": config_map("b", key="1"),
    }
    found = made(files)
    printed = "\n".join(text.lines(found, details=details))
    assert "3 documents: 2 interpreted, 1 left out" in printed
    assert "left out: Deployment/flux-system/kustomize-controller: a component of Flux" in printed
    assert "4 documents: 3 applied, 1 unsupported" in printed
    assert "unsupported: HelmRelease/apps/web: HelmRelease (helm.toolkit.fluxcd.io) is not supported yet" in printed
    assert "ready to apply; will not become ready: UnsupportedKind: HelmRelease/apps/web" in printed
    assert "waits on flux-system/apps (UnsupportedKind: HelmRelease/apps/web)" in printed
    assert ("applied: ConfigMap/apps/a" in printed) is details
    assert printed.endswith("3 Kustomizations rendered (4 objects), compared with no cluster")


def test_what_cannot_be_rendered_is_named_and_the_others_go_on():
    files = {
        **FLEET,
        "clusters/prod/broken.yaml": kustomization("broken", "nowhere"),
        "clusters/prod/other.yaml": kustomization("other", ".", sourceRef={"kind": "OCIRepository", "name": "x"}),
        "clusters/prod/held.yaml": kustomization("held", "apps", suspend=True),
        "clusters/prod/loop.yaml": kustomization("loop", "apps2", dependsOn=[{"name": "loop"}]),
        "apps2/c.yaml": config_map("c", key="1"),
        "clusters/prod/cel.yaml": kustomization(
            "cel", "apps2", healthCheckExprs=[{"apiVersion": "v1", "kind": "ConfigMap", "current": "data.("}]
        ),
    }
    found = made(files)
    sections = {p.section.ref: p.section for p in found.planned}
    assert "kustomization path not found: nowhere" in sections["flux-system/broken"].problem
    assert "CEL expression" in sections["flux-system/cel"].problem
    assert "nothing that was rendered declares OCIRepository/flux-system/x" in sections["flux-system/other"].problem
    assert "suspended" in sections["flux-system/held"].outside
    assert found.outlooks["flux-system/loop"].startswith("waits on flux-system/loop")
    assert sections["flux-system/apps"].rendered is not None
    assert report.exit_status(found) == 2
    assert text.summary(found).endswith("; 1 not of this source; 3 FAILED")


SOURCE = {
    "apiVersion": "source.toolkit.fluxcd.io/v1",
    "kind": "GitRepository",
    "metadata": {"name": "flux-system", "namespace": "flux-system"},
    "spec": {"interval": "1m", "url": "ssh://git@git.example.com/team/fleet", "ref": {"branch": "main"}},
}


@pytest.mark.parametrize(
    ("url", "branch", "same"),
    [
        ("https://git.example.com/team/fleet.git", "main", True),
        ("https://git.example.com/team/fleet", "dev-team", False),
        ("https://git.example.com/team/other", "main", False),
    ],
)
def test_a_git_repository_that_is_this_one_is_rendered_from_here(url, branch, same):
    again = {
        **SOURCE,
        "metadata": {"name": "again", "namespace": "team"},
        "spec": {"interval": "1m", "url": url, "ref": {"branch": branch}},
    }
    files = {
        **FLEET,
        "clusters/prod/source.yaml": yaml.safe_dump(SOURCE),
        "clusters/prod/again.yaml": yaml.safe_dump(again),
        "clusters/prod/team.yaml": kustomization(
            "team", "apps", sourceRef={"kind": "GitRepository", "name": "again", "namespace": "team"}
        ),
    }
    section = rendered(files)["team"]
    assert (section.rendered is not None, bool(section.outside)) == (same, not same)


def test_settings_of_the_plan_are_substituted_whoever_renders_them():
    files = {
        "clusters/prod/a.yaml": kustomization(
            "a", "apps", postBuild={"substituteFrom": [{"kind": "ConfigMap", "name": "settings"}]}
        ),
        "clusters/prod/z.yaml": kustomization("z", "settings"),
        "settings/settings.yaml": config_map("settings", "flux-system", colour="blue"),
        "apps/a.yaml": config_map("a", key="${colour}"),
    }
    assert rendered(files)["a"].rendered.apply[0]["data"] == {"key": "blue"}


def test_variables_that_nobody_has_stay_as_they_are_without_a_cluster_and_fail_with_one():
    substitute = {"substituteFrom": [{"kind": "Secret", "name": "vars"}]}
    files = {
        "clusters/prod/a.yaml": kustomization("a", "apps", postBuild=substitute),
        "apps/a.yaml": config_map("a", key="${colour}"),
    }
    section = rendered(files)["a"]
    assert section.rendered.apply[0]["data"] == {"key": "${colour}"}
    assert section.notes == ("Secret/flux-system/vars is not readable here: its variables stay as they are",)
    assert "substitute from 'Secret/vars' error: not found" in rendered(files, One(MemoryCluster()))["a"].problem


ENCRYPTED_SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "login", "namespace": "apps"},
    "stringData": {"password": "ENC[AES256_GCM,data:eA==,iv:eA==,tag:eA==,type:str]"},
    "sops": {
        "mac": "ENC[AES256_GCM,data:eA==,iv:eA==,tag:eA==,type:str]",
        "version": "3.9.0",
        "age": [],
        "lastmodified": "2026-01-01T00:00:00Z",
    },
}


def test_without_the_key_what_is_encrypted_stays_so_and_is_not_compared():
    files = {
        **FLEET,
        "clusters/prod/apps.yaml": kustomization(
            "apps", "apps", decryption={"provider": "sops", "secretRef": {"name": "sops-age"}}
        ),
        "apps/secret.yaml": yaml.safe_dump(ENCRYPTED_SECRET),
    }
    cluster = MemoryCluster()
    applied(cluster, FLEET)
    found = made(files, cluster)
    change = shown(found)["Secret/apps/login"]
    assert (change.action, change.reason) == ("skipped", ENCRYPTED)
    assert any("with the SOPS key is not readable here" in note for note in found.planned[1].section.notes)
    assert report.exit_status(found) == 0


def test_a_refused_dry_run_is_told_with_its_object():
    cluster = MemoryCluster()
    cluster.fail(lambda: Terminal("no room"), verb="patch", kind="Namespace")
    found = made(FLEET, cluster)
    assert "no room" in shown(found)["Namespace/apps"].error
    assert report.exit_status(found) == 2
    assert "  ! Namespace/apps created, but refused: no room" in list(text.lines(found, details=False))


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}}, ApplyOptions()),
        lambda c: c.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}}),
        lambda c: c.replace({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}}),
        lambda c: c.delete({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}}),
        lambda c: c.watch(CONFIG_MAP, namespace="", resource_version="0", timeout=1),
    ],
)
def test_a_guest_refuses_everything_but_looking(call):
    cluster = MemoryCluster()
    looking = guest.GuestClusters(One(cluster), guest.World()).connect("it", impersonate="somebody")
    with pytest.raises(Refused):
        call(looking)
    assert cluster.calls == []
    assert looking.can_i("create", CONFIG_MAP, user="somebody")
    assert cluster.calls == []


FIELDS = [
    ({"a": 1}, {"a": 1}, ()),
    ({"a": 1}, {"a": "1"}, (FieldChange(path="a", old=1, new="1"),)),
    ({"a": 1, "b": 2}, {"a": 1}, (FieldChange(path="b", old=2),)),
    ({"l": [1, 2]}, {"l": [1, 3]}, (FieldChange(path="l[1]", old=2, new=3),)),
    ({"l": [1]}, {"l": [1, 3]}, (FieldChange(path="l", old=[1], new=[1, 3]),)),
    (
        {"l": [{"name": "x", "v": 1}, {"name": "y"}]},
        {"l": [{"name": "y"}, {"name": "x", "v": 2}]},
        (FieldChange(path="l[x].v", old=1, new=2),),
    ),
    ({"status": 1, "metadata": {"generation": 1, "uid": "x"}}, {"status": 2, "metadata": {"generation": 2}}, ()),
]


@pytest.mark.parametrize(("old", "new", "expected"), FIELDS)
def test_fields_that_differ(old, new, expected):
    metadata = {"metadata": {"name": "x"}}
    assert field_changes({**metadata, **old}, {**metadata, **new}) == expected


def test_a_secrets_value_that_appears_shows_only_that():
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}}
    found = field_changes({**secret, "data": {"a": "eA=="}}, {**secret, "data": {"a": "eA==", "b": "eQ=="}})
    assert found == (FieldChange(path="data.b", old=ABSENT, new="***"),)


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("https://GitHub.com/a/b.git", "github.com/a/b"),
        ("ssh://git@github.com/a/b", "github.com/a/b"),
        ("git@github.com:a/b.git", "github.com/a/b"),
        ("https://user:secret@github.com/a/b/", "github.com/a/b"),
    ],
)
def test_spellings_of_a_repository(url, key):
    assert source.repository_key(url) == key


def git(root, *arguments):
    command = ["git", "-C", str(root), "-c", "user.name=t", "-c", "user.email=t@example.com", *arguments]
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture
def worktree(tmp_path):
    for path, content in {**FLEET, ".gitignore": "ignored.yaml\n", "logo.png": "x"}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(content)
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    git(tmp_path, "remote", "add", "origin", "https://git.example.com/fleet.git")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "first")
    return tmp_path


def test_a_work_tree_is_what_a_commit_of_it_would_be(worktree):
    clean = source.open_fleet(str(worktree), "")
    assert clean.revision.startswith("main@sha1:")
    assert (clean.notes, clean.urls) == ((), ("https://git.example.com/fleet.git",))
    assert {path for path, _ in clean.tree.items()} == set(FLEET)  # pictures and .gitignore are not Flux's
    (worktree / "ignored.yaml").write_text("secret: x")
    (worktree / "apps/new.yaml").write_text(config_map("new", key="1"))
    (worktree / "apps/a.yaml").unlink()
    (worktree / "apps/link.yaml").symlink_to("/etc/passwd")
    dirty = source.open_fleet(str(worktree), "")
    assert dirty.notes == ("3 uncommitted changes are included",)
    assert {path for path, _ in dirty.tree.items()} == {*FLEET, "apps/new.yaml"} - {"apps/a.yaml"}


def test_a_directory_that_is_no_work_tree_is_read_whole(worktree):
    (worktree / ".git").rename(worktree / "elsewhere")
    found = source.open_fleet(str(worktree / "apps"), "")
    assert found.revision.startswith("latest@sha256:")
    assert {path for path, _ in found.tree.items()} == {"namespace.yaml", "a.yaml", "secret.yaml"}


@pytest.mark.parametrize(
    ("where", "branch", "error"),
    [
        ("/nowhere/at/all", "", NotFound),
        ("git@github.com:a/b.git", "", Terminal),
        ("ssh://git@github.com/a/b", "", Terminal),
        (".", "main", Terminal),
    ],
)
def test_sources_that_are_none(where, branch, error):
    with pytest.raises(error):
        source.open_fleet(where, branch)


def test_the_command_prints_and_exits(worktree, capsys, monkeypatch):
    monkeypatch.setenv("HOME", str(worktree))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    assert main(["plan", "--source", str(worktree), "--path", "clusters/prod"]) == 0
    out = capsys.readouterr().out
    assert "cluster  none: there is no kubeconfig" in out
    assert out.endswith("2 Kustomizations rendered (3 objects), compared with no cluster\n")
    assert main(["plan", "--source", "/nowhere", "--path", "x"]) == 2
    assert main(["plan", "--source", str(worktree), "--path", "nowhere", "--no-cluster"]) == 2
    assert main(["plan", "--source", str(worktree), "--path", "x", "--kubeconfig", "/nowhere"]) == 2
    assert "no kubeconfig at /nowhere" in capsys.readouterr().err
