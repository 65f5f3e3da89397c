"""Creating, updating, patching and applying objects: the pipeline that every write goes through.

decode -> default -> managed fields -> prepare -> validate -> store, under the store's lock. A write that changes
nothing keeps the object's resourceVersion; a dry run stops before the last step.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from penstock.devcluster import managed
from penstock.devcluster.addresses import allocate
from penstock.devcluster.checks import (
    BodyError,
    bad_patch,
    check_config,
    check_names,
    check_type,
    decoded_body,
    decoded_config,
)
from penstock.devcluster.decoding import decode
from penstock.devcluster.defaults import set_defaults
from penstock.devcluster.managed import APPLY, UPDATE, ConflictError, Context, Entries, Writer
from penstock.devcluster.metadata import (
    changed_metadata,
    check_preconditions,
    check_replaced,
    check_uid,
    counted,
    generated_name,
    held,
    new_metadata,
    no_such_uid,
    now,
)
from penstock.devcluster.preparation import prepare_changed, prepare_new
from penstock.devcluster.registry import Registry, Resource
from penstock.devcluster.rules import admit, check_create, check_update
from penstock.devcluster.statuses import ApiError, already_exists, apply_conflict, bad_request, not_found
from penstock.devcluster.store import ObjectKey, Store, Stored
from penstock.devcluster.typed import same

Object = dict[str, Any]


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """An object on its way into the store: decoded and defaulted, without managedFields, which are ``entries``."""

    new: Object
    entries: Entries
    unknown: list[str] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Writes:
    """Writes to one store. ``kinds``: what a body of the wrong kind is decoded as first."""

    store: Store
    kinds: Registry

    def create(self, resource: Resource, namespace: str, obj: Any, options: Options) -> Written:
        """POST."""
        check_type(resource, obj, self.kinds)
        check_names(obj, namespace, "")
        decoded = decoded_body(resource, obj, options.validation)
        given = decoded.value["metadata"]
        if given.get("resourceVersion"):
            raise ApiError(500, "", "resourceVersion should not be set on objects to be created")
        if name := generated_name(given):
            given["name"] = name
        with self.store.lock:
            new = _without_managed(decoded.value)
            set_defaults(resource, new, None)
            entries = managed.decode(given.get("managedFields") or ())
            entries = managed.update(_empty(resource), new, entries, _context(resource, options, UPDATE))
            draft = Draft(new=new, entries=entries, unknown=decoded.unknown)
            return self._add(resource, namespace, draft, options)

    def replace(self, resource: Resource, key: ObjectKey, obj: Any, options: Options) -> Written:
        """PUT."""
        check_type(resource, obj, self.kinds)
        check_names(obj, *key)
        with self.store.lock:
            stored = self._live(resource, key)
            check_uid(resource, obj.get("metadata") or {}, stored.object["metadata"])
            return self._update(resource, stored, obj, options)

    def patch(self, resource: Resource, key: ObjectKey, change: Callable[[Object], Any], options: Options) -> Written:
        """PATCH by a function from the live object to the wanted one."""
        with self.store.lock:
            stored = self._live(resource, key)
            wanted = change(copy.deepcopy(_at_version(resource, stored.object)))
            if not isinstance(wanted, dict) or not isinstance(wanted.get("metadata"), dict):
                raise bad_request("the patched document is not an object")
            check_names(wanted, *key)
            try:
                return self._update(resource, stored, wanted, options)
            except BodyError as problem:
                raise bad_patch(problem) from None

    def apply(self, resource: Resource, key: ObjectKey, config: Any, options: Options) -> Written:
        """Server-side apply."""
        namespace, name = key
        check_config(resource, namespace, name, config)
        with self.store.lock:
            stored = self.store.get(resource.key, key)
            if stored is None and options.subresource:
                raise not_found(resource.subject(name))
            live = _at_version(resource, stored.object) if stored else None
            base = _without_managed(live) if live else _empty(resource)
            before = _entries_for_apply(resource, live) if live else {}
            context = _context(resource, options, APPLY)
            given = {**(config.get("metadata") or {}), "name": name}
            try:
                merged, entries = managed.apply(
                    base, {**config, "metadata": given}, before, context, force=options.force
                )
            except ConflictError as conflict:
                raise apply_conflict(conflict.conflicts) from None
            decoded = decoded_config(resource, merged, namespace)
            new = _without_managed(decoded.value)
            draft = Draft(new=new, entries=entries)
            if stored is not None:
                check_preconditions(resource, given, stored.object["metadata"])
                return self._change(resource, stored, draft, options)
            set_defaults(resource, new, None)
            if given.get("uid"):
                raise no_such_uid(resource, name, given["uid"])
            return self._add(resource, namespace, draft, options)

    def _update(self, resource: Resource, stored: Stored, obj: Object, options: Options) -> Written:
        live = _at_version(resource, stored.object)
        decoded = decoded_body(resource, obj, options.validation)
        given = decoded.value["metadata"]
        check_replaced(resource, given, live["metadata"])
        new = _without_managed(decoded.value)
        if options.subresource == "status":
            new = _only_status(resource, new, live)
        else:
            set_defaults(resource, new, live)
        entries = _entries_given(given, live)
        if entries:  # an object without managed fields stays so until somebody applies it
            context = _context(resource, options, UPDATE)
            entries = managed.update(_without_managed(live), new, entries, context)
        return self._change(resource, stored, Draft(new=new, entries=entries, unknown=decoded.unknown), options)

    def _add(self, resource: Resource, namespace: str, draft: Draft, options: Options) -> Written:
        """Prepare, validate and store an object that is not there yet."""
        new = draft.new
        new["metadata"] = new_metadata(resource, new["metadata"], namespace)
        if "status" in resource.subresources and resource.builtin and "phase" not in (new.get("status") or {}):
            new["status"] = decode({}, resource.schema.fields["status"], builtin=True).value
        elif "status" in resource.subresources and not resource.builtin:
            new.pop("status", None)
        owner = self.store.get(("", "namespaces"), ("", namespace)) if resource.namespaced else None
        admit(resource, namespace, new, owner.object if owner else None)
        prepare_new(resource, new)
        check_create(resource, new)
        name = new["metadata"]["name"]
        if self.store.get(resource.key, (namespace, name)):
            raise already_exists(resource.subject(name))
        allocate(self.store, resource, new)
        return self._save(resource, None, draft, options)

    def _change(self, resource: Resource, stored: Stored, draft: Draft, options: Options) -> Written:
        """Prepare, validate and store a new revision."""
        new, live = draft.new, _at_version(resource, stored.object)
        if options.subresource == "status":
            new = _only_status(resource, new, live)
        else:
            set_defaults(resource, new, live)
            new["metadata"] = changed_metadata(new["metadata"], live["metadata"])
            if "status" in resource.subresources:
                new.pop("status", None)
                new |= {"status": live["status"]} if "status" in live else {}
            prepare_changed(resource, new, live)
            check_update(resource, new, live)
            allocate(self.store, resource, new)
            counted(new, live)
        return self._save(resource, stored, Draft(new=new, entries=draft.entries, unknown=draft.unknown), options)

    def _save(self, resource: Resource, stored: Stored | None, draft: Draft, options: Options) -> Written:
        warned = draft.unknown if options.validation == "Warn" else []
        warnings = tuple(f'unknown field "{path}"' for path in warned)
        new = draft.new
        if stored is not None and _unchanged(stored.object, new, draft.entries):
            return Written(stored=stored, warnings=warnings)
        encoded = managed.encode(draft.entries)
        metadata = {**new["metadata"], **({"managedFields": encoded} if encoded else {})}
        new = {**new, "metadata": metadata}
        if options.dry_run:
            return Written(stored=Stored(new), created=stored is None, warnings=warnings)
        saved = self.store.put(resource.key, new)
        if stored is not None and "deletionTimestamp" in metadata and not held(resource, new):
            saved = self.store.remove(resource.key, (metadata.get("namespace", ""), metadata["name"])) or saved
        return Written(stored=saved, created=stored is None, warnings=warnings)

    def _live(self, resource: Resource, key: ObjectKey) -> Stored:
        stored = self.store.get(resource.key, key)
        if stored is None:
            raise not_found(resource.subject(key[1]))
        return stored


def _unchanged(live: Object, new: Object, entries: Entries) -> bool:
    before = managed.decode(live["metadata"].get("managedFields") or ())
    if {key: entry.paths for key, entry in before.items()} != {key: entry.paths for key, entry in entries.items()}:
        return False
    return same({**_without_managed(live), "apiVersion": new["apiVersion"]}, new)


def _only_status(resource: Resource, new: Object, live: Object) -> Object:
    """What a write to the status subresource changes: the status, and annotations of built-in kinds."""
    out = {key: value for key, value in live.items() if key != "status"}
    if "status" in new:
        out["status"] = new["status"]
    metadata = {key: value for key, value in live["metadata"].items() if key != "managedFields"}
    if resource.builtin and "annotations" in new["metadata"]:
        metadata["annotations"] = new["metadata"]["annotations"]
    return {**out, "metadata": metadata}


def _at_version(resource: Resource, obj: Object) -> Object:
    return obj if obj["apiVersion"] == resource.api_version else {**obj, "apiVersion": resource.api_version}


def _empty(resource: Resource) -> Object:
    """What a write to a name without an object is compared with."""
    start = {"apiVersion": resource.api_version, "kind": resource.kind}
    empty: Object = decode(start, resource.schema, builtin=True).value if resource.builtin else start
    return {"metadata": {}, **empty}


def _context(resource: Resource, options: Options, operation: str) -> Context:
    writer = Writer(
        manager=options.manager,
        operation=operation,
        api_version=resource.api_version,
        subresource=options.subresource,
    )
    if options.subresource == "status":
        reset = frozenset(f"f:{name}" for name in resource.schema.fields if name not in {"status", "metadata"})
    else:
        reset = frozenset({"f:status"}) if "status" in resource.subresources else frozenset()
    return Context(schema=resource.schema, writer=writer, now=now(), reset=reset)


def _entries_for_apply(resource: Resource, live: Object) -> Entries:
    entries = managed.decode(live["metadata"].get("managedFields") or ())
    if entries:
        return entries
    writer = Writer(manager=managed.BEFORE_FIRST_APPLY, operation=UPDATE, api_version=resource.api_version)
    context = Context(schema=resource.schema, writer=writer, now=now())
    return managed.update({}, _without_managed(live), {}, context)


def _without_managed(obj: Object) -> Object:
    metadata = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
    return {**obj, "metadata": metadata}


def _entries_given(given: Object, live: Object) -> Entries:
    """The entries that a plain write starts from: its own where it edits them, none where it resets them."""
    wanted = given.get("managedFields")
    if not wanted:
        return managed.decode(live["metadata"].get("managedFields") or ())
    return {} if wanted == [{}] else managed.decode(wanted)
