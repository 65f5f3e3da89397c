"""The helm port's contract, on the real Helm and on the one in memory; and what only a process must keep to.

The binary pulls from a chart repository on loopback. The memory adapter renders fields alone, so the chart of the
shared part has no more than that in its templates.
"""

import json
import stat
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from tests.controlplane.build import tool
from tests.fixtures.charts import ChartRegistry, ChartRepository

from penstock.adapters.helm.binary import BinaryHelm, ChartBounds
from penstock.adapters.helm.memory import MemoryHelm
from penstock.adapters.helm.process import Bounds
from penstock.core.errors import BuildFailed, NotFound, PenstockError, Refused, Terminal, Transient
from penstock.ports.helm import Chart, ChartReference, Release

REAL = tool("helm")
needs_helm = pytest.mark.skipif(REAL is None, reason="no helm: `make tools`")
SECRET = "canary-5c1d"
PLAIN = {
    "Chart.yaml": "apiVersion: v2\nname: show\nversion: 1.2.3\n",
    "values.yaml": "colour: blue\nnested: {a: one, b: two}\n",
    "templates/cm.yaml": (
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\n  namespace: {{ .Release.Namespace }}\n"
        "data:\n  colour: '{{ .Values.colour }}'\n  a: '{{ .Values.nested.a }}'\n  b: '{{ .Values.nested.b }}'\n"
        "  version: '{{ .Chart.Version }}'\n"
    ),
    "templates/hook.yaml": (
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: hook\n  annotations:\n    helm.sh/hook: pre-install\n"
    ),
    "templates/tests/test.yaml": (
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: test\n  annotations:\n    helm.sh/hook: test\n"
    ),
    "crds/crd.yaml": (
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: gadgets.example.com\n"
    ),
}


def encoded(files):
    return {path: text.encode() for path, text in files.items()}


def versioned(version):
    return {**PLAIN, "Chart.yaml": PLAIN["Chart.yaml"].replace("1.2.3", version)}


CHART = Chart(title="plain in charts/plain", files=encoded(PLAIN))


@pytest.fixture
def repository():
    found = ChartRepository()
    found.charts = {version: versioned(version) for version in found.VERSIONS}
    yield found
    found.close()


@pytest.fixture(params=[pytest.param("binary", marks=[pytest.mark.real, needs_helm]), "memory"])
def helm(request, repository):
    if request.param == "binary":
        return BinaryHelm(str(REAL))
    charts = {(repository.url, "show", version): encoded(files) for version, files in repository.charts.items()}
    return MemoryHelm(charts)


def names(rendered):
    return [one["metadata"]["name"] for one in yaml.safe_load_all(rendered) if one]


def settings_of(rendered):
    return next(one for one in yaml.safe_load_all(rendered) if one["kind"] == "ConfigMap")


def test_the_version_is_one_that_can_do_the_work(helm):
    assert helm.version().split(".")[0] in ("3", "4")


def test_a_release_is_rendered_with_the_charts_own_values(helm):
    found = settings_of(helm.template(CHART, Release(name="r")))
    assert found["metadata"] == {"name": "r", "namespace": "default"}
    assert found["data"] == {"colour": "blue", "a": "one", "b": "two", "version": "1.2.3"}


def test_later_values_win_over_earlier_ones_and_all_of_them_over_the_charts(helm):
    values = (b"colour: red\nnested: {a: first}\n", b"nested: {a: second}\n")
    found = settings_of(helm.template(CHART, Release(name="r", values=values)))
    assert (found["data"]["colour"], found["data"]["a"], found["data"]["b"]) == ("red", "second", "two")


def test_namespace(helm):
    assert settings_of(helm.template(CHART, Release(name="r", namespace="apps")))["metadata"]["namespace"] == "apps"


def test_a_name_template_names_the_release(helm):
    assert settings_of(helm.template(CHART, Release(name_template="made")))["metadata"]["name"] == "made"


def test_without_a_name_one_is_made_up(helm):
    assert settings_of(helm.template(CHART, Release()))["metadata"]["name"]


@pytest.mark.parametrize(
    ("release", "expected"),
    [
        (Release(name="r"), {"r", "hook", "test"}),
        (Release(name="r", tests=False), {"r", "hook"}),
        (Release(name="r", hooks=False), {"r"}),
        (Release(name="r", crds=True, hooks=False), {"r", "gadgets.example.com"}),
    ],
)
def test_what_is_part_of_it(helm, release, expected):
    assert set(names(helm.template(CHART, release))) == expected


def test_the_output_is_the_same_at_each_call(helm):
    assert helm.template(CHART, Release(name="r")) == helm.template(CHART, Release(name="r"))


@pytest.mark.parametrize("files", [{}, {"templates/cm.yaml": "a: b\n"}], ids=["nothing", "no Chart.yaml"])
def test_what_is_no_chart_is_said_to_be_none(helm, files):
    with pytest.raises(BuildFailed, match="chart odd in charts/odd") as caught:
        helm.template(Chart(title="odd in charts/odd", files=encoded(files)), Release(name="r"))
    assert "Chart.yaml" in str(caught.value)


def test_values_that_are_no_yaml_are_named_without_their_text(helm):
    with pytest.raises(BuildFailed, match="values document 1") as caught:
        helm.template(CHART, Release(name="r", values=(b"a: 1\n", f"password: [{SECRET}\n".encode())))
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("version", "devel", "expected"),
    [("", False, "1.3.0"), ("1.2.3", False, "1.2.3"), ("", True, "2.0.0-rc.1"), ("1.2.3", True, "1.2.3")],
)
def test_a_chart_is_pulled(helm, repository, version, devel, expected):
    reference = ChartReference(name="show", repository=repository.url, version=version, devel=devel)
    chart = helm.pull(reference)
    assert chart.files["Chart.yaml"].decode() == versioned(expected)["Chart.yaml"]
    assert chart.files.keys() == PLAIN.keys()
    assert settings_of(helm.template(chart, Release(name="r")))["data"]["version"] == expected


@pytest.mark.parametrize(("name", "version"), [("none", ""), ("show", "9.9.9")])
def test_a_chart_or_version_that_is_not_there(helm, repository, name, version):
    with pytest.raises(NotFound) as caught:
        helm.pull(ChartReference(name=name, repository=repository.url, version=version))
    assert caught.value.reason == "ChartPullError"
    for word in (name, version, repository.url):
        assert word in str(caught.value)


# -- only the real Helm


@pytest.mark.real
@needs_helm
def test_a_chart_that_calls_itself_otherwise(repository):
    repository.charts = {"1.2.3": {**PLAIN, "Chart.yaml": "apiVersion: v2\nname: other\nversion: 1.2.3\n"}}
    with pytest.raises(Terminal, match="another name"):
        BinaryHelm(str(REAL)).pull(ChartReference(name="show", repository=repository.url))


@pytest.fixture
def binary(tmp_path, monkeypatch):
    """The real Helm, whose private directories stand below ``tmp_path``."""
    if REAL is None:
        pytest.skip("no helm: `make tools`")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    yield BinaryHelm(str(REAL))
    assert list(tmp_path.glob("penstock-helm-*")) == []


@pytest.mark.real
@pytest.mark.parametrize(
    ("status", "error", "reason"),
    [
        (401, Refused, "AuthenticationFailed"),
        (403, Refused, "AuthenticationFailed"),
        (404, NotFound, "ChartPullError"),
        (500, Transient, "ChartPullError"),
        (503, Transient, "ChartPullError"),
        (429, Transient, "ChartPullError"),
    ],
)
def test_what_a_repository_answers_decides_on_the_error(binary, repository, status, error, reason):
    repository.status = status
    with pytest.raises(error) as caught:
        binary.pull(ChartReference(name="show", repository=repository.url, version="1.2.3"))
    assert type(caught.value) is error
    assert caught.value.reason == reason
    assert f"chart show 1.2.3 of {repository.url}" in str(caught.value)


@pytest.mark.real
@pytest.mark.parametrize("repository_url", ["http://127.0.0.1:1/charts", "oci://127.0.0.1:1/charts"])
def test_a_repository_that_is_away_may_come_back(binary, repository_url):
    with pytest.raises(Transient, match="connection refused"):
        binary.pull(ChartReference(name="show", repository=repository_url, version="1.2.3"))


@pytest.mark.real
def test_an_index_that_is_none(binary, repository):
    repository.charts = {"][": {}}
    with pytest.raises(Terminal, match="chart show of"):
        binary.pull(ChartReference(name="show", repository=repository.url))


@pytest.mark.real
@needs_helm
def test_a_chart_that_is_larger_than_allowed(repository):
    small = BinaryHelm(str(REAL), chart_bounds=ChartBounds(files=2))
    with pytest.raises(Refused, match="larger than 2 files"):
        small.pull(ChartReference(name="show", repository=repository.url))


@pytest.mark.parametrize(
    ("repository_url", "error"),
    [
        (f"https://user:{SECRET}@charts.example.com", Refused),
        (f"oci://{SECRET}@charts.example.com", Refused),
        ("file:///srv/charts", Terminal),
        ("charts", Terminal),
        ("https://", Terminal),
        ("evil+plugin://charts", Terminal),
        ("http://[", Terminal),
    ],
)
def test_repositories_that_are_not_asked(repository_url, error):
    with pytest.raises(error) as caught:
        BinaryHelm("/none").pull(ChartReference(name="show", repository=repository_url))
    assert SECRET not in str(caught.value)
    assert "show" in str(caught.value)


@pytest.mark.real
def test_helms_own_words_without_paths_of_this_machine(binary, tmp_path):
    files = {**PLAIN, "templates/bad.yaml": '{{ required "a port is needed" .Values.port }}\n'}
    with pytest.raises(BuildFailed, match="a port is needed") as caught:
        binary.template(Chart(title="plain in charts/plain", files=encoded(files)), Release(name="r"))
    assert "chart plain in charts/plain: " in str(caught.value)
    assert "show/templates/bad.yaml" in str(caught.value)
    assert str(tmp_path) not in str(caught.value)
    assert not str(caught.value).endswith("\n")


@pytest.mark.real
def test_debug_shows_what_was_rendered(binary):
    files = {**PLAIN, "templates/bad.yaml": "a: [\n"}
    chart = Chart(title="plain", files=encoded(files))
    with pytest.raises(BuildFailed) as caught:
        binary.template(chart, Release(name="r", debug=True))
    assert "a: [" in str(caught.value)
    with pytest.raises(BuildFailed) as quiet:
        binary.template(chart, Release(name="r"))
    assert "a: [" not in str(quiet.value)


@pytest.mark.real
def test_files_of_a_chart_stay_within_it(binary, tmp_path):
    for path in ("../out.yaml", "/tmp/out.yaml", "templates/../../out.yaml", "a\0b"):
        with pytest.raises(BuildFailed, match="leads out of the chart"):
            binary.template(Chart(title="odd", files={**CHART.files, path: b"x"}), Release(name="r"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.real
@pytest.mark.parametrize(
    "fields",
    [
        {"name": "--post-renderer=/bin/true"},
        {"name": "--output-dir=OUT"},
        {"name": "r", "kube_version": "--output-dir=OUT"},
        {"name_template": "--output-dir=OUT"},
        {"name": "\0"},
        {"name": "\ud800"},
    ],
)
def test_a_value_is_never_a_flag(binary, fields, tmp_path):
    release = Release(**{name: text.replace("OUT", str(tmp_path / "out")) for name, text in fields.items()})
    with pytest.raises(BuildFailed, match="chart plain in charts/plain: "):
        binary.template(CHART, release)
    assert not (tmp_path / "out").exists()


@pytest.mark.real
@pytest.mark.parametrize("field", ["namespace", "api_versions"])
def test_a_value_that_may_be_anything_is_taken_as_it_is(binary, field, tmp_path):
    text = f"--output-dir={tmp_path / 'out'}"
    release = Release(name="r", **{field: (text,) if field == "api_versions" else text})
    found = settings_of(binary.template(CHART, release))
    assert found["metadata"]["namespace"] == (text if field == "namespace" else "default")
    assert not (tmp_path / "out").exists()


@pytest.mark.real
def test_a_name_of_a_chart_is_never_a_flag(binary, repository, tmp_path):
    with pytest.raises(PenstockError):
        binary.pull(ChartReference(name=f"--destination={tmp_path / 'out'}", repository=repository.url))
    assert not (tmp_path / "out").exists()


@pytest.fixture
def registry(tmp_path):
    """(a registry that wants a login, the environment in which its certificate is trusted)."""
    found = ChartRegistry(tmp_path, login="user:pass")
    yield found, {"SSL_CERT_FILE": str(tmp_path / "ca.crt")}
    found.close()


@pytest.mark.real
@needs_helm
@pytest.mark.parametrize(("version", "expected"), [("1.2.3", "1.2.3"), ("", "1.3.0"), ("1.2.x", "1.2.3")])
def test_a_chart_is_pulled_from_a_registry(registry, version, expected):
    server, environment = registry
    server.login = ""
    chart = BinaryHelm(str(REAL), environment=environment).pull(
        ChartReference(name="show", repository=f"{server.url}/", version=version)
    )
    assert f"version: {expected}\n" in chart.files["Chart.yaml"].decode()


@pytest.mark.real
@needs_helm
def test_a_config_home_holds_logins(registry, tmp_path):
    server, environment = registry
    home = tmp_path / "home"
    (home / "registry").mkdir(parents=True)
    login = {"auths": {server.host: {"auth": "dXNlcjpwYXNz"}}}
    (home / "registry" / "config.json").write_text(json.dumps(login))
    reference = ChartReference(name="show", repository=server.url, version="1.2.3", config_home=str(home))
    helm = BinaryHelm(str(REAL), environment=environment, config_homes=True)
    assert "Chart.yaml" in helm.pull(reference).files
    assert sorted(path.name for path in home.rglob("*")) == ["config.json", "registry"]  # nothing is written there
    with pytest.raises(Refused) as caught:
        helm.pull(replace(reference, config_home=""))
    assert caught.value.reason == "AuthenticationFailed"


def test_where_no_config_home_may_be_named_naming_one_is_refused(spy, tmp_path):
    helm = BinaryHelm(spy()[0])
    with pytest.raises(Refused, match="configHome"):
        helm.pull(ChartReference(name="c", repository="https://charts.example.com", config_home=str(tmp_path)))
    with pytest.raises(Refused, match="configHome"):
        helm.template(CHART, Release(name="r", config_home=str(tmp_path)))


# -- what any process gets, seen by one that tells


SPY = """#!{python}
import json, os, pathlib, sys
if sys.argv[1] == "version":
    print(os.environ.get("SPY_VERSION", "v4.3.1+g0"))
    sys.exit()
tmp = os.environ["TMPDIR"]
values = [a.partition("=")[2] for a in sys.argv if a.startswith("--values=")]
files = {{str(p.relative_to(tmp)): p.read_bytes().decode("latin-1") for p in pathlib.Path(tmp).rglob("*") if p.is_file()}}
record = dict(argv=sys.argv, env=dict(os.environ), files=files, mode=os.stat(tmp).st_mode, stdin=sys.stdin.read(),
    values=[pathlib.Path(v).read_text() for v in values])
pathlib.Path({record!r}).write_text(json.dumps(record))
{then}
"""


@pytest.fixture
def spy(tmp_path):
    """(a command, what it has seen): ``then`` is what it does next."""

    def make(then="print('{}')"):
        path, record = tmp_path / "spy", tmp_path / "record.json"
        path.write_text(SPY.format(python=sys.executable, record=str(record), then=then))
        path.chmod(0o755)
        return str(path), lambda: yaml.safe_load(record.read_text())

    return make


def test_secrets_are_in_no_argument_no_environment_and_on_no_disk(spy, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    command, seen = spy()
    helm = BinaryHelm(command, environment={"HTTPS_PROXY": f"http://u:{SECRET}@proxy.example.com"})
    values = (f"password: {SECRET}\n".encode(), b"plain: 1\n")
    helm.template(CHART, Release(name="r", values=values))
    found = seen()
    assert found["values"] == [value.decode() for value in values]
    assert SECRET not in str(found["argv"])
    assert SECRET not in str(found["env"])
    assert found["stdin"] == ""
    if sys.platform == "linux":
        assert SECRET not in str(found["files"])
    assert stat.S_IMODE(found["mode"]) == 0o700
    assert not Path(found["env"]["TMPDIR"]).exists()


def test_a_process_sees_homes_of_its_own(spy):
    command, seen = spy()
    BinaryHelm(command, environment={"PATH": "/bin", "HOME": "/home/me", "NO_PROXY": "x"}).template(
        CHART, Release(name="r")
    )
    environment = seen()["env"]
    private = environment["TMPDIR"]
    for name in ("HELM_CONFIG_HOME", "HELM_CACHE_HOME", "HELM_DATA_HOME", "KUBECONFIG"):
        assert environment[name].startswith(f"{private}/")
    assert (environment["PATH"], environment["HOME"]) == ("/bin", "/home/me")
    assert "NO_PROXY" not in environment  # nothing is fetched to render


def test_arguments_are_kustomizes(spy):
    command, seen = spy()
    release = Release(
        name="r", namespace="apps", values=(b"a: 1\n",), api_versions=("a/v1", "b/v1"), kube_version="1.30", crds=True,
        tests=False, hooks=False, debug=True, devel=True,
    )  # fmt: skip
    BinaryHelm(command).template(CHART, release)
    argv = [part if not part.startswith("--values=") else "--values" for part in seen()["argv"][1:]]
    assert argv[:-1] == [
        "template", "--namespace=apps", "--values", "--api-versions=a/v1", "--api-versions=b/v1",
        "--kube-version=1.30", "--include-crds", "--skip-tests", "--no-hooks", "--debug", "--devel", "--", "r",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "more",
    ["time.sleep(60)", "", "os.close(1)\nos.close(2)\nc.kill()\ntime.sleep(60)"],
    ids=["it hangs", "its child hangs", "it is silent"],
)
def test_a_process_that_hangs_is_ended_with_all_that_it_started(spy, tmp_path, more):
    then = (
        "import subprocess, time\nc = subprocess.Popen(['sleep', '60'])\n"
        f"pathlib.Path({str(tmp_path / 'child')!r}).write_text(str(c.pid))\n"
    )
    command, _ = spy(then + more)
    with pytest.raises(Transient, match=r"longer than 2 s"):
        BinaryHelm(command, bounds=Bounds(seconds=2)).template(CHART, Release(name="r"))
    child = int((tmp_path / "child").read_text())
    state = Path(f"/proc/{child}/stat")
    assert not state.exists() or state.read_text().split()[2] in "ZX"


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_process_that_prints_without_end_is_ended(spy, stream):
    command, _ = spy(f"while True: print('x' * 65536, file=sys.{stream})")
    with pytest.raises(BuildFailed, match="more than 1000000 bytes"):
        BinaryHelm(command, bounds=Bounds(output=1_000_000)).template(CHART, Release(name="r"))


def test_much_output_on_both_streams_is_read(spy):
    command, _ = spy("print('e' * 300_000, file=sys.stderr); print('#' + 'o' * 300_000)")
    assert len(BinaryHelm(command).template(CHART, Release(name="r"))) == 300_002


@pytest.mark.parametrize("command", ["no-such-helm", "/no/such/helm"])
def test_without_a_helm_the_error_says_what_to_do(command):
    with pytest.raises(BuildFailed, match="install Helm 3 or 4, or name the binary with --helm-command"):
        BinaryHelm(command).template(CHART, Release(name="r"))


@pytest.mark.parametrize(
    ("told", "words"), [("v2.17.0", "Helm 3 or 4 is needed"), ("kustomize", "no Helm"), ("v10.1", "Helm 3 or 4")]
)
def test_an_unfit_helm(tmp_path, told, words):
    path = tmp_path / "helm"
    path.write_text(f"#!/bin/sh\necho {told}\n")
    path.chmod(0o755)
    with pytest.raises(BuildFailed, match=words):
        BinaryHelm(str(path)).version()


def test_a_file_that_does_not_run(tmp_path):
    path = tmp_path / "helm"
    path.write_text("no program")
    path.chmod(0o755)
    with pytest.raises(BuildFailed, match="does not run"):
        BinaryHelm(str(path)).version()


def test_no_descriptor_is_left_open(spy):
    command, _ = spy()
    helm = BinaryHelm(command)
    helm.template(CHART, Release(name="r", values=(b"a: 1\n",)))
    before = len(list(Path("/dev/fd").iterdir()))
    for _ in range(3):
        helm.template(CHART, Release(name="r", values=(b"a: 1\n", b"b: 1\n")))
    assert len(list(Path("/dev/fd").iterdir())) == before
