"""`penstock diff kustomization`: a local directory against a cluster in memory, by way of the real api over HTTP."""

import json
import subprocess

import pytest
import yaml
from tests.memory_plane import config_map, kustomization, namespace
from tests.served_plane import TOKEN, Served

from penstock.adapters.cluster.memory import MemoryCluster
from penstock.cli import diff, main
from penstock.cli.client import Client
from penstock.ports.cluster import ApiRefused
from penstock.wiring.reach import Reach

SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "login", "namespace": "apps"},
    "stringData": {"password": "canary-one", "user": "canary-user"},
}
FILES = {
    "clusters/prod/apps.yaml": kustomization("apps", "apps", postBuild={"substitute": {"colour": "blue"}}),
    "apps/namespace.yaml": namespace("apps"),
    "apps/a.yaml": config_map("a", key="1", colour="${colour}"),
    "apps/b.yaml": config_map("b", key="1"),
    "apps/secret.yaml": yaml.safe_dump(SECRET),
}
CANARIES = ("canary", "Y2FuYXJ5")


class One:
    """Clusters that are all the same one."""

    def __init__(self, cluster):
        self.cluster = cluster

    def connect(self, cluster, *, impersonate=""):
        return self.cluster

    def connect_kubeconfig(self, kubeconfig, *, name, impersonate="", allowed_hosts=()):
        return self.cluster


class World(Served):
    """A plane that has applied FILES, and a clone of its repository."""

    def __init__(self, where, monkeypatch):
        super().__init__(where / "data", FILES)
        self.clone = where / "clone"
        self.write(FILES)
        self.git("init", "-q", "-b", "main")
        self.commit()
        self.clusters = One(self.plane.cluster)
        monkeypatch.setattr(diff, "open_clusters", lambda *_: (self.clusters, ""))
        self.plane.cluster.calls.clear()

    def write(self, files):
        for name, text in files.items():
            path = self.clone / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def git(self, *arguments):
        command = ["git", "-C", str(self.clone), "-c", "user.name=t", "-c", "user.email=t@example.com", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self):
        self.git("add", "-A")
        self.git("commit", "-qm", "change")
        return self.git("rev-parse", "HEAD")

    def diff(self, *more, path=""):
        return self.run("diff", "kustomization", "apps", "--path", str(self.clone / path), *more)


@pytest.fixture
def world(tmp_path, monkeypatch):
    made = World(tmp_path, monkeypatch)
    yield made
    made.stop()


def test_nothing_changed_is_exit_0_and_nothing_is_written(world, capsys):
    assert world.diff() == 0
    out = capsys.readouterr().out
    assert out == "0 changes (0 created, 0 configured, 0 deleted) in flux-system/apps, against the cluster, as admin\n"
    assert {verb for verb, _ in world.plane.cluster.calls} <= {"get", "list", "patch"}


def test_a_change_is_a_unified_diff_and_exit_1(world, capsys):
    world.write({"apps/a.yaml": config_map("a", key="2", colour="${colour}"), "apps/c.yaml": config_map("c", key="1")})
    (world.clone / "apps/b.yaml").unlink()
    before = world.plane.cluster.api.version
    assert world.diff() == 1
    assert world.plane.cluster.api.version == before, "only dry-runs"
    out = capsys.readouterr().out
    assert "► ConfigMap/apps/a configured\n--- ConfigMap/apps/a\n+++ ConfigMap/apps/a\n" in out
    assert '-  key: "1"\n+  key: "2"\n' in out
    assert " colour: blue" in out, "substituted as the plane does"
    assert "► ConfigMap/apps/c created\n--- /dev/null\n+++ ConfigMap/apps/c\n" in out
    assert "► ConfigMap/apps/b deleted\n--- ConfigMap/apps/b\n+++ /dev/null\n" in out
    assert "3 changes (1 created, 1 configured, 1 deleted) in flux-system/apps" in out
    for noise in ("managedFields", "resourceVersion", "uid:", "\033["):
        assert noise not in out


def test_the_directory_itself_may_be_named_as_flux_has_it(world, capsys):
    world.write({"apps/a.yaml": config_map("a", key="2", colour="x")})
    assert world.diff(path="apps") == 1
    one = capsys.readouterr().out
    assert world.diff() == 1
    assert capsys.readouterr().out == one


def test_json_has_fields_and_diff(world, capsys):
    world.write({"apps/a.yaml": config_map("a", key="2", colour="blue")})
    assert world.diff("-o", "json") == 1
    found = json.loads(capsys.readouterr().out)
    (change,) = found["changes"]
    assert (change["object"], change["action"]) == ("ConfigMap/apps/a", "configured")
    assert change["fields"] == [{"path": "data.key", "old": "1", "new": "2"}]
    assert change["diff"].startswith("--- ConfigMap/apps/a\n+++ ConfigMap/apps/a\n@@ ")
    assert (found["counts"]["configured"], found["cluster"], found["kustomization"]) == (1, "prod", "flux-system/apps")


def test_secrets_show_that_they_change_and_never_to_what(world, capsys):
    changed = {**SECRET, "stringData": {"password": "canary-two", "user": "canary-user", "token": "canary-three"}}
    world.write({"apps/secret.yaml": yaml.safe_dump(changed)})
    assert world.diff() == 1
    text = capsys.readouterr().out
    assert world.diff("-o", "json") == 1
    found = json.loads(capsys.readouterr().out)
    fields = {each["path"]: each for each in found["changes"][0]["fields"]}
    assert set(fields) == {"data.password", "data.token"}
    assert fields["data.password"]["old"] != fields["data.password"]["new"]
    for canary in CANARIES:
        assert canary not in text + json.dumps(found)
    world.plane.push({"apps/secret.yaml": yaml.safe_dump(changed)})
    world.plane.reconcile("apps", why="plan", request="1" * 32)
    stored = world.plane.state.get("request/" + "1" * 32).value
    assert not any(canary in json.dumps(stored) for canary in CANARIES)


def test_the_planes_own_plan_masks_alike(world, capsys):
    """Under the plane's key both say of one value the same."""
    live = world.plane.live("v1", "Secret", "apps", "login")
    world.plane.cluster.api.replace({**live, "data": {**live["data"], "password": "ZWRpdGVk"}}, manager="kubectl-edit")
    world.diff("-o", "json")
    ours = json.loads(capsys.readouterr().out)["changes"][0]
    world.plane.reconcile("apps", why="plan", request="1" * 32)
    theirs = world.plane.state.get("request/" + "1" * 32).value["changes"][0]
    assert ours["fields"] == theirs["fields"]
    assert ours["fields"][0]["old"].startswith("*** (")


def test_drift_is_told_from_a_change_in_git(world, capsys):
    live = world.plane.live("v1", "ConfigMap", "apps", "a")
    world.plane.cluster.api.replace(
        {**live, "data": {**live["data"], "key": "9", "extra": "x"}}, manager="kubectl-edit"
    )
    world.write({"apps/b.yaml": config_map("b", key="2")})
    assert world.diff() == 1
    out = capsys.readouterr().out
    a, b = (out[out.index(f"► ConfigMap/apps/{name}") :].split("►")[1] for name in ("a", "b"))
    assert "drift: " in a
    assert "data.key (kubectl-edit" in a
    assert "data.extra (kubectl-edit" in a
    assert "-  extra: x\n" in a
    assert "drift" not in b


def test_children_are_compared_with_what_the_plane_has_stored(world, capsys):
    world.write({"clusters/prod/more.yaml": kustomization("more", "apps")})
    world.write({"clusters/prod/apps.yaml": kustomization("apps", "apps", wait=True)})
    assert world.run("diff", "kustomization", "flux-system", "--path", str(world.clone)) == 1
    out = capsys.readouterr().out
    assert "► Kustomization/flux-system/apps configured" in out
    assert "+  wait: true" in out
    assert "► Kustomization/flux-system/more created" in out
    (world.clone / "clusters/prod/apps.yaml").unlink()
    assert world.run("diff", "ks/flux-system", "--path", str(world.clone)) == 1
    assert (
        "Kustomization/flux-system/apps deleted (the plane carries out its deletionPolicy)" in capsys.readouterr().out
    )


def test_a_stopped_prune_is_said(world, capsys):
    (world.clone / "apps/namespace.yaml").unlink()
    assert world.diff() == 1
    out = capsys.readouterr().out
    assert "► Namespace/apps deleted (held back)" in out
    assert "note: prune stopped: " in out


def test_what_the_api_server_refuses_is_exit_2(world, capsys):
    world.plane.cluster.fail(lambda: ApiRefused("unknown field dta", code=422), verb="patch")
    world.write({"apps/c.yaml": config_map("c", key="1")})
    assert world.diff() == 2
    assert "refused: ConfigMap/apps/c dry-run failed" in capsys.readouterr().out


DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "things.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"kind": "Thing", "plural": "things", "singular": "thing", "listKind": "ThingList"},
        "versions": [
            {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
        ],
    },
}
THING = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "t", "namespace": "apps"}}


def test_what_needs_something_that_comes_along_is_not_refused(world, capsys):
    new = config_map("n", "fresh", key="1")
    world.write({"apps/n.yaml": new, "apps/t.yaml": yaml.safe_dump(THING)})
    assert world.diff() == 2
    assert capsys.readouterr().out.count("  refused: ") == 2
    world.write({"apps/fresh.yaml": namespace("fresh"), "apps/definition.yaml": yaml.safe_dump(DEFINITION)})
    assert world.diff() == 1
    out = capsys.readouterr().out
    assert "► ConfigMap/fresh/n created (its namespace fresh is created by this plan)\n--- /dev/null\n" in out
    assert "► Thing/apps/t created (its kind Thing is created by this plan)\n--- /dev/null\n" in out
    assert "refused" not in out
    old = {**THING, "apiVersion": "example.com/v1alpha1"}
    world.write({"apps/t.yaml": yaml.safe_dump(old)})
    assert world.diff() == 2, "it defines no such version"
    world.write({"apps/t.yaml": yaml.safe_dump(THING), "apps/n.yaml": new.replace("data:", "dota:")})
    assert world.diff() == 2, "what is wrong with it is wrong in any namespace"


def test_another_cluster_is_noticed(world, capsys):
    world.clusters.cluster = MemoryCluster()
    assert world.diff() == 2
    assert "this cluster holds no inventory of flux-system/apps" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("kustomization", "nobody"), "no cluster of this plane has Kustomization flux-system/nobody"),
        (("deployment", "apps"), "give kustomization NAME"),
        (("kustomization", "apps", "--path", "/nowhere/at/all"), "there is no such directory"),
        (("ks", "apps", "--kustomization-file", "/nowhere.yaml"), "--kustomization-file /nowhere.yaml"),
    ],
)
def test_what_cannot_be_compared_is_exit_2(world, capsys, arguments, told):
    assert world.run("diff", *arguments) == 2
    assert told in capsys.readouterr().err


def test_the_kustomization_itself_may_be_the_change(world, capsys, tmp_path):
    file = tmp_path / "apps.yaml"
    file.write_text(kustomization("apps", "apps", postBuild={"substitute": {"colour": "green"}}))
    assert world.diff("--kustomization-file", str(file)) == 1
    assert "-  colour: blue\n+  colour: green\n" in capsys.readouterr().out


def offline(world, files=None):
    """The plane knows the clone's own commits from here on."""
    head = world.git("rev-parse", "HEAD")
    record = world.plane.state.get("status/prod/Kustomization/flux-system/apps")
    value = {**record.value, "last_applied_revision": f"main@sha1:{head}"}
    world.plane.state.put(record.key, value, expected=None)
    world.plane.cluster.calls.clear()


def test_offline_compares_with_the_render_of_what_was_applied_last(world, capsys):
    offline(world)
    assert world.diff("--offline") == 0
    world.write({"apps/a.yaml": config_map("a", key="2", colour="${colour}"), "apps/c.yaml": config_map("c", key="1")})
    (world.clone / "apps/b.yaml").unlink()
    assert world.diff("--offline") == 1
    out = capsys.readouterr().out
    assert '-  key: "1"\n+  key: "2"\n' in out
    assert "► ConfigMap/apps/c created" in out
    assert "► ConfigMap/apps/b deleted" in out
    assert world.plane.cluster.calls == [], "no cluster was asked"


def test_offline_without_that_commit_says_what_to_do(world, capsys):
    assert world.diff("--offline") == 2
    assert "`git fetch` it" in capsys.readouterr().err


def test_colour_is_for_terminals_that_want_it(world, capsys, monkeypatch):
    world.write({"apps/a.yaml": config_map("a", key="2", colour="blue")})
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    world.diff()
    assert '\033[32m+  key: "2"\033[0m' in capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    world.diff()
    assert "\033" not in capsys.readouterr().out


def test_addresses_and_variables_of_flux_objects_are_masked(world, capsys):
    def provider(address):
        spec = {"type": "slack", "address": address, "channel": "x"}
        return {
            "apiVersion": "notification.toolkit.fluxcd.io/v1beta3",
            "kind": "Provider",
            "metadata": {"name": "slack", "namespace": "flux-system"},
            "spec": spec,
        }

    files = {
        "clusters/prod/slack.yaml": yaml.safe_dump(provider("https://hooks.example.com/canary-one")),
        "clusters/prod/apps.yaml": kustomization("apps", "apps", postBuild={"substitute": {"colour": "canary-blue"}}),
    }
    world.plane.push(files)
    world.plane.settle()
    world.write(files)
    assert world.run("diff", "kustomization", "flux-system", "--path", str(world.clone)) == 0, capsys.readouterr()
    world.write({"clusters/prod/slack.yaml": yaml.safe_dump(provider("https://hooks.example.com/canary-two"))})
    answer = open_client_of(world).get("/kustomization?cluster=prod&name=flux-system").body
    assert world.run("diff", "kustomization", "flux-system", "--path", str(world.clone)) == 1
    out = capsys.readouterr().out
    assert "Provider/flux-system/slack configured" in out
    assert "+  address: '*** (" in out.replace('"', "'")
    assert "canary" not in out + json.dumps(answer)


def open_client_of(world):
    return Client(Reach(url=(world.data_dir / "address").read_text().strip(), token=TOKEN))


def test_a_preview_substitutes_as_strictly_as_a_reconcile(world, capsys):
    world.write({"apps/a.yaml": config_map("a", key="${nobody_sets_this}")})
    assert world.diff() == 2
    assert 'variable not set (strict mode): "nobody_sets_this"' in capsys.readouterr().err


def test_build_kustomization_prints_what_the_plane_would_build(world, capsys):
    world.write({"apps/a.yaml": config_map("a", key="2", colour="${colour}")})
    world.plane.cluster.calls.clear()
    assert world.run("build", "kustomization", "apps", "--path", str(world.clone)) == 0
    out = capsys.readouterr().out
    built = {each["metadata"]["name"]: each for each in yaml.safe_load_all(out)}
    assert built["a"]["data"] == {"key": "2", "colour": "blue"}
    assert set(built) == {"apps", "a", "b", "login"}
    assert world.plane.cluster.calls == []


def test_build_kustomization_does_not_decrypt(world, capsys):
    ciphertext = "ENC[AES256_GCM,data:AA==,iv:AA==,tag:AA==,type:str]"
    sops = {"mac": ciphertext, "lastmodified": "2030-01-31T18:00:00Z", "version": "3.9.0"}
    encrypted = {**SECRET, "stringData": {"password": ciphertext}, "sops": sops}
    spec = {"decryption": {"provider": "sops", "secretRef": {"name": "keys"}}}
    files = {
        "clusters/prod/apps.yaml": kustomization("apps", "apps", **spec),
        "apps/secret.yaml": yaml.safe_dump(encrypted),
    }
    file = world.clone / "clusters/prod/apps.yaml"
    world.write(files)
    assert world.run("build", "ks", "apps", "--path", str(world.clone), "--kustomization-file", str(file)) == 0
    found = capsys.readouterr()
    login = next(each for each in yaml.safe_load_all(found.out) if each["metadata"]["name"] == "login")
    assert set(login["data"].values()) == {"**SOPS**"}
    assert "ENC[" not in found.out
    assert "sops" not in login


def test_one_word_is_a_directory_whatever_its_name(world, capsys, monkeypatch, tmp_path):
    (tmp_path / "kustomization").mkdir()
    (tmp_path / "kustomization/kustomization.yaml").write_text("resources: [a.yaml]\n")
    (tmp_path / "kustomization/a.yaml").write_text(config_map("plain", key="1"))
    monkeypatch.chdir(tmp_path)
    assert main(["build", "kustomization"]) == 0
    assert "name: plain" in capsys.readouterr().out
    assert main(["build", "kustomization", "a", "b"]) == 1
    assert "give kustomization NAME" in capsys.readouterr().err
    assert main(["build", "one", "two"]) == 1
    assert "give one directory" in capsys.readouterr().err
