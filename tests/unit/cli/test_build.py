"""``penstock build``: kustomize's flags, output and exit status."""

import shutil
import subprocess
import sys

import pytest
import yaml
from tests.contract.git_remotes import ServedRemote

from penstock.adapters.git.server import GitServer
from penstock.adapters.tree.disk import DiskTree
from penstock.cli.main import main
from penstock.kustomize import BuildOptions, build

CM = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cm}\n"
OUTPUT = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: cm\n"


@pytest.fixture
def app(tmp_path):
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "kustomization.yaml").write_text("resources: [cm.yaml]\n")
    (tmp_path / "app" / "cm.yaml").write_text(CM)
    return tmp_path / "app"


def test_it_prints_what_kustomize_prints(app, capsys):
    assert main(["build", str(app)]) == 0
    assert capsys.readouterr().out == OUTPUT


def test_the_current_directory_is_the_default(app, capsys, monkeypatch):
    monkeypatch.chdir(app)
    assert main(["build"]) == 0
    assert capsys.readouterr().out == OUTPUT


def test_policies_get_the_namespace_as_in_the_released_kustomize(app, capsys):
    (app / "kustomization.yaml").write_text("resources: [cm.yaml]\nnamespace: web\n")
    kind = "admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicy"
    (app / "cm.yaml").write_text(f"apiVersion: {kind}\nmetadata: {{name: p}}\n")
    assert main(["build", str(app)]) == 0
    assert capsys.readouterr().out == f"apiVersion: {kind}\nmetadata:\n  name: p\n  namespace: web\n"


def test_into_a_file(app, tmp_path, capsys):
    assert main(["build", str(app), "-o", str(tmp_path / "out.yaml")]) == 0
    assert (tmp_path / "out.yaml").read_text() == OUTPUT
    assert capsys.readouterr().out == ""


def test_into_a_directory(app, tmp_path):
    (app / "cm.yaml").write_text(
        f"{CM}---\n{CM.replace('cm}', 'cm, namespace: b}')}---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\n"
        "metadata: {name: 'a:b'}\n"
    )
    (tmp_path / "out").mkdir()
    assert main(["build", str(app), "--output", str(tmp_path / "out")]) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "b_v1_configmap_cm.yaml",
        "default_v1_configmap_cm.yaml",
        "rbac.authorization.k8s.io_v1_clusterrole_a:b.yaml",
    ]


def test_an_error_names_paths_as_the_user_does(app, capsys, monkeypatch):
    (app / "kustomization.yaml").write_text("resources: [none.yaml]\n")
    monkeypatch.chdir(app.parent)
    assert main(["build", "app"]) == 1
    assert capsys.readouterr().err == "penstock: none.yaml (named in app): no such file\n"


def test_load_restrictor(app, capsys):
    (app / "kustomization.yaml").write_text("resources: [../beside.yaml]\n")
    (app.parent / "beside.yaml").write_text(CM)
    assert main(["build", str(app)]) == 1
    assert main(["build", str(app), "--load-restrictor", "LoadRestrictionsNone"]) == 0
    assert capsys.readouterr().out == OUTPUT


@pytest.mark.parametrize(("flags", "first"), [([], "Namespace"), (["--reorder", "none"], "ConfigMap")])
def test_reorder(app, capsys, flags, first):
    (app / "cm.yaml").write_text(f"{CM}---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: n}}\n")
    assert main(["build", str(app), *flags]) == 0
    assert capsys.readouterr().out.startswith(f"apiVersion: v1\nkind: {first}\n")


def test_managed_by_label(app, capsys):
    assert main(["build", str(app), "--enable-managedby-label"]) == 0
    assert "app.kubernetes.io/managed-by: kustomize-v5.8.1" in capsys.readouterr().out


def test_deprecated_fields_are_warned_of(app, capsys):
    (app / "kustomization.yaml").write_text("bases: []\ncommonLabels: {}\nresources: [cm.yaml]\n")
    assert main(["build", str(app)]) == 0
    assert "'commonLabels' is deprecated; use 'labels' instead" in capsys.readouterr().err


@pytest.mark.parametrize(
    "flags",
    [
        ["--enable-alpha-plugins"],
        ["--enable-exec"],
        ["-e", "A=b"],
        ["--mount", "x"],
        ["https://github.com/org/repo"],
    ],
)
def test_what_is_refused(app, capsys, flags):
    arguments = flags if flags[0].startswith("https") else [str(app), *flags]
    assert main(["build", *arguments]) == 1
    assert capsys.readouterr().err.startswith("penstock: ")


def test_an_output_that_cannot_be_written(app, tmp_path, capsys):
    assert main(["build", str(app), "-o", str(tmp_path / "none" / "x")]) == 1
    assert "No such file" in capsys.readouterr().err


CHART = {
    "kustomization.yaml": "helmCharts: [{name: show, releaseName: r, valuesInline: {colour: red}}]\n",
    "charts/show/Chart.yaml": "apiVersion: v2\nname: show\nversion: 1.0.0\n",
    "charts/show/values.yaml": "colour: blue\n",
}
HELM = """#!/bin/sh
case $1 in
version) echo v4.1.0 ;;
*)
  for argument; do
    case $argument in
    --values=*) values=$(cat ${argument#--values=}) ;;
    esac
  done
  printf 'apiVersion: v1\\nkind: ConfigMap\\nmetadata: {name: r}\\ndata: {values: "%s", arguments: "%s"}\\n' "$values" "$*" ;;
esac
"""


@pytest.fixture
def chart(tmp_path):
    """A directory with a chart, and a Helm that tells how it was called."""
    for path, text in CHART.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    (tmp_path / "bin").mkdir()
    helm = tmp_path / "bin" / "myhelm"
    helm.write_text(HELM)
    helm.chmod(0o755)
    return tmp_path


def test_charts_are_inflated_where_enabled(chart, capsys):
    flags = ["--enable-helm", "--helm-command", str(chart / "bin" / "myhelm"), "--helm-kube-version", "1.30"]
    assert main(["build", str(chart), *flags, "--helm-api-versions", "a/v1", "--helm-api-versions", "b/v1"]) == 0
    data = yaml.safe_load(capsys.readouterr().out)["data"]
    assert data["values"] == "colour: red"
    for argument in ("--api-versions=a/v1", "--api-versions=b/v1", "--kube-version=1.30"):
        assert argument in data["arguments"].split()
    assert "--debug" not in data["arguments"]


def test_helm_debug(chart, capsys):
    flags = ["--enable-helm", "--helm-command", str(chart / "bin" / "myhelm"), "--helm-debug"]
    assert main(["build", str(chart), *flags]) == 0
    assert "--debug" in capsys.readouterr().out


def test_charts_are_not_inflated_unless_enabled(chart, capsys, monkeypatch):
    monkeypatch.chdir(chart)
    assert main(["build", "--helm-command", str(chart / "bin" / "myhelm")]) == 1
    assert capsys.readouterr().err == (
        "penstock: kustomization.yaml: helmCharts[0]: charts are inflated only where that is enabled: "
        "build with --enable-helm\n"
    )


def test_a_helm_that_is_missing(chart, capsys, monkeypatch):
    monkeypatch.chdir(chart)
    assert main(["build", "--enable-helm", "--helm-command", "no-such-helm"]) == 1
    assert capsys.readouterr().err == (
        "penstock: kustomization.yaml: helmCharts[0]: chart show in charts/show: there is no command 'no-such-helm' "
        "to render it with: install Helm 3 or 4, or name the binary with --helm-command\n"
    )


def test_the_python_call_takes_the_helm_on_the_path(chart, monkeypatch):
    (chart / "bin" / "myhelm").rename(chart / "bin" / "helm")
    monkeypatch.setenv("PATH", f"{chart / 'bin'}:/bin:/usr/bin")
    found = build(DiskTree(chart), "", BuildOptions(enable_helm=True))
    assert found.manifests[0]["data"]["values"] == "colour: red"


@pytest.mark.parametrize(
    "names",
    [
        ("helm_charts", "helm", "subprocess", "tempfile", "selectors"),
        ("remotes", "repository_url", "artifact_url"),
        ("jsonpatch", "hashing", "json", "plugins", "refvar", "replacement"),
    ],
)
def test_a_plain_build_loads_nothing_that_it_does_not_need(app, names):
    program = (
        "import sys\nfrom penstock.cli.main import main\nassert main(['build', sys.argv[1]]) == 0\n"
        "names = set(sys.argv[2:])\n"
        "print(sorted(name for name in sys.modules if names & set(name.split('.'))))"
    )
    done = subprocess.run([sys.executable, "-c", program, str(app), *names], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.fixture
def repository(tmp_path):
    if shutil.which("git") is None:
        pytest.skip("git is not installed: install it")
    with GitServer(tmp_path / "git") as server:
        served = ServedRemote(server, "base")
        served.commit({"app/kustomization.yaml": b"resources: [cm.yaml]\n", "app/cm.yaml": CM.encode()})
        yield served


def test_remote_bases_are_fetched_where_a_flag_says_so(app, repository, capsys):
    (app / "kustomization.yaml").write_text(f"resources: ['{repository.url}//app?ref=main']\n")
    assert main(["build", str(app)]) == 1
    assert "--enable-remote-bases" in capsys.readouterr().err
    assert main(["build", str(app), "--enable-remote-bases"]) == 0
    said = capsys.readouterr()
    assert said.out == OUTPUT
    assert "# Warning: " in said.err
    assert "write ?ref=" in said.err


def test_a_url_can_be_built(repository, capsys):
    assert main(["build", f"{repository.url}//app?ref=main"]) == 1
    assert "--enable-remote-bases" in capsys.readouterr().err
    assert main(["build", f"{repository.url}//app?ref=main", "--enable-remote-bases"]) == 0
    assert capsys.readouterr().out == OUTPUT


def test_a_plan_fetches_remote_bases_where_a_flag_says_so(tmp_path, repository, capsys):
    fleet = tmp_path / "fleet"
    (fleet / "prod").mkdir(parents=True)
    (fleet / "prod" / "kustomization.yaml").write_text(f"resources: ['{repository.url}//app?ref=main']\n")
    command = ["plan", "--source", str(fleet), "--path", "prod", "--no-cluster"]
    assert main(command) == 2
    assert "--enable-remote-bases" in capsys.readouterr().out
    assert main([*command, "--enable-remote-bases"]) == 0
    assert "1 Kustomization rendered (1 objects)" in capsys.readouterr().out
