"""What a build asks of Helm for each field, and what it makes of the answer. What Helm itself does: tests/contract."""

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.adapters.helm.memory import MemoryHelm
from penstock.core.errors import BuildFailed, InvalidDocument, NotFound, PenstockError, Refused, Transient
from penstock.core.helm.chart import ChartReference
from penstock.core.kustomize.chart_values import merged_values
from penstock.core.tree import memory_tree
from penstock.kustomize import Bounds, BuildOptions, build

FILES = {
    "Chart.yaml": "apiVersion: v2\nname: show\nversion: 1.2.3\n",
    "values.yaml": "colour: blue\nsize: 3\n",
    "other.yaml": "colour: other\n",
    "templates/cm.yaml": (
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\n  namespace: {{ .Release.Namespace }}\n"
        "data: {colour: '{{ .Values.colour }}'}\n"
    ),
    "templates/hook.yaml": "apiVersion: v1\nkind: Pod\nmetadata:\n  name: hook\n  annotations:\n    helm.sh/hook: test\n",
}
REPOSITORY = "https://charts.example.com"


def chart(home="charts/show"):
    return {f"{home}/{name}": text for name, text in FILES.items()}


def pulled(version="1.2.3"):
    return MemoryHelm({(REPOSITORY, "show", version): {path: text.encode() for path, text in FILES.items()}})


def inflated(text, files=None, helm=None, path="", **options):
    helm = helm or MemoryHelm()
    tree = memory_tree({**(chart() if files is None else files), "kustomization.yaml": text})
    return build(tree, path, BuildOptions(enable_helm=True, helm=helm, **options)), helm


def asked(fields, **options):
    """The release that a chart with these fields is rendered as."""
    text = yaml.safe_dump({"helmCharts": [{"name": "show", "releaseName": "r", **fields}]})
    _, helm = inflated(text, {**chart(), "v.yaml": "a: 1\n", "w.yaml": "b: 1\n"}, **options)
    return helm.calls[-1][1]


@pytest.mark.parametrize(
    ("fields", "name", "value"),
    [
        ({}, "name", "r"),
        ({"releaseName": "", "nameTemplate": "t-{{ x }}"}, "name", ""),
        ({"nameTemplate": "t-{{ x }}"}, "name_template", "t-{{ x }}"),
        ({"namespace": "apps"}, "namespace", "apps"),
        ({}, "namespace", ""),
        ({}, "values", (b"colour: blue\nsize: 3\n",)),
        ({"valuesFile": "v.yaml"}, "values", (b"a: 1\n",)),
        ({"additionalValuesFiles": ["v.yaml", "w.yaml"]}, "values", (b"colour: blue\nsize: 3\n", b"a: 1\n", b"b: 1\n")),
        ({"valuesInline": {"colour": "red"}}, "values", (b"colour: red\nsize: 3\n",)),
        (
            {"valuesInline": {"colour": "red", "x": 1}, "valuesMerge": "merge"},
            "values",
            (b"colour: blue\nsize: 3\nx: 1\n",),
        ),
        ({"valuesInline": {"colour": "red"}, "valuesMerge": "replace"}, "values", (b"colour: red\n",)),
        ({}, "api_versions", ()),
        ({"apiVersions": ["a/v1", "b/v1"]}, "api_versions", ("a/v1", "b/v1")),
        ({"kubeVersion": "1.30"}, "kube_version", "1.30"),
        ({}, "crds", False),
        ({"includeCRDs": True}, "crds", True),
        ({}, "tests", True),
        ({"skipTests": True}, "tests", False),
        ({}, "hooks", True),
        ({"skipHooks": True}, "hooks", False),
        ({}, "debug", False),
        ({"debug": True}, "debug", True),
        ({"devel": True}, "devel", True),
    ],
)
def test_each_field_reaches_helm(fields, name, value):
    assert getattr(asked(fields), name) == value


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, (("f/v1",), "1.29", True)),
        ({"apiVersions": ["own/v1"], "kubeVersion": "1.31"}, (("own/v1",), "1.31", True)),
        ({"debug": False, "apiVersions": []}, (("f/v1",), "1.29", True)),
    ],
)
def test_flags_are_for_charts_that_do_not_say(fields, expected):
    found = asked(fields, helm_api_versions=("f/v1",), helm_kube_version="1.29", helm_debug=True)
    assert (found.api_versions, found.kube_version, found.debug) == expected


def test_config_home_of_the_globals_reaches_helm():
    text = f"helmGlobals: {{configHome: cfg}}\nhelmCharts: [{{name: show, releaseName: r, repo: {REPOSITORY}, devel: true}}]\n"
    _, helm = inflated(text, {}, pulled())
    assert helm.pulls == [ChartReference(name="show", repository=REPOSITORY, devel=True, config_home="cfg")]
    assert helm.calls[0][1].config_home == "cfg"


def test_the_files_of_a_local_chart_are_handed_over_and_are_inputs():
    found, helm = inflated("helmCharts: [{name: show, releaseName: r}]\n", {**chart(), "charts/beside.yaml": "x"})
    assert {path: data.decode() for path, data in helm.calls[0][0].files.items()} == FILES
    assert set(found.inputs.files) == {*chart(), "kustomization.yaml"}
    assert {"charts/show", "charts/show/templates"} <= set(found.inputs.listings)


@pytest.mark.parametrize("path", [*chart(), "charts/show/templates/new.yaml", "charts/show/files/new.txt"])
def test_a_change_of_a_chart_changes_the_digest_of_the_inputs(path):
    files = {**chart(), "kustomization.yaml": "helmCharts: [{name: show, releaseName: r}]\n"}
    before = build(memory_tree(files), "", BuildOptions(enable_helm=True, helm=MemoryHelm())).inputs
    changed = memory_tree({**files, path: "# changed\n"})
    assert before.digest(changed) != before.digest(memory_tree(files))


def test_a_chart_that_appears_where_one_was_pulled_changes_the_digest_of_the_inputs():
    text = f"helmCharts: [{{name: show, releaseName: r, repo: {REPOSITORY}, version: 1.2.3}}]\n"
    found, helm = inflated(text, {}, pulled())
    assert helm.pulls[0].version == "1.2.3"
    before, after = ({"kustomization.yaml": text, **more} for more in ({}, chart("charts/show-1.2.3/show")))
    assert found.inputs.digest(memory_tree(before)) != found.inputs.digest(memory_tree(after))
    _, later = inflated(text, chart("charts/show-1.2.3/show"), pulled())
    assert later.pulls == []


@pytest.mark.parametrize(
    ("fields", "home"),
    [
        ("", "charts/show"),
        ("version: 9.9.9", "charts/show"),
        (f"repo: {REPOSITORY}", "charts/show"),
        (f"repo: {REPOSITORY}, version: 1.2.3", "charts/show-1.2.3/show"),
    ],
)
def test_where_a_chart_is_looked_for(fields, home):
    _, helm = inflated(f"helmCharts: [{{name: show, releaseName: r, {fields}}}]\n", chart(home))
    assert helm.calls[0][0].title == f"show in {home}"


def test_a_pulled_chart_is_kept_for_the_rest_of_the_build():
    entry = f"{{name: show, repo: {REPOSITORY}, version: 1.2.3, skipTests: true, releaseName: "
    found, helm = inflated(f"helmCharts: [{entry}a}}, {entry}b}}]\n", {}, pulled())
    assert len(helm.pulls) == 1
    assert [one["metadata"]["name"] for one in found.manifests if one["kind"] == "ConfigMap"] == ["a", "b"]


def test_values_files_of_a_pulled_chart():
    entry = f"{{name: show, repo: {REPOSITORY}, version: 1.2.3, releaseName: r, valuesFile: charts/show-1.2.3/show/"
    found, _ = inflated(f"helmCharts: [{entry}other.yaml}}]\n", {}, pulled())
    assert found.manifests[0]["data"]["colour"] == "other"
    with pytest.raises(BuildFailed, match=r"none\.yaml: chart show 1\.2\.3 of https://.* has no such file"):
        inflated(f"helmCharts: [{entry}none.yaml}}]\n", {}, pulled())


NAMESPACES = {
    "top/kustomization.yaml": "namespace: top\nresources: [../middle]\n",
    "middle/kustomization.yaml": "resources: [../base]\n",
    "base/kustomization.yaml": "helmCharts: [{name: show, releaseName: r}]\n",
}


@pytest.mark.parametrize(("path", "namespace"), [("top", "top"), ("middle", ""), ("base", "")])
def test_a_chart_gets_the_namespace_of_the_nearest_overlay(path, namespace):
    helm = MemoryHelm()
    tree = memory_tree({**chart("base/charts/show"), **NAMESPACES})
    build(tree, path, BuildOptions(enable_helm=True, helm=helm))
    assert helm.calls[0][1].namespace == namespace


def test_flux_inflates_no_charts_and_the_message_says_so():
    tree = memory_tree({**chart(), "kustomization.yaml": "helmCharts: [{name: show}]\n"})
    with pytest.raises(Refused, match=r"helmCharts\[0\]: kustomize-controller inflates no charts.*HelmRelease"):
        build(tree, "", BuildOptions.flux({}))


def test_without_a_releasename_a_warning_says_what_that_means():
    found, _ = inflated("helmCharts: [{name: show}]\n")
    assert "kustomization.yaml: helmCharts[0]: has no releaseName" in found.warnings[0]
    found, _ = inflated("helmCharts: [{name: show, releaseName: r}]\n")
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("helmCharts: [{releaseName: r}]", InvalidDocument, "kustomization.yaml, helmCharts[0].name: chart name cannot"),
        ("helmCharts: [{name: a}, {name: a/b}]", BuildFailed, "helmCharts[0]: no repo specified for pull, and no chart"),
        ("helmCharts: [{name: show/a}]", InvalidDocument, "helmCharts[0].name: should be the name of a directory"),
        ("helmCharts: [{name: show, valuesMerge: both}]", InvalidDocument, "valuesMerge must be one of merge, override"),
        ("helmCharts: [{name: show, valuesFile: none.yaml}]", BuildFailed, "helmCharts[0]: none.yaml (named in .): no"),
        ("helmCharts: [{name: show, valuesFile: 'https://x.example.com/v'}]", Refused, "remote bases and files are not read"),
        ("helmCharts: [{name: show, additionalValuesFiles: [../v.yaml]}]", Refused, "leads out of the source"),
        ("helmGlobals: {chartHome: /srv}\nhelmCharts: [{name: show}]", InvalidDocument, "helmCharts[0].chartHome: absol"),
        ("helmGlobals: {chartHome: ../..}\nhelmCharts: [{name: show}]", Refused, "leads out of the source"),
        ("helmCharts: [{name: none, repo: 'https://charts.example.com'}]", NotFound, "helmCharts[0]: chart none of https"),
        ("helmChartInflationGenerator: [{chartName: none}]", BuildFailed, "helmChartInflationGenerator[0]: no repo spec"),
    ],
)  # fmt: skip
def test_errors_name_the_place_and_what_to_do(text, error, words):
    with pytest.raises(error) as caught:
        inflated(f"{text}\n")
    assert type(caught.value) is error
    assert words in str(caught.value)
    assert "kustomization.yaml" in str(caught.value)


def test_a_plugin_is_named_in_its_errors():
    plugin = "generators:\n- '{apiVersion: builtin, kind: HelmChartInflationGenerator, metadata: {name: g}}'\n"
    with pytest.raises(InvalidDocument, match=r"kustomization\.yaml, HelmChartInflationGenerator g, name: chart name"):
        inflated(plugin)


def test_a_transient_error_stays_one():
    class Away(MemoryHelm):
        def pull(self, reference):
            raise Transient(f"{reference}: away", reason="ChartPullError")

    with pytest.raises(Transient, match=r"helmCharts\[0\]: chart show of .*: away") as caught:
        inflated(f"helmCharts: [{{name: show, repo: {REPOSITORY}}}]\n", {}, Away())
    assert caught.value.reason == "ChartPullError"


def test_enabled_without_a_helm_is_said():
    from penstock.core.kustomize.build import build as core_build

    tree = memory_tree({**chart(), "kustomization.yaml": "helmCharts: [{name: show}]\n"})
    with pytest.raises(BuildFailed, match=r"the build was given none to run \(BuildOptions.helm\)"):
        core_build(tree, "", BuildOptions(enable_helm=True))


def test_a_chart_that_renders_no_yaml_or_no_objects():
    for template in ("a: [\n", "just: text\n"):
        with pytest.raises(BuildFailed, match=r"kustomization.yaml: helmCharts\[0\]: what chart show renders to"):
            inflated(
                "helmCharts: [{name: show, releaseName: r}]\n", {**chart(), "charts/show/templates/x.yaml": template}
            )


def test_bounds_hold_for_charts():
    text = "helmCharts: [{name: show, releaseName: r}]\n"
    with pytest.raises(Refused, match="more than 3 files"):
        inflated(text, bounds=Bounds(files=3))
    with pytest.raises(BuildFailed, match="more than 1 objects"):
        inflated(text, bounds=Bounds(documents=1))


class Linked:
    """A tree in which ``loop`` in a chart leads back to the chart, and ``out`` to nowhere."""

    def __init__(self, files):
        self._tree = memory_tree(files)

    def real_path(self, path):
        parts = path.split("/")
        if parts[-1] == "out":
            return None
        return "/".join(part for part in parts if part != "loop")

    def read(self, path):
        return self._tree.read(path)

    def is_dir(self, path):
        return self._tree.is_dir(path)

    def list(self, path):
        found = self._tree.list(path)
        return ("loop", "out", *found) if path == "charts/show" else found


def test_links_that_lead_back_or_out_are_left_out():
    helm = MemoryHelm()
    tree = Linked({**chart(), "kustomization.yaml": "helmCharts: [{name: show, releaseName: r}]\n"})
    build(tree, "", BuildOptions(enable_helm=True, helm=helm))
    assert helm.calls[0][0].files.keys() == FILES.keys()


class Crossed(Linked):
    """A chart whose directories d0 to d9 lead to each other: more ways through them than there is time for."""

    def real_path(self, path):
        parts = path.split("/")
        return "/".join([*parts[:2], *parts[-2:]]) if len(parts) > 4 else path

    def list(self, path):
        found = self._tree.list(path)
        return tuple(f"d{number}" for number in range(10)) if path.startswith("charts/show/d") else found

    def is_dir(self, path):
        return path.rpartition("/")[2].startswith("d") or self._tree.is_dir(path)


def test_links_that_lead_everywhere_meet_a_bound():
    tree = Crossed(
        {**chart(), "charts/show/d0/x": "", "kustomization.yaml": "helmCharts: [{name: show, releaseName: r}]\n"}
    )
    with pytest.raises(Refused, match="the chart has more than 500 files and directories"):
        build(tree, "", BuildOptions(enable_helm=True, helm=MemoryHelm(), bounds=Bounds(files=500)))


# -- values


@pytest.mark.parametrize(
    ("file", "inline", "merge", "expected"),
    [
        (b"a: 1\nb: {c: 2}\n", {"b": {"d": 3}}, "override", {"a": 1, "b": {"c": 2, "d": 3}}),
        (b"a: 1\n", {"a": 2}, "override", {"a": 2}),
        (b"a: 1\n", {"a": 2, "b": 3}, "merge", {"a": 1, "b": 3}),
        (b"a: [1, 2]\n", {"a": [3]}, "override", {"a": [3]}),
        (b"a: 1\n", {"a": None}, "override", {}),
        (b"a: {b: 1}\n", {"a": {"$patch": "delete"}}, "override", {}),
        (b"~\n", {"a": 1}, "override", {"a": 1}),
        (b"~\n", {"a": 1}, "merge", {}),
        (b"x: &x {a: 1}\ny: *x\nz: {<<: *x, b: 2}\nl: [*x]\n", {"n": 1}, "override",
         {"x": {"a": 1}, "z": {"b": 2}, "l": [{"a": 1}], "n": 1}),
        (b"x: &x 1\ny: *x\n", {"y": 2}, "override", {"x": 1}),
        (b"x: &x 1\ny: {z: *x}\n", {"y": 2, "w": 1}, "replace", {"y": 2, "w": 1}),
        (b"n: 12345678901234567890\n", {"m": 12345678901234567}, "override", {"n": 12345678901234567890, "m": 12345678901234568}),
        (b"o: 0644\nf: 1.10\n", {"a": 1}, "override", {"o": 420, "f": 1.1, "a": 1}),
    ],
)  # fmt: skip
def test_values_are_merged_as_kustomize_merges_them(file, inline, merge, expected):
    assert yaml.safe_load(merged_values(file, inline, merge, "v.yaml")) == expected


@pytest.mark.parametrize("merge", ["override", "merge"])
@pytest.mark.parametrize(
    ("file", "words"),
    [
        (b"", "v.yaml: EOF: the file is empty; to merge valuesInline with it, write a mapping"),
        (b"[a]\n", "since it is no mapping"),
        (b"a: [\n", "v.yaml: MalformedYAMLError"),
        (b"a: 1\na: 2\n", "already defined"),
        (b"a: {8080: secret}\n", "is not a string"),
    ],
)
def test_values_that_cannot_be_merged(file, words, merge):
    with pytest.raises(BuildFailed) as caught:
        merged_values(file, {"b": 1}, merge, "v.yaml")
    assert words in str(caught.value)
    assert "secret" not in str(caught.value)


def test_an_alias_that_is_to_win_is_an_error():
    with pytest.raises(BuildFailed, match=r"v\.yaml: y\.z is an alias"):
        merged_values(b"x: &x 1\ny: {z: *x}\n", {"y": {"z": 2}}, "merge", "v.yaml")


def test_other_kinds_name_the_field_and_no_value():
    with pytest.raises(BuildFailed, match=r"v\.yaml: cannot be merged with valuesInline: a\.b: ") as caught:
        merged_values(b"a: {b: [hunter2]}\n", {"a": {"b": {"c": "hunter2"}}}, "override", "v.yaml")
    assert "hunter2" not in str(caught.value)


KEYS = st.sampled_from(["a", "b", "c"])
TREES = st.dictionaries(
    KEYS,
    st.recursive(
        st.one_of(st.integers(-9, 9), st.sampled_from(["x", "1", "~"])),
        lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(KEYS, inner, min_size=1, max_size=3)),
    ),
    min_size=1,
)


@settings(deadline=None)
@given(file=TREES, inline=TREES)
def test_the_arguments_stay_as_they_are_and_merge_is_override_the_other_way(file, inline):
    before = yaml.safe_dump(inline)
    one, other = yaml.safe_dump(file).encode(), yaml.safe_dump(inline).encode()
    try:
        merged = merged_values(one, inline, "override", "v.yaml")
    except PenstockError:
        with pytest.raises(PenstockError):
            merged_values(other, file, "merge", "v.yaml")
    else:
        assert yaml.safe_load(merged_values(other, file, "merge", "v.yaml")) == yaml.safe_load(merged)
    assert yaml.safe_dump(inline) == before
