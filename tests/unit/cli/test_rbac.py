"""What `penstock cluster add --print-rbac` prints. That it is enough, and no more: tests/flow/test_rights_real.py."""

import pytest
import yaml

from penstock.cli import main


def printed(capsys, *words):
    assert main(["cluster", "add", "prod", *words]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("words", [["--print-rbac"], ["--print-rbac=admin"]])
def test_admin_is_the_default_and_a_binding_to_cluster_admin(capsys, words):
    documents = list(yaml.safe_load_all(printed(capsys, *words)))
    assert [d["kind"] for d in documents] == ["Namespace", "ServiceAccount", "ClusterRoleBinding"]
    assert documents[2]["roleRef"]["name"] == "cluster-admin"


def test_a_tenants_plane_may_act_as_named_accounts_only(capsys):
    text = printed(capsys, "--print-rbac=tenant", "--account", "a/x", "--account", "a/y", "--account", "flux")
    documents = list(yaml.safe_load_all(text))
    rules = [
        (d["metadata"].get("namespace", ""), rule.get("resourceNames"))
        for d in documents
        for rule in d.get("rules") or ()
        if "impersonate" in rule["verbs"]
    ]
    assert sorted(rules) == [("", ["flux"]), ("a", ["x", "y"])]
    assert not any("*" in rule["verbs"] + rule["resources"] for d in documents for rule in d.get("rules") or ())
    assert text.count("  # ") >= sum(len(d.get("rules") or ()) for d in documents), "each rule says why"


def test_who_may_look_only_has_no_verb_that_writes(capsys):
    documents = yaml.safe_load_all(printed(capsys, "--print-rbac=plan-only"))
    assert [rule["verbs"] for d in documents for rule in d.get("rules") or ()] == [["get", "list"]]


@pytest.mark.parametrize(
    ("profile", "command"),
    [("migrate", "penstock migrate from-flux --cluster prod"), ("uninstall", "penstock uninstall --cluster prod")],
)
def test_the_rights_of_a_command_are_printed_with_it(capsys, profile, command):
    text = printed(capsys, f"--print-rbac={profile}")
    assert text.rstrip().endswith(f"{command} --kubeconfig prod.kubeconfig")
    for document in yaml.safe_load_all(text):
        everything = [rule for rule in document.get("rules") or () if "*" in rule["resources"]]
        writes = {verb for rule in everything for verb in rule["verbs"]} - {"get", "list"}
        named = document["metadata"]["name"]
        assert writes <= {"penstock-migrate": {"update", "create", "patch"}}.get(named, {"delete"}), named
        assert not writes or named in ("penstock-migrate", "penstock-delete-workloads")


def test_no_two_profiles_share_an_identity(capsys):
    names = [
        next(
            d["metadata"]["name"] for d in yaml.safe_load_all(printed(capsys, *words)) if d["kind"] == "ServiceAccount"
        )
        for words in (
            ["--print-rbac"],
            ["--print-rbac=tenant", "--account", "x"],
            *([f"--print-rbac={profile}"] for profile in ("plan-only", "migrate", "uninstall")),
        )
    ]
    assert len(set(names)) == 5


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--print-rbac=tenant"], "needs the accounts that your Kustomizations name: --account NAMESPACE/NAME"),
        (["--print-rbac=tenant", "--account", "a/b/c"], "--account a/b/c: must be NAMESPACE/NAME, or NAME"),
        (["--print-rbac=tenant", "--account", "/b"], "must be NAMESPACE/NAME"),
        (["--print-rbac", "--account", "a/b"], "--account goes with --print-rbac=tenant"),
        ([], "--path is required"),
    ],
)
def test_what_cannot_be_printed(capsys, tmp_path, monkeypatch, words, said):
    monkeypatch.setenv("PENSTOCK_DATA_DIR", str(tmp_path))
    (tmp_path / "plane.yaml").write_text(PLANE)
    assert main(["plane", "apply", "-f", str(tmp_path / "plane.yaml")]) == 0
    assert main(["cluster", "add", "prod", *words]) == 1
    assert said in capsys.readouterr().err


PLANE = """
apiVersion: penstock.dev/v1alpha1
kind: Plane
metadata: {name: main}
spec:
  source: {url: "https://git.example.com/x"}
"""
