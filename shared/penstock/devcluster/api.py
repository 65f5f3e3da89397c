"""The API: one request in, one response out. Routing, authentication, discovery, access reviews."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from penstock.devcluster.deletion import delete
from penstock.devcluster.exchange import Request, Response, Target, json_response, parse_path, read_body
from penstock.devcluster.patches import json_patch, merge_patch
from penstock.devcluster.reads import Reads, body_of, object_test
from penstock.devcluster.registry import AGGREGATED, Registry, Resource
from penstock.devcluster.scale import rescaled, scale_of
from penstock.devcluster.statuses import (
    ApiError,
    bad_options,
    bad_request,
    method_not_allowed,
    not_found,
    unauthorized,
    unknown_resource,
)
from penstock.devcluster.store import Store, key_of
from penstock.devcluster.strategic import strategic_merge
from penstock.devcluster.tokens import Tokens
from penstock.devcluster.writes import Options, Writes, Written

ADMIN = {"username": "admin", "groups": ["system:masters", "system:authenticated"]}
VALIDATIONS = ("", "Ignore", "Strict", "Warn")
OPTIONS = {"POST": "CreateOptions", "PUT": "UpdateOptions", "PATCH": "PatchOptions"}
APPLIES = frozenset({"application/apply-patch+yaml", "application/apply-patch+json"})
READY_PATHS = frozenset({"/readyz", "/livez", "/healthz"})


@dataclass(slots=True, kw_only=True)
class Api:
    """The API over one store. ``tokens``: of its administrator, and of ServiceAccounts."""

    store: Store
    registry: Registry
    reads: Reads
    writes: Writes
    tokens: Tokens

    def handle(self, request: Request) -> Response:
        """The answer to a request; errors are answers too."""
        try:
            self._authenticate(request.headers.get("authorization", ""))
            return self._route(request)
        except ApiError as error:
            return json_response(error.to_json(), error.code)

    def _authenticate(self, authorization: str) -> None:
        """Raises ApiError (401). A ServiceAccount's token ends with its account."""
        if self.tokens.is_admin(authorization):
            return
        account = self.tokens.account(authorization)
        if account is None:
            raise unauthorized()
        namespace, name, uid = account
        stored = self.store.get(("", "serviceaccounts"), (namespace, name))
        if stored is None or stored.object["metadata"]["uid"] != uid:
            raise unauthorized()

    def _route(self, request: Request) -> Response:
        path = request.path.rstrip("/")
        if path in READY_PATHS:
            return Response(body=b"ok", media_type="text/plain; charset=utf-8")
        if path == "/version":
            return json_response(self.registry.version_info)
        if path in {"/api", "/apis"}:
            return self._discovery(request, core=path == "/api")
        target = parse_path(path)
        return self._group(path) if target is None else self._target(request, target)

    def _target(self, request: Request, target: Target) -> Response:
        versions = self.registry.groups().get(target.group)
        if versions is None or (target.plural == "" and target.version not in versions):
            return page_not_found()
        if target.plural == "":
            return json_response(self.registry.resource_list(target.group, target.version))
        resource = self.registry.find(target.group, target.version, target.plural)
        if resource is None or (target.namespace and not resource.namespaced):
            raise unknown_resource()
        if resource.group == "authorization.k8s.io":
            return self._review(request, resource)
        if target.subresource:
            return self._subresource(request, resource, target)
        return (self._object if target.name else self._collection)(request, resource, target)

    def _discovery(self, request: Request, *, core: bool) -> Response:
        accepted = [part.strip() for part in request.headers.get("accept", "").split(",")]
        if AGGREGATED in [part.replace(" ", "") for part in accepted]:
            body = json_response(self.registry.aggregated(core=core)).body
            return Response(body=body, media_type=AGGREGATED)
        if not core:
            return json_response(self.registry.group_list())
        host = request.headers.get("host", "")
        addresses = [{"clientCIDR": "0.0.0.0/0", "serverAddress": host}]
        return json_response({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": addresses})

    def _group(self, path: str) -> Response:
        parts = path.strip("/").split("/")
        if len(parts) == 2 and parts[0] == "apis" and parts[1] in self.registry.groups():
            return json_response({"kind": "APIGroup", "apiVersion": "v1", **self.registry.group(parts[1])})
        return page_not_found()

    def _review(self, request: Request, resource: Resource) -> Response:
        """Everybody may do everything: RBAC is stored, never evaluated."""
        if request.method != "POST" or resource.kind == "SelfSubjectRulesReview":
            raise method_not_allowed()
        review = read_body(request, resource.kind)
        if not isinstance(review, dict):
            raise bad_request(f"the object provided is unrecognized (must be of type {resource.kind})")
        status = {"allowed": True, "reason": "this development cluster does not evaluate RBAC"}
        shown = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": {}}
        return json_response({**shown, "spec": review.get("spec", {}), "status": status}, 201)

    def _collection(self, request: Request, resource: Resource, target: Target) -> Response:
        match request.method:
            case "GET" | "HEAD":
                self._verb(resource, "list")
                if request.query.get("watch") in {"true", "1"}:
                    return self.reads.watch(request, resource, target.namespace)
                return self.reads.collection(request, resource, target.namespace)
            case "POST":
                self._verb(resource, "create")
                return self._create(request, resource, target)
            case "DELETE":
                self._verb(resource, "deletecollection")
                return self._delete_all(request, resource, target)
            case _:
                raise method_not_allowed()

    def _verb(self, resource: Resource, verb: str) -> None:
        if verb not in resource.verbs:
            raise method_not_allowed()

    def _create(self, request: Request, resource: Resource, target: Target) -> Response:
        if resource.namespaced and not target.namespace:
            raise method_not_allowed()
        obj = read_body(request, resource.kind)
        return self._written(resource, self.writes.create(resource, target.namespace, obj, self._options(request)))

    def _object(self, request: Request, resource: Resource, target: Target) -> Response:
        key = (target.namespace, target.name)
        match request.method:
            case "GET" | "HEAD":
                self._verb(resource, "get")
                stored = self.store.get(resource.key, key)
                if stored is None:
                    raise not_found(resource.subject(target.name))
                return Response(body=body_of(resource, stored))
            case "PUT":
                self._verb(resource, "update")
                obj = read_body(request, resource.kind)
                return self._written(resource, self.writes.replace(resource, key, obj, self._options(request)))
            case "PATCH":
                self._verb(resource, "patch")
                return self._written(resource, self._patch(request, resource, target, ""))
            case "DELETE":
                self._verb(resource, "delete")
                options = self._delete_options(request)
                return json_response(delete(self.store, resource, key, options, dry_run=_dry(request, options)))
            case _:
                raise method_not_allowed()

    def _subresource(self, request: Request, resource: Resource, target: Target) -> Response:
        if target.subresource not in resource.subresources:
            raise unknown_resource()
        if target.subresource == "scale" and resource.builtin:
            return self._scale(request, resource, target)
        if target.subresource == "token":
            return self._token(request, resource, target)
        if target.subresource != "status":
            raise method_not_allowed()
        key = (target.namespace, target.name)
        match request.method:
            case "GET":
                return self._object(request, resource, target)
            case "PUT":
                obj = read_body(request, resource.kind)
                options = self._options(request, subresource="status")
                return self._written(resource, self.writes.replace(resource, key, obj, options))
            case "PATCH":
                return self._written(resource, self._patch(request, resource, target, "status"))
            case _:
                raise method_not_allowed()

    def _token(self, request: Request, resource: Resource, target: Target) -> Response:
        if request.method != "POST":
            raise method_not_allowed()
        stored = self.store.get(resource.key, (target.namespace, target.name))
        if stored is None:
            raise not_found(resource.subject(target.name))
        asked = read_body(request, "TokenRequest")
        if not isinstance(asked, dict):
            raise bad_request("the object provided is unrecognized (must be of type TokenRequest)")
        return json_response(self.tokens.give(stored.object, asked), 201)

    def _patch(self, request: Request, resource: Resource, target: Target, subresource: str) -> Written:
        key = (target.namespace, target.name)
        body = read_body(request, resource.kind)
        options = self._options(request, subresource=subresource)
        if request.media_type in APPLIES:
            return self.writes.apply(resource, key, body, options)
        return self.writes.patch(resource, key, _change(request.media_type, body, resource), options)

    def _scale(self, request: Request, resource: Resource, target: Target) -> Response:
        key = (target.namespace, target.name)
        stored = self.store.get(resource.key, key)
        if stored is None:
            raise not_found(resource.subject(target.name))
        if request.method in {"PUT", "PATCH"}:
            body = read_body(request, "Scale")
            put = request.method == "PUT"
            change = (lambda _: body) if put else _change(request.media_type, body, resource)
            options = self._options(request, subresource="scale")
            stored = self.writes.patch(resource, key, rescaled(resource, change), options).stored
        elif request.method != "GET":
            raise method_not_allowed()
        return json_response(scale_of(stored.object))

    def _options(self, request: Request, *, subresource: str = "") -> Options:
        query = request.query
        manager = query.get("fieldManager", "")
        kind = OPTIONS[request.method]
        apply = request.media_type in APPLIES and request.method == "PATCH"
        if apply and not manager:
            raise bad_options(kind, "fieldManager", "FieldValueRequired", "Required value: is required for apply patch")
        if request.method == "PATCH" and "force" in query and not apply:
            problem = "Forbidden: may not be specified for non-apply patch"
            raise bad_options(kind, "force", "FieldValueForbidden", problem)
        if (given := query.get("fieldValidation", "")) not in VALIDATIONS:
            supported = ", ".join(f'"{value}"' for value in VALIDATIONS)
            problem = f'Unsupported value: "{given}": supported values: {supported}'
            raise bad_options(kind, "fieldValidation", "FieldValueNotSupported", problem)
        if (given := query.get("dryRun") or "All") != "All":
            problem = f'Unsupported value: ["{given}"]: supported values: "All"'
            raise bad_options(kind, "dryRun", "FieldValueNotSupported", problem)
        agent = request.headers.get("user-agent", "").partition("/")[0] or "unknown"
        return Options(
            manager=manager or agent[:128],
            dry_run=request.dry_run,
            validation=query.get("fieldValidation") or "Warn",
            subresource=subresource,
            force=query.get("force") in {"true", "1"},
        )

    def _written(self, resource: Resource, written: Written) -> Response:
        warnings = tuple(("Warning", '299 - "' + text.replace('"', '\\"') + '"') for text in written.warnings)
        body = body_of(resource, written.stored)
        return Response(code=201 if written.created else 200, body=body, headers=warnings)

    def _delete_options(self, request: Request) -> dict[str, Any]:
        options = read_body(request, "DeleteOptions") if request.body.strip() else {}
        if not isinstance(options, dict):
            raise bad_request("the object provided is unrecognized (must be of type DeleteOptions)")
        given = {key: request.query[key] for key in ("propagationPolicy",) if key in request.query}
        return {**options, **given}

    def _delete_all(self, request: Request, resource: Resource, target: Target) -> Response:
        options = self._delete_options(request)
        test = object_test(request, resource)
        listed = self.reads.collection(request, resource, target.namespace)
        for stored in self.store.scan(resource.key, target.namespace):
            if test(stored):
                delete(self.store, resource, key_of(stored.object), options, dry_run=_dry(request, options))
        return listed


def _change(media_type: str, body: Any, resource: Resource) -> Callable[[dict[str, Any]], Any]:
    """A patch as a function of the live object. Raises ApiError (415)."""
    if media_type == "application/merge-patch+json":
        return lambda live: merge_patch(live, body)
    if media_type == "application/json-patch+json":
        return lambda live: json_patch(live, body)
    if media_type == "application/strategic-merge-patch+json" and resource.builtin:
        return lambda live: strategic_merge(live, body, resource.schema)
    raise ApiError(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})


def _dry(request: Request, options: dict[str, Any]) -> bool:
    return request.dry_run or bool(options.get("dryRun"))


def page_not_found() -> Response:
    """404 of a path that is none of the API's."""
    return Response(code=404, body=b"404 page not found\n", media_type="text/plain; charset=utf-8")
