import pytest

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"


def config_map(name="a", **more):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, **more}


def deployment(name="d", app="d"):
    template = {"metadata": {"labels": {"app": app}}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}}
    spec = {"selector": {"matchLabels": {"app": app}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def test_an_object_is_created_read_replaced_patched_and_deleted(call):
    code, made = call("POST", CONFIG_MAPS, config_map(data={"a": "1"}))
    assert (code, made["metadata"]["namespace"]) == (201, "default")
    assert call("GET", f"{CONFIG_MAPS}/a") == (200, made)
    code, put = call("PUT", f"{CONFIG_MAPS}/a", {**made, "data": {"a": "2"}})
    assert (code, put["data"]) == (200, {"a": "2"})
    assert int(put["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])
    code, patched = call.merge(f"{CONFIG_MAPS}/a", {"data": {"b": "3"}})
    assert (code, patched["data"]) == (200, {"a": "2", "b": "3"})
    code, gone = call("DELETE", f"{CONFIG_MAPS}/a")
    assert (code, gone["status"], gone["details"]["uid"]) == (200, "Success", made["metadata"]["uid"])
    assert call("GET", f"{CONFIG_MAPS}/a")[0] == 404


def test_a_write_that_changes_nothing_keeps_the_resource_version(call):
    _, made = call.apply(f"{CONFIG_MAPS}/a", config_map(data={"a": "1"}))
    assert call.apply(f"{CONFIG_MAPS}/a", config_map(data={"a": "1"})) == (200, made)
    assert call("PUT", f"{CONFIG_MAPS}/a", made) == (200, made)


def test_a_dry_run_answers_and_stores_nothing(call):
    code, shown = call.apply(f"{CONFIG_MAPS}/a", config_map(data={"a": "1"}), query="&dryRun=All")
    assert (code, shown["data"]) == (201, {"a": "1"})
    assert "resourceVersion" not in shown["metadata"]
    assert call("GET", f"{CONFIG_MAPS}/a")[0] == 404
    call("POST", CONFIG_MAPS, config_map())
    assert call("DELETE", f"{CONFIG_MAPS}/a?dryRun=All")[0] == 200
    assert call.merge(f"{CONFIG_MAPS}/a?dryRun=All", {"data": {"x": "y"}})[1]["data"] == {"x": "y"}
    assert "data" not in call("GET", f"{CONFIG_MAPS}/a")[1]


def test_apply_reads_yaml_with_dates_as_text(call):
    body = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  day: 2026-01-02\n"
    assert call.apply(f"{CONFIG_MAPS}/a", body)[1]["data"] == {"day": "2026-01-02"}


def test_generation_counts_changes_of_the_spec(call):
    _, made = call.apply(f"{DEPLOYMENTS}/d", deployment())
    _, labelled = call.merge(f"{DEPLOYMENTS}/d", {"metadata": {"labels": {"a": "b"}}})
    _, scaled = call.merge(f"{DEPLOYMENTS}/d", {"spec": {"replicas": 3}})
    _, status = call.merge(f"{DEPLOYMENTS}/d/status", {"status": {"replicas": 1}, "spec": {"replicas": 9}})
    assert [o["metadata"]["generation"] for o in (made, labelled, scaled, status)] == [1, 1, 2, 2]
    assert (status["spec"]["replicas"], status["status"]) == (3, {"replicas": 1})


def test_a_plain_write_cannot_change_the_status(call):
    _, made = call("POST", DEPLOYMENTS, {**deployment(), "status": {"replicas": 5}})
    assert made["status"] == {}
    _, patched = call.merge(f"{DEPLOYMENTS}/d", {"status": {"replicas": 5}})
    assert patched["status"] == {}


def test_finalizers_hold_a_deleted_object(call):
    call("POST", CONFIG_MAPS, {**config_map(), "metadata": {"name": "a", "finalizers": ["ex.io/f"]}})
    code, marked = call("DELETE", f"{CONFIG_MAPS}/a")
    assert (code, "deletionTimestamp" in marked["metadata"]) == (200, True)
    refused = call.merge(f"{CONFIG_MAPS}/a", {"metadata": {"finalizers": ["ex.io/f", "ex.io/g"]}})
    assert refused[0] == 422
    assert call.merge(f"{CONFIG_MAPS}/a", {"metadata": {"finalizers": None}})[0] == 200
    assert call("GET", f"{CONFIG_MAPS}/a")[0] == 404


@pytest.mark.parametrize("wrong", ["uid", "resourceVersion"])
def test_deletes_honour_preconditions(call, wrong):
    _, made = call("POST", CONFIG_MAPS, config_map())
    fit = {key: made["metadata"][key] for key in ("uid", "resourceVersion")}
    code, refused = call("DELETE", f"{CONFIG_MAPS}/a", {"preconditions": {**fit, wrong: "1"}})
    assert (code, refused["reason"]) == (409, "Conflict")
    assert call("DELETE", f"{CONFIG_MAPS}/a", {"preconditions": fit})[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "code", "message"),
    [
        ("GET", f"{CONFIG_MAPS}/x", None, 404, 'configmaps "x" not found'),
        ("GET", "/api/v1/nokinds", None, 404, "the server could not find the requested resource"),
        ("GET", "/apis/apps/v9/deployments", None, 404, "the server could not find the requested resource"),
        ("GET", f"{CONFIG_MAPS}/x/status", None, 404, "the server could not find the requested resource"),
        ("GET", "/api/v1/namespaces/n/nodes", None, 404, "the server could not find the requested resource"),
        ("PUT", CONFIG_MAPS, None, 405, "the server does not allow this method on the requested resource"),
        ("POST", f"{CONFIG_MAPS}/x", None, 405, "the server does not allow this method on the requested resource"),
        (
            "POST",
            "/api/v1/configmaps",
            config_map(),
            405,
            "the server does not allow this method on the requested resource",
        ),
        ("POST", "/api/v1/namespaces/n/configmaps", config_map(), 404, 'namespaces "n" not found'),
        ("PUT", f"{CONFIG_MAPS}/x", config_map("x"), 404, 'configmaps "x" not found'),
        (
            "PUT",
            f"{CONFIG_MAPS}/x",
            config_map("y"),
            400,
            "the name of the object (y) does not match the name on the URL (x)",
        ),
        (
            "POST",
            CONFIG_MAPS,
            {**config_map(), "metadata": {"name": "a", "namespace": "n"}},
            400,
            "the namespace of the provided object does not match the namespace sent on the request",
        ),
        (
            "POST",
            CONFIG_MAPS,
            {"apiVersion": "v1", "kind": "Secret"},
            400,
            'Secret in version "v1" cannot be handled as a ConfigMap: converting (v1.Secret) to (core.ConfigMap): unknown conversion',
        ),
        (
            "POST",
            DEPLOYMENTS,
            {**deployment(), "apiVersion": "apps/v2"},
            400,
            "the API version in the data (apps/v2) does not match the expected API version (apps/v1)",
        ),
        ("POST", CONFIG_MAPS, [], 400, "the object provided is unrecognized (must be of type ConfigMap)"),
        (
            "POST",
            CONFIG_MAPS,
            config_map("A_"),
            422,
            'ConfigMap "A_" is invalid: metadata.name: Invalid value: "A_": a lowercase RFC 1123 subdomain',
        ),
        (
            "POST",
            CONFIG_MAPS,
            {**config_map(), "metadata": {"name": "a", "resourceVersion": "1"}},
            500,
            "resourceVersion should not be set on objects to be created",
        ),
        (
            "POST",
            f"{CONFIG_MAPS}?fieldValidation=Strict",
            config_map(foo=1),
            400,
            'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "foo"',
        ),
        (
            "POST",
            f"{CONFIG_MAPS}?fieldValidation=X",
            config_map(),
            422,
            'CreateOptions.meta.k8s.io "" is invalid: fieldValidation: Unsupported value: "X"',
        ),
        (
            "POST",
            f"{CONFIG_MAPS}?dryRun=X",
            config_map(),
            422,
            'CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["X"]',
        ),
        (
            "DELETE",
            "/api/v1/namespaces/default",
            None,
            403,
            'namespaces "default" is forbidden: this namespace may not be deleted',
        ),
        (
            "DELETE",
            f"{CONFIG_MAPS}/there?propagationPolicy=X",
            None,
            422,
            'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "X"',
        ),
        ("POST", CONFIG_MAPS, config_map("there"), 409, 'configmaps "there" already exists'),
        (
            "PUT",
            f"{CONFIG_MAPS}/there",
            {**config_map("there"), "metadata": {"name": "there", "resourceVersion": "1"}},
            409,
            'Operation cannot be fulfilled on configmaps "there": the object has been modified',
        ),
        (
            "PUT",
            f"{CONFIG_MAPS}/there",
            {**config_map("there"), "metadata": {"name": "there", "uid": "1"}},
            409,
            'Operation cannot be fulfilled on configmaps "there": StorageError: invalid object',
        ),
        (
            "POST",
            "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews",
            {},
            405,
            "the server does not allow this method on the requested resource",
        ),
    ],
)
def test_refusals_of_plain_requests(call, *, method, path, body, code, message):
    call("POST", CONFIG_MAPS, config_map("there"))
    got, status = call(method, path, body)
    assert (got, status["kind"], status["code"]) == (code, "Status", code)
    assert status["message"].startswith(message)


@pytest.mark.parametrize(
    ("path", "body", "code", "message"),
    [
        (
            "a?",
            config_map(),
            422,
            'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
        ),
        ("a?fieldManager=x", config_map("b"), 400, "the name of the object (b) does not match the name on the URL (a)"),
        ("a?fieldManager=x", {"apiVersion": "v1", "kind": "Pod"}, 400, "invalid object type: /v1, Kind=Pod"),
        (
            "a?fieldManager=x",
            {**config_map(), "metadata": {"managedFields": []}},
            400,
            "metadata.managedFields must be nil",
        ),
        (
            "a?fieldManager=x",
            {**config_map(), "metadata": {"name": "a", "namespace": "n"}},
            400,
            "the namespace of the provided object does not match the namespace sent on the request",
        ),
        (
            "a?fieldManager=x",
            config_map(foo=1),
            500,
            "failed to create typed patch object (/a; /v1, Kind=ConfigMap): .foo: field not declared in schema",
        ),
        (
            "a?fieldManager=x",
            {**config_map(), "metadata": {"name": "a", "uid": "u"}},
            409,
            'Operation cannot be fulfilled on configmaps "a": uid mismatch',
        ),
        (
            "there?fieldManager=x",
            {**config_map("there"), "metadata": {"name": "there", "uid": "u"}},
            422,
            'ConfigMap "there" is invalid: metadata.uid: Invalid value: "u": field is immutable',
        ),
        (
            "there?fieldManager=x",
            {**config_map("there"), "metadata": {"name": "there", "resourceVersion": "1"}},
            409,
            "Operation cannot be fulfilled",
        ),
        (
            "there?fieldManager=x",
            config_map("there", data={"a": "2"}),
            409,
            'Apply failed with 1 conflict: conflict with "tests" using v1: .data.a',
        ),
        ("a?fieldManager=x", "{", 400, "error decoding YAML"),
    ],
)
def test_refusals_of_applies(call, path, body, code, message):
    call("POST", CONFIG_MAPS, config_map("there", data={"a": "1"}))
    got, status = call("PATCH", f"{CONFIG_MAPS}/{path}", body, media_type="application/apply-patch+yaml")
    assert (got, status["code"]) == (code, code)
    assert status["message"].startswith(message)


@pytest.mark.parametrize(
    ("media_type", "query", "body", "code"),
    [
        ("text/plain", "", {}, 415),
        ("application/merge-patch+json", "?force=true", {}, 422),
        ("application/merge-patch+json", "", [], 400),
        ("application/merge-patch+json", "", {"metadata": {"name": "b"}}, 400),
        ("application/merge-patch+json", "", {"data": {"a": 1}}, 422),
        ("application/json-patch+json", "", [{"op": "test", "path": "/data/a", "value": "2"}], 422),
        ("application/json-patch+json", "", [{"op": "add", "path": "/data/b", "value": "2"}], 200),
        ("application/strategic-merge-patch+json", "", {"data": {"b": "2"}}, 200),
    ],
)
def test_patches(call, media_type, query, body, code):
    call("POST", CONFIG_MAPS, config_map(data={"a": "1"}))
    assert call("PATCH", f"{CONFIG_MAPS}/a{query}", body, media_type=media_type)[0] == code


def test_errors_never_repeat_a_secret(call):
    path = "/api/v1/namespaces/default/secrets"
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"a": "hunter2"}}
    call("POST", path, secret)
    answers = [
        call("POST", path, '{"stringData": {"a": "hunter2"'),
        call.merge(f"{path}/s", {"foo": {"a": 5}, "immutable": "hunter2-is-not-repeated"}),
    ]
    assert [code for code, _ in answers] == [400, 422]
    assert not any("hunter2" in answer["message"] for _, answer in answers)


def test_unknown_fields_are_warned_about(call):
    assert call("POST", CONFIG_MAPS, config_map(foo=1))[0] == 201
    assert call.headers["Warning"] == '299 - "unknown field \\"foo\\""'
    assert call("POST", f"{CONFIG_MAPS}?fieldValidation=Ignore", config_map("b", foo=1))[0] == 201
    assert "Warning" not in call.headers


def test_names_are_generated(call):
    _, made = call("POST", CONFIG_MAPS, {**config_map(), "metadata": {"generateName": "a-"}})
    assert made["metadata"]["name"].startswith("a-")
    assert len(made["metadata"]["name"]) == 7


def test_everybody_may_do_everything(call):
    review = {"spec": {"resourceAttributes": {"verb": "delete", "resource": "nodes"}}}
    code, answer = call("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
    assert (code, answer["status"]["allowed"], answer["spec"]) == (201, True, review["spec"])
    assert "does not evaluate RBAC" in answer["status"]["reason"]


def test_owners_are_forgotten_and_remembered(call):
    """An object without managed fields is not tracked by plain writes; the first apply finds them all."""
    call("POST", CONFIG_MAPS, config_map(data={"a": "1"}))
    _, reset = call.merge(f"{CONFIG_MAPS}/a", {"metadata": {"managedFields": [{}]}})
    assert "managedFields" not in reset["metadata"]
    _, changed = call.merge(f"{CONFIG_MAPS}/a", {"data": {"b": "2"}})
    assert "managedFields" not in changed["metadata"]
    code, refused = call.apply(f"{CONFIG_MAPS}/a", config_map(data={"a": "9"}))
    assert (code, refused["details"]["causes"][0]["field"]) == (409, ".data.a")
    assert "before-first-apply" in refused["message"]
