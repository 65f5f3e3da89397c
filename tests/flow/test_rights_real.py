"""The rights that `penstock cluster add --print-rbac` prints, on a real API server: enough, and no more.

What the plane uses is read from the API server's own audit log.
"""

import contextlib
import json

import pytest
import yaml
from tests.controlplane.fixtures import call
from tests.controlplane.identities import printed
from tests.memory_plane import config_map, kustomization, namespace
from tests.real_plane import REAL, RealPlane, eventually, text, tidy

from penstock.cli import main

pytestmark = REAL
RBAC = "rbac.authorization.k8s.io"
PLANE = "system:serviceaccount:penstock-system:penstock-admin"
TENANT = PLANE.replace("admin", "tenant")
IDLE = {
    ("kustomizations", "get"),  # only asked where Flux's API is served: test_flux_is_looked_for below
    ("events", "get"),  # only where the very same is said again
    ("events", "update"),
    ("configmaps", "list"),  # by sweeps, and once after a loss of records
}


@pytest.fixture
def team(control_plane, real_namespace):
    """team(rules): a ServiceAccount ``builder`` in a namespace of the test's own, with these rights there."""
    control_plane.call("POST", "/api/v1/namespaces", yaml.safe_load(namespace("flux-system")))

    def make(rules, *, name="builder"):
        roles = f"/apis/{RBAC}/v1/namespaces/{real_namespace}"
        role = {"kind": "Role", "apiVersion": f"{RBAC}/v1", "metadata": {"name": name}, "rules": rules}
        binding = {
            "kind": "RoleBinding",
            "apiVersion": f"{RBAC}/v1",
            "metadata": {"name": name},
            "roleRef": {"kind": "Role", "name": name, "apiGroup": RBAC},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": real_namespace}],
        }
        account = {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": {"name": name}}
        accounts = f"/api/v1/namespaces/{real_namespace}/serviceaccounts"
        for path, body in ((accounts, account), (f"{roles}/roles", role), (f"{roles}/rolebindings", binding)):
            status, answer = control_plane.call(
                "PATCH",
                f"{path}/{body['metadata']['name']}?fieldManager=admin&force=true",
                body,
                Content_Type="application/apply-patch+yaml",
            )
            assert status in (200, 201), answer
        return real_namespace

    yield make
    tidy(control_plane)


def every(*verbs):
    return [{"apiGroups": ["*"], "resources": ["*"], "verbs": list(verbs or ("*",))}]


def app(space, **files):
    """A tenant's Kustomization ``app`` and its files."""
    own = kustomization("app", "app", namespace=space, serviceAccountName="builder")
    return {"clusters/prod/app.yaml": own, **{f"app/{name}.yaml": body for name, body in files.items()}}


def rules_of(text):
    """(resource, verb) of every rule that is printed."""
    for document in yaml.safe_load_all(text):
        for rule in document.get("rules") or ():
            yield from ((resource, verb) for resource in rule["resources"] for verb in rule["verbs"])


def test_a_tenants_plane_has_every_right_that_it_uses_and_uses_every_right_that_it_has(control_plane, team):
    space = team(every())
    accounts = [f"{space}/builder"]
    api = control_plane.with_identity("tenant", accounts)
    plane = RealPlane(api)
    child = kustomization("child", "child", namespace=space)
    files = app(space, a=config_map("a", space, k="1"), b=config_map("b", space, k="1"), child=child)
    sealed = kustomization(
        "sealed",
        "child",
        namespace=space,
        serviceAccountName="builder",
        decryption={"provider": "sops", "secretRef": {"name": "keys"}},
    )
    lost = kustomization("lost", "child", namespace=space, serviceAccountName="nobody")
    with control_plane.recorded(TENANT) as records:
        plane.push({**files, "child/c.yaml": config_map("c", space, k="1")})
        plane.until("app", "True", namespace=space)
        plane.until("child", "True", namespace=space)
        plane.push({"app/a.yaml": config_map("a", space, k="2"), "app/b.yaml": None})
        plane.until("app", "True", namespace=space)
        with defined(control_plane, f"{space}.example") as kind:
            plane.forget_connections()
            plane.push({"app/gone.yaml": text(thing(kind, space))})
            plane.until("app", "True", namespace=space)
        plane.forget_connections()
        plane.push({"app/gone.yaml": None, "app/child.yaml": None})
        plane.until("app", "True", namespace=space)
        plane.push({"app/sealed.yaml": sealed})
        plane.until("sealed", "False", namespace=space)
        plane.push({"app/sealed.yaml": None, "clusters/prod/lost.yaml": lost})
        plane.until("lost", "False AccessDenied", namespace=space)
    found = plane.found(f"/api/v1/namespaces/{space}/configmaps/a")
    assert found["data"] == {"k": "2"}
    assert plane.found(f"/api/v1/namespaces/{space}/configmaps/b") is None
    assert plane.found(f"/api/v1/namespaces/{space}/configmaps/c") is None, "its Kustomization was removed"
    own = [r for r in records if not r.get("impersonatedUser") and "objectRef" in r]
    used = {(r["objectRef"]["resource"], r["verb"]) for r in own}
    used |= {("serviceaccounts", "impersonate") for r in records if r.get("impersonatedUser")}
    granted = set(rules_of(printed("tenant", accounts)))
    everybody = {("selfsubjectaccessreviews", "create")}
    assert used - everybody <= granted | denied(own), used - granted
    assert granted - used == IDLE
    assert denied(own) == {("configmaps", "get")}, "as an account that it was not given"
    lost = plane.ready("lost", namespace=space)
    assert "cannot impersonate resource" in lost, "it was not given that account"
    assert lost.endswith(f"(there is no ServiceAccount {space}/nobody)"), lost


def test_a_small_push_of_a_tenant_costs_no_more_than_anybody_elses(control_plane, team):
    """12 requests at most, the root's own included: what has been seen to work is not asked for again."""
    space = team(every())
    plane = RealPlane(control_plane.with_identity("tenant", [f"{space}/builder"]))
    plane.push(app(space, a=config_map("a", space, k="1"), b=config_map("b", space, k="1")))
    plane.until("app", "True", namespace=space)
    with control_plane.recorded(TENANT) as records:
        revision = plane.push({"app/a.yaml": config_map("a", space, k="2")})
        assert revision in plane.until("app", "True", namespace=space)
    sent = [f"{r['verb']} {r['requestURI']}" for r in records]
    assert len(sent) <= 12, sent
    assert not any("accessreviews" in each for each in sent)


def denied(records):
    return {(r["objectRef"]["resource"], r["verb"]) for r in records if r["responseStatus"].get("code") == 403}


@contextlib.contextmanager
def defined(control_plane, group, kind="Thing"):
    """A kind of a group, defined by an administrator; its apiVersion."""
    plural = f"{kind.lower()}s"
    names = {"plural": plural, "kind": kind, "singular": kind.lower(), "listKind": f"{kind}List"}
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    spec = {"group": group, "scope": "Namespaced", "names": names, "versions": [version]}
    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    metadata = {"name": f"{plural}.{group}", "annotations": {"api-approved.kubernetes.io": "unapproved, a test's"}}
    body = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": metadata}
    status, answer = control_plane.call("POST", definitions, {**body, "spec": spec})
    assert status == 201, answer
    things = f"/apis/{group}/v1/{plural}"
    eventually(lambda: control_plane.call("GET", things)[0] == 200)
    try:
        yield f"{group}/v1"
    finally:
        control_plane.call("DELETE", f"{definitions}/{plural}.{group}")
        eventually(lambda: control_plane.call("GET", things)[0] == 404)


def deployment(name, space):
    container = {"name": "c", "image": "registry.example/web:1"}
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": space}, "spec": spec}


def thing(api_version, space):
    return {"apiVersion": api_version, "kind": "Thing", "metadata": {"name": "t", "namespace": space}}


def test_flux_is_looked_for_with_the_right_to_do_so(control_plane, team):
    """IDLE: where the API of Flux is served, each run asks whether Flux reconciles the very same Kustomization."""
    space = team(every())
    api = control_plane.with_identity("tenant", [f"{space}/builder"])
    plane = RealPlane(api)
    with defined(control_plane, "kustomize.toolkit.fluxcd.io", "Kustomization"):
        theirs = yaml.safe_load(kustomization("app", "app", namespace=space))
        path = f"/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/{space}/kustomizations"
        assert control_plane.call("POST", path, theirs)[0] == 201
        plane.push(app(space, a=config_map("a", space, k="1")))
        assert "Flux reconciles" in plane.until("app", "False OwnedByFlux", namespace=space)


def test_a_missing_right_is_named_before_anything_is_applied(control_plane, team):
    """Two stages, of which the first would be allowed; all that is missing in one message; then it goes on."""
    space = team(
        [
            {"apiGroups": ["", "apps"], "resources": ["*"], "verbs": ["get", "list"]},
            {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["patch", "create"]},
        ]
    )
    plane = RealPlane(control_plane)
    files = app(space, a=config_map("a", space, k="1"), web=text(deployment("web", space)))
    with control_plane.recorded(PLANE) as records:
        plane.push(files)
        ready = plane.until("app", "False AccessDenied", namespace=space)
    builder = f"system:serviceaccount:{space}:builder"
    assert f"{builder} may not patch and create deployments.apps in namespace {space}: nothing was changed" in ready
    assert [
        r
        for r in records
        if r.get("impersonatedUser")
        and r["verb"] in ("patch", "create", "delete")
        and "accessreviews" not in r["objectRef"]["resource"]
    ] == []
    assert plane.errors("app") == [ready.removeprefix("False ")]
    team(every("get", "list", "patch", "create"))
    plane.reconcile("app", namespace=space)
    assert plane.ready("app", namespace=space).startswith("True")
    plane.push({"app/a.yaml": None})
    ready = plane.until("app", "False AccessDenied", namespace=space)
    assert f"{builder} may not delete configmaps in namespace {space}: nothing was changed" in ready
    assert plane.found(f"/api/v1/namespaces/{space}/configmaps/a") is not None
    team(every("get", "list", "patch", "create", "delete"))
    plane.reconcile("app", namespace=space)
    assert plane.found(f"/api/v1/namespaces/{space}/configmaps/a") is None


def test_rights_to_single_objects_are_enough(control_plane, team):
    """resourceNames: asked for the kind, then by name."""
    space = team(
        [
            {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]},
            {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["patch", "create"], "resourceNames": ["a"]},
        ]
    )
    plane = RealPlane(control_plane)
    plane.push(app(space, a=config_map("a", space, k="1")))
    plane.until("app", "True", namespace=space)
    plane.push({"app/b.yaml": config_map("b", space, k="1")})
    assert "" in plane.until("app", "False AccessDenied", namespace=space)
    assert plane.found(f"/api/v1/namespaces/{space}/configmaps/b") is None


def test_a_plane_without_a_right_in_its_own_namespace_says_so_first(control_plane, team):
    """The Lease may be taken, the inventory not: nothing is applied."""
    space = team(every())
    api = control_plane.with_identity("tenant", [f"{space}/builder"])
    plane = RealPlane(api)
    plane.push({"clusters/prod/README.yaml": ""})
    plane.until("flux-system", "True")
    role = f"/apis/{RBAC}/v1/namespaces/penstock-system/roles/penstock-inventory"
    held = control_plane.call("GET", role)[1]
    rules = [r | {"verbs": ["get", "update"]} if r["resources"] == ["configmaps"] else r for r in held["rules"]]
    merge = {"Content_Type": "application/merge-patch+json"}
    assert control_plane.call("PATCH", role, {"rules": rules}, **merge)[0] == 200
    plane.push(app(space, a=config_map("a", space, k="1")))
    ready = plane.until("app", "False AccessDenied", namespace=space)
    assert "may not create and delete configmaps in namespace penstock-system: nothing was changed" in ready
    assert "penstock cluster add prod --print-rbac" in ready
    assert plane.found(f"/api/v1/namespaces/{space}/configmaps/a") is None


def test_an_account_that_does_not_exist_is_never_replaced_by_the_planes_own(control_plane, team):
    """policy.defaultServiceAccount names it; the plane itself may do everything."""
    space = team(every())
    plane = RealPlane(control_plane, policy={"defaultServiceAccount": "nobody"})
    plane.push(
        {
            "clusters/prod/app.yaml": kustomization("app", "app", namespace=space),
            "clusters/prod/named.yaml": kustomization("named", "app", namespace=space, serviceAccountName="ghost"),
            "app/a.yaml": config_map("a", space, k="1"),
        }
    )
    for name, account in (("app", "nobody"), ("named", "ghost")):
        ready = plane.until(name, "False AccessDenied", namespace=space)
        assert f'User "system:serviceaccount:{space}:{account}" cannot get resource "configmaps"' in ready
        assert f"there is no ServiceAccount {space}/{account}" in ready
    assert plane.found(f"/api/v1/namespaces/{space}/configmaps/a") is None


def test_an_account_that_is_gone_orphans_nothing(control_plane, team):
    """What left Git waits for its account to come back; then it is deleted as it would have been."""
    space = team(every())
    plane = RealPlane(control_plane)
    plane.push(
        {
            **app(space, a=config_map("a", space, k="1")),
            "clusters/prod/more.yaml": kustomization("more", "more"),
            "more/b.yaml": config_map("b", space, k="1"),
        }
    )
    plane.until("app", "True", namespace=space)
    account = f"/api/v1/namespaces/{space}/serviceaccounts/builder"
    binding = f"/apis/{RBAC}/v1/namespaces/{space}/rolebindings/builder"
    assert [control_plane.call("DELETE", path)[0] for path in (account, binding)] == [200, 200]
    eventually(lambda: control_plane.call("GET", account)[0] == 404)
    plane.push({"clusters/prod/app.yaml": None})
    ready = plane.until("app", "False AccessDenied", namespace=space)
    assert f"there is no ServiceAccount {space}/builder" in ready
    assert plane.found(f"/api/v1/namespaces/{space}/configmaps/a") is not None
    team(every())
    plane.reconcile("app", namespace=space, why="removed")
    assert plane.found(f"/api/v1/namespaces/{space}/configmaps/a") is None
    assert not plane.known("Kustomization", "app", namespace=space)


def test_an_identity_of_one_namespace_lists_there_and_is_not_refused_in_each_run(control_plane, team):
    space = team(every())
    plane = RealPlane(control_plane)
    plane.push(app(space, a=config_map("a", space, k="1"), b=config_map("b", space, k="1")))
    plane.until("app", "True", namespace=space)
    plane.reconcile("app", namespace=space, why="interval")  # hears once that it may not list everywhere
    for expected in ({"list": 1}, {"list": 1}):
        with control_plane.recorded(PLANE) as records:
            plane.reconcile("app", namespace=space, why="interval")
        theirs = [r for r in records if r.get("impersonatedUser")]
        assert [r["requestURI"] for r in theirs if r["responseStatus"]["code"] == 403] == []
        assert {v: [r["verb"] for r in theirs].count(v) for v in {r["verb"] for r in theirs}} == expected
    names = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "patch", "create"]}]
    team(names)
    plane.forget_connections()
    plane.push({"app/a.yaml": config_map("a", space, k="2")})
    plane.until("app", "True", namespace=space)
    plane.reconcile("app", namespace=space, why="interval")
    with control_plane.recorded(PLANE) as records:
        plane.reconcile("app", namespace=space, why="interval")
    asked = [r["verb"] for r in records if r.get("impersonatedUser")]
    assert asked == ["get", "get"], "each by its name"


def test_a_plan_with_the_right_to_look_looks_and_says_what_it_could_not_ask(control_plane, team, tmp_path, capsys):
    """The API server refuses each write of that identity; the plan compares by itself."""
    space = team(every())
    plane = RealPlane(control_plane)
    files = app(space, a=config_map("a", space, k="1"), web=text(deployment("web", space)))
    plane.push(files)
    plane.until("app", "True", namespace=space)
    api = control_plane.with_identity("plan-only")
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": space}}
    for method, path in (("POST", "configmaps"), ("DELETE", "configmaps/a")):
        status, _ = call(api.read_kubeconfig(), method, f"/api/v1/namespaces/{space}/{path}", config)
        assert status == 403
    files["app/a.yaml"] = config_map("a", space, k="2")
    files["app/b.yaml"] = config_map("b", space, k="1")
    for path, content in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(content)
    with control_plane.recorded(PLANE.replace("admin", "plan-only")) as records:
        words = ("plan", "--source", str(tmp_path), "--path", "clusters/prod", "--kubeconfig", str(api.kubeconfig))
        assert main([*words, "-o", "json"]) == 1
    found = json.loads(capsys.readouterr().out)
    planned = next(each for each in found["kustomizations"] if each["name"] == f"{space}/app")
    assert planned["changes"] == [
        {
            "object": f"ConfigMap/{space}/a",
            "action": "configured",
            "fields": [{"path": "data.k", "old": "1", "new": "2"}],
        },
        {"object": f"ConfigMap/{space}/b", "action": "created"},
    ]
    assert any("compared without the API server's word: ConfigMap" in note for note in planned["notes"])
    assert found["totals"]["failed"] == 0
    asked = {(r["verb"], r["responseStatus"]["code"]) for r in records}
    assert asked <= {("get", 200), ("list", 200), ("get", 404), ("patch", 403)}, asked
