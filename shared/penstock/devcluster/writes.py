"""Creating, updating, patching, applying and deleting objects: the pipeline that every write goes through.

decode -> default -> validate -> managed fields -> store, under the store's lock. A write that changes nothing keeps
the object's resourceVersion; a dry run stops before the last step.
"""

import copy
import random
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from penstock.devcluster import managed
from penstock.devcluster.decoding import Decoded, decode, typed_problems
from penstock.devcluster.defaults import set_defaults
from penstock.devcluster.managed import APPLY, UPDATE, ConflictError, Context, Entries, Writer
from penstock.devcluster.registry import Registry, Resource
from penstock.devcluster.rules import admit, check_create, check_update
from penstock.devcluster.statuses import (
    ApiError,
    Cause,
    already_exists,
    apply_conflict,
    bad_request,
    invalid,
    modified,
    not_found,
)
from penstock.devcluster.store import ObjectKey, Store, Stored
from penstock.devcluster.typed import same

GENERATIONS = frozenset(
    {
        ("", "pods"),
        ("", "replicationcontrollers"),
        ("apps", "daemonsets"),
        ("apps", "deployments"),
        ("apps", "replicasets"),
        ("apps", "statefulsets"),
        ("batch", "cronjobs"),
        ("batch", "jobs"),
        ("networking.k8s.io", "ingressclasses"),
        ("networking.k8s.io", "ingresses"),
        ("networking.k8s.io", "networkpolicies"),
        ("policy", "poddisruptionbudgets"),
        ("scheduling.k8s.io", "priorityclasses"),
        ("apiextensions.k8s.io", "customresourcedefinitions"),
        ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"),
        ("admissionregistration.k8s.io", "validatingwebhookconfigurations"),
        ("admissionregistration.k8s.io", "validatingadmissionpolicies"),
        ("admissionregistration.k8s.io", "validatingadmissionpolicybindings"),
        ("admissionregistration.k8s.io", "mutatingadmissionpolicies"),
        ("admissionregistration.k8s.io", "mutatingadmissionpolicybindings"),
    },
)
KEPT_ON_UPDATE = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation")
NAME_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


def now() -> str:
    """The time as metadata has it: RFC 3339, seconds, UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """How a write is made. ``validation``: Strict | Warn | Ignore; ``subresource``: "" or "status"."""

    manager: str
    dry_run: bool = False
    validation: str = "Warn"
    subresource: str = ""
    force: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """The object as it is (or would be) stored; ``warnings`` for the answer's headers."""

    stored: Stored
    created: bool = False
    warnings: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class Writes:
    """Writes to one store. ``allocate``: fills in what only the cluster can choose (a Service's address)."""

    store: Store
    registry: Registry
    allocate: Callable[[Resource, dict[str, Any]], None]

    def create(self, resource: Resource, namespace: str, obj: Any, options: Options) -> Written:
        """POST."""
        self._check_type(resource, obj)
        decoded = self._decode(resource, obj, options, namespace)
        new = decoded.value
        metadata = new.setdefault("metadata", {})
        _generate_name(metadata)
        with self.store.lock:
            if "name" in metadata and self.store.get(resource.key, (namespace, metadata["name"])):
                self._admit(resource, namespace, new)
                raise already_exists(resource.subject(metadata["name"]))
            empty = self._empty(resource)
            context = self._context(resource, options, UPDATE)
            entries = managed.decode(obj.get("metadata", {}).get("managedFields") or ())
            new = self._prepare_new(resource, namespace, new)
            new = _without_managed(new)
            entries = managed.update(empty, new, entries, context)
            return self._finish(resource, None, new, entries, options, decoded)

    def replace(self, resource: Resource, key: ObjectKey, obj: Any, options: Options) -> Written:
        """PUT."""
        self._check_type(resource, obj)
        namespace, name = key
        given = obj.get("metadata") or {}
        if given.get("name", name) != name:
            raise _name_mismatch(given["name"], name)
        with self.store.lock:
            live = self._live(resource, key)
            return self._update(resource, live, obj, options)

    def patch(
        self, resource: Resource, key: ObjectKey, change: Callable[[dict[str, Any]], Any], options: Options
    ) -> Written:
        """PATCH by a function from the live object to the wanted one."""
        with self.store.lock:
            live = self._live(resource, key)
            shown = self._at_version(resource, live.object)
            wanted = change(copy.deepcopy(shown))
            if not isinstance(wanted, dict):
                raise bad_request("the patched object is not an object")
            return self._update(resource, live, wanted, options)

    def apply(self, resource: Resource, key: ObjectKey, config: Any, options: Options) -> Written:
        """Server-side apply."""
        self._check_config(resource, key, config)
        namespace, name = key
        with self.store.lock:
            stored = self.store.get(resource.key, key)
            live = self._at_version(resource, stored.object) if stored else None
            if live is None and options.subresource:
                raise not_found(resource.subject(name))
            base = _without_managed(live) if live else self._empty(resource)
            entries = self._entries_for_apply(resource, live)
            context = self._context(resource, options, APPLY)
            wanted = copy.deepcopy(config)
            wanted.setdefault("metadata", {}).pop("creationTimestamp", None)
            try:
                merged, entries = managed.apply(base, wanted, entries, context, force=options.force)
            except ConflictError as conflict:
                raise apply_conflict(conflict.conflicts) from None
            decoded = self._decode(resource, merged, options, namespace)
            new = decoded.value
            if stored is None or live is None:
                self._check_apply_create(resource, config)
                new = self._prepare_new(resource, namespace, new)
                return self._finish(resource, None, _without_managed(new), entries, options, decoded)
            new = self._prepare_update(resource, live, new, options)
            return self._finish(resource, stored, _without_managed(new), entries, options, decoded)

    def _update(self, resource: Resource, stored: Stored, obj: Any, options: Options) -> Written:
        live = self._at_version(resource, stored.object)
        namespace, name = live["metadata"].get("namespace", ""), live["metadata"]["name"]
        decoded = self._decode(resource, obj, options, namespace)
        given = decoded.value.get("metadata", {})
        entries = _given_entries(given, live)
        new = self._prepare_update(resource, live, decoded.value, options)
        context = self._context(resource, options, UPDATE)
        new = _without_managed(new)
        entries = managed.update(_without_managed(live), new, entries, context)
        return self._finish(resource, stored, new, entries, options, decoded)

    def _finish(
        self,
        resource: Resource,
        stored: Stored | None,
        new: dict[str, Any],
        entries: Entries,
        options: Options,
        decoded: Decoded,
    ) -> Written:
        warnings = tuple(f'unknown field "{path}"' for path in decoded.unknown) if options.validation == "Warn" else ()
        if stored is not None and self._unchanged(resource, stored, new, entries):
            return Written(stored=stored, warnings=warnings)
        encoded = managed.encode(entries)
        metadata = {**new["metadata"], **({"managedFields": encoded} if encoded else {})}
        new = {**new, "metadata": metadata}
        if options.dry_run:
            return Written(stored=Stored(new), created=stored is None, warnings=warnings)
        gone = stored is not None and "deletionTimestamp" in metadata and not _finalizers(resource, new)
        saved = self.store.put(resource.key, new)
        if gone:
            saved = self.store.remove(resource.key, (metadata.get("namespace", ""), metadata["name"])) or saved
        return Written(stored=saved, created=stored is None, warnings=warnings)

    def _unchanged(self, resource: Resource, stored: Stored, new: dict[str, Any], entries: Entries) -> bool:
        live = stored.object
        if live["apiVersion"] != resource.api_version and resource.builtin:
            return False
        before = managed.decode(live["metadata"].get("managedFields") or ())
        if {key: entry.paths for key, entry in before.items()} != {k: e.paths for k, e in entries.items()}:
            return False
        return same({**_without_managed(live), "apiVersion": new["apiVersion"]}, new)

    def _live(self, resource: Resource, key: ObjectKey) -> Stored:
        stored = self.store.get(resource.key, key)
        if stored is None:
            raise not_found(resource.subject(key[1]))
        return stored

    def _at_version(self, resource: Resource, obj: dict[str, Any]) -> dict[str, Any]:
        return obj if obj["apiVersion"] == resource.api_version else {**obj, "apiVersion": resource.api_version}

    def _empty(self, resource: Resource) -> dict[str, Any]:
        """What a write to a name without an object is compared with."""
        start = {"apiVersion": resource.api_version, "kind": resource.kind}
        found: dict[str, Any] = decode(start, resource.schema, builtin=True).value if resource.builtin else start
        return found

    def _context(self, resource: Resource, options: Options, operation: str) -> Context:
        writer = Writer(
            manager=options.manager,
            operation=operation,
            api_version=resource.api_version,
            subresource=options.subresource,
        )
        if options.subresource == "status":
            reset = frozenset(f"f:{name}" for name in resource.schema.fields if name != "status") - {"f:metadata"}
        else:
            reset = frozenset({"f:status"}) if "status" in resource.subresources else frozenset()
        return Context(schema=resource.schema, writer=writer, now=now(), reset=reset)

    def _entries_for_apply(self, resource: Resource, live: dict[str, Any] | None) -> Entries:
        if live is None:
            return {}
        entries = managed.decode(live["metadata"].get("managedFields") or ())
        if entries:
            return entries
        writer = Writer(manager=managed.BEFORE_FIRST_APPLY, operation=UPDATE, api_version=resource.api_version)
        context = Context(schema=resource.schema, writer=writer, now=now())
        return managed.update({}, _without_managed(live), {}, context)

    def _check_type(self, resource: Resource, obj: Any) -> None:
        if not isinstance(obj, dict):
            raise bad_request(f"the object provided is unrecognized (must be of type {resource.kind})")
        api_version, kind = obj.get("apiVersion", ""), obj.get("kind", "")
        if not api_version and not kind and resource.builtin:
            return
        if (api_version, kind) != (resource.api_version, resource.kind):
            wanted, got = _gvk(resource.api_version, resource.kind), _gvk(str(api_version), str(kind))
            message = (
                f"{kind} in version {str(api_version).rpartition('/')[2]!r} cannot be handled as a {resource.kind}: "
                f"converting ({got}) to ({wanted}): unknown conversion"
                if kind == resource.kind
                else f"the API version in the data ({api_version}) does not match the expected API version "
                f"({resource.api_version})"
            )
            raise bad_request(message)

    def _check_config(self, resource: Resource, key: ObjectKey, config: Any) -> None:
        got = config if isinstance(config, dict) else {}
        api_version, kind = str(got.get("apiVersion") or ""), str(got.get("kind") or "")
        if (api_version, kind) != (resource.api_version, resource.kind):
            raise bad_request(f"invalid object type: {_gvk(api_version, kind)}")
        metadata = got.get("metadata") or {}
        if metadata.get("managedFields") is not None:
            raise bad_request("metadata.managedFields must be nil")
        namespace, name = key
        if (problems := typed_problems(got, resource.schema)) and resource.builtin:
            where = f"{metadata.get('namespace') or namespace}/{metadata.get('name', '')}"
            subject = f"{where}; {_gvk(api_version, kind)}"
            text = problems[0] if len(problems) == 1 else "errors:\n" + "\n".join(f"  {p}" for p in problems)
            raise ApiError(500, "", f"failed to create typed patch object ({subject}): {text}")
        if metadata.get("name", name) != name:
            raise _name_mismatch(metadata["name"], name)
        if metadata.get("namespace", namespace) != namespace:
            raise _namespace_mismatch()

    def _check_apply_create(self, resource: Resource, config: Mapping[str, Any]) -> None:
        metadata = config.get("metadata") or {}
        if metadata.get("uid"):
            cause = Cause(
                reason="FieldValueInvalid",
                message=f'Invalid value: "{metadata["uid"]}": field is immutable',
                field="metadata.uid",
            )
            raise invalid(resource.subject(metadata.get("name", "")), [cause, cause])

    def _decode(self, resource: Resource, obj: Any, options: Options, namespace: str) -> Decoded:
        decoded = decode(obj, resource.schema, builtin=resource.builtin)
        if options.validation == "Strict" and decoded.unknown:
            raise _strict(resource, decoded.unknown)
        if decoded.wrong and resource.builtin:
            path, wanted, got = decoded.wrong[0]
            message = (
                f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: json: '
                f"cannot unmarshal {GO_KINDS.get(got, got)} into Go struct field {path} of type {wanted}"
            )
            raise bad_request(message)
        if decoded.wrong:
            raise invalid(resource.subject(_name_of(obj)), [_wrong_type(*problem) for problem in decoded.wrong])
        metadata = decoded.value.setdefault("metadata", {})
        if metadata.get("namespace", namespace) != namespace:
            raise _namespace_mismatch()
        decoded.value["apiVersion"], decoded.value["kind"] = resource.api_version, resource.kind
        return decoded

    def _admit(self, resource: Resource, namespace: str, new: dict[str, Any]) -> None:
        owner = self.store.get(("", "namespaces"), ("", namespace)) if resource.namespaced else None
        admit(resource, namespace, new, owner.object if owner else None)

    def _prepare_new(self, resource: Resource, namespace: str, new: dict[str, Any]) -> dict[str, Any]:
        metadata = {key: value for key, value in new["metadata"].items() if key not in SERVER_METADATA}
        if namespace:
            metadata["namespace"] = namespace
        metadata["uid"] = str(uuid.uuid4())
        if not resource.builtin or resource.key in GENERATIONS:
            metadata["generation"] = 1
        metadata["creationTimestamp"] = now()
        new = {**new, "metadata": metadata}
        if "status" in resource.subresources:
            self._reset_status(resource, new, None)
        set_defaults(resource, new, None)
        self._admit(resource, namespace, new)
        check_create(resource, new)
        self.allocate(resource, new)
        return new

    def _prepare_update(
        self, resource: Resource, live: dict[str, Any], new: dict[str, Any], options: Options
    ) -> dict[str, Any]:
        old_meta, metadata = live["metadata"], dict(new["metadata"])
        self._check_versions(resource, live, metadata)
        metadata.update({key: old_meta[key] for key in KEPT_ON_UPDATE if key in old_meta})
        for absent in [key for key in KEPT_ON_UPDATE if key not in old_meta]:
            metadata.pop(absent, None)
        metadata["resourceVersion"] = old_meta["resourceVersion"]
        metadata["name"] = old_meta["name"]
        if "namespace" in old_meta:
            metadata["namespace"] = old_meta["namespace"]
        new = {**new, "metadata": metadata}
        if options.subresource == "status":
            kept = {key: value for key, value in live.items() if key != "status"}
            new = {**kept, **({"status": new["status"]} if "status" in new else {})}
            new["metadata"] = {**old_meta, "managedFields": metadata.get("managedFields", [])}
            return new
        if "status" in resource.subresources:
            self._reset_status(resource, new, live)
        set_defaults(resource, new, live)
        check_update(resource, new, live)
        if "generation" in old_meta and not same(_spec_of(live), _spec_of(new)):
            new["metadata"]["generation"] = old_meta["generation"] + 1
        return new

    def _reset_status(self, resource: Resource, new: dict[str, Any], live: dict[str, Any] | None) -> None:
        new.pop("status", None)
        if live is not None and "status" in live:
            new["status"] = live["status"]
        elif live is None and resource.builtin and "status" in resource.schema.defaults:
            new["status"] = decode({}, resource.schema.fields["status"], builtin=True).value

    def _check_versions(self, resource: Resource, live: dict[str, Any], given: dict[str, Any]) -> None:
        old = live["metadata"]
        subject = resource.subject(old["name"])
        if given.get("resourceVersion") and given["resourceVersion"] != old["resourceVersion"]:
            raise modified(subject)
        if given.get("uid") and given["uid"] != old["uid"]:
            cause = Cause(
                reason="FieldValueInvalid",
                message=f'Invalid value: "{given["uid"]}": field is immutable',
                field="metadata.uid",
            )
            raise invalid(subject, [cause, cause])


SERVER_METADATA = frozenset(
    {"uid", "resourceVersion", "creationTimestamp", "deletionTimestamp", "generation", "selfLink", "managedFields"}
)
GO_KINDS = {"integer": "number", "boolean": "bool"}


def _finalizers(resource: Resource, obj: Mapping[str, Any]) -> bool:
    spec = obj.get("spec") if resource.key == ("", "namespaces") else None
    return bool(obj["metadata"].get("finalizers") or (spec or {}).get("finalizers"))


def _spec_of(obj: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in obj.items() if key not in {"metadata", "status", "apiVersion", "kind"}}


def _without_managed(obj: Mapping[str, Any]) -> dict[str, Any]:
    metadata = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
    return {**obj, "metadata": metadata}


def _given_entries(given: Mapping[str, Any], live: Mapping[str, Any]) -> Entries:
    """The entries that a plain write starts from: its own where it edits them, none where it resets them."""
    kept = live["metadata"].get("managedFields") or []
    wanted = given.get("managedFields")
    if not wanted:
        return managed.decode(kept)
    return {} if wanted == [{}] else managed.decode(wanted)


def _generate_name(metadata: dict[str, Any]) -> None:
    if not metadata.get("name") and metadata.get("generateName"):
        suffix = "".join(random.choices(NAME_LETTERS, k=5))  # noqa: S311 — a name, not a secret
        metadata["name"] = metadata["generateName"][:58] + suffix


def _gvk(api_version: str, kind: str) -> str:
    group, _, version = api_version.rpartition("/")
    return f"{group}/{version}, Kind={kind}"


def _name_of(obj: Any) -> str:
    metadata = obj.get("metadata") if isinstance(obj, dict) else None
    return str((metadata or {}).get("name", "")) if isinstance(metadata, dict) else ""


def _name_mismatch(got: Any, wanted: str) -> ApiError:
    return bad_request(f"the name of the object ({got}) does not match the name on the URL ({wanted})")


def _namespace_mismatch() -> ApiError:
    message = "the namespace of the provided object does not match the namespace sent on the request"
    return bad_request(message)


def _strict(resource: Resource, unknown: list[str]) -> ApiError:
    problems = ", ".join(f'unknown field "{path}"' for path in unknown)
    text = f"strict decoding error: {problems}"
    if not resource.builtin:
        return bad_request(text)
    return bad_request(
        f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: {text}'
    )


def _wrong_type(path: str, wanted: str, got: str) -> Cause:
    message = f'Invalid value: "{got}": {path} in body must be of type {wanted}: "{got}"'
    return Cause(reason="FieldValueTypeInvalid", message=message, field=path)
