"""Charts in kustomizations, asked of the real kustomize 5.8.1 with the real Helm: the same bytes, or an error in both."""

import os
import subprocess

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.controlplane.build import tool
from tests.fixtures.charts import ChartRegistry, ChartRepository, files

from penstock.adapters.tree.disk import DiskTree
from penstock.core.errors import PenstockError
from penstock.kustomize import BuildOptions, build
from penstock.wiring.helm import helm_of_machine

HELM, KUSTOMIZE = tool("helm"), tool("kustomize")
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(HELM is None or KUSTOMIZE is None, reason="no helm and kustomize: `make tools`"),
]


@pytest.fixture(scope="module")
def repository():
    found = ChartRepository()
    yield found
    found.close()


def write(directory, tree):
    for path, text in tree.items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_text(text, encoding="utf-8")


def ours(directory, built="", **options):
    """The output, and what went wrong."""
    asked = BuildOptions(enable_helm=True, helm=helm_of_machine(str(HELM)), **options)
    try:
        return build(DiskTree(directory), built, asked).to_yaml(), ""
    except PenstockError as error:
        return "", str(error)


def theirs(directory, built="", flags=()):
    command = [KUSTOMIZE, "build", "--enable-helm", "--helm-command", HELM, *flags, directory / built]
    environment = {**os.environ, "KUBECONFIG": str(directory / "none")}
    real = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment)
    return real.stdout, real.stderr if real.returncode else ""


def agree(directory, built="", flags=(), **options):
    """The output of both. Ours comes first: it leaves nothing behind."""
    before = sorted(path for path in directory.rglob("*"))
    output, problem = ours(directory, built, **options)
    assert sorted(path for path in directory.rglob("*")) == before
    expected, theirs_problem = theirs(directory, built, flags)
    assert bool(problem) == bool(theirs_problem), f"ours: {problem or 'fine'}; kustomize: {theirs_problem or 'fine'}"
    assert output == expected
    return output


CASES = {
    "name alone": "",
    "version without repo": "version: 9.9.9",
    "namespace": "namespace: apps",
    "valuesFile": "valuesFile: mine.yaml",
    "valuesFile of the chart": "valuesFile: charts/show/values-large.yaml",
    "additionalValuesFiles": "additionalValuesFiles: [mine.yaml, more.yaml]",
    "additionalValuesFiles over inline": "additionalValuesFiles: [mine.yaml]\nvaluesInline: {colour: green, size: 1}",
    "valuesInline": "valuesInline: {colour: green, nested: {b: {e: f}}, list: [z], service: {port: 80}}",
    "valuesInline, nulls": "valuesInline: {colour: null, nested: {b: null, new: null}, list: []}",
    "valuesInline, numbers": "valuesInline: {i: 12345678901234567, f: 1.10, e: 1.5e30, o: 0644, h: 0x10, m: -0.0}",
    "valuesInline, texts": "valuesInline: {y: yes, no: 'no', d: 2020-01-02, t: '1', s: \"two\\nlines\\n\"}",
    "valuesInline, no mapping below": "valuesInline: {nested: 5}",
    "valuesInline, empty": "valuesInline: {}",
    "valuesInline, directive": "valuesInline: {nested: {$patch: replace, only: 1}}",
    "valuesInline, object in a list": (
        "valuesInline: {extra: {apiVersion: v1, kind: Pod, spec: {containers: [{name: a, image: b}]}}}"
    ),
    "valuesMerge override": "valuesMerge: override\nvaluesInline: {colour: green, other: 1}\nvaluesFile: mine.yaml",
    "valuesMerge merge": "valuesMerge: merge\nvaluesInline: {colour: green, other: 1}\nvaluesFile: mine.yaml",
    "valuesMerge replace": "valuesMerge: replace\nvaluesInline: {colour: green}\nvaluesFile: none.yaml",
    "valuesMerge replace without inline": "valuesMerge: replace\nvaluesFile: mine.yaml",
    "aliases": "valuesFile: aliases.yaml\nvaluesInline: {of: {x: 9}, new: 1}",
    "aliases, merge": "valuesFile: aliases.yaml\nvaluesMerge: merge\nvaluesInline: {new: 1}",
    "aliases without inline": "valuesFile: aliases.yaml",
    "includeCRDs": "includeCRDs: true",
    "skipHooks": "skipHooks: true",
    "skipTests": "skipTests: true",
    "apiVersions": "apiVersions: [foo.example.com/v1, bar.example.com/v1]",
    "apiVersions with a comma": "apiVersions: ['foo.example.com/v1,bar.example.com/v1']",
    "kubeVersion": "kubeVersion: 1.29.3",
    "nameTemplate": "nameTemplate: 'made-{{ add 1 2 }}'\nreleaseName: ''",
    "debug": "debug: true",
    "devel": "devel: true",
    "everything": (
        "namespace: apps\nvaluesFile: mine.yaml\nadditionalValuesFiles: [more.yaml]\nvaluesInline: {a: 1}\n"
        "includeCRDs: true\nskipTests: true\nskipHooks: true\napiVersions: [foo.example.com/v1]\nkubeVersion: v1.30.0"
    ),
    # and what fails
    "no chart": "name: other",
    "no name": "name: ''",
    "bad valuesMerge": "valuesMerge: both\nvaluesInline: {a: 1}",
    "values file that is not there": "valuesFile: none.yaml",
    "values file that is no YAML": "valuesFile: bad.yaml",
    "values file that is no YAML, inline": "valuesFile: bad.yaml\nvaluesInline: {a: 1}",
    "values file that is a list": "valuesFile: list.yaml\nvaluesInline: {a: 1}",
    "values file that is a list, alone": "valuesFile: list.yaml",
    "values file that is empty": "valuesFile: empty.yaml",
    "values file that is empty, inline": "valuesFile: empty.yaml\nvaluesInline: {a: 1}",
    "values file of comments, inline": "valuesFile: comments.yaml\nvaluesInline: {a: 1}",
    "values file that is null, inline": "valuesFile: 'null.yaml'\nvaluesInline: {a: 1}",
    "values file that is null, merged over inline": "valuesFile: 'null.yaml'\nvaluesInline: {a: 1}\nvaluesMerge: merge",
    "values file of two documents, inline": "valuesFile: two.yaml\nvaluesInline: {a: 1}",
    "values file with a repeated key, inline": "valuesFile: repeated.yaml\nvaluesInline: {a: 1}",
    "values file with a number for a key, inline": "valuesFile: keys.yaml\nvaluesInline: {a: 1}",
    "values file outside": "valuesFile: ../outside.yaml",
    "additional values file outside": "additionalValuesFiles: [../outside.yaml]",
    "additional values file that is not there": "additionalValuesFiles: [none.yaml]",
    "other kinds, inline": "valuesFile: kinds.yaml\nvaluesInline: {colour: {a: 1}}",
    "a release name that is none": "releaseName: Not_A_Name!",
    "a kube version that is none": "kubeVersion: eleven",
    "a number for a version": "version: 1.5",
    "a text for a flag": "includeCRDs: 'yes'",
    "an unknown field": "repository: x",
}
BESIDE = {
    "mine.yaml": "colour: red # mine\nmine: {a: 1, b: ~}\nsize: 0644\n",
    "more.yaml": "colour: black\nmine: {a: 2}\n",
    "aliases.yaml": "at: &x {x: 1, l: [&y 2, *y]}\nof: *x\nin: [*x, {<<: *x}]\nmerged: {<<: *x, z: 3}\nplain: *y\n",
    "bad.yaml": "a: [\n",
    "list.yaml": "[a, b]\n",
    "empty.yaml": "",
    "comments.yaml": "# nothing\n",
    "null.yaml": "~\n",
    "two.yaml": "a: 0\nb: 1\n---\nc: 1\n",
    "repeated.yaml": "b: 1\nb: 2\n",
    "keys.yaml": "b: {8080: x}\n",
    "kinds.yaml": "colour: [a]\n",
}


DEFAULTS = {"name": "show", "releaseName": "r"}


def kustomization(fields):
    own = {line.partition(":")[0] for line in fields.splitlines()}
    lines = [f"{name}: {value}" for name, value in DEFAULTS.items() if name not in own]
    return "helmCharts:\n- " + "\n  ".join([*lines, *fields.splitlines()]) + "\n"


@pytest.mark.parametrize("name", CASES)
def test_fields(name, tmp_path):
    text = kustomization(CASES[name])
    assert yaml.safe_load(text)["helmCharts"]
    write(tmp_path, {"outside.yaml": "a: 1\n"})
    write(tmp_path / "app", {**files(), **BESIDE, "kustomization.yaml": text})
    agree(tmp_path, "app")


OLD = {
    "all": (
        "chartName: show\nchartVersion: 1.0.0\nreleaseName: r\nvalues: mine.yaml\nvaluesLocal: {a: 1}\n"
        "valuesMerge: merge\nreleaseNamespace: ignored\nextraArgs: [--ignored]\nhelmBin: /ignored\nchartRepoName: x"
    ),
    "chartHome": "chartName: show\nreleaseName: r\nchartHome: elsewhere",
    "no chart": "chartName: none\nreleaseName: r",
}


@pytest.mark.parametrize("globals_", ["", "helmGlobals: {}\n", "helmGlobals: {chartHome: charts}\n"])
@pytest.mark.parametrize("name", OLD)
def test_deprecated_fields(name, globals_, tmp_path):
    entry = OLD[name].replace("\n", "\n  ")
    text = f"{globals_}helmChartInflationGenerator:\n- {entry}\n"
    elsewhere = files("elsewhere/show", values__yaml="colour: elsewhere\n")
    write(tmp_path, {**files(), **elsewhere, **BESIDE, "kustomization.yaml": text})
    agree(tmp_path)


GENERATORS = {
    "inline": "name: show\nreleaseName: r\nnamespace: apps\nvaluesInline: {colour: green}\nincludeCRDs: true",
    "homes": "name: show\nreleaseName: r\nchartHome: elsewhere",
    "numbers for texts": "name: show\nreleaseName: r\nkubeVersion: 1.30",
    "numbers in quotes": "name: show\nreleaseName: '5'\nversion: '1.10'\nkubeVersion: '1.30'",
    "an unknown field": "name: show\nreleaseName: r\nother: x",
    "a text for a flag": "name: show\nreleaseName: r\nincludeCRDs: 'yes'",
    "no name": "releaseName: r",
    "debug off": "name: show\nreleaseName: r\ndebug: false\napiVersions: []",
}


@pytest.mark.parametrize("name", GENERATORS)
def test_generators(name, tmp_path):
    head = "apiVersion: builtin\nkind: HelmChartInflationGenerator\nmetadata:\n  name: charts\n  namespace: ignored\n"
    elsewhere = files("elsewhere/show", values__yaml="colour: elsewhere\n")
    kust = "namespace: over\nbuildMetadata: [originAnnotations, transformerAnnotations]\ngenerators: [charts.yaml]\n"
    write(tmp_path, {**files(), **elsewhere, "charts.yaml": head + GENERATORS[name] + "\n", "kustomization.yaml": kust})
    agree(tmp_path, flags=["--helm-api-versions", "foo.example.com/v1"], helm_api_versions=("foo.example.com/v1",))


TREES = {
    "among other generators": {
        "kustomization.yaml": (
            "namePrefix: p-\nconfigMapGenerator: [{name: c, literals: [a=b]}]\n"
            "helmCharts: [{name: show, releaseName: a}, {name: show, releaseName: b, namespace: other}]\n"
            "images: [{name: hook, newTag: '2'}]\ncommonLabels: {team: x}\n"
            "buildMetadata: [originAnnotations, managedByLabel, transformerAnnotations]\n"
        ),
    },
    "the same objects twice": {
        "kustomization.yaml": "helmCharts: [{name: show, releaseName: a}, {name: show, releaseName: a}]\n"
    },
    "twice in other namespaces": {
        "kustomization.yaml": (
            "helmCharts: [{name: show, releaseName: a, namespace: x, skipHooks: true},\n"
            "  {name: show, releaseName: a, namespace: y, skipHooks: true}]\n"
        )
    },
    "a chart that renders one object twice": {
        "kustomization.yaml": "helmCharts: [{name: show, releaseName: a}]\n",
        "charts/show/templates/again.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a-show}\n",
    },
    "a chart that renders a list": {
        "kustomization.yaml": "helmCharts: [{name: show, releaseName: a, skipHooks: true}]\n",
        "charts/show/templates/list.yaml": (
            "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: one}}\n"
        ),
    },
    "a chart that renders no object": {
        "kustomization.yaml": "helmCharts: [{name: show, releaseName: a}]\n",
        "charts/show/templates/text.yaml": "just: text\n",
    },
    "a chart that renders nothing": {
        "kustomization.yaml": "helmCharts: [{name: none, releaseName: a}]\n",
        "charts/none/Chart.yaml": "apiVersion: v2\nname: none\nversion: 1.0.0\n",
        "charts/none/values.yaml": "",
    },
    "a local object among them": {
        "kustomization.yaml": "helmCharts: [{name: show, releaseName: a, skipHooks: true}]\n",
        "charts/show/templates/local.yaml": (
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: l\n"
            "  annotations: {config.kubernetes.io/local-config: 'true'}\n"
        ),
    },
    "a chart without values": {
        "kustomization.yaml": "helmCharts: [{name: bare, releaseName: a}]\n",
        "charts/bare/Chart.yaml": "apiVersion: v2\nname: bare\nversion: 1.0.0\n",
        "charts/bare/templates/cm.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bare}\n",
    },
    "a template that fails": {
        "kustomization.yaml": "helmCharts: [{name: show, releaseName: a}]\n",
        "charts/show/templates/bad.yaml": '{{ required "a port is needed" .Values.port }}\n',
    },
    "a template that is none": {
        "kustomization.yaml": "helmCharts: [{name: show, releaseName: a}]\n",
        "charts/show/templates/bad.yaml": "{{ if }}\n",
    },
    "a dependency that is there": {
        "kustomization.yaml": "helmCharts: [{name: show, releaseName: a, valuesInline: {sub: {colour: sub}}}]\n",
        "charts/show/Chart.yaml": (
            "apiVersion: v2\nname: show\nversion: 1.0.0\ndependencies: [{name: sub, version: 1.x.x}]\n"
        ),
        **files("charts/show/charts/sub", Chart__yaml="apiVersion: v2\nname: sub\nversion: 1.0.0\n"),
    },
    "a dependency that is not there": {
        "kustomization.yaml": "helmCharts: [{name: show, releaseName: a}]\n",
        "charts/show/Chart.yaml": (
            "apiVersion: v2\nname: show\nversion: 1.0.0\ndependencies: [{name: sub, version: 1.x.x}]\n"
        ),
    },
    "a schema that the values miss": {
        "kustomization.yaml": "helmCharts: [{name: show, releaseName: a}]\n",
        "charts/show/values.schema.json": '{"properties": {"size": {"type": "string"}}}',
    },
    "another chart home": {
        "kustomization.yaml": "helmGlobals: {chartHome: ./x/../homes}\nhelmCharts: [{name: show, releaseName: a}]\n",
        **files("homes/show", values__yaml="colour: home\n"),
    },
    "a chart home above, values below": {
        "app/kustomization.yaml": (
            "helmGlobals: {chartHome: ../charts}\nhelmCharts: [{name: show, releaseName: a, valuesFile: v.yaml}]\n"
        ),
        "app/v.yaml": "colour: v\n",
    },
    "a chart home above": {
        "app/kustomization.yaml": "helmGlobals: {chartHome: ../charts}\nhelmCharts: [{name: show, releaseName: a}]\n",
    },
    "a chart in a folder of the home": {
        "kustomization.yaml": "helmCharts: [{name: deep/show, releaseName: a}]\n",
        **files("charts/deep/show", values__yaml="colour: deep\n"),
    },
    "namespaces of overlays": {
        "app/kustomization.yaml": "namespace: top\nresources: [../middle, ../other]\n",
        "middle/kustomization.yaml": "nameSuffix: -m\nresources: [../base]\n",
        "base/kustomization.yaml": (
            "helmGlobals: {chartHome: charts}\n"
            "helmCharts: [{name: show, releaseName: a}, {name: show, releaseName: b, namespace: own}]\n"
        ),
        "other/kustomization.yaml": "namespace: other\nhelmCharts: [{name: show, releaseName: c}]\n",
        **files("base/charts/show"),
        **files("other/charts/show"),
    },
    "in a component": {
        "app/kustomization.yaml": "namespace: top\nresources: [cm.yaml]\ncomponents: [../part]\n",
        "app/cm.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cm}\n",
        "part/kustomization.yaml": (
            "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n"
            "helmCharts: [{name: show, releaseName: a}]\npatches: [{target: {kind: ConfigMap}, patch: "
            "'[{op: add, path: /data, value: {patched: yes}}]'}]\n"
        ),
        **files("part/charts/show"),
    },
}


@pytest.mark.parametrize("restrictor", ["LoadRestrictionsRootOnly", "LoadRestrictionsNone"])
@pytest.mark.parametrize("name", TREES)
def test_trees(name, restrictor, tmp_path):
    tree = {**files(), **TREES[name]}
    write(tmp_path, tree)
    restrictions = "none" if restrictor.endswith("None") else "rootOnly"
    agree(
        tmp_path,
        "app" if "app/kustomization.yaml" in tree else "",
        ["--load-restrictor", restrictor],
        load_restrictions=restrictions,
    )


FLAGS = {
    "--helm-api-versions": (
        ["foo.example.com/v1", "bar.example.com/v1"],
        {"helm_api_versions": ("foo.example.com/v1", "bar.example.com/v1")},
    ),
    "--helm-kube-version": (["1.28.1"], {"helm_kube_version": "1.28.1"}),
    "--helm-debug": ([], {"helm_debug": True}),
}


@pytest.mark.parametrize("own", ["", "apiVersions: [own.example.com/v1]\nkubeVersion: 1.31.0"])
@pytest.mark.parametrize("flag", FLAGS)
def test_flags_are_for_charts_that_do_not_say(flag, own, tmp_path):
    values, options = FLAGS[flag]
    write(tmp_path, {**files(), "kustomization.yaml": kustomization(own)})
    flags = [part for value in values for part in (flag, value)] or [flag]
    agree(tmp_path, flags=flags, **options)


PULLS = {
    "newest": "",
    "a version": "version: 1.2.3",
    "a constraint": "version: '>=1.0.0 <1.3.0'",
    "devel": "devel: true",
    "devel and a version": "devel: true\nversion: 1.3.0",
    "inline values over the chart's": "version: 1.2.3\nvaluesInline: {colour: green}",
    "a values file of the pulled chart": "version: 1.2.3\nvaluesFile: charts/show-1.2.3/show/values-large.yaml",
    "a values file that the pulled chart has not": "version: 1.2.3\nvaluesFile: charts/show-1.2.3/show/none.yaml",
    "an unknown version": "version: 7.7.7",
    "an unknown chart": "name: other",
    "a bad version": "version: x y",
}


@pytest.mark.parametrize("name", PULLS)
def test_pulls(name, tmp_path, repository):
    write(tmp_path, {"kustomization.yaml": kustomization(f"repo: {repository.url}\n{PULLS[name]}")})
    agree(tmp_path)


@pytest.mark.parametrize("fields", ["version: 1.2.3", "", "version: 1.2.x", "version: 9.9.9", "name: none"])
def test_pulls_from_a_registry(fields, tmp_path, monkeypatch):
    (tmp_path / "registry").mkdir()
    registry = ChartRegistry(tmp_path / "registry")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "registry" / "ca.crt"))
    try:
        write(tmp_path / "app", {"kustomization.yaml": kustomization(f"repo: {registry.url}\n{fields}")})
        agree(tmp_path / "app")
    finally:
        registry.close()


def test_a_chart_that_is_there_is_not_pulled(tmp_path):
    text = kustomization("repo: http://127.0.0.1:1\nversion: 1.2.3")
    write(tmp_path, {**files("charts/show-1.2.3/show"), "kustomization.yaml": text})
    agree(tmp_path)


def test_one_pull_serves_a_build(tmp_path, repository):
    charts = "".join(
        f"- {{name: show, releaseName: {name}, repo: {repository.url}, version: 1.2.3}}\n" for name in "ab"
    )
    write(tmp_path, {"kustomization.yaml": f"helmCharts:\n{charts}"})
    repository.asked.clear()
    output, problem = ours(tmp_path)
    assert problem == ""
    assert output.count("name: a-show") == output.count("name: b-show") == 1
    assert repository.asked == ["/charts/index.yaml", "/charts/show-1.2.3.tgz"]


KEYS = st.sampled_from(["a", "b", "nested", "colour", "list", "1x", "y", "k.z"])
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**62), 2**62),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "text", "1", "0644", "yes", "2020-01-02", "~", "two\nlines\n", "a: b", "{{ .x }}", "é😀"]),
)
VALUES = st.dictionaries(
    KEYS,
    st.recursive(
        LEAVES, lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(KEYS, inner, max_size=3))
    ),
    max_size=4,
)


def values_agree(file, inline, merge, directory):
    chart = {"name": "show", "releaseName": "r", "valuesFile": "v.yaml", "valuesInline": inline, "valuesMerge": merge}
    write(
        directory,
        {
            **files(values__yaml="{}\n", templates__service__yaml=None),
            "v.yaml": yaml.safe_dump(file, allow_unicode=True),
            "kustomization.yaml": yaml.safe_dump({"helmCharts": [chart]}, allow_unicode=True),
        },
    )
    agree(directory)


QUIET = {"deadline": None, "suppress_health_check": list(HealthCheck)}


@settings(max_examples=15, **QUIET)
@given(file=VALUES, inline=VALUES, merge=st.sampled_from(["override", "merge", "replace"]))
def test_random_values(file, inline, merge, tmp_path):
    values_agree(file, inline, merge, tmp_path)


@pytest.mark.slow
@settings(max_examples=400, **QUIET)
@given(file=VALUES, inline=VALUES, merge=st.sampled_from(["override", "merge", "replace"]))
def test_many_random_values(file, inline, merge, tmp_path):
    values_agree(file, inline, merge, tmp_path)
