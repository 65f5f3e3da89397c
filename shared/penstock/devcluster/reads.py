"""GET, LIST with selectors and continue tokens, and WATCH."""

import base64
import json
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from penstock.devcluster.exchange import Request, Response
from penstock.devcluster.registry import Resource
from penstock.devcluster.selectors import field_test, label_test
from penstock.devcluster.statuses import ApiError, bad_request, expired
from penstock.devcluster.store import Change, Store, Stored, TooOldError, dump

ObjectTest = Callable[[Stored], bool]
MAX_SNAPSHOTS = 64
DEFAULT_WATCH_SECONDS = 1800.0
BOOKMARK_SECONDS = 60.0
POLL_SECONDS = 1.0


def body_of(resource: Resource, stored: Stored) -> bytes:
    """An object's JSON, at the requested version."""
    return _head(resource.kind, resource.api_version) + stored.rest()


def _head(kind: str, api_version: str) -> bytes:
    return b'{"kind":' + dump(kind) + b',"apiVersion":' + dump(api_version) + b","


def object_test(request: Request, resource: Resource) -> ObjectTest:
    """The test of both selectors. Raises ApiError (400)."""
    labels, fields = request.query.get("labelSelector", ""), request.query.get("fieldSelector", "")
    if not labels and not fields:
        return lambda _: True
    by_label, by_field = label_test(labels), field_test(fields, resource.plural if resource.builtin else "")
    return lambda s: by_label(s.object["metadata"].get("labels") or {}) and by_field(s.object)


@dataclass(slots=True, kw_only=True)
class Reads:
    """Reads of one store. ``stopping``: tells watches to end."""

    store: Store
    stopping: Callable[[], bool]
    _snapshots: "OrderedDict[str, tuple[int, list[Stored]]]" = field(default_factory=OrderedDict)
    _count: int = 0

    def collection(self, request: Request, resource: Resource, namespace: str) -> Response:
        """LIST."""
        limit = _number(request, "limit")
        token = request.query.get("continue", "")
        if token:
            revision, found = self._resume(token)
        else:
            test = object_test(request, resource)
            with self.store.lock:
                revision = self.store.revision
                self._check_revision(request, revision)
                found = [stored for stored in self.store.scan(resource.key, namespace) if test(stored)]
        metadata: dict[str, Any] = {"resourceVersion": str(revision)}
        if limit and len(found) > limit:
            metadata["continue"] = self._suspend(revision, found[limit:])
            if not request.query.get("labelSelector") and not request.query.get("fieldSelector"):
                metadata["remainingItemCount"] = len(found) - limit
            found = found[:limit]
        elif not resource.builtin:
            metadata["continue"] = ""
        head = b"{" if resource.builtin else _head(resource.kind, resource.api_version)
        items = b",".join([head + stored.rest() for stored in found])
        start = {"kind": resource.list_kind, "apiVersion": resource.api_version, "metadata": metadata}
        return Response(body=dump(start)[:-1] + b',"items":[' + items + b"]}")

    def _check_revision(self, request: Request, revision: int) -> None:
        wanted = _number(request, "resourceVersion")
        if wanted > revision:
            raise too_large(wanted, revision)
        if request.query.get("resourceVersionMatch") == "Exact" and wanted != revision:
            raise expired(f"The resourceVersion for the provided list is too old: {wanted} ({revision})")

    def _suspend(self, revision: int, rest: list[Stored]) -> str:
        with self.store.lock:
            self._count += 1
            token = base64.urlsafe_b64encode(
                json.dumps({"v": "meta.k8s.io/v1", "rv": revision, "start": str(self._count)}).encode()
            ).decode()
            self._snapshots[token] = (revision, rest)
            while len(self._snapshots) > MAX_SNAPSHOTS:
                self._snapshots.popitem(last=False)
            return token

    def _resume(self, token: str) -> tuple[int, list[Stored]]:
        with self.store.lock:
            found = self._snapshots.get(token)
        if found is None:
            try:
                json.loads(base64.urlsafe_b64decode(token))
            except ValueError:
                raise bad_request("invalid continue token: continue key is not valid") from None
            message = (
                "The provided continue parameter is too old to display a consistent list result. You must start a "
                "new list without the continue parameter."
            )
            raise expired(message)
        return found

    def watch(self, request: Request, resource: Resource, namespace: str, name: str = "") -> Response:
        """WATCH: a stream of JSON lines."""
        test = object_test(request, resource)
        start = request.query.get("resourceVersion", "")
        seconds = float(_number(request, "timeoutSeconds") or DEFAULT_WATCH_SECONDS)
        if (revision := _number(request, "resourceVersion")) > self.store.revision:
            raise too_large(revision, self.store.revision)

        def chosen(stored: Stored) -> bool:
            metadata = stored.object["metadata"]
            if (namespace and metadata.get("namespace") != namespace) or (name and metadata["name"] != name):
                return False
            return test(stored)

        watch = _Watch(
            reads=self,
            resource=resource,
            chosen=chosen,
            ends=time.monotonic() + seconds,
            bookmarks=request.query.get("allowWatchBookmarks") in {"true", "1"},
        )
        initial = request.query.get("sendInitialEvents") == "true"
        return Response(stream=watch.run(revision, from_start=start in {"", "0"} or initial, mark=initial))


@dataclass(slots=True, kw_only=True)
class _Watch:
    reads: Reads
    resource: Resource
    chosen: ObjectTest
    ends: float
    bookmarks: bool

    def run(self, revision: int, *, from_start: bool, mark: bool) -> Iterator[bytes]:
        """Lines until the time is up; ``from_start``: what exists comes first, ``mark``: then a bookmark."""
        if from_start:
            with self.reads.store.lock:
                revision, present = self.reads.store.revision, self.reads.store.scan(self.resource.key)
            yield from (self._event("ADDED", stored) for stored in present if self.chosen(stored))
            if mark and self.bookmarks:
                yield self._bookmark(revision, {"k8s.io/initial-events-end": "true"})
        next_mark = time.monotonic() + BOOKMARK_SECONDS
        while not self.reads.stopping() and (left := self.ends - time.monotonic()) > 0:
            try:
                changes = self._changes(revision, min(left, POLL_SECONDS))
            except TooOldError as problem:
                status = expired(f"too old resource version: {revision} ({problem.oldest})").to_json()
                yield dump({"type": "ERROR", "object": status}) + b"\n"
                return
            for change in changes:
                revision = change.revision
                if change.resource == self.resource.key and (line := self._line(change)):
                    yield line
            if self.bookmarks and time.monotonic() >= next_mark:
                next_mark = time.monotonic() + BOOKMARK_SECONDS
                yield self._bookmark(revision, {})

    def _changes(self, revision: int, seconds: float) -> list[Change]:
        store = self.reads.store
        with store.changed:
            changes = store.since(revision)
            if not changes:
                store.changed.wait(seconds)
                changes = store.since(revision)
            return changes

    def _line(self, change: Change) -> bytes:
        before = change.before is not None and self.chosen(change.before)
        after = change.type != "DELETED" and self.chosen(change.after)
        if before and not after:
            return self._event("DELETED", _as_of(change))
        if after:
            return self._event("MODIFIED" if before else "ADDED", change.after)
        return b""

    def _event(self, kind: str, stored: Stored) -> bytes:
        return b'{"type":"' + kind.encode() + b'","object":' + body_of(self.resource, stored) + b"}\n"

    def _bookmark(self, revision: int, annotations: dict[str, str]) -> bytes:
        metadata: dict[str, Any] = {"resourceVersion": str(revision)}
        if annotations:
            metadata["annotations"] = annotations
        shown = {"kind": self.resource.kind, "apiVersion": self.resource.api_version, "metadata": metadata}
        return dump({"type": "BOOKMARK", "object": shown}) + b"\n"


def _as_of(change: Change) -> Stored:
    """What an object was when it left a watch's selection, with the resourceVersion of its leaving."""
    if change.type == "DELETED" or change.before is None:
        return change.after
    metadata = {**change.before.object["metadata"], "resourceVersion": str(change.revision)}
    return Stored({**change.before.object, "metadata": metadata})


def too_large(wanted: int, revision: int) -> ApiError:
    """504 of a resourceVersion that does not exist yet."""
    message = f"Timeout: Too large resource version: {wanted}, current: {revision}"
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    return ApiError(504, "Timeout", message, {"causes": [cause], "retryAfterSeconds": 1})


def _number(request: Request, name: str) -> int:
    text = request.query.get(name, "") or "0"
    if not text.isdigit():
        raise bad_request(f"invalid {name}: {text!r}")
    return int(text)
