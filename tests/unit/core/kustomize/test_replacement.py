"""Replacements: sources, targets, paths, and texts within fields, as kustomize was seen to do them."""

import json

import pytest

from penstock.core.errors import BuildFailed
from penstock.core.kustomize.fields import Where
from penstock.core.kustomize.filters.replacement import Replacement, apply_replacements
from penstock.core.kustomize.paths import split_path
from penstock.core.kustomize.resource import Resource
from penstock.core.kustomize.yaml_in import load_documents

OBJECTS = r"""
apiVersion: v1
kind: ConfigMap
metadata: {name: source}
data:
  host: example.com
  url: https://example.com:8443/path
  port: "8080"
  number: 3
  version: 1.10
  mode: 0644
  flag: true
  list: [a, b]
  map: {x: 1}
  empty: {}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}, annotations: {note: one-two-three}}
spec:
  replicas: 1
  paused: false
  nothing: null
  args: [--a, --b]
  containers:
  - {name: web, image: "nginx:1.20", env: [{name: A, value: x}, {name: B, value: y}]}
  - {name: web-sidecar, image: "busybox:1", env: []}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: api, namespace: shop, labels: {app: api}}
spec:
  replicas: 1
  containers: []
---
apiVersion: v1
kind: ConfigMap
metadata: {name: texts}
data:
  app.yaml: |
    # settings
    server:
      port: 80   # the port
      hosts:
          - "a"
          - 'b'
    flow: {a: 1, b: [x, y]}

    # last
    block: |
      one
      two
  pretty.json: |-
    {
      "b": "<x>",
      "a": [{"n": 1}]
    }
  compact.json: '{"b": 1, "a": "x-y"}'
  plain: nothing special
"""


def resources():
    return [Resource(manifest=document) for document in load_documents(OBJECTS.encode(), "test")]


def placed(text):
    entries = load_documents(text.encode(), "test")[0]
    return [Replacement(Where("", f"replacements[{at}]"), entry) for at, entry in enumerate(entries)]


def replaced(replacements, name):
    found = apply_replacements(resources(), placed(replacements))
    return next(one.manifest for one in found if one.id.name == name)


def web(source, target):
    """The Deployment `web` after one replacement from the ConfigMap, or of a fixed value."""
    source = source if source.startswith("sourceValue") else f"source: {{kind: ConfigMap, name: source, {source}}}"
    return replaced(f"- {{{source}, targets: [{{select: {{kind: Deployment, name: web}}, {target}}}]}}", "web")


@pytest.mark.parametrize(
    ("source", "target", "changed"),
    [
        ("fieldPath: data.host", "fieldPaths: [metadata.annotations.note]", "example.com"),
        ("fieldPath: data.port", "fieldPaths: [spec.replicas]", 8080),
        ("fieldPath: data.number", "fieldPaths: [metadata.annotations.note]", "3"),
        ("fieldPath: data.version", "fieldPaths: [metadata.annotations.note]", "1.10"),
        ("fieldPath: data.mode", "fieldPaths: [metadata.annotations.note]", "0644"),
        ("fieldPath: data.flag", "fieldPaths: [spec.paused]", True),
        ("fieldPath: data.list", "fieldPaths: [spec.args]", ["a", "b"]),
        ("fieldPath: data.map", "fieldPaths: [spec.args]", {"x": 1}),
        ("fieldPath: data.list.1", "fieldPaths: [metadata.annotations.note]", "b"),
        ("fieldPath: data.list.-", "fieldPaths: [metadata.annotations.note]", "b"),
        ("fieldPath: 'data.list.[=a]'", "fieldPaths: [metadata.annotations.note]", "a"),
        ("fieldPath: ''", "fieldPaths: [metadata.annotations.note]", "source"),
        ("fieldPath: data.port", "{new}", 8080),
        ("fieldPath: data.host", "{new}", "example.com"),
        ("fieldPath: data.list", "{new}", ["a", "b"]),
        ("sourceValue: '7'", "fieldPaths: [spec.replicas]", 7),
        ("sourceValue: fixed", "fieldPaths: [metadata.annotations.note]", "fixed"),
        ("sourceValue: '7'", "{new}", 7),
        ("sourceValue: '7'", "fieldPaths: [spec.args.0]", "7"),
        ("sourceValue: '7'", "fieldPaths: [spec.args]", 7),
    ],
)
def test_what_is_written_and_as_what(source, target, changed):
    created = "fieldPaths: [spec.created], options: {create: true}"
    manifest = web(source, created if target == "{new}" else target)
    places = {
        "metadata.annotations.note": manifest["metadata"]["annotations"]["note"],
        "spec.replicas": manifest["spec"]["replicas"],
        "spec.paused": manifest["spec"]["paused"],
        "spec.args": manifest["spec"]["args"],
        "spec.args.0": manifest["spec"]["args"],
        "{new}": manifest["spec"].get("created"),
    }
    found = places["{new}"] if target == "{new}" else places[target[13:-1]]
    found = found[0] if target.endswith("args.0]") else found
    assert found == changed
    assert isinstance(found, type(changed))


@pytest.mark.parametrize(
    ("options", "target", "expected"),
    [
        ("{delimiter: /, index: 2}", "{}", "example.com:8443"),
        ("{delimiter: ':', index: 0}", "{delimiter: '-', index: 0}", "https-two-three"),
        ("{delimiter: ':', index: 0}", "{delimiter: '-', index: 2}", "one-two-https"),
        ("{delimiter: ':'}", "{delimiter: '-', index: -1}", "https-one-two-three"),
        ("{delimiter: ':'}", "{delimiter: '-', index: 9}", "one-two-three-https"),
        ("{encoding: base64}", "{}", "https://example.com:8443/path"),
    ],
)
def test_parts_of_values(options, target, expected):
    manifest = web(
        f"fieldPath: data.url, options: {options}", f"fieldPaths: [metadata.annotations.note], options: {target}"
    )
    assert manifest["metadata"]["annotations"]["note"] == expected


@pytest.mark.parametrize(
    ("path", "images"),
    [
        ("spec.containers.*.image", ["new", "new"]),
        ("spec.containers.0.image", ["new", "busybox:1"]),
        ("spec.containers.[name=web].image", ["new", "new"]),
        ("spec.containers.[name=^web$].image", ["new", "busybox:1"]),
        ("spec.containers.[name=side].image", ["nginx:1.20", "new"]),
        ("spec.containers.[image=nginx:1.20].image", ["new", "busybox:1"]),
        ("spec.containers.[image=^.nginx].image", ["new", "busybox:1"]),
    ],
)
def test_items_of_lists(path, images):
    manifest = web("fieldPath: data.host", f"fieldPaths: ['{path}']")
    assert [item["image"] for item in manifest["spec"]["containers"]] == [
        "example.com" if image == "new" else image for image in images
    ]


@pytest.mark.parametrize(
    ("path", "field", "expected"),
    [
        ("spec.new.deep.er", "new", {"deep": {"er": "v"}}),
        ("spec.new.0.x", "new", [{"x": "v"}]),
        ("spec.new.[name=n].x", "new", [{"name": "n", "x": "v"}]),
        ("spec.args.2", "args", ["--a", "--b", "v"]),
        ("spec.args.[=--c]", "args", ["--a", "--b", "v"]),
        ("spec.new.[a.b/c]", "new", {"a.b/c": "v"}),
        (r"spec.new.a\.b/c", "new", {"a.b/c": "v"}),
        ("spec.nothing.x", "nothing", None),
    ],
)
def test_what_is_created(path, field, expected):
    manifest = web("sourceValue: v", f"fieldPaths: ['{path}'], options: {{create: true}}")
    assert manifest["spec"][field] == expected


@pytest.mark.parametrize(
    ("select", "expected"),
    [
        ("select: {kind: Deployment}", ["web", "api"]),
        ("select: {kind: Deploy.*, version: v.}", ["web", "api"]),
        ("select: {kind: Deployment, name: ap}", []),
        ("select: {kind: Deployment, namespace: shop}", ["api"]),
        ("select: {kind: Deployment, labelSelector: app=web}", ["web"]),
        ("select: {kind: Deployment, annotationSelector: note}", ["web"]),
        ("select: {kind: Deployment}, reject: [{name: web}]", ["api"]),
        ("select: {kind: Deployment}, reject: [{labelSelector: app=api}]", ["web"]),
        ("select: {kind: Deployment}, reject: [{name: web}, {name: a.*}]", []),
        ("select: {kind: Deployment}, reject: [{name: x, labelSelector: app=api}]", ["web"]),
    ],
)
def test_which_objects(select, expected):
    found = apply_replacements(
        resources(), placed(f"- {{sourceValue: '5', targets: [{{{select}, fieldPaths: [spec.replicas]}}]}}")
    )
    assert [one.id.name for one in found if one.manifest.get("spec", {}).get("replicas") == 5] == expected


def test_objects_are_found_by_the_names_that_they_had():
    source, target, *_ = resources()
    renamed = target.remembering().with_manifest({**target.manifest, "metadata": {"name": "prod-web"}})
    text = "- {source: {kind: Deployment, name: web}, targets: [{select: {name: source}, fieldPaths: [data.host]}]}"
    found = apply_replacements([source, renamed], placed(text))
    assert found[0].manifest["data"]["host"] == "prod-web"


def test_a_later_replacement_sees_what_an_earlier_one_wrote():
    text = """
- {sourceValue: first, targets: [{select: {name: source}, fieldPaths: [data.host]}]}
- {source: {name: source, fieldPath: data.host}, targets: [{select: {name: web}, fieldPaths: [metadata.annotations.note]}]}
"""
    assert replaced(text, "web")["metadata"]["annotations"]["note"] == "first"


@pytest.mark.parametrize(
    ("path", "value", "key", "expected"),
    [
        (
            r"app\.yaml.server.port",
            "81",
            "app.yaml",
            """# settings
server:
  port: 81 # the port
  hosts:
  - "a"
  - 'b'
flow: {a: 1, b: [x, y]}
# last
block: |
  one
  two""",
        ),
        (r"app\.yaml.server.hosts.0", "z", "app.yaml", "- \"z\"\n  - 'b'"),
        (r"app\.yaml.server.hosts.1", "it's", "app.yaml", "- 'it''s'"),
        (r"app\.yaml.flow.b.[=y]", "n", "app.yaml", 'b: [x, "n"]}'),
        (r"app\.yaml.flow.a", "x", "app.yaml", "{a: !!int x, b"),
        (r"app\.yaml.block", "a\nb\n", "app.yaml", "block: |\n  a\n  b"),
        (r"pretty\.json.b", "&", "pretty.json", '{\n  "a": [\n    {\n      "n": 1\n    }\n  ],\n  "b": "\\u0026"\n}'),
        (r"pretty\.json.a.0.n", "2", "pretty.json", '"n": 2\n'),
        (r"compact\.json.b", "2", "compact.json", '{"a":"x-y","b":2}'),
        (r"compact\.json.b", "text", "compact.json", '{"b": 1, "a": "x-y"}'),
    ],
)
def test_texts_within_fields(path, value, key, expected):
    text = (
        f"- {{sourceValue: {json.dumps(value)}, targets: [{{select: {{name: texts}}, fieldPaths: ['data.{path}']}}]}}"
    )
    assert expected in replaced(text, "texts")["data"][key]


def test_options_work_within_texts_too():
    text = r"""
- sourceValue: z
  targets: [{select: {name: texts}, fieldPaths: ['data.compact\.json.a'], options: {delimiter: '-', index: 1}}]
- sourceValue: v
  targets: [{select: {name: texts}, fieldPaths: ['data.app\.yaml.server.new.deep'], options: {create: true}}]
"""
    data = replaced(text, "texts")["data"]
    assert data["compact.json"] == '{"a":"x-z","b":1}'
    assert "  new:\n    deep: v\n" in data["app.yaml"]


SOURCE = "source: {kind: ConfigMap, name: source, fieldPath: data.host}"
WEB = "select: {kind: Deployment, name: web}"


@pytest.mark.parametrize(
    ("replacement", "message"),
    [
        ("targets: []", "must specify a source and at least one target"),
        (SOURCE, "must specify a source and at least one target"),
        (f"{SOURCE}, sourceValue: x, targets: []", "mutually exclusive"),
        ("source: x, targets: []", r"replacements\[0\]\.source: must be a mapping"),
        (f"{SOURCE}, targets: x", r"targets: must be a list"),
        (f"{SOURCE}, targets: [x]", r"targets\[0\]: must be a mapping"),
        (f"{SOURCE}, targets: [{{fieldPaths: [a]}}]", r"targets\[0\]: target must specify resources to select"),
        (f"{SOURCE}, targets: [{{{WEB}, fieldPaths: x}}]", "fieldPaths: must be a list of texts"),
        (f"{SOURCE}, targets: [{{{WEB}, reject: {{}}, options: {{index: x}}}}]", "index a whole number"),
        (f"{SOURCE}, targets: [{{{WEB}, reject: x}}]", "reject: must be a list of mappings"),
        (f"{SOURCE}, targets: [{{select: {{name: '('}}}}]", r"select: .*not a regular expression"),
        ("source: {kind: ConfigMap, name: x}, targets: []", r"nothing selected by ConfigMap\.\[noVer\]\.\[noGrp\]/x"),
        ("source: {kind: ConfigMap}, targets: []", "multiple matches for selector"),
        (
            "source: {name: source, fieldPath: data.x}, targets: []",
            "fieldPath `data.x` is missing for replacement source",
        ),
        ("source: {name: source, fieldPath: data.empty}, targets: []", "fieldPath `data.empty` is missing"),
        ("source: {name: source, fieldPath: data.host.x}, targets: []", "error looking up replacement source"),
        ("source: {name: source, fieldPath: 'data.*'}, targets: []", "wildcard is not supported"),
        ("source: {name: source, fieldPath: 'data.list.[x]'}, targets: []", "must contain fieldName=fieldValue"),
        ("source: {name: source, fieldPath: data.list.-1}, targets: []", "cannot be negative"),
        (
            "source: {name: source, fieldPath: data.list, options: {delimiter: x}}, targets: []",
            "only be used with scalar",
        ),
        (
            "source: {name: source, fieldPath: data.url, options: {delimiter: /, index: 9}}, targets: []",
            "out of bounds",
        ),
        (
            f"{SOURCE}, targets: [{{{WEB}, fieldPaths: [spec.x]}}]",
            "unable to find field 'spec.x' in replacement target",
        ),
        (f"{SOURCE}, targets: [{{{WEB}, fieldPaths: [spec.replicas]}}]", "cannot decode `example.com` as !!int"),
        (f"{SOURCE}, targets: [{{{WEB}, fieldPaths: [spec.paused]}}]", "cannot decode `example.com` as !!bool"),
        (f"{SOURCE}, targets: [{{{WEB}, fieldPaths: [spec.nothing]}}]", "cannot decode `example.com` as !!null"),
        (f"{SOURCE}, targets: [{{{WEB}, fieldPaths: [spec.args.7]}}]", "index 7 specified but only 2 elements found"),
        (f"{SOURCE}, targets: [{{{WEB}, fieldPaths: [spec.x.y], options: {{create: false}}}}]", "unable to find field"),
        (f"{SOURCE}, targets: [{{{WEB}, fieldPaths: ['spec.*']}}]", "needs a list"),
        (f"{SOURCE}, targets: [{{{WEB}, fieldPaths: ['spec.args.x']}}]", "needs a mapping"),
        (f"{SOURCE}, targets: [{{{WEB}, fieldPaths: ['spec..x']}}]", "a segment of the path is empty"),
        (f"{SOURCE}, targets: [{{{WEB}, fieldPaths: ['spec.args.[=(]']}}]", "not a regular expression"),
        (
            f"{SOURCE}, targets: [{{{WEB}, fieldPaths: ['spec.args.[=x+y]'], options: {{create: true}}}}]",
            "does not match itself",
        ),
        (
            f"{SOURCE}, targets: [{{{WEB}, fieldPaths: [spec.args], options: {{delimiter: x}}}}]",
            "only be used with scalar",
        ),
        ("sourceValue: v, targets: [{select: {name: texts}, fieldPaths: ['data.plain.x']}]", "unable to find field"),
    ],
)
def test_errors_name_the_replacement(replacement, message):
    with pytest.raises(
        BuildFailed, match=rf"^replacements\[0\].*{message}" if "replacements" not in message else message
    ):
        apply_replacements(resources(), placed(f"- {{{replacement}}}"))


@pytest.mark.parametrize(
    ("path", "segments"),
    [
        ("a.b", ("a", "b")),
        (".a.b", ("a", "b")),
        (r"a.b\.c", ("a", "b.c")),
        ("a.[b.c/d].e", ("a", "b.c/d", "e")),
        ("a.[name=b.c].d", ("a", "[name=b.c]", "d")),
        ("a.[name=b].d", ("a", "[name=b]", "d")),
        ("a.[b.c", ("a", "b.c")),
    ],
)
def test_paths(path, segments):
    assert split_path(path) == segments


def test_nothing_is_changed_in_place():
    before, again = resources(), resources()
    text = f"- {{{SOURCE}, targets: [{{{WEB}, fieldPaths: [spec.new.x], options: {{create: true}}}}]}}"
    apply_replacements(before, placed(text))
    assert [one.manifest for one in before] == [one.manifest for one in again]
