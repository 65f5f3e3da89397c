"""A live object is equal, differs, or is in doubt: told from its fields and who owns them."""

import copy

import pytest

from penstock.core.drift.compare import Verdict, changed_paths, compare, same_after_dry_run

DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": "apps", "labels": {"app": "web"}},
    "spec": {
        "replicas": 3,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "spec": {
                "containers": [
                    {
                        "name": "web",
                        "image": "web:1",
                        "args": ["-v"],
                        "ports": [{"containerPort": 80}, {"containerPort": 53, "protocol": "UDP"}],
                        "resources": {"requests": {"cpu": 1, "memory": "64Mi"}},
                        "env": [],
                    }
                ]
            }
        },
    },
}

OWNED = {
    "f:metadata": {"f:labels": {"f:app": {}}},
    "f:spec": {
        "f:replicas": {},
        "f:selector": {},
        "f:template": {
            "f:spec": {
                "f:containers": {
                    'k:{"name":"web"}': {
                        ".": {},
                        "f:name": {},
                        "f:image": {},
                        "f:args": {},
                        "f:ports": {
                            'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}},
                            'k:{"containerPort":53,"protocol":"UDP"}': {
                                ".": {},
                                "f:containerPort": {},
                                "f:protocol": {},
                            },
                        },
                        "f:resources": {"f:requests": {"f:cpu": {}, "f:memory": {}}},
                    }
                }
            }
        },
    },
}


def live_deployment():
    live = copy.deepcopy(DEPLOYMENT)
    container = live["spec"]["template"]["spec"]["containers"][0]
    container["imagePullPolicy"] = "IfNotPresent"
    container["ports"][0]["protocol"] = "TCP"
    container["resources"]["requests"]["cpu"] = "1"
    del container["env"]
    live["metadata"] |= {"uid": "u", "resourceVersion": "7", "generation": 2}
    live["metadata"]["managedFields"] = [
        {"manager": "penstock", "operation": "Apply", "apiVersion": "apps/v1", "fieldsV1": copy.deepcopy(OWNED)}
    ]
    live["status"] = {"replicas": 3}
    return live


def container_of(manifest):
    return manifest["spec"]["template"]["spec"]["containers"][0]


def fields_of(live):
    return live["metadata"]["managedFields"][0]["fieldsV1"]


def test_what_the_server_made_of_our_apply_is_equal():
    assert compare(DEPLOYMENT, live_deployment(), manager="penstock").verdict is Verdict.EQUAL


def edit_value(live):
    live["spec"]["replicas"] = 5


def edit_label(live):
    live["metadata"]["labels"]["app"] = "other"


def drop_label(live):
    del live["metadata"]["labels"]["app"]


def edit_port(live):
    container_of(live)["ports"][1]["containerPort"] = 54


def drop_container(live):
    live["spec"]["template"]["spec"]["containers"] = []


def edit_args(live):
    container_of(live)["args"] = ["-v", "-x"]


def lose_ownership(live):
    del fields_of(live)["f:spec"]["f:replicas"]


def own_more(live):
    fields_of(live)["f:spec"]["f:paused"] = {}
    live["spec"]["paused"] = True


def own_another_container(live):
    fields_of(live)["f:spec"]["f:template"]["f:spec"]["f:containers"]['k:{"name":"old"}'] = {".": {}}


def lose_everything(live):
    live["metadata"]["managedFields"] = []


def lose_the_map(live):
    live["spec"]["template"] = None


@pytest.mark.parametrize(
    ("edit", "path"),
    [
        (edit_value, "spec.replicas"),
        (edit_label, "metadata.labels.app"),
        (drop_label, "metadata.labels.app"),
        (edit_port, "spec.template.spec.containers[0].ports[1]"),
        (drop_container, "spec.template.spec.containers[0]"),
        (edit_args, "spec.template.spec.containers[0].args"),
        (lose_ownership, "metadata.managedFields"),
        (own_more, "spec.paused"),
        (own_another_container, 'spec.template.spec.containers[{"name": "old"}]'),
        (lose_everything, "metadata.managedFields"),
        (lose_the_map, "spec.template"),
    ],
)
def test_an_edit_differs_and_names_its_path(edit, path):
    live = live_deployment()
    edit(live)
    found = compare(DEPLOYMENT, live, manager="penstock")
    assert (found.verdict, path in found.paths) == (Verdict.DIFFERS, True), found


def test_what_only_others_own_is_not_looked_at():
    live = live_deployment()
    live["metadata"]["annotations"] = {"injected": "yes"}
    live["spec"]["template"]["spec"]["containers"].append({"name": "sidecar", "image": "mesh"})
    assert compare(DEPLOYMENT, live, manager="penstock").verdict is Verdict.EQUAL


def test_another_api_version_in_managed_fields_is_doubt():
    live = live_deployment()
    live["metadata"]["managedFields"][0]["apiVersion"] = "apps/v1beta1"
    assert compare(DEPLOYMENT, live, manager="penstock").verdict is Verdict.DOUBT


@pytest.mark.parametrize(
    ("written", "api_version", "verdict"),
    [
        ("65536Ki", "apps/v1", Verdict.EQUAL),
        ("65537Ki", "apps/v1", Verdict.DIFFERS),
        ("65536Ki", "example.com/v1", Verdict.DOUBT),
    ],
)
def test_equal_quantities_written_otherwise_are_doubt_where_a_text_may_be_meant(written, api_version, verdict):
    desired, live = copy.deepcopy(DEPLOYMENT), live_deployment()
    container_of(desired)["resources"]["requests"]["memory"] = written
    desired["apiVersion"] = live["apiVersion"] = live["metadata"]["managedFields"][0]["apiVersion"] = api_version
    assert compare(desired, live, manager="penstock").verdict is verdict


@pytest.mark.parametrize(
    ("where", "name", "verdict"),
    [
        (("data",), "app.limits.memory", Verdict.DOUBT),
        (("data",), "spec.resources.limits.memory", Verdict.DOUBT),
        (("metadata", "annotations"), "example.com/app.requests.memory", Verdict.DOUBT),
        (("spec", "template", "metadata", "annotations"), "resources.limits.memory", Verdict.DOUBT),
        (("spec", "template", "metadata", "labels"), "resources.limits.memory", Verdict.DOUBT),
        (("spec", "template", "spec", "nodeSelector"), "resources.limits.memory", Verdict.DOUBT),
        (("spec", "template", "spec", "resources", "limits"), "memory", Verdict.EQUAL),
        (("spec", "jobTemplate", "spec", "template", "spec", "resources", "limits"), "memory", Verdict.EQUAL),
        (("spec", "resources", "requests"), "storage", Verdict.EQUAL),
        (("spec", "hard"), "memory", Verdict.EQUAL),
        (("spec", "hard"), "requests.memory", Verdict.EQUAL),
        (("spec", "capacity"), "storage", Verdict.EQUAL),
        (("spec", "parameters"), "storage", Verdict.DOUBT),
    ],
)
def test_a_text_that_only_looks_like_a_quantity_is_compared_as_text(where, name, verdict):
    """A key of a ConfigMap, an annotation: what Git changes from 1Gi to 1024Mi there is applied."""
    desired, live, owned = {name: "1Gi"}, {name: "1024Mi"}, {f"f:{name}": {}}
    for step in reversed(where):
        desired, live, owned = {step: desired}, {step: live}, {f"f:{step}": owned}
    entry = {"manager": "m", "operation": "Apply", "apiVersion": "v1", "fieldsV1": owned}
    there = {**live, "apiVersion": "v1", "metadata": {**live.get("metadata", {}), "managedFields": [entry]}}
    found = compare({"apiVersion": "v1", "metadata": {}, **desired}, there, manager="m")
    assert (found.verdict, len(found.paths)) == (verdict, 0 if verdict is Verdict.EQUAL else 1)


def test_a_doubt_beside_values_that_others_own_is_still_a_doubt():
    """Only a dry-run tells whether it is a matter of ownership alone: drift that is reported is not reverted for it."""
    entry = {"manager": "m", "operation": "Apply", "apiVersion": "v1", "fieldsV1": {"f:spec": {"f:mine": {}}}}
    live = {"apiVersion": "v1", "metadata": {"managedFields": [entry]}, "spec": {"mine": "1Gi", "theirs": 1}}
    desired = {"apiVersion": "v1", "metadata": {}, "spec": {"mine": "1Gi", "theirs": 1}}
    assert compare(desired, live, manager="m").paths == ("metadata.managedFields",)
    desired["spec"]["mine"] = "1024Mi"
    found = compare(desired, live, manager="m")
    assert (found.verdict, found.paths) == (Verdict.DOUBT, ("spec.mine",))


@pytest.mark.parametrize(
    ("desired", "owned", "live", "verdict"),
    [
        ({"a": None}, {"f:a": {}}, {}, Verdict.EQUAL),
        ({"a": None}, {"f:a": {}}, {"a": None}, Verdict.EQUAL),
        ({"a": None}, {"f:a": {}}, {"a": 1}, Verdict.DIFFERS),
        ({"a": None, "b": 1}, {"f:b": {}}, {"a": 1, "b": 1}, Verdict.DOUBT),
        ({"a": None, "b": 1}, {"f:b": {}}, {"b": 1}, Verdict.EQUAL),
        ({"a": None}, {}, {"a": 1}, Verdict.DOUBT),
        ({"a": []}, {"f:a": {}}, {"a": None}, Verdict.EQUAL),
        ({}, {"f:a": {}}, {"a": None}, Verdict.DIFFERS),
        ({"a": 1}, {"f:a": {}}, {"a": None}, Verdict.DIFFERS),
    ],
)
def test_nothing_is_as_good_as_null(desired, owned, live, verdict):
    entry = {"manager": "m", "operation": "Apply", "apiVersion": "v1", "fieldsV1": {"f:spec": owned}}
    whole = {"apiVersion": "v1", "metadata": {"managedFields": [entry]}, "spec": live}
    assert compare({"apiVersion": "v1", "metadata": {}, "spec": desired}, whole, manager="m").verdict is verdict


def test_an_item_that_matches_two_keys_is_doubt():
    desired = copy.deepcopy(DEPLOYMENT)
    container_of(desired)["ports"] = [{"name": "x"}]
    found = compare(desired, live_deployment(), manager="penstock")
    assert found.paths[0].startswith("spec.template.spec.containers[0].ports")


@pytest.mark.parametrize(
    ("desired", "live", "verdict"),
    [
        ({"a": ["x", "y"]}, {"a": ["x", "z", "y"]}, Verdict.EQUAL),
        ({"a": ["x", "y"]}, {"a": ["y", "x", "z"]}, Verdict.DOUBT),
        ({"a": ["x"]}, {"a": ["x"]}, Verdict.DIFFERS),
        ({"a": ["x", "y"]}, {"a": ["x"]}, Verdict.DIFFERS),
        ({"a": ["x", "y"]}, {"a": None}, Verdict.DIFFERS),
    ],
)
def test_sets_are_compared_as_sets(desired, live, verdict):
    owned = {"f:a": {'v:"x"': {}, 'v:"y"': {}}}
    entry = {"manager": "m", "operation": "Apply", "apiVersion": "v1", "fieldsV1": owned}
    whole = {"apiVersion": "v1", "metadata": {"managedFields": [entry]}, **live}
    assert compare({"apiVersion": "v1", "metadata": {}, **desired}, whole, manager="m").verdict is verdict


@pytest.mark.parametrize(
    ("desired", "live", "verdict"),
    [
        ([{"from": [{"podSelector": {}}]}], [{"from": [{"podSelector": {}}], "ports": []}], Verdict.EQUAL),
        ([{"port": 80}], [{"port": 80, "protocol": "TCP"}], Verdict.DOUBT),
        ([{"port": 80}], [{"port": 81}], Verdict.DIFFERS),
        ([{"port": 80}], [], Verdict.DIFFERS),
        ([{"port": 80}], ["x"], Verdict.DIFFERS),
        ([{"port": None}], [{}], Verdict.EQUAL),
        ([True], [1], Verdict.DIFFERS),
        ([1], ["1"], Verdict.EQUAL),
        (["a"], [["a"]], Verdict.DIFFERS),
        ([{"a": {"b": 1}}], [{"a": 1}], Verdict.DIFFERS),
        ([["x", "y"]], [["x"]], Verdict.DIFFERS),
        ([["x"]], ["x"], Verdict.DIFFERS),
        ([{"a": []}], [{}], Verdict.EQUAL),
        (["500m"], ["0.5"], Verdict.DOUBT),
        (["x"], [1], Verdict.DIFFERS),
    ],
)
def test_atomic_lists_are_compared_as_a_whole_and_more_in_them_is_a_doubt(desired, live, verdict):
    entry = {"manager": "m", "operation": "Apply", "apiVersion": "v1", "fieldsV1": {"f:rules": {}}}
    whole = {"apiVersion": "v1", "metadata": {"managedFields": [entry]}, "rules": live}
    assert compare({"apiVersion": "v1", "metadata": {}, "rules": desired}, whole, manager="m").verdict is verdict


def test_a_dry_run_is_compared_without_bookkeeping():
    live, answer = live_deployment(), live_deployment()
    answer["metadata"] |= {"resourceVersion": "8", "managedFields": [], "generation": 3}
    assert same_after_dry_run(live, answer)
    answer["spec"]["replicas"] = 4
    answer["spec"]["template"]["spec"]["containers"][0]["image"] = "web:2"
    assert not same_after_dry_run(live, answer)
    assert changed_paths(live, answer) == ("spec.replicas", "spec.template.spec.containers[0].image")


def test_only_so_many_paths_are_named():
    live = live_deployment()
    many = {f"k{i}": "v" for i in range(50)}
    desired = copy.deepcopy(DEPLOYMENT)
    desired["metadata"]["labels"] = many
    assert len(compare(desired, live, manager="penstock").paths) == 32


def test_lists_and_maps_that_became_something_else_differ():
    live = live_deployment()
    live["spec"]["template"]["spec"]["containers"] = {"name": "web"}
    assert compare(DEPLOYMENT, live, manager="penstock").verdict is Verdict.DIFFERS
    live = live_deployment()
    live["spec"]["selector"] = "app=web"
    assert compare(DEPLOYMENT, live, manager="penstock").paths == ("spec.selector",)


def atomic(api_version, kind, desired, live):
    """The verdict where one field holds ``desired``, is owned as a whole, and is ``live``."""
    entry = {"manager": "m", "operation": "Apply", "apiVersion": api_version, "fieldsV1": {"f:x": {}}}
    manifest = {"apiVersion": api_version, "kind": kind, "metadata": {}}
    whole = {**manifest, "metadata": {"managedFields": [entry]}, "x": live}
    return compare({**manifest, "x": desired}, whole, manager="m").verdict


@pytest.mark.parametrize(
    ("api_version", "kind", "desired", "live"),
    [
        (
            "networking.k8s.io/v1",
            "NetworkPolicy",
            [{"ports": [{"port": 80}]}],
            [{"ports": [{"port": 80, "protocol": "TCP"}]}],
        ),
        (
            "apps/v1",
            "Deployment",
            {},
            {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
        ),
        (
            "apps/v1",
            "StatefulSet",
            [{"spec": {}}],
            [{"kind": "PersistentVolumeClaim", "spec": {"volumeMode": "Filesystem"}}],
        ),
        ("apps/v1", "DaemonSet", {"fieldPath": "spec.nodeName"}, {"apiVersion": "v1", "fieldPath": "spec.nodeName"}),
        ("batch/v1", "CronJob", {"resource": "limits.cpu"}, {"divisor": "0", "resource": "limits.cpu"}),
        (
            "rbac.authorization.k8s.io/v1",
            "RoleBinding",
            [{"kind": "User", "name": "a"}],
            [{"kind": "User", "name": "a", "apiGroup": "rbac.authorization.k8s.io"}],
        ),
        (
            "admissionregistration.k8s.io/v1",
            "ValidatingWebhookConfiguration",
            [{"operations": ["*"]}],
            [{"operations": ["*"], "scope": "*"}],
        ),
    ],
)
def test_usual_defaults_leave_no_doubt(api_version, kind, desired, live):
    assert atomic(api_version, kind, desired, live) is Verdict.EQUAL
    assert atomic("example.com/v1", kind, desired, live) is Verdict.DOUBT


def test_what_left_an_atomic_list_is_never_taken_for_equal():
    """Tried on a real API server: managedFields say the same before and after."""
    assert atomic("networking.k8s.io/v1", "NetworkPolicy", [{}], [{"ports": [{"port": 80}]}]) is Verdict.DOUBT


@pytest.mark.parametrize(
    ("value", "verdict"), [("", Verdict.DOUBT), (0, Verdict.DOUBT), (False, Verdict.DOUBT), ("x", Verdict.DIFFERS)]
)
def test_what_built_in_kinds_do_not_store_is_a_doubt(value, verdict):
    entry = {"manager": "m", "operation": "Apply", "apiVersion": "v1", "fieldsV1": {"f:data": {"f:a": {}}}}
    live = {"apiVersion": "v1", "metadata": {"managedFields": [entry]}, "data": {"a": "1"}}
    desired = {"apiVersion": "v1", "metadata": {}, "data": {"a": "1", "b": value}}
    assert compare(desired, live, manager="m").verdict is verdict


def test_items_in_another_order_are_a_doubt():
    keys = {f'k:{{"name":"{name}"}}': {".": {}, "f:name": {}} for name in "ab"}
    entry = {"manager": "m", "operation": "Apply", "apiVersion": "v1", "fieldsV1": {"f:env": keys}}
    live = {"apiVersion": "v1", "metadata": {"managedFields": [entry]}, "env": [{"name": n} for n in "xba"]}
    desired = {"apiVersion": "v1", "metadata": {}, "env": [{"name": "a"}, {"name": "b"}]}
    assert compare(desired, live, manager="m").verdict is Verdict.DOUBT
    assert compare({**desired, "env": desired["env"][::-1]}, live, manager="m").verdict is Verdict.EQUAL
