"""The contract of the cluster port: the same on the memory adapter, on the devcluster and on a real API server."""

import base64
import contextlib
import copy
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from penstock.adapters.cluster import kube
from penstock.adapters.cluster.clusters import KubeClusters, Kubeconfig
from penstock.adapters.cluster.memory import Grant, MemoryCluster
from penstock.core.errors import Conflict, NotFound, Refused
from penstock.core.resources import Gvk, Manifest
from penstock.devcluster import DevCluster
from penstock.ports.cluster import ApiRefused, ApplyOptions, Cluster

CONFIG_MAP = Gvk(version="v1", kind="ConfigMap")
SECRET = Gvk(version="v1", kind="Secret")
NAMESPACE = Gvk(version="v1", kind="Namespace")
DEPLOYMENT = Gvk(group="apps", version="v1", kind="Deployment")
UNSERVED = Gvk(group="nobody.example", version="v1", kind="Nothing")
OTHER = ApplyOptions(field_manager="other")
WRONG_UID = "00000000-0000-4000-8000-000000000000"


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A cluster under test with a namespace of the test's own; ``name``: memory | devcluster | real."""

    name: str
    cluster: Cluster
    as_user: Callable[[str], Cluster]
    namespace: str
    kubeconfig: bytes = b""

    def config_map(self, name: str = "a", *, data: dict | None = None, **metadata: Any) -> Manifest:
        return self.manifest("v1", "ConfigMap", name, data={"k": "1"} if data is None else data, **metadata)

    def manifest(self, api_version: str, kind: str, name: str, *, body: dict | None = None, **more: Any) -> Manifest:
        data = {"data": more.pop("data")} if "data" in more else {}
        metadata = {"name": name, "namespace": self.namespace, **more}
        return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **data, **(body or {})}

    def deployment(self, containers: list[dict], *, replicas: int | None = None, app: str = "web") -> Manifest:
        spec: dict[str, Any] = {
            "selector": {"matchLabels": {"app": app}},
            "template": {"metadata": {"labels": {"app": app}}, "spec": {"containers": containers}},
        }
        if replicas is not None:
            spec["replicas"] = replicas
        return self.manifest("apps/v1", "Deployment", "web", body={"spec": spec})

    def apply(self, manifest: Manifest, **options: Any) -> Manifest:
        return self.cluster.apply(manifest, ApplyOptions(**options))

    @contextlib.contextmanager
    def by_token(self, token: str) -> Iterator[Cluster]:
        """The same API server, logged in with a token."""
        document = yaml.safe_load(self.kubeconfig)
        document["users"][0]["user"] = {"token": token}
        clusters = KubeClusters(lambda _: Kubeconfig(data=json.dumps(document).encode()))
        yield clusters.connect("subject")
        clusters.close()

    def live(self, name: str = "a", gvk: Gvk = CONFIG_MAP) -> Manifest | None:
        return self.cluster.get(gvk, self.namespace, name)


def eventually(what: Callable[[], bool], *, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "this did not become true in time"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def connections() -> Iterator[dict[str, Any]]:
    """Made on first use, kept for the module."""
    made: dict[str, Any] = {"close": []}
    yield made
    for close in made["close"]:
        close()


def connected(name: str, connections: dict[str, Any], request: pytest.FixtureRequest) -> Any:
    """``clusters.connect`` of the named implementation."""
    if name not in connections and name == "memory":
        memory = MemoryCluster()
        connections[name] = lambda user="": memory.as_user(user) if user else memory
    elif name not in connections:
        if name == "devcluster":
            server = DevCluster().start()
            connections["close"].append(server.stop)
            data = server.kubeconfig()
        else:
            data = request.getfixturevalue("control_plane").read_kubeconfig()
        clusters = KubeClusters(lambda _: Kubeconfig(data=data))
        connections["close"].insert(0, clusters.close)
        connections[name] = lambda user="": clusters.connect(name, impersonate=user)
        connections[f"kubeconfig of {name}"] = data
    return connections[name]


def new_namespace(cluster: Cluster) -> str:
    name = f"contract-{secrets.token_hex(4)}"
    cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return name


@pytest.fixture(params=["memory", "devcluster", pytest.param("real", marks=pytest.mark.real)])
def subject(request: pytest.FixtureRequest, connections: dict[str, Any]) -> Iterator[Subject]:
    as_user = connected(request.param, connections, request)
    cluster: Cluster = as_user()
    namespace = new_namespace(cluster)
    kubeconfig = connections.get(f"kubeconfig of {request.param}", b"")
    yield Subject(name=request.param, cluster=cluster, as_user=as_user, namespace=namespace, kubeconfig=kubeconfig)
    cluster.delete({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})


@pytest.mark.parametrize(
    ("group", "kind", "version", "expected"),
    [
        ("", "ConfigMap", "", ("v1", "configmaps", True, True)),
        ("", "Namespace", "v1", ("v1", "namespaces", False, True)),
        ("apps", "Deployment", "v1", ("v1", "deployments", True, True)),
        ("networking.k8s.io", "Ingress", "", ("v1", "ingresses", True, True)),
        ("autoscaling", "HorizontalPodAutoscaler", "", ("v2", "horizontalpodautoscalers", True, True)),
        ("rbac.authorization.k8s.io", "ClusterRole", "", ("v1", "clusterroles", False, True)),
        ("apps", "Deployment", "v1beta1", None),
        ("", "Deployment", "", None),
        ("nobody.example", "Nothing", "", None),
    ],
)
def test_served_kinds(subject: Subject, group: str, kind: str, version: str, expected: tuple | None) -> None:
    found = subject.cluster.resource_type(group, kind, version)
    shown = found and (found.gvk.version, found.plural, found.namespaced, found.preferred)
    assert shown == expected
    assert found is None or found.verbs >= {"get", "list", "patch", "watch", "delete"}


@pytest.mark.parametrize("gvk", [CONFIG_MAP, UNSERVED], ids=["served", "unserved"])
def test_what_is_not_there_is_none(subject: Subject, gvk: Gvk) -> None:
    assert subject.cluster.get(gvk, subject.namespace, "nobody") is None


def test_an_object_comes_back_as_it_was_created(subject: Subject) -> None:
    created = subject.cluster.create(subject.config_map(labels={"x": "y"}))
    live = subject.live()
    assert live == created
    assert (live["apiVersion"], live["kind"], live["data"]) == ("v1", "ConfigMap", {"k": "1"})
    assert {"uid", "resourceVersion", "creationTimestamp", "managedFields"} <= live["metadata"].keys()


def test_creating_twice_is_a_conflict(subject: Subject) -> None:
    subject.cluster.create(subject.config_map())
    with pytest.raises(Conflict, match=r"ConfigMap/.*/a"):
        subject.cluster.create(subject.config_map())


@pytest.mark.parametrize("verb", ["create", "apply"])
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"metadata": {"name": "a", "namespace": "nowhere"}}, NotFound, "nowhere"),
        ({"metadata": {"name": "a"}}, ApiRefused, "metadata.namespace is missing"),
        ({"apiVersion": "nobody.example/v1", "kind": "Nothing"}, NotFound, "does not serve"),
    ],
    ids=["no such namespace", "no namespace", "no such kind"],
)
def test_what_cannot_be_placed(subject: Subject, verb: str, change: dict, error: type, message: str) -> None:
    write = subject.cluster.create if verb == "create" else subject.apply
    with pytest.raises(error, match=message):
        write({**subject.config_map(), **change})


@pytest.mark.parametrize("name", ["", ".", "..", "a/status", "a%2fb"])
def test_names_that_would_address_something_else_are_refused(subject: Subject, name: str) -> None:
    """A DELETE without a name would be one of all objects of the kind."""
    subject.cluster.create(subject.config_map())
    manifest = subject.config_map(name=name)
    for act in (
        subject.cluster.delete,
        subject.cluster.replace,
        subject.apply,
        lambda m: subject.cluster.get(CONFIG_MAP, subject.namespace, m["metadata"]["name"]),
        lambda m: subject.cluster.delete(subject.config_map(namespace=m["metadata"]["name"])),
    ):
        with pytest.raises(ApiRefused, match=r"metadata\.name"):
            act(manifest)
    assert subject.live() is not None


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("", ["a", "b", "c"]),
        ("app=web", ["a", "b"]),
        ("app==web,tier!=back", ["a"]),
        ("tier in (back, front)", ["b"]),
        ("tier notin (back)", ["a", "c"]),
        ("app", ["a", "b"]),
        ("!app", ["c"]),
    ],
)
def test_lists_select_by_label(subject: Subject, selector: str, expected: list[str]) -> None:
    for name, labels in (("a", {"app": "web"}), ("b", {"app": "web", "tier": "back"}), ("c", {"env": "x"})):
        subject.cluster.create(subject.config_map(name, labels={**labels, "ours": "yes"}))
    ours = ",".join(filter(None, ("ours=yes", selector)))
    page = subject.cluster.list(CONFIG_MAP, namespace=subject.namespace, label_selector=ours)
    assert [each["metadata"]["name"] for each in page.items] == expected
    assert {(each["apiVersion"], each["kind"]) for each in page.items} <= {("v1", "ConfigMap")}
    assert int(page.resource_version) > 0


def test_a_selector_that_is_none_is_refused(subject: Subject) -> None:
    with pytest.raises(ApiRefused, match="unable to parse"):
        subject.cluster.list(CONFIG_MAP, label_selector="app in web")


def test_a_list_of_all_namespaces_follows_its_pages(subject: Subject, monkeypatch) -> None:
    monkeypatch.setattr(kube, "PAGE", 2)
    other = new_namespace(subject.cluster)
    for number in range(5):
        manifest = subject.config_map(f"n{number}", labels={"run": subject.namespace})
        manifest["metadata"]["namespace"] = subject.namespace if number % 2 else other
        subject.cluster.create(manifest)
    page = subject.cluster.list(CONFIG_MAP, label_selector=f"run={subject.namespace}")
    assert sorted(each["metadata"]["name"] for each in page.items) == [f"n{n}" for n in range(5)]


def test_a_list_of_an_unserved_kind_is_not_found(subject: Subject) -> None:
    with pytest.raises(NotFound, match=r"nobody\.example/v1 Nothing"):
        subject.cluster.list(UNSERVED)


def test_an_apply_creates_then_changes_nothing(subject: Subject) -> None:
    sent = subject.config_map(labels={"x": "y"})
    before = copy.deepcopy(sent)
    first = subject.apply(sent)
    second = subject.apply(sent)
    assert sent == before
    assert first["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]
    managed = [(m["manager"], m["operation"]) for m in second["metadata"]["managedFields"]]
    assert managed == [("penstock", "Apply")]


def test_what_an_applier_leaves_out_goes_unless_another_holds_it(subject: Subject) -> None:
    subject.apply(subject.config_map(data={"ours": "1", "shared": "1", "kept": "1"}))
    subject.cluster.apply(subject.config_map(data={"shared": "1", "theirs": "1"}), OTHER)
    live = subject.apply(subject.config_map(data={"kept": "1"}))
    assert live["data"] == {"kept": "1", "shared": "1", "theirs": "1"}


def test_without_force_the_field_of_another_is_refused(subject: Subject) -> None:
    subject.cluster.apply(subject.config_map(data={"k": "theirs"}), OTHER)
    with pytest.raises(ApiRefused) as refused:
        subject.apply(subject.config_map(data={"k": "ours"}), force=False)
    assert (refused.value.code, refused.value.causes) == (409, (("data.k", 'conflict with "other"'),))
    assert subject.apply(subject.config_map(data={"k": "ours"}))["data"] == {"k": "ours"}


def test_lists_merge_by_their_keys(subject: Subject) -> None:
    web, side = {"name": "web", "image": "web:1"}, {"name": "side", "image": "side:1"}
    subject.apply(subject.deployment([web]))
    subject.cluster.apply(subject.deployment([side]), OTHER)
    live = subject.apply(subject.deployment([{**web, "image": "web:2"}]))
    containers = live["spec"]["template"]["spec"]["containers"]
    assert {c["name"]: c["image"] for c in containers} == {"web": "web:2", "side": "side:1"}
    live = subject.apply(subject.deployment([{"name": "new", "image": "new:1"}]))
    assert {c["name"] for c in live["spec"]["template"]["spec"]["containers"]} == {"new", "side"}


def test_a_dry_run_answers_and_stores_nothing(subject: Subject) -> None:
    assert subject.apply(subject.config_map(), dry_run=True)["data"] == {"k": "1"}
    assert subject.live() is None
    before = subject.apply(subject.config_map())
    assert subject.apply(subject.config_map(data={"k": "2"}), dry_run=True)["data"] == {"k": "2"}
    assert subject.live() == before


@pytest.mark.parametrize("verb", ["apply", "replace", "delete"])
@pytest.mark.parametrize("stale", ["uid", "resourceVersion"])
def test_preconditions_hold_or_conflict(subject: Subject, verb: str, stale: str) -> None:
    old = subject.cluster.create(subject.config_map())
    new = subject.apply(subject.config_map(data={"k": "2"}))
    wrong = WRONG_UID if stale == "uid" else old["metadata"]["resourceVersion"]
    write = subject.apply if verb == "apply" else getattr(subject.cluster, verb)
    with pytest.raises(Conflict):
        write(subject.config_map(data={"k": "3"}, **{stale: wrong}))
    assert subject.live() == new
    right = {key: new["metadata"][key] for key in ("uid", "resourceVersion")}
    assert write(subject.config_map(data={"k": "3"}, **right))
    live = subject.live()
    assert live is None if verb == "delete" else live["data"] == {"k": "3"}


def test_a_uid_keeps_a_gone_object_from_being_made_anew(subject: Subject) -> None:
    with pytest.raises(Conflict):
        subject.apply(subject.config_map(uid=WRONG_UID))
    assert subject.live() is None


def test_a_replace_leaves_out_what_it_does_not_name(subject: Subject) -> None:
    created = subject.cluster.create(subject.config_map(data={"a": "1", "b": "2"}, labels={"x": "y"}))
    replaced = subject.cluster.replace(
        subject.config_map(data={"b": "3"}, resourceVersion=created["metadata"]["resourceVersion"])
    )
    assert replaced["data"] == {"b": "3"}
    assert "labels" not in replaced["metadata"]
    assert replaced["metadata"]["uid"] == created["metadata"]["uid"]


def test_a_replace_may_hand_fields_to_another_manager(subject: Subject) -> None:
    """So an applier can remove what kubectl has set before: nobody else owns it then."""
    subject.cluster.create(subject.config_map(data={"k": "1", "old": "1"}))
    live = subject.live()
    assert live is not None
    (entry,) = live["metadata"]["managedFields"]
    taken = {**entry, "manager": "penstock", "operation": "Apply"}
    written = subject.cluster.replace({**live, "metadata": {**live["metadata"], "managedFields": [taken]}})
    assert [(e["manager"], e["operation"]) for e in written["metadata"]["managedFields"]] == [("penstock", "Apply")]
    assert subject.apply(subject.config_map(data={"k": "1"}))["data"] == {"k": "1"}


def test_replacing_what_is_not_there_is_not_found(subject: Subject) -> None:
    with pytest.raises(NotFound):
        subject.cluster.replace(subject.config_map())


def test_a_delete_says_whether_there_was_something(subject: Subject) -> None:
    subject.cluster.create(subject.config_map())
    assert subject.cluster.delete(subject.config_map())
    assert not subject.cluster.delete(subject.config_map())
    assert not subject.cluster.delete({**subject.config_map(), "apiVersion": "nobody.example/v1", "kind": "Nothing"})


def test_finalizers_hold_an_object_back(subject: Subject) -> None:
    subject.apply(subject.config_map(finalizers=["penstock.dev/test"]))
    assert subject.cluster.delete(subject.config_map())
    live = subject.live()
    assert live["metadata"]["deletionTimestamp"]
    subject.apply(subject.config_map())
    assert subject.live() is None


def test_a_namespace_takes_its_objects_along(subject: Subject) -> None:
    name = new_namespace(subject.cluster)
    manifest = subject.config_map()
    manifest["metadata"]["namespace"] = name
    subject.cluster.create(manifest)
    namespace = subject.cluster.get(NAMESPACE, "", name)
    assert namespace["status"]["phase"] == "Active"
    assert subject.cluster.delete(namespace)
    eventually(lambda: subject.cluster.get(NAMESPACE, "", name) is None)
    assert subject.cluster.get(CONFIG_MAP, name, "a") is None


def test_dependents_go_with_their_owner(subject: Subject) -> None:
    owner = subject.cluster.create(subject.config_map("owner"))
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
    subject.apply(subject.config_map("dependent", ownerReferences=[reference]))
    assert subject.cluster.delete(owner)
    eventually(lambda: subject.live("dependent") is None)


def test_a_watch_sees_what_changes_after_its_start(subject: Subject) -> None:
    subject.cluster.create(subject.config_map("before"))
    start = subject.cluster.list(CONFIG_MAP, namespace=subject.namespace).resource_version
    subject.cluster.create(subject.config_map("a", labels={"seen": "yes"}))
    subject.cluster.create(subject.config_map("hidden"))
    subject.cluster.replace(subject.config_map("a", labels={"seen": "yes"}, data={"k": "2"}))
    subject.cluster.delete(subject.config_map("a"))
    events = list(
        subject.cluster.watch(
            CONFIG_MAP,
            namespace=subject.namespace,
            resource_version=start,
            timeout=0.5,
            label_selector="seen=yes",
        )
    )
    seen = [(e.type, e.object["metadata"]["name"], e.object["data"]["k"]) for e in events if e.type != "BOOKMARK"]
    assert seen == [("ADDED", "a", "1"), ("MODIFIED", "a", "2"), ("DELETED", "a", "2")]


def test_what_stops_matching_is_deleted_for_a_watch(subject: Subject) -> None:
    before = subject.cluster.create(subject.config_map(labels={"seen": "yes"}))
    after = subject.cluster.replace(subject.config_map(labels={"seen": "no"}, data={"k": "2"}))
    watch = subject.cluster.watch(
        CONFIG_MAP,
        namespace=subject.namespace,
        resource_version=before["metadata"]["resourceVersion"],
        timeout=0.3,
        label_selector="seen=yes",
    )
    (event,) = (e for e in watch if e.type != "BOOKMARK")
    assert (event.type, event.object["data"], event.object["metadata"]["labels"]) == (
        "DELETED",
        {"k": "1"},
        {"seen": "yes"},
    )
    assert event.object["metadata"]["resourceVersion"] == after["metadata"]["resourceVersion"]


def test_a_watch_ends_in_time_and_may_be_left_early(subject: Subject) -> None:
    start = subject.cluster.create(subject.config_map("before"))["metadata"]["resourceVersion"]
    subject.cluster.create(subject.config_map(labels={"seen": "yes"}))
    where = {"namespace": subject.namespace, "resource_version": start, "label_selector": "seen=yes"}
    began = time.monotonic()
    watch = subject.cluster.watch(CONFIG_MAP, timeout=5.0, **where)
    assert next(watch).object["metadata"]["name"] == "a"
    watch.close()
    assert [e.type for e in subject.cluster.watch(CONFIG_MAP, timeout=0.2, **where)] == ["ADDED"]
    assert time.monotonic() - began < 4
    assert subject.live() is not None


def test_a_watch_that_waits_is_woken(subject: Subject) -> None:
    start = subject.cluster.list(CONFIG_MAP, namespace=subject.namespace).resource_version
    made = subject.config_map(labels={"seen": "yes"})
    later = threading.Timer(0.3, lambda: subject.cluster.create(made))
    later.start()
    where = {"namespace": subject.namespace, "resource_version": start, "label_selector": "seen=yes"}
    watch = subject.cluster.watch(CONFIG_MAP, timeout=20.0, **where)
    event = next(e for e in watch if e.type != "BOOKMARK")
    later.join()
    watch.close()
    assert (event.type, event.object["metadata"]["name"]) == ("ADDED", "a")


def crd(name: str) -> Manifest:
    schema = {
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "required": ["size"],
                "properties": {
                    "size": {"type": "integer"},
                    "tags": {"type": "array", "items": {"type": "string"}},
                },
            },
            "status": {"type": "object", "properties": {"seen": {"type": "integer"}}},
        },
    }
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": schema},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{name}s.contract.example"},
        "spec": {
            "group": "contract.example",
            "scope": "Namespaced",
            "names": {"kind": name.capitalize(), "plural": f"{name}s", "singular": name},
            "versions": [version],
        },
    }


@pytest.fixture
def custom(subject: Subject) -> Iterator[Gvk]:
    """A custom kind that is served until the test ends."""
    definition = crd("thing" + secrets.token_hex(3))
    gvk = Gvk(group="contract.example", version="v1", kind=definition["spec"]["names"]["kind"])
    assert subject.cluster.resource_type(gvk.group, gvk.kind) is None
    subject.apply(definition)

    def established() -> bool:
        live = subject.cluster.get(
            Gvk(group="apiextensions.k8s.io", version="v1", kind="CustomResourceDefinition"),
            "",
            definition["metadata"]["name"],
        )
        conditions = (live.get("status") or {}).get("conditions") or []
        return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)

    def served() -> bool:
        subject.cluster.refresh_discovery()
        return subject.cluster.resource_type(gvk.group, gvk.kind) is not None

    eventually(established)
    eventually(served)
    yield gvk
    assert subject.cluster.delete(definition)


def test_custom_resources_are_served_once_defined(subject: Subject, custom: Gvk) -> None:
    body = {"spec": {"size": 1, "tags": ["a"]}}
    sent = subject.manifest(custom.api_version, custom.kind, "one", body=body)
    first = subject.apply(sent)
    sent["spec"] = {"size": 2, "tags": ["b"]}
    second = subject.apply(sent)
    assert (first["metadata"]["generation"], second["metadata"]["generation"]) == (1, 2)
    assert second["spec"] == {"size": 2, "tags": ["b"]}
    page = subject.cluster.list(custom, namespace=subject.namespace)
    assert [each["metadata"]["name"] for each in page.items] == ["one"]


def test_a_status_is_replaced_alone(subject: Subject, custom: Gvk) -> None:
    made = subject.apply(subject.manifest(custom.api_version, custom.kind, "one", body={"spec": {"size": 1}}))
    written = subject.cluster.replace_status({**made, "spec": {"size": 9}, "status": {"seen": 1}})
    assert (written["spec"], written["status"]) == ({"size": 1}, {"seen": 1})
    assert written["metadata"]["generation"] == made["metadata"]["generation"]
    assert subject.cluster.get(custom, subject.namespace, "one")["status"] == {"seen": 1}
    with pytest.raises(Conflict):
        subject.cluster.replace_status({**made, "status": {"seen": 2}})
    gone = {**made, "metadata": {**made["metadata"], "name": "none"}}
    with pytest.raises(NotFound):
        subject.cluster.replace_status(gone)


def test_an_immutable_field_is_refused_as_such(subject: Subject) -> None:
    containers = [{"name": "web", "image": "web:1"}]
    subject.apply(subject.deployment(containers, replicas=0))
    with pytest.raises(ApiRefused) as refused:
        subject.apply(subject.deployment(containers, replicas=0, app="renamed"))
    assert (refused.value.code, refused.value.immutable) == (422, True)
    assert "spec.selector" in {where for where, _ in refused.value.causes}


@pytest.mark.parametrize("kind", ["ConfigMap", "Secret"])
def test_immutable_data_is_refused_as_such(subject: Subject, kind: str) -> None:
    subject.apply(subject.manifest("v1", kind, "a", data={"k": "YQ=="}, body={"immutable": True}))
    with pytest.raises(ApiRefused) as refused:
        subject.apply(subject.manifest("v1", kind, "a", data={"k": "Yg=="}, body={"immutable": True}))
    assert (refused.value.code, refused.value.immutable) == (422, True)


def test_string_data_is_kept_as_data(subject: Subject) -> None:
    manifest = subject.manifest("v1", "Secret", "a", data={"x": "YQ=="}, body={"stringData": {"y": "b"}})
    assert subject.cluster.create(manifest)["data"] == {"x": "YQ==", "y": "Yg=="}
    assert "stringData" not in subject.live(gvk=SECRET)


with_rbac = pytest.mark.parametrize("subject", ["memory", pytest.param("real", marks=pytest.mark.real)], indirect=True)
"""The devcluster knows no RBAC and says so."""


@with_rbac
def test_an_account_without_rights_is_refused(subject: Subject) -> None:
    account = f"system:serviceaccount:{subject.namespace}:nobody"
    nobody = subject.as_user(account)
    assert nobody.identity == account
    with pytest.raises(Refused) as refused:
        nobody.list(CONFIG_MAP, namespace=subject.namespace)
    for part in ("list", "ConfigMap", subject.namespace, account):
        assert part in str(refused.value)
    assert refused.value.reason == "AccessDenied"
    with pytest.raises(Refused):
        nobody.apply(subject.config_map(), ApplyOptions())


@with_rbac
def test_rights_are_known_before_they_are_used(subject: Subject) -> None:
    account = f"system:serviceaccount:{subject.namespace}:deployer"
    flux = Gvk(group="kustomize.toolkit.fluxcd.io", version="v1", kind="Kustomization")  # not served
    grant(subject, account)
    asked = {
        (verb, gvk.kind): subject.cluster.can_i(verb, gvk, namespace=subject.namespace, user=account)
        for verb in ("create", "delete")
        for gvk in (CONFIG_MAP, SECRET, flux)
    }
    allowed = {key for key, answer in asked.items() if answer}
    assert allowed == {("create", "ConfigMap"), ("create", "Kustomization")}
    assert not subject.cluster.can_i("create", CONFIG_MAP, namespace="default", user=account)
    assert subject.as_user(account).can_i("create", CONFIG_MAP, namespace=subject.namespace)
    assert subject.cluster.can_i("delete", NAMESPACE)


@with_rbac
def test_everything_can_be_asked_for_at_once(subject: Subject) -> None:
    account = f"system:serviceaccount:{subject.namespace}:default"
    everything = Gvk(group="*", version="*", kind="*")
    grant(subject, account)
    assert subject.cluster.can_i("*", everything)
    assert not subject.as_user(account).can_i("*", everything)


@pytest.mark.parametrize("subject", [pytest.param("real", marks=pytest.mark.real)], indirect=True)
def test_a_right_to_one_object_is_found_by_its_name(subject: Subject) -> None:
    account = f"system:serviceaccount:{subject.namespace}:default"
    grant(subject, account, names=["a"])
    asking = subject.as_user(account)
    assert not asking.can_i("create", CONFIG_MAP, namespace=subject.namespace)
    assert asking.can_i("create", CONFIG_MAP, namespace=subject.namespace, name="a")
    assert not asking.can_i("create", CONFIG_MAP, namespace=subject.namespace, name="b")


def grant(subject: Subject, account: str, *, names: list[str] | None = None) -> None:
    """Lets an account create ConfigMaps and Kustomizations in the namespace: through its group of accounts."""
    if isinstance(subject.cluster, MemoryCluster):
        kinds = frozenset({"ConfigMap", "Kustomization"})
        verbs = frozenset({"create"})
        subject.cluster.grants.append(Grant(user=account, verbs=verbs, kinds=kinds, namespace=subject.namespace))
        return
    only = {"resourceNames": names} if names else {}
    rules = [
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create"], **only},
        {"apiGroups": ["kustomize.toolkit.fluxcd.io"], "resources": ["kustomizations"], "verbs": ["create"]},
    ]
    rbac = "rbac.authorization.k8s.io"
    subject.apply(subject.manifest(f"{rbac}/v1", "Role", "creator", body={"rules": rules}))
    everyone = {"kind": "Group", "name": f"system:serviceaccounts:{subject.namespace}", "apiGroup": rbac}
    binding = {"roleRef": {"kind": "Role", "name": "creator", "apiGroup": rbac}, "subjects": [everyone]}
    subject.apply(subject.manifest(f"{rbac}/v1", "RoleBinding", "creator", body=binding))
    question = {"namespace": subject.namespace, "user": account, "name": names[0] if names else ""}
    eventually(lambda: subject.cluster.can_i("create", CONFIG_MAP, **question))


def test_the_servers_time_comes_with_its_answers(subject: Subject) -> None:
    subject.cluster.get(Gvk(version="v1", kind="Namespace"), "", "default")
    told = subject.cluster.server_time
    if told is None:  # the memory adapter has no clock: simulated ones hold there
        assert "memory" in type(subject.cluster).__module__
    else:
        assert abs(told.timestamp() - time.time()) < 10


SERVICE_ACCOUNT = Gvk(version="v1", kind="ServiceAccount")


def test_a_service_account_is_given_tokens(subject: Subject) -> None:
    subject.cluster.create(subject.manifest("v1", "ServiceAccount", "deployer"))
    ask = subject.cluster.request_token
    given = ask(subject.namespace, "deployer", audiences=("https://remote.example",), seconds=700)
    again = ask(subject.namespace, "deployer", audiences=("https://remote.example",), seconds=700)
    assert given.token != again.token, "each is another: after a 401 a new one is worth asking for"
    assert given.expires == pytest.approx(time.time() + 700, abs=60)
    assert given.token not in repr(given)
    if subject.name != "memory":
        claims = json.loads(base64.urlsafe_b64decode(given.token.split(".")[1] + "=="))
        assert claims["aud"] == ["https://remote.example"]
        assert claims["sub"] == f"system:serviceaccount:{subject.namespace}:deployer"


def test_tokens_that_cannot_be_given(subject: Subject) -> None:
    subject.cluster.create(subject.manifest("v1", "ServiceAccount", "deployer"))
    with pytest.raises(NotFound, match="nobody"):
        subject.cluster.request_token(subject.namespace, "nobody")
    with pytest.raises(ApiRefused, match="may not specify a duration less than"):
        subject.cluster.request_token(subject.namespace, "deployer", seconds=60)
    for name in ("", "..", "a/token"):
        with pytest.raises(ApiRefused, match=r"metadata\.name"):
            subject.cluster.request_token(subject.namespace, name)


def test_a_token_for_others_is_no_way_in(subject: Subject) -> None:
    """And one for this API server is, until its account is gone."""
    if subject.name == "memory":
        pytest.skip("the memory adapter has no logins")
    account = subject.cluster.create(subject.manifest("v1", "ServiceAccount", "deployer"))
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "name": "cluster-admin"}
    who = {"kind": "ServiceAccount", "namespace": subject.namespace, "name": "deployer"}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": role["kind"], "name": role["name"]}
    body = {"roleRef": reference, "subjects": [who]}
    subject.cluster.create(subject.manifest(role["apiVersion"], "RoleBinding", "deployer", body=body))
    give = subject.cluster.request_token
    with subject.by_token(give(subject.namespace, "deployer").token) as own:
        eventually(lambda: readable(own, subject.namespace))
        with (
            subject.by_token(give(subject.namespace, "deployer", audiences=("elsewhere",)).token) as other,
            pytest.raises(Refused, match="does not know"),
        ):
            other.get(CONFIG_MAP, subject.namespace, "a")
        subject.cluster.delete(account)
        eventually(lambda: not readable(own, subject.namespace))


def readable(cluster: Cluster, namespace: str) -> bool:
    try:
        cluster.get(CONFIG_MAP, namespace, "a")
    except Refused:
        return False
    return True
