"""What a wrong input does on a real API server: one clear word, one event, and nothing else is touched.

Beside each Kustomization ``bad`` stands one that is ``good``, changed by the same push; docs/troubleshooting.md lists
what each case says.
"""

import base64
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.memory_plane import config_map, kustomization, namespace
from tests.real_plane import REAL, RealPlane, eventually, text, tidy

pytestmark = REAL
HERE = "bad"


@dataclass(frozen=True, kw_only=True)
class Case:
    """``files``: below bad/, ``{ns}`` is the test's namespace; ``said``: words of Ready; ``prepare``: what surrounds."""

    files: dict[str, Any]
    reason: str = "ReconciliationFailed"
    said: tuple[str, ...]
    prepare: Callable[..., AbstractContextManager[None]] = field(default=lambda *_: nullcontext())


def configured(name: str = "new", **more: Any) -> dict:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "{ns}"},
        "data": {"k": "1"},
        **more,
    }


def deployment(**spec: Any) -> dict:
    container = {"name": "c", "image": "registry.example/c:1", "env": [{"name": "A", "value": spec.pop("value", "1")}]}
    template = {"metadata": {"labels": {"app": "w"}}, "spec": {"containers": [container]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "{ns}"},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "w"}}, "template": template, **spec},
    }


@contextmanager
def standing(control_plane, *objects: tuple[str, dict]) -> Iterator[None]:
    """Objects of an administrator, by the path of their collection, for as long as the test lasts."""
    made = []
    for path, body in objects:
        status, answer = control_plane.call("POST", path, body)
        assert status == 201, answer
        made.append(f"{path}/{body['metadata']['name']}")
    yield
    for path in reversed(made):
        control_plane.call("DELETE", path)


ADMISSION = "/apis/admissionregistration.k8s.io/v1"
NEW = "object.metadata.name == 'new'"
RULE = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}


def inside(space: str) -> dict:
    return {"matchLabels": {"kubernetes.io/metadata.name": space}}


@contextmanager
def policy(control_plane, space: str) -> Iterator[None]:
    body = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": space},
        "spec": {
            "matchConstraints": {"resourceRules": [RULE], "namespaceSelector": inside(space)},
            "validations": [{"expression": f"!({NEW})", "message": "the name new is taken"}],
        },
    }
    binding = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": space},
        "spec": {"policyName": space, "validationActions": ["Deny"]},
    }
    places = f"{ADMISSION}/validatingadmissionpolicies", f"{ADMISSION}/validatingadmissionpolicybindings"
    with standing(control_plane, (places[0], body), (places[1], binding)):
        in_force(control_plane, space)
        yield


@contextmanager
def hanging(control_plane, space: str) -> Iterator[None]:
    """A webhook that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server, webhook(control_plane, space, server.getsockname()[1]):
        yield


@contextmanager
def webhook(control_plane, space: str, port: int = 1) -> Iterator[None]:
    """One that does not answer, and that nothing gets past."""
    hook = {
        "name": "away.example.com",
        "clientConfig": {"url": f"https://127.0.0.1:{port}/validate"},
        "rules": [RULE],
        "namespaceSelector": inside(space),
        "matchConditions": [{"name": "new", "expression": NEW}],
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 1,
    }
    body = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": space},
        "webhooks": [hook],
    }
    with standing(control_plane, (f"{ADMISSION}/validatingwebhookconfigurations", body)):
        in_force(control_plane, space)
        yield


def in_force(control_plane, space: str) -> None:
    """Until the API server refuses what it is about (it learns of its rules by watching)."""
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "new"}}
    path = f"/api/v1/namespaces/{space}/configmaps?dryRun=All"
    eventually(lambda: control_plane.call("POST", path, body)[0] not in (201, 409))


@contextmanager
def quota(control_plane, space: str) -> Iterator[None]:
    path = f"/api/v1/namespaces/{space}"
    count = len(control_plane.call("GET", f"{path}/configmaps")[1]["items"])
    spec = {"hard": {"count/configmaps": str(count)}}
    body = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"}, "spec": spec}
    with standing(control_plane, (f"{path}/resourcequotas", body)):
        counted = f"{path}/resourcequotas/few"
        eventually(lambda: "used" in (control_plane.call("GET", counted)[1].get("status") or {}))
        in_force(control_plane, space)
        yield


@contextmanager
def restricted(control_plane, space: str) -> Iterator[None]:
    label = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    merge = {"Content_Type": "application/merge-patch+json"}
    assert control_plane.call("PATCH", f"/api/v1/namespaces/{space}", label, **merge)[0] == 200
    yield


ROOT = {"name": "c", "image": "registry.example/c:1", "securityContext": {"runAsUser": 0}}
CASES = {
    "unparsable YAML": Case(files={"new.yaml": "a: [b\nc: d\n"}, reason="BuildFailed", said=("bad/new.yaml", "line")),
    "no object": Case(files={"new.yaml": "just words\n"}, reason="BuildFailed", said=("bad/new.yaml",)),
    "unknown kind": Case(
        files={"new.yaml": {"apiVersion": "nobody.example/v1", "kind": "Nothing", "metadata": {"name": "n"}}},
        said=("Nothing/n", "the cluster does not serve nobody.example/v1 Nothing", "CustomResourceDefinition"),
    ),
    "missing namespace": Case(
        files={"new.yaml": configured(metadata={"name": "new", "namespace": "nowhere"})},
        said=("ConfigMap/nowhere/new", 'namespaces "nowhere" not found'),
    ),
    "wrong type": Case(
        files={"new.yaml": deployment(replicas="three")},
        said=("Deployment/{ns}/web", ".spec.replicas: expected numeric"),
    ),
    "misspelt field": Case(
        files={"new.yaml": deployment(replcas=1)},
        said=("Deployment/{ns}/web", ".spec.replcas: field not declared in schema", "fieldValidation: Warn"),
    ),
    "invalid value": Case(
        files={"new.yaml": deployment(replicas=-1)}, said=("Deployment/{ns}/web", "spec.replicas: Invalid value: -1")
    ),
    "policy": Case(
        files={"new.yaml": configured()},
        said=("ConfigMap/{ns}/new", "denied request: the name new is taken"),
        prepare=policy,
    ),
    "webhook that does not answer": Case(
        files={"new.yaml": configured()},
        said=("ConfigMap/{ns}/new", "failed calling webhook", "away.example.com"),
        prepare=webhook,
    ),
    "webhook that hangs": Case(
        files={"new.yaml": configured()},
        said=("ConfigMap/{ns}/new", "failed calling webhook", "away.example.com", "deadline exceeded"),
        prepare=hanging,
    ),
    "quota": Case(files={"new.yaml": configured()}, said=("ConfigMap/{ns}/new", "exceeded quota: few"), prepare=quota),
    "Pod Security": Case(
        files={
            "new.yaml": {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": "p", "namespace": "{ns}"},
                "spec": {"containers": [ROOT]},
            }
        },
        said=("Pod/{ns}/p", "violates PodSecurity"),
        prepare=restricted,
    ),
    "more than 1 MiB": Case(
        files={"new.yaml": configured(data={"k": "x" * ((1 << 20) + 1)})}, said=("ConfigMap/{ns}/new", "Too long")
    ),
    "more than etcd takes": Case(
        files={"new.yaml": deployment(value="x" * (1 << 21))},
        said=("Deployment/{ns}/web", "larger than the API server stores"),
    ),
    "more than a request may hold": Case(
        files={"new.yaml": deployment(value="x" * 3_300_000)},
        said=("Deployment/{ns}/web", "larger than the API server stores"),
    ),
    "an object of another Kustomization": Case(
        files={"new.yaml": configured("good")},
        said=("ConfigMap/{ns}/good belongs to Kustomization flux-system/good", "remove it from one of the two"),
    ),
}


@pytest.fixture
def plane(control_plane, real_namespace):
    """Two Kustomizations that are ready."""
    made = RealPlane(control_plane)
    made.push(
        {
            "clusters/prod/bad.yaml": kustomization("bad", "bad"),
            "clusters/prod/good.yaml": kustomization("good", "good"),
            "bad/kept.yaml": config_map("kept", real_namespace, k="1"),
            "good/good.yaml": config_map("good", real_namespace, k="1"),
        }
    )
    for name in ("bad", "good"):
        made.until(name, "True")
    yield made
    tidy(control_plane)


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_said_and_touches_nothing_else(control_plane, real_namespace, plane, name):
    case, space = CASES[name], real_namespace
    before = plane.status("bad").inventory
    with case.prepare(control_plane, space):
        bad = {f"bad/{path}": filled(content, space) for path, content in case.files.items()}
        revision = plane.push({**bad, "good/good.yaml": config_map("good", space, k="2")})
        ready = plane.until("bad", f"False {case.reason}")
        for words in case.said:
            assert filled(words, space) in ready, ready
        assert ready.removeprefix("False ") in plane.errors("bad"), "one event, in the same words"
        assert plane.until("good", "True") == f"True ReconciliationSucceeded: Applied revision: {revision}"
        assert plane.found(f"/api/v1/namespaces/{space}/configmaps/good")["data"] == {"k": "2"}
        assert plane.found(f"/api/v1/namespaces/{space}/configmaps/kept")["data"] == {"k": "1"}
        assert set(before) <= set(plane.status("bad").inventory), "nothing is forgotten"
        plane.reconcile("bad")
        assert plane.errors("bad") == [ready.removeprefix("False ")], "said once"
        plane.push(dict.fromkeys(bad))
        plane.until("bad", "True")
    assert plane.status("bad").inventory == before


def test_the_page_lists_every_case():
    page = (Path(__file__).parents[2] / "docs" / "troubleshooting.md").read_text()
    listed = {cells[0]: cells[1] for cells in rows(page.partition("## What a wrong input says")[2])}
    assert {name: listed.get(name) for name in CASES} == {name: f"`{case.reason}`" for name, case in CASES.items()}


def rows(text_of_page: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text_of_page.splitlines()
        if line.startswith("|") and "---" not in line
    ]


def filled(content: Any, space: str) -> str:
    written = content if isinstance(content, str) else text(content)
    return written.replace("{ns}", space)


def test_a_kind_whose_definition_comes_later_is_tried_again(control_plane, real_namespace, plane):
    """In one render the definition goes first; from another Kustomization, it is there at the next attempt."""
    space, group = real_namespace, f"{real_namespace}.example"
    thing = {
        "apiVersion": f"{group}/v1",
        "kind": "Thing",
        "metadata": {"name": "t", "namespace": space},
        "spec": {"a": 1},
    }
    plane.push({"bad/thing.yaml": text(thing)})
    assert "does not serve" in plane.until("bad", "False ReconciliationFailed")
    plane.push({"good/definition.yaml": text(definition(group))})
    plane.until("good", "True")
    plane.until("bad", "True")
    assert plane.found(f"/apis/{group}/v1/namespaces/{space}/things/t")["spec"] == {"a": 1}
    other = f"more.{group}"
    more = {**thing, "apiVersion": f"{other}/v1"}
    plane.push({"bad/more.yaml": text(more, definition(other))})
    plane.until("bad", "True")
    for each in (group, other):
        control_plane.call("DELETE", f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/things.{each}")


def definition(group: str) -> dict:
    names = {"plural": "things", "kind": "Thing", "singular": "thing", "listKind": "ThingList"}
    properties = {"spec": {"type": "object", "properties": {"a": {"type": "integer"}}}}
    schema = {"openAPIV3Schema": {"type": "object", "properties": properties}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"things.{group}"},
        "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": [version]},
    }


def test_a_namespace_that_is_being_deleted_is_waited_for(control_plane, real_namespace, plane):
    space = f"{real_namespace}-b"
    held = yaml.safe_load(config_map("held", space))
    held["metadata"]["finalizers"] = ["example.com/held"]
    with standing(
        control_plane,
        ("/api/v1/namespaces", yaml.safe_load(namespace(space))),
        (f"/api/v1/namespaces/{space}/configmaps", held),
    ):
        path = f"/api/v1/namespaces/{space}"
        control_plane.call("DELETE", path)
        eventually(lambda: control_plane.call("GET", path)[1]["status"]["phase"] == "Terminating")
        plane.push(
            {
                "bad/new.yaml": config_map("new", space, k="1"),
                "good/good.yaml": config_map("good", real_namespace, k="2"),
            }
        )
        ready = plane.until("bad", "False ReconciliationFailed")
        assert f"ConfigMap/{space}/new" in ready
        assert "because it is being terminated" in ready
        plane.until("good", "True")
        plane.push({"bad/namespace.yaml": namespace(space)})
        assert "being terminated" in plane.until("bad", "False")
        merge = {"Content_Type": "application/merge-patch+json"}
        control_plane.call("PATCH", f"{path}/configmaps/held", {"metadata": {"finalizers": None}}, **merge)
        eventually(lambda: control_plane.call("GET", path)[0] == 404)
        plane.until("bad", "True")
        assert plane.found(f"{path}/configmaps/new")["data"] == {"k": "1"}


BAD_LOGINS = {
    "exec": {
        "user": {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "touch", "args": ["{file}"]}}
    },
    "auth-provider": {"user": {"auth-provider": {"name": "gcp"}}},
    "tokenFile": {"user": {"tokenFile": "/etc/hostname"}},
    "client-certificate": {"user": {"client-certificate": "/etc/hostname", "client-key": "/etc/hostname"}},
    "certificate-authority": {"cluster": {"certificate-authority": "/etc/hostname"}},
    "proxy-url": {"cluster": {"proxy-url": "http://127.0.0.1:1"}},
}


@pytest.mark.parametrize("field", BAD_LOGINS)
def test_a_kubeconfig_of_a_manifest_runs_reads_and_detours_nothing(
    control_plane, real_namespace, plane, field, tmp_path
):
    config = yaml.safe_load(control_plane.read_kubeconfig())
    canary = config["users"][0]["user"]["token"]
    change = json.loads(json.dumps(BAD_LOGINS[field]).replace("{file}", str(tmp_path / "ran")))
    for part, more in change.items():
        config[f"{part}s"][0][part] |= more
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": real_namespace},
        "data": {"value": base64.b64encode(json.dumps(config).encode()).decode()},
    }
    control_plane.call("POST", "/api/v1/namespaces", yaml.safe_load(namespace("flux-system")))
    with standing(control_plane, ("/api/v1/namespaces/flux-system/secrets", secret)):
        remote = kustomization("remote", "remote", kubeConfig={"secretRef": {"name": real_namespace}})
        plane.push({"clusters/prod/remote.yaml": remote, "remote/new.yaml": config_map("new", real_namespace)})
        ready = plane.until("remote", "False AccessDenied")
    assert f".{field} is not allowed in a kubeconfig from a manifest" in ready
    assert ready.removeprefix("False ") in plane.errors("remote")
    assert canary not in ready
    assert not (tmp_path / "ran").exists()
    assert plane.found(f"/api/v1/namespaces/{real_namespace}/configmaps/new") is None
    assert plane.ready("good").startswith("True")


@pytest.mark.parametrize("changed", [1, 3])
def test_with_warn_undeclared_fields_are_left_out_and_said(control_plane, real_namespace, changed):
    """policy.fieldValidation: Warn, on built-in and custom kinds; told once; the next look writes nothing."""
    space, group = real_namespace, f"{real_namespace}.example"
    plane = RealPlane(control_plane, policy={"fieldValidation": "Warn"})
    web = json.loads(json.dumps(deployment(replcas=1)).replace("{ns}", space))
    container = web["spec"]["template"]["spec"]["containers"][0]
    container |= {"imagePulPolicy": "Always", "ports": [{"containerPort": 80, "bar": 1}]}
    thing = {"apiVersion": f"{group}/v1", "kind": "Thing", "metadata": {"name": "t", "namespace": space}}
    more = [thing | {"spec": {"a": 1, "b": 2}}, definition(group)] if changed > 1 else []
    plane.push({"clusters/prod/bad.yaml": kustomization("bad", "bad"), "bad/web.yaml": text(web, *more)})
    ready = plane.until("bad", "True")
    for path in (
        "spec.replcas",
        'spec.template.spec.containers[name="c"].imagePulPolicy',
        "bar",
        *(["Thing"] if more else []),
    ):
        assert path in ready, ready
    assert "fields that the API server does not know were left out: Deployment/" in ready
    found = plane.found(f"/apis/apps/v1/namespaces/{space}/deployments/web")
    assert found["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"] == "IfNotPresent", "the default"
    generation = found["metadata"]["generation"]
    for _ in range(2):
        plane.reconcile("bad", why="interval")
    assert plane.ready("bad") == ready
    assert plane.found(f"/apis/apps/v1/namespaces/{space}/deployments/web")["metadata"]["generation"] == generation
    assert [e.severity for e in plane.events if e.reason == "FieldsDropped"] == ["info"]
    control_plane.call("DELETE", f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/things.{group}")
    tidy(control_plane)
