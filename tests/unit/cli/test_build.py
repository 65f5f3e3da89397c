"""``penstock build``: kustomize's flags, output and exit status."""

import pytest

from penstock.cli.main import main

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
        ["--enable-helm"],
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
