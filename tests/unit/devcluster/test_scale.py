import pytest

MERGE = "application/merge-patch+json"

PATH = "/apis/apps/v1/namespaces/default/deployments"


def deployment():
    expressions = [
        {"key": "q", "operator": "NotIn", "values": ["z", "y"]},
        {"key": "e", "operator": "Exists"},
        {"key": "d", "operator": "DoesNotExist"},
    ]
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}}
    spec = {"selector": {"matchLabels": {"a": "b"}, "matchExpressions": expressions}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": spec}


def test_a_scale_is_read_and_changed(call):
    call("POST", PATH, deployment())
    code, scale = call("GET", f"{PATH}/d/scale")
    assert (code, scale["kind"], scale["spec"]) == (200, "Scale", {"replicas": 1})
    assert scale["status"] == {"replicas": 0, "selector": "a=b,q notin (y,z),e,!d"}
    _, scaled = call.merge(f"{PATH}/d/scale?fieldManager=kubectl", {"spec": {"replicas": 3}})
    assert scaled["spec"] == {"replicas": 3}
    assert call("PUT", f"{PATH}/d/scale", {**scaled, "spec": {}})[1]["spec"] == {}
    _, stored = call("GET", f"{PATH}/d")
    assert (stored["spec"]["replicas"], stored["metadata"]["generation"]) == (0, 3)
    assert "scale" in {entry.get("subresource") for entry in stored["metadata"]["managedFields"]}


@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        ("GET", f"{PATH}/x/scale", None, 404),
        ("DELETE", f"{PATH}/d/scale", None, 405),
        ("PATCH", f"{PATH}/d/scale", {"spec": {"replicas": -3}}, 422),
        ("PATCH", f"{PATH}/d/scale", {"spec": {"replicas": "3"}}, 400),
        ("PATCH", f"{PATH}/d/scale", {"spec": [1]}, 400),
        ("PATCH", f"{PATH}/d/scale", {"metadata": {"resourceVersion": "1"}}, 409),
        ("PATCH", f"{PATH}/d/scale", [], 400),
    ],
)
def test_scales_that_are_refused(call, method, path, body, code):
    call("POST", PATH, deployment())
    assert call(method, path, body, media_type=MERGE)[0] == code
