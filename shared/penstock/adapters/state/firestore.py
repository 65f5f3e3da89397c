"""Records in one collection of a Firestore database (REST API v1).

| part | what |
| --- | --- |
| document id | SHA-256 of the key: keys hold ``/``, and writes of neighbouring keys land apart |
| `k` | the key: Firestore sorts it by its UTF-8 bytes, as Python sorts text |
| `j` | the value, JSON text; not indexed |
| `w` | random hex digits, new with each write: an equal write changes the document too, and is known again |
| `due` | POSIX seconds, only where the record is scheduled |
| `f` | format of the document, 1 |

The version is the document's ``updateTime``. Gets and queries are strongly consistent, also those by an index.
``due`` needs the composite index (``due``, ``k``) ascending.
"""

import hashlib
import re
import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from penstock.adapters.google.client import Act, Answered, GoogleClient
from penstock.adapters.google.names import GoogleNames
from penstock.adapters.state.limits import END, check_key, from_json, to_json
from penstock.adapters.state.together import Batches
from penstock.core.errors import Conflict, Transient
from penstock.ports.state import ABSENT, Reads, Record, Value

COLLECTION = "records"
FORMAT = "1"
PAGE = 100
_BUSY = frozenset({"ABORTED"})
"""Others were at the document at the same time: no word of whether its condition held."""
_LOST = _BUSY | {"ALREADY_EXISTS", "FAILED_PRECONDITION", "NOT_FOUND"}
_VERSION = re.compile(r"[0-9T:.-]+Z")

Document = Mapping[str, Any]


class FirestoreState:
    """See ports.state.State. ``documents``: the resource name of another root than that of most records."""

    def __init__(self, client: GoogleClient, names: GoogleNames, documents: str = "") -> None:
        self._client, self._base, self._root = client, names.endpoints.firestore, documents or names.documents
        self._batches = Batches(self, self._batch, size=PAGE)

    def get(self, key: str) -> Record | None:
        """The record or None."""
        document = self._document(check_key(key))
        return None if document is None else _record(document)

    def put(self, key: str, value: Value, *, expected: str | None, due: float | None = None) -> Record:
        """Write; compare-and-swap where ``expected`` is given."""
        text = to_json(check_key(key), value)
        mark = secrets.token_hex(8)
        document = {"name": self._name(key), "fields": _fields(key, text, mark, due)}
        write = {"update": document, **_condition(key, expected)}
        permission = f"datastore.entities.{'create' if expected == ABSENT else 'update'}"
        try:
            version = self._commit(write, Act(permission=permission, resource=f"record {key}"), expected)
        except Answered as answered:
            there = self._document(key)
            if there is None or there["fields"].get("w", {}).get("stringValue") != mark:
                raise _refused(key, answered, there, expected) from None
            version = str(there["updateTime"])  # the first attempt at this call was taken, its answer lost
        return Record(key=key, value=from_json(text), version=version, due=due)

    def delete(self, key: str, *, expected: str | None) -> None:
        """Remove."""
        if expected == ABSENT:
            if self._document(check_key(key)) is not None:
                raise _conflict(key)
            return
        write = {"delete": self._name(check_key(key)), **_condition(key, expected)}
        try:
            self._commit(write, Act(permission="datastore.entities.delete", resource=f"record {key}"), expected)
        except Answered as answered:
            raise _refused(key, answered, self._document(key), expected) from None

    def _commit(self, write: Document, act: Act, expected: str | None) -> str:
        """One write; its update time, "" of a deletion. Raises Answered where its condition did not hold."""
        act = replace(act, expect=_BUSY if expected is None else _LOST)
        url = f"{self._base}/v1/{self._root}:commit"
        (result,) = self._client.call("POST", url, act, {"writes": [write]})["writeResults"]
        return str(result.get("updateTime", ""))

    def list(self, prefix: str) -> tuple[Record, ...]:
        """By prefix, sorted by key."""
        return tuple(self.scan(prefix))

    def scan(self, prefix: str) -> Iterator[Record]:
        """By prefix, in pages."""
        bounds = [_where("k", "GREATER_THAN_OR_EQUAL", _text(prefix)), _where("k", "LESS_THAN", _text(prefix + END))]
        asked = {"where": {"compositeFilter": {"op": "AND", "filters": bounds}}, "orderBy": [_by("k")]}
        return (_record(document) for document in self._pages(asked))

    def read(self, keys: Collection[str] = (), prefixes: Collection[str] = ()) -> Reads:
        """Records a hundred at a time, and lists, together."""
        return self._batches.read([check_key(key) for key in keys], prefixes)

    def due(self, before: float, *, limit: int) -> tuple[Record, ...]:
        """The longest overdue first."""
        asked = {
            "where": _where("due", "LESS_THAN_OR_EQUAL", {"doubleValue": before}),
            "orderBy": [_by("due"), _by("k")],
            "limit": limit,
        }
        return tuple(_record(document) for document in self._query(asked))

    def _pages(self, asked: Document) -> Iterator[Document]:
        start: dict[str, Any] = {}
        while True:
            page = self._query({**asked, **start, "limit": PAGE})
            yield from page
            if len(page) < PAGE:
                return
            start = {"startAt": {"values": [page[-1]["fields"]["k"]], "before": False}}

    def _query(self, asked: Document) -> Sequence[Document]:
        query = {"from": [{"collectionId": COLLECTION}], **asked}
        act = Act(permission="datastore.entities.list", resource=self._root)
        answers = self._client.call("POST", f"{self._base}/v1/{self._root}:runQuery", act, {"structuredQuery": query})
        return [answer["document"] for answer in answers if "document" in answer]

    def _batch(self, keys: Sequence[str]) -> Iterator[Record]:
        """Those of at most PAGE records that there are."""
        act = Act(permission="datastore.entities.get", resource=self._root)
        asked = {"documents": [self._name(key) for key in keys]}
        answers = self._client.call("POST", f"{self._base}/v1/{self._root}:batchGet", act, asked)
        yield from (_record(answer["found"]) for answer in answers if "found" in answer)

    def _document(self, key: str) -> Document | None:
        act = Act(permission="datastore.entities.get", resource=f"record {key}", expect=("NOT_FOUND",))
        try:
            document: Document = self._client.call("GET", f"{self._base}/v1/{self._name(key)}", act)
        except Answered:
            return None
        return document

    def _name(self, key: str) -> str:
        return f"{self._root}/{COLLECTION}/{hashlib.sha256(key.encode()).hexdigest()}"


def _condition(key: str, expected: str | None) -> Document:
    """The write's precondition. Raises Conflict for what was never a version."""
    if expected is None:
        return {}
    if expected == ABSENT:
        return {"currentDocument": {"exists": False}}
    if not _VERSION.fullmatch(expected):
        raise _conflict(key)
    return {"currentDocument": {"updateTime": expected}}


def _fields(key: str, text: str, mark: str, due: float | None) -> Document:
    fields = {"k": _text(key), "j": _text(text), "w": _text(mark), "f": _text(FORMAT)}
    return fields if due is None else {**fields, "due": {"doubleValue": due}}


def _record(document: Document) -> Record:
    fields = document["fields"]
    due = fields.get("due", {}).get("doubleValue")
    return Record(
        key=fields["k"]["stringValue"],
        value=from_json(fields["j"]["stringValue"]),
        version=str(document["updateTime"]),
        due=None if due is None else float(due),
    )


def _text(value: str) -> dict[str, str]:
    return {"stringValue": value}


def _where(name: str, operator: str, value: Document) -> Document:
    return {"fieldFilter": {"field": {"fieldPath": name}, "op": operator, "value": value}}


def _by(name: str) -> Document:
    return {"field": {"fieldPath": name}, "direction": "ASCENDING"}


def _refused(key: str, answered: Answered, there: Document | None, expected: str | None) -> Transient:
    """Conflict only where somebody else has written: ``there`` is what is there now."""
    version = ABSENT if there is None else str(there["updateTime"])
    if answered.code in _BUSY and expected in (None, version):
        return Transient(f"record {key}: Firestore was busy with it")
    return _conflict(key)


def _conflict(key: str) -> Conflict:
    return Conflict(f"record {key} was written by somebody else")
