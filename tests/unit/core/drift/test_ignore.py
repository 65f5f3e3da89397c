"""spec.ignore: what is no drift, what is sent when something else has changed, for which objects."""

import pytest

from penstock.core.drift.compare import Verdict
from penstock.core.drift.ignore import compare_ignoring, ignore_rules, payload
from penstock.core.errors import InvalidDocument

MANAGER = "penstock"


def deployment(replicas=2, image="web:1", annotations=None, **metadata):
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "web",
            "namespace": "apps",
            "labels": {"app": "web"},
            **({"annotations": annotations} if annotations is not None else {}),
            **metadata,
        },
        "spec": {
            **({} if replicas is None else {"replicas": replicas}),
            "containers": [{"name": "side", "image": "side:1"}, {"name": "web", "image": image}],
        },
    }


def entry(manager, fields, operation="Apply", **more):
    return {"manager": manager, "operation": operation, "apiVersion": "apps/v1", "fieldsV1": fields, **more}


def owned(*, replicas=True, annotations=(), image=True):
    container = {"f:name": {}, **({"f:image": {}} if image else {})}
    return {
        "f:metadata": {
            "f:labels": {"f:app": {}},
            **({"f:annotations": {f"f:{name}": {} for name in annotations}} if annotations else {}),
        },
        "f:spec": {
            **({"f:replicas": {}} if replicas else {}),
            "f:containers": {'k:{"name":"side"}': {"f:name": {}, "f:image": {}}, 'k:{"name":"web"}': container},
        },
    }


def live(*managed, **fields):
    return deployment(**fields, managedFields=list(managed))


def rules(*paths, **target):
    return ignore_rules([{"paths": list(paths), **({"target": target} if target else {})}])


OURS = entry(MANAGER, owned())
OURS_WITHOUT = entry(MANAGER, owned(replicas=False))
SCALED = entry("hpa", {"f:spec": {"f:replicas": {}}}, "Update", subresource="scale")
APPLIED = entry("vpa", {"f:spec": {"f:replicas": {}, "f:containers": {'k:{"name":"web"}': {"f:image": {}}}}})
REPLICAS = rules("/spec/replicas")


@pytest.mark.parametrize(
    ("desired", "there", "ignore", "verdict"),
    [
        (deployment(), live(OURS, replicas=5), (), Verdict.DIFFERS),
        (deployment(), live(OURS, replicas=5), REPLICAS, Verdict.EQUAL),
        (deployment(), live(OURS_WITHOUT, SCALED, replicas=5), REPLICAS, Verdict.EQUAL),
        (deployment(), live(OURS_WITHOUT, SCALED), REPLICAS, Verdict.EQUAL),
        (deployment(), live(OURS_WITHOUT, APPLIED, replicas=5), REPLICAS, Verdict.EQUAL),
        (deployment(), live(OURS, replicas=None), REPLICAS, Verdict.EQUAL),
        (deployment(replicas=None), live(OURS, replicas=5), REPLICAS, Verdict.EQUAL),
        (deployment(image="web:2"), live(OURS, replicas=5), REPLICAS, Verdict.DIFFERS),
        (deployment(image="web:2"), live(OURS), rules("/spec/containers/1/image"), Verdict.EQUAL),
        (deployment(image="web:2"), live(OURS), rules("/spec/containers/0/image"), Verdict.DIFFERS),
        (deployment(image="web:2"), live(OURS), rules("/spec/containers"), Verdict.EQUAL),
        (deployment(image="web:2"), live(OURS), rules("/spec"), Verdict.EQUAL),
        (deployment(), live(OURS, replicas=5), rules("/spec/replica", "/spec/replicas/0"), Verdict.DIFFERS),
        # an annotation that somebody has taken over, alone below metadata.annotations
        (
            deployment(annotations={"a/b": "1"}),
            live(OURS, annotations={"a/b": "2"}),
            rules("/metadata/annotations/a~1b"),
            Verdict.EQUAL,
        ),
        (
            deployment(annotations={"a/b": "1", "c": "1"}),
            live(OURS, annotations={"a/b": "2"}),
            rules("/metadata/annotations/a~1b"),
            Verdict.DIFFERS,
        ),
        (
            deployment(),
            live(entry(MANAGER, owned(annotations=["x"])), annotations={"x": "1"}),
            rules("/metadata/annotations/x"),
            Verdict.EQUAL,
        ),
        # the selector
        (deployment(), live(OURS, replicas=5), rules("/spec/replicas", kind="Deploy.*", name="web|api"), Verdict.EQUAL),
        (deployment(), live(OURS, replicas=5), rules("/spec/replicas", kind="Deploy"), Verdict.DIFFERS),
        (
            deployment(),
            live(OURS, replicas=5),
            rules("/spec/replicas", group="apps", version="v1", namespace="apps"),
            Verdict.EQUAL,
        ),
        (deployment(), live(OURS, replicas=5), rules("/spec/replicas", labelSelector="app in (web)"), Verdict.EQUAL),
        (deployment(), live(OURS, replicas=5), rules("/spec/replicas", labelSelector="app!=web"), Verdict.DIFFERS),
        (
            deployment(),
            live(OURS, replicas=5, annotations={"scaled": "yes"}),
            rules("/spec/replicas", annotationSelector="scaled=yes"),
            Verdict.EQUAL,
        ),
    ],
)
def test_a_difference_at_an_ignored_field_is_no_drift(desired, there, ignore, verdict):
    assert compare_ignoring(desired, there, ignore, manager=MANAGER).verdict is verdict


@pytest.mark.parametrize(
    ("desired", "there", "ignore", "replicas", "image"),
    [
        (deployment(), live(OURS, replicas=5), REPLICAS, 5, "web:1"),
        (deployment(), live(OURS_WITHOUT, SCALED, replicas=5), REPLICAS, 5, "web:1"),
        (deployment(), live(OURS, APPLIED, replicas=5), REPLICAS, None, "web:1"),
        (deployment(), live(OURS, APPLIED), REPLICAS, 2, "web:1"),
        (deployment(), live(OURS, replicas=None), REPLICAS, None, "web:1"),
        (deployment(replicas=None), live(OURS, replicas=5), REPLICAS, 5, "web:1"),
        (deployment(replicas=None), live(OURS_WITHOUT, SCALED, replicas=5), REPLICAS, None, "web:1"),
        (deployment(image="web:2"), live(OURS), rules("/spec/containers/1/image"), 2, "web:1"),
        (deployment(image="web:2"), live(OURS, APPLIED), rules("/spec/containers/1/image"), 2, None),
        (deployment(image="web:2"), live(OURS), rules("/spec/containers/7/image"), 2, "web:2"),
        (deployment(image="web:2"), live(OURS, replicas=5), (), 2, "web:2"),
    ],
    ids=["ours alone", "another updates", "another applies", "another applies the same", "gone", "left Git, ours",
         "left Git, not ours", "item of a list", "item of another", "no such item", "no rules"],
)  # fmt: skip
def test_what_is_sent_takes_nothing_back(desired, there, ignore, replicas, image):
    sent = payload(desired, there, ignore, manager=MANAGER)
    assert sent["spec"].get("replicas") == replicas
    assert sent["spec"]["containers"][1].get("image") == image
    assert sent["spec"]["containers"][0] == {"name": "side", "image": "side:1"}


def test_an_annotation_is_kept_without_touching_the_desired_object():
    desired, there = deployment(), live(entry(MANAGER, owned(annotations=["x"])), annotations={"x": "1"})
    sent = payload(desired, there, rules("/metadata/annotations/x"), manager=MANAGER)
    assert sent["metadata"]["annotations"] == {"x": "1"}
    assert desired == deployment()


@pytest.mark.parametrize(
    ("ignore", "message"),
    [
        (
            {"paths": ["spec/replicas"]},
            "Kustomization/a/b, spec.ignore[0].paths[0]: is 'spec/replicas', must be a JSON",
        ),
        ({"paths": ["/x", "/"]}, "spec.ignore[0].paths[1]"),
        ({"paths": ["/x"], "target": {"kind": "("}}, "is not a regular expression (RE2 syntax)"),
        ({"paths": ["/x"], "target": {"labelSelector": "a in"}}, "is not a label selector"),
    ],
)
def test_a_rule_that_cannot_work_is_refused(ignore, message):
    with pytest.raises(InvalidDocument) as refused:
        ignore_rules([ignore], document="Kustomization/a/b")
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("spec", "pointer"),
    [
        ({"list": [{"name": "a", "v": 1}], "map": {"x": 1}}, "/spec/list/1/v"),
        ({"list": [{"name": "a", "v": 1}, {"name": "b", "v": 2}], "map": "text"}, "/spec/map/x"),
    ],
    ids=["the item left Git", "another type in Git"],
)
def test_what_has_no_place_any_more_is_not_forced_into_it(spec, pointer):
    fields = {"f:spec": {"f:list": {'k:{"name":"b"}': {"f:v": {}}}, "f:map": {"f:x": {}}}}
    there = live(entry(MANAGER, fields))
    there["spec"] = {"list": [{"name": "a", "v": 1}, {"name": "b", "v": 2}], "map": {"x": 1}}
    desired = {**deployment(), "spec": spec}
    assert payload(desired, there, rules(pointer), manager=MANAGER) == desired
