import pytest

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WIDGETS = "/apis/ex.io/v1/namespaces/default/widgets"
SPEC = {
    "type": "object",
    "required": ["size"],
    "properties": {
        "size": {"type": "integer", "minimum": 1, "maximum": 9},
        "mode": {"type": "string", "default": "auto", "enum": ["auto", "manual"]},
        "name": {"type": "string", "minLength": 2, "maxLength": 3, "pattern": "^a"},
        "odd": {"type": "string", "pattern": "\\p{L}"},
        "ratio": {"type": "number", "minimum": 0, "exclusiveMinimum": True, "maximum": 1, "exclusiveMaximum": True},
        "tags": {
            "type": "array",
            "x-kubernetes-list-type": "set",
            "items": {"type": "string"},
            "minItems": 1,
            "maxItems": 3,
        },
        "parts": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["id"],
            "items": {
                "type": "object",
                "required": ["id"],
                "properties": {"id": {"type": "string"}, "n": {"type": "integer", "default": 3}},
            },
        },
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "pairs": {"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1},
        "port": {"x-kubernetes-int-or-string": True},
        "maybe": {"type": "string", "nullable": True, "default": "x"},
    },
}


def definition(**more):
    schema = {
        "openAPIV3Schema": {
            "type": "object",
            "properties": {"spec": SPEC, "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
        }
    }
    versions = [
        {"name": "v1", "served": True, "storage": True, "subresources": {"status": {}}, "schema": schema},
        {"name": "v1beta1", "served": True, "storage": False, "schema": schema},
        {"name": "v1alpha1", "served": False, "storage": False, "schema": schema},
    ]
    names = {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"], "categories": ["all"]}
    spec = {"group": "ex.io", "scope": "Namespaced", "names": names, "versions": versions, **more}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.ex.io"},
        "spec": spec,
    }


def widget(name="w", version="v1", **spec):
    return {"apiVersion": f"ex.io/{version}", "kind": "Widget", "metadata": {"name": name}, "spec": {"size": 1, **spec}}


@pytest.fixture
def ready(call):
    assert call("GET", WIDGETS)[0] == 404
    code, made = call("POST", DEFINITIONS, definition())
    assert code == 201, made
    return call


def test_a_definition_is_established_and_served_at_once(ready):
    _, crd = ready("GET", f"{DEFINITIONS}/widgets.ex.io")
    assert {c["type"]: c["status"] for c in crd["status"]["conditions"]} == {
        "NamesAccepted": "True",
        "Established": "True",
    }
    assert crd["status"]["acceptedNames"] == {
        "plural": "widgets",
        "singular": "widget",
        "kind": "Widget",
        "listKind": "WidgetList",
        "shortNames": ["wd"],
        "categories": ["all"],
    }
    assert crd["status"]["storedVersions"] == ["v1"]
    assert ready("GET", WIDGETS)[1]["kind"] == "WidgetList"


def test_discovery_names_its_versions(ready):
    _, groups = ready("GET", "/apis")
    group = next(group for group in groups["groups"] if group["name"] == "ex.io")
    assert [version["version"] for version in group["versions"]] == ["v1", "v1beta1"]
    assert ready("GET", "/apis/ex.io")[1]["preferredVersion"]["version"] == "v1"
    _, resources = ready("GET", "/apis/ex.io/v1")
    assert [entry["name"] for entry in resources["resources"]] == ["widgets", "widgets/status"]
    assert resources["resources"][0]["shortNames"] == ["wd"]


def test_defaults_and_pruning(ready):
    _, made = ready(
        "POST",
        WIDGETS,
        widget(foo=1, parts=[{"id": "a"}], free={"any": [1]}, maybe=None, mode=None, port="80", ratio=0.5),
    )
    assert made["spec"] == {
        "size": 1,
        "mode": "auto",
        "parts": [{"id": "a", "n": 3}],
        "free": {"any": [1]},
        "maybe": None,
        "port": "80",
        "ratio": 0.5,
    }
    assert ready("POST", f"{WIDGETS}?fieldValidation=Strict", widget("x", foo=1))[1]["message"].endswith(
        'unknown field "spec.foo"'
    )


@pytest.mark.parametrize(
    ("spec", "field", "message"),
    [
        ({"size": 0}, "spec.size", "Invalid value: 0: spec.size in body should be greater than or equal to 1"),
        ({"size": 10}, "spec.size", "Invalid value: 10: spec.size in body should be less than or equal to 9"),
        ({"size": "1"}, "spec.size", 'Invalid value: "string": spec.size in body must be of type integer: "string"'),
        ({"size": None}, "spec.size", 'Invalid value: "null": spec.size in body must be of type integer: "null"'),
        ({"ratio": 0}, "spec.ratio", "Invalid value: 0: spec.ratio in body should be greater than 0"),
        ({"ratio": 1}, "spec.ratio", "Invalid value: 1: spec.ratio in body should be less than 1"),
        ({"mode": "x"}, "spec.mode", 'Unsupported value: "x": supported values: "auto", "manual"'),
        ({"name": "a"}, "spec.name", 'Invalid value: "a": spec.name in body should be at least 2 chars long'),
        ({"name": "abcd"}, "spec.name", 'Invalid value: "abcd": spec.name in body should be at most 3 chars long'),
        ({"name": "bc"}, "spec.name", "Invalid value: \"bc\": spec.name in body should match '^a'"),
        ({"tags": []}, "spec.tags", "Invalid value: []: spec.tags in body should have at least 1 items"),
        (
            {"tags": list("abcd")},
            "spec.tags",
            'Invalid value: ["a","b","c","d"]: spec.tags in body should have at most 3 items',
        ),
        ({"pairs": {}}, "spec.pairs", "Invalid value: {}: spec.pairs in body should have at least 1 properties"),
        (
            {"pairs": {"a": 1}},
            "spec.pairs.a",
            'Invalid value: "integer": spec.pairs.a in body must be of type string: "integer"',
        ),
        ({"parts": [{}]}, "spec.parts[0].id", "Required value"),
        ({"free": []}, "spec.free", 'Invalid value: "array": spec.free in body must be of type object: "array"'),
    ],
)
def test_validation_by_the_structural_schema(ready, spec, field, message):
    code, status = ready("POST", WIDGETS, {**widget(), "spec": {"size": 1, **spec}})
    assert (code, status["details"]["causes"][0]["field"], status["details"]["causes"][0]["message"]) == (
        422,
        field,
        message,
    )


def test_a_pattern_that_python_does_not_know_is_let_through(ready):
    assert ready("POST", WIDGETS, widget(odd="x"))[0] == 201


def test_a_missing_spec_is_allowed_where_it_is_not_required(ready):
    assert ready("POST", WIDGETS, {**widget(), "spec": {}})[0] == 422
    assert ready("POST", WIDGETS, {key: value for key, value in widget().items() if key != "spec"})[0] == 201


def test_versions_share_their_objects(ready):
    ready("POST", WIDGETS, widget())
    beta = "/apis/ex.io/v1beta1/namespaces/default/widgets"
    assert ready("GET", f"{beta}/w")[1]["apiVersion"] == "ex.io/v1beta1"
    code, applied = ready.apply(f"{beta}/w", widget(version="v1beta1", size=2), query="&force=true")
    assert (code, applied["metadata"]["generation"]) == (200, 2)
    _, listed = ready("GET", WIDGETS)
    assert [(item["apiVersion"], item["spec"]["size"]) for item in listed["items"]] == [("ex.io/v1", 2)]
    assert ready("GET", "/apis/ex.io/v1alpha1/namespaces/default/widgets")[0] == 404


def test_the_status_is_its_subresources_alone(ready):
    _, made = ready("POST", WIDGETS, {**widget(), "status": {"ok": True}})
    assert "status" not in made
    _, status = ready.merge(f"{WIDGETS}/w/status", {"status": {"ok": True}, "spec": {"size": 5}})
    assert (status["status"], status["spec"]["size"], status["metadata"]["generation"]) == ({"ok": True}, 1, 1)
    _, patched = ready.merge(f"{WIDGETS}/w", {"spec": {"size": 5}, "status": None})
    assert (patched["status"], patched["metadata"]["generation"]) == ({"ok": True}, 2)


def test_sets_and_maps_have_owners_by_item(ready):
    ready.apply(f"{WIDGETS}/w", widget(tags=["a"], parts=[{"id": "x"}]))
    ready.apply(f"{WIDGETS}/w", widget(tags=["b"], parts=[{"id": "y"}]), manager="two")
    _, left = ready.apply(f"{WIDGETS}/w", widget())
    assert (left["spec"]["tags"], [part["id"] for part in left["spec"]["parts"]]) == (["b"], ["y"])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({**widget(), "kind": "Foo"}, 'Foo.ex.io "w" is invalid: kind: Invalid value: "Foo": must be Widget'),
        (
            {**widget(), "apiVersion": "ex.io/v2"},
            'Widget.ex.io "w" is invalid: apiVersion: Invalid value: "ex.io/v2": must be ex.io/v1',
        ),
    ],
)
def test_bodies_of_another_kind(ready, body, message):
    assert ready("POST", WIDGETS, body)[1]["message"] == message


def test_a_put_needs_a_resource_version(ready):
    ready("POST", WIDGETS, widget())
    code, status = ready("PUT", f"{WIDGETS}/w", widget(size=2))
    assert (code, status["details"]["causes"][0]["field"]) == (422, "metadata.resourceVersion")
    assert ready("PATCH", f"{WIDGETS}/w", {}, media_type="application/strategic-merge-patch+json")[0] == 415


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"group": "other.io"}, "metadata.name"),
        ({"versions": []}, "spec.versions"),
        ({"versions": [{"name": "v1", "served": True, "storage": True}]}, "spec.versions[0].schema.openAPIV3Schema"),
    ],
)
def test_definitions_that_are_refused(call, change, field):
    code, status = call("POST", DEFINITIONS, definition(**change))
    assert (code, status["details"]["causes"][0]["field"]) == (422, field)


def test_a_changed_definition_is_served_anew(ready):
    only = definition()["spec"]["versions"][:1]
    assert ready.merge(f"{DEFINITIONS}/widgets.ex.io", {"spec": {"versions": only}})[0] == 200
    assert ready("GET", "/apis/ex.io/v1beta1/widgets")[0] == 404
    assert ready.merge(f"{DEFINITIONS}/widgets.ex.io", {"spec": {"scope": "Cluster"}})[0] == 422


def test_a_definition_goes_with_its_objects(ready):
    ready("POST", WIDGETS, widget())
    ready("POST", WIDGETS, {**widget("held"), "metadata": {"name": "held", "finalizers": ["ex.io/f"]}})
    code, marked = ready("DELETE", f"{DEFINITIONS}/widgets.ex.io")
    assert (code, marked["status"]["conditions"][-1]["type"]) == (200, "Terminating")
    assert ready("GET", f"{WIDGETS}/w")[0] == 404
    assert ready("GET", f"{DEFINITIONS}/widgets.ex.io")[0] == 200
    ready.merge(f"{WIDGETS}/held", {"metadata": {"finalizers": None}})
    assert ready("GET", f"{DEFINITIONS}/widgets.ex.io")[0] == 404
    assert ready("GET", WIDGETS)[0] == 404
    assert "ex.io" not in [group["name"] for group in ready("GET", "/apis")[1]["groups"]]
