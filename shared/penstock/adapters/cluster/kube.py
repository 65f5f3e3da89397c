"""The cluster port over HTTP: each method as the request that the Kubernetes API documents for it.

https://kubernetes.io/docs/reference/using-api/api-concepts/ and …/server-side-apply/
"""

import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

from penstock.adapters.cluster.answers import Answer, Call, Expired, error_of
from penstock.adapters.cluster.discovery import Discovery
from penstock.adapters.cluster.names import path_segment
from penstock.adapters.cluster.remembered import Remembered
from penstock.adapters.cluster.transport import Request, Transport
from penstock.core.errors import NotFound, Refused, Transient
from penstock.core.resources import Gvk, Manifest, gvk_of
from penstock.ports.cluster import (
    FIELD_MANAGER,
    NOT_SERVED,
    ApplyOptions,
    Page,
    ResourceType,
    WatchEvent,
)
from penstock.ports.identity import ServiceAccountToken

PAGE = 500
"""Objects of one LIST request."""

_JSON = {"Content-Type": "application/json"}
_APPLY = {"Content-Type": "application/apply-patch+yaml"}  # JSON is YAML
_Manifests = list[Manifest]  # within the class, `list` is the port's method


class KubeCluster:
    """A Cluster (see the port) behind a Transport; ``discovery`` is shared by all identities on the server."""

    def __init__(self, transport: Transport, discovery: Discovery) -> None:
        self._transport, self._discovery = transport, discovery
        self._remembered = Remembered()

    @property
    def identity(self) -> str:
        """See Cluster."""
        return self._transport.identity

    @property
    def requests(self) -> int:
        """See Cluster."""
        return self._transport.requests

    @property
    def server_time(self) -> datetime | None:
        """See Cluster."""
        return self._transport.server_time

    def resource_type(self, group: str, kind: str, version: str = "") -> ResourceType | None:
        """See Cluster."""
        return self._discovery.find(self._transport, group, kind, version)

    def refresh_discovery(self) -> None:
        """See Cluster."""
        self._discovery.forget()

    def get(self, gvk: Gvk, namespace: str, name: str) -> Manifest | None:
        """See Cluster."""
        served = self._served(gvk)
        if served is None:
            return None
        call = self._call("get", gvk, namespace, name)
        path = _path(served, self._namespace(served, namespace, call), path_segment(name, "metadata.name", call))
        answer = self._transport.send(Request(method="GET", path=path), call)
        return None if answer.status == 404 else answer.json(call)

    def list(self, gvk: Gvk, *, namespace: str = "", label_selector: str = "") -> Page:
        """See Cluster. Items of built-in kinds come without apiVersion and kind: they are put back."""
        served = self._must_serve(gvk, "list")
        call = self._call("list", gvk, namespace)
        namespace = self._namespace(served, namespace, call) if namespace else ""
        refused = self._remembered.get(("list", gvk, namespace))
        if isinstance(refused, str):
            raise Refused(refused)
        try:
            return self._pages(served, call, namespace, label_selector, limit=PAGE)
        except Refused as error:
            self._remembered.put(("list", gvk, namespace), str(error))
            raise
        except Expired:  # the first page's version was compacted away while pages were read: now in one piece
            return self._pages(served, call, namespace, label_selector, limit=0)

    def apply(self, manifest: Manifest, options: ApplyOptions) -> Manifest:
        """See Cluster. With ``force`` off, a field that another manager owns is an ApiRefused with code 409.

        A resourceVersion alone does not keep the server from making an object anew that is gone; a uid does.
        """
        call, path = self._target("patch", manifest)
        query = [
            ("fieldManager", options.field_manager),
            ("fieldValidation", options.field_validation),
            ("force", str(options.force).lower()),
        ]
        if options.dry_run:
            query.append(("dryRun", "All"))
        request = Request(
            method="PATCH",
            path=path,
            query=tuple(query),
            body=_body(manifest),
            headers=_APPLY,
            despite_conflict=not call.guarded,
        )
        return self._written(request, call)

    def create(self, manifest: Manifest) -> Manifest:
        """See Cluster."""
        gvk, metadata = gvk_of(manifest), manifest["metadata"]
        served = self._must_serve(gvk, "create")
        namespace = str(metadata.get("namespace") or "")
        call = self._call("create", gvk, namespace, str(metadata.get("name") or metadata.get("generateName")))
        request = Request(
            method="POST",
            path=_path(served, self._namespace(served, namespace, call)),
            query=(("fieldManager", FIELD_MANAGER), ("fieldValidation", "Strict")),
            body=_body(manifest),
            headers=_JSON,
            replayable=False,
        )
        return self._written(request, call)

    def replace(self, manifest: Manifest) -> Manifest:
        """See Cluster."""
        call, path = self._target("update", manifest)
        query = (("fieldManager", FIELD_MANAGER), ("fieldValidation", "Strict"))
        request = Request(method="PUT", path=path, query=query, body=_body(manifest), headers=_JSON)
        return self._written(request, call)

    def replace_status(self, manifest: Manifest) -> Manifest:
        """See Cluster."""
        call, path = self._target("update", manifest)
        query = (("fieldManager", FIELD_MANAGER), ("fieldValidation", "Strict"))
        request = Request(method="PUT", path=f"{path}/status", query=query, body=_body(manifest), headers=_JSON)
        return self._written(request, call)

    def delete(self, manifest: Manifest, *, propagation: str = "Background") -> bool:
        """See Cluster."""
        gvk, metadata = gvk_of(manifest), manifest["metadata"]
        if self._served(gvk) is None:
            return False
        call, path = self._target("delete", manifest)
        preconditions = {k: metadata[k] for k in ("uid", "resourceVersion") if metadata.get(k)}
        options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        if preconditions:
            options["preconditions"] = preconditions
        answer = self._transport.send(Request(method="DELETE", path=path, body=_body(options), headers=_JSON), call)
        return answer.status != 404

    def watch(
        self, gvk: Gvk, *, namespace: str, resource_version: str, timeout: float, label_selector: str = ""
    ) -> Iterator[WatchEvent]:
        """See Cluster."""
        served = self._must_serve(gvk, "watch")
        call = self._call("watch", gvk, namespace)
        inside = self._namespace(served, namespace, call) if namespace else ""
        query = _selected(
            label_selector,
            watch="true",
            resourceVersion=resource_version,
            allowWatchBookmarks="true",
            timeoutSeconds=str(max(1, math.ceil(timeout))),
        )
        request = Request(method="GET", path=_path(served, inside), query=query)
        end = time.monotonic() + timeout
        try:
            with self._transport.stream(request, call, timeout=timeout) as lines:
                for line in lines:
                    if time.monotonic() > end:
                        return
                    yield _event(line, call)
        except Expired:
            return

    def can_i(self, verb: str, gvk: Gvk, *, namespace: str = "", name: str = "", user: str = "") -> bool:
        """See Cluster. A kind that is not served is asked for by its regular plural: roles may name it all the same.

        A service account is asked about with the groups that the API server would give it.
        """
        question = ("may", verb, gvk, namespace, name)
        if not user and self._remembered.get(question):
            return True
        attributes = {
            "verb": verb,
            "group": gvk.group,
            "version": gvk.version,
            "resource": self._plural(gvk),
            "namespace": namespace,
            "name": name,
        }
        kind = "SubjectAccessReview" if user else "SelfSubjectAccessReview"
        spec: dict[str, Any] = {"resourceAttributes": attributes}
        if user:
            spec |= {"user": user, "groups": account_groups(user)}
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec}
        call = Call(verb="create", resource=kind, identity=self.identity)
        path = f"/apis/authorization.k8s.io/v1/{kind.lower()}s"
        answer = self._transport.send(Request(method="POST", path=path, body=_body(review), headers=_JSON), call)
        if answer.status == 404:
            raise error_of(answer, call)
        allowed = bool((answer.json(call).get("status") or {}).get("allowed"))
        if allowed and not user:
            self._remembered.put(question, True)
        return allowed

    def _plural(self, gvk: Gvk) -> str:
        if gvk.kind == "*":
            return "*"
        served = self._served(gvk)
        return served.plural if served else regular_plural(gvk.kind)

    def request_token(
        self, namespace: str, name: str, *, audiences: Sequence[str] = (), seconds: int = 3600
    ) -> ServiceAccountToken:
        """See Cluster."""
        call = Call(
            verb="create", resource="serviceaccounts/token", namespace=namespace, name=name, identity=self.identity
        )
        inside, account = path_segment(namespace, "metadata.namespace", call), path_segment(name, "metadata.name", call)
        path = f"/api/v1/namespaces/{quote(inside, safe='')}/serviceaccounts/{quote(account, safe='')}/token"
        spec: dict[str, Any] = {"audiences": [*audiences], "expirationSeconds": seconds}
        body = _body({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec})
        answer = self._transport.send(Request(method="POST", path=path, body=body, headers=_JSON), call)
        if answer.status == 404:
            raise error_of(answer, call)
        status = answer.json(call).get("status") or {}
        try:
            expires = datetime.fromisoformat(str(status["expirationTimestamp"])).timestamp()
            return ServiceAccountToken(token=str(status["token"]), expires=expires)
        except (KeyError, ValueError) as error:
            raise Transient(f"{call}: the answer is no TokenRequest") from error

    def _call(self, verb: str, gvk: Gvk, namespace: str = "", name: str = "") -> Call:
        return Call(verb=verb, resource=gvk.kind, namespace=namespace, name=name, identity=self.identity)

    def _served(self, gvk: Gvk) -> ResourceType | None:
        return self.resource_type(gvk.group, gvk.kind, gvk.version)

    def _must_serve(self, gvk: Gvk, verb: str) -> ResourceType:
        served = self._served(gvk)
        if served is None:
            raise NotFound(
                f"{verb} {gvk.kind}: {NOT_SERVED} {gvk.api_version} {gvk.kind}"
                " (is its CustomResourceDefinition applied, and at this version?)"
            )
        return served

    def _target(self, verb: str, manifest: Manifest) -> tuple[Call, str]:
        gvk, metadata = gvk_of(manifest), manifest["metadata"]
        served = self._must_serve(gvk, verb)
        namespace, name = str(metadata.get("namespace") or ""), str(metadata["name"])
        guarded = bool(metadata.get("uid") or metadata.get("resourceVersion"))
        call = Call(
            verb=verb,
            resource=gvk.kind,
            namespace=namespace,
            name=name,
            identity=self.identity,
            guarded=guarded,
        )
        inside = self._namespace(served, namespace, call)
        return call, _path(served, inside, path_segment(name, "metadata.name", call))

    def _namespace(self, served: ResourceType, namespace: str, call: Call) -> str:
        return path_segment(namespace, "metadata.namespace", call) if served.namespaced else ""

    def _written(self, request: Request, call: Call) -> Manifest:
        """The stored object. Raises NotFound where the namespace, the object or the kind is missing."""
        answer = self._transport.send(request, call)
        if answer.status != 404:
            return answer.json(call)
        if b'"kind"' not in answer.body:  # "404 page not found": the kind went away since discovery
            self._discovery.forget()
        raise error_of(answer, call)

    def _pages(self, served: ResourceType, call: Call, namespace: str, selector: str, *, limit: int) -> Page:
        items: _Manifests = []
        head = {"apiVersion": served.gvk.api_version, "kind": served.gvk.kind}
        token = ""
        while True:
            query = _selected(selector, limit=str(limit) if limit else "", **{"continue": token})
            request = Request(method="GET", path=_path(served, namespace), query=query)
            answer = self._transport.send(request, call)
            if answer.status == 404:
                raise error_of(answer, call)
            document = answer.json(call)
            items += ({**head, **each} for each in document.get("items") or [])
            metadata = document.get("metadata") or {}
            token = str(metadata.get("continue") or "")
            if not token:
                return Page(items=tuple(items), resource_version=str(metadata.get("resourceVersion") or ""))


def regular_plural(kind: str) -> str:
    """The plural that Kubernetes guesses for a kind: ``GitRepository`` -> ``gitrepositories``."""
    lower = kind.lower()
    if lower.endswith(("s", "x", "ch", "sh")):
        return lower + "es"
    return lower[:-1] + "ies" if lower.endswith("y") else lower + "s"


def account_groups(user: str) -> list[str]:
    """The groups of ``system:serviceaccount:<namespace>:<name>``; of anybody else, only that of being known."""
    parts = user.split(":")
    if parts[:2] != ["system", "serviceaccount"] or len(parts) != 4:
        return ["system:authenticated"]
    return ["system:serviceaccounts", f"system:serviceaccounts:{parts[2]}", "system:authenticated"]


def _path(served: ResourceType, namespace: str, name: str = "") -> str:
    gvk = served.gvk
    root = f"/apis/{gvk.group}/{gvk.version}" if gvk.group else f"/api/{gvk.version}"
    inside = f"/namespaces/{quote(namespace, safe='')}" if served.namespaced and namespace else ""
    path = f"{root}{inside}/{served.plural}"
    return f"{path}/{quote(name, safe='')}" if name else path


def _selected(label_selector: str, **query: str) -> tuple[tuple[str, str], ...]:
    return tuple((k, v) for k, v in {**query, "labelSelector": label_selector}.items() if v)


def _body(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def _event(line: bytes, call: Call) -> WatchEvent:
    try:
        document = json.loads(line)
        event = WatchEvent(type=str(document["type"]), object=document["object"])
    except (ValueError, KeyError, TypeError) as error:
        raise Transient(f"{call}: a watch event is not what the API documents") from error
    if event.type != "ERROR":
        return event
    code = int(event.object.get("code") or 500)
    raise error_of(Answer(status=code, headers={}, body=json.dumps(event.object).encode()), call)
