"""Records in one DynamoDB table.

| attribute | what |
| --- | --- |
| `p` (hash key) | the key's first segment; of those by cluster (CLUSTER_FAMILIES), its first two |
| `k` (range key) | the whole key: DynamoDB sorts it by its UTF-8 bytes, as Python sorts text |
| `v` | version: 16 random hex digits, new with each write, and (`-2`) the number of further items |
| `f` | format of the item, 1 |
| `j` or `z` | the value: JSON text, or (above 8 KiB) deflated |
| `due`, `s` | POSIX seconds, and one of 8 shards; only where the record is scheduled |

A value of more than 350 KB goes on in further items (`p` = `+` and the key, `k` = `1`, `2`), whose `of` is its version.
All of them are written in one transaction and read in one.

Index `due` (hash `s`, range `due`, keys only) holds what is scheduled. It is eventually consistent: what it names is
read again from the table, so a stale entry is never given out, and what it does not name yet is found a moment later.
"""

import contextlib
import secrets
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from penstock.adapters.aws.clients import Answered, Clients
from penstock.adapters.aws.errors import translated
from penstock.adapters.state.limits import check_key, from_json, to_json
from penstock.adapters.state.together import Batches
from penstock.core.errors import Conflict, Terminal, Transient
from penstock.ports.state import ABSENT, MAX_VALUE_BYTES, Reads, Record, Value

FORMAT = "1"
INDEX = "due"
SHARDS = 8
"""An index partition takes 1,000 writes a second."""
CLUSTER_FAMILIES = frozenset({"object", "status", "reads", "child", "waits"})
DEFLATE_BYTES = 8 * 1_024
ITEM_BYTES = 350_000
"""Of a value in one item: DynamoDB takes 400 KB with names and keys."""
MOST_PARTS = -(-MAX_VALUE_BYTES // ITEM_BYTES) - 1
READ_BATCH = 100

Item = Mapping[str, Any]


class DynamoState:
    """See ports.state.State. Reads and lists are strongly consistent; ``due`` may miss what was just written.

    A prefix of one segment of ``object/`` or ``status/``, and one that ends within a first segment, scans the table.
    """

    def __init__(self, clients: Clients, table: str) -> None:
        self._clients, self._table = clients, table
        self._batches = Batches(self, self._batch, size=READ_BATCH)

    def get(self, key: str) -> Record | None:
        """The record or None."""
        answer = self._call("get_item", {"Key": _primary(check_key(key)), "ConsistentRead": True})
        item = answer.get("Item")
        return self._record(item) if item else None

    def put(self, key: str, value: Value, *, expected: str | None, due: float | None = None) -> Record:
        """Write; compare-and-swap where ``expected`` is given."""
        text = to_json(check_key(key), value)
        item, parts = _items(key, text, due)
        version = item["v"]["S"]
        if parts:
            self._put_all(key, {"Item": item, **_condition(expected)}, parts)
        else:
            old = self._put_alone(key, {"Item": item, **_condition(expected)}, version)
            self._drop_parts(key, expected or old)
        return Record(key=key, value=from_json(text), version=version, due=due)

    def _put_alone(self, key: str, put: Item, version: str) -> str:
        """The version that was overwritten, where no condition named it."""
        asked = "NONE" if "ConditionExpression" in put else "ALL_OLD"
        parameters = {**put, "ReturnValues": asked, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
        try:
            answer = self._call("put_item", parameters, expect={"ConditionalCheckFailedException"})
        except Answered as answered:
            there = answered.response.get("Item", {})
            if there.get("v", {}).get("S") != version:  # else the first attempt at this call was taken, its answer lost
                raise _conflict(key) from None
            return ABSENT
        return str(answer.get("Attributes", {}).get("v", {}).get("S", ABSENT))

    def _put_all(self, key: str, put: Item, parts: Sequence[Item]) -> None:
        left = range(len(parts) + 1, MOST_PARTS + 1)
        items = [
            {"Put": {"TableName": self._table, **put, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}},
            *({"Put": {"TableName": self._table, "Item": part}} for part in parts),
            *({"Delete": {"TableName": self._table, "Key": _part_key(key, number)}} for number in left),
        ]
        try:
            self._clients.call(
                "dynamodb",
                "transact_write_items",
                self._table,
                {"TransactItems": items},
                expect={"TransactionCanceledException"},
            )
        except Answered as answered:
            if not _is_ours(answered, put["Item"]):
                raise self._cancelled(key, answered) from None

    def _cancelled(self, key: str, answered: Answered) -> Exception:
        codes = {str(reason.get("Code", "")) for reason in answered.response.get("CancellationReasons", ())}
        if "ConditionalCheckFailed" in codes:
            return _conflict(key)
        if codes <= {"None", "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}:
            return Transient(f"record {key}: DynamoDB cancelled the write: {', '.join(sorted(codes - {'None'}))}")
        return translated(answered.response, "dynamodb:PutItem", self._table)

    def delete(self, key: str, *, expected: str | None) -> None:
        """Remove, with its further items."""
        parameters = {"Key": _primary(check_key(key)), "ReturnValues": "ALL_OLD", **_condition(expected)}
        try:
            answer = self._call("delete_item", parameters, expect={"ConditionalCheckFailedException"})
        except Answered:
            raise _conflict(key) from None
        self._drop_parts(key, answer.get("Attributes", {}).get("v", {}).get("S", ABSENT))

    def _drop_parts(self, key: str, version: str) -> None:
        """The further items of a version that is gone: those of a newer one stay."""
        condition = {"ConditionExpression": "#of = :v", "ExpressionAttributeNames": {"#of": "of"}}
        for number in range(1, _count(version) + 1):
            parameters = {"Key": _part_key(key, number), "ExpressionAttributeValues": {":v": {"S": version}}}
            with contextlib.suppress(Answered):
                self._call("delete_item", {**parameters, **condition}, expect={"ConditionalCheckFailedException"})

    def list(self, prefix: str) -> tuple[Record, ...]:
        """By prefix, sorted by key."""
        return tuple(sorted(self.scan(prefix), key=lambda record: record.key))

    def scan(self, prefix: str) -> Iterator[Record]:
        """By prefix, a page of a Query or Scan at a time."""
        hash_key = _partition_of_prefix(prefix)
        items = self._scan(prefix) if hash_key is None else self._query(hash_key, prefix)
        return (record for item in items if (record := self._record(item)) is not None)

    def _query(self, hash_key: str, prefix: str) -> Iterator[Item]:
        yield from self._pages(
            "query",
            {
                "KeyConditionExpression": "p = :p AND begins_with(k, :k)",
                "ExpressionAttributeValues": {":p": {"S": hash_key}, ":k": {"S": prefix}},
                "ConsistentRead": True,
            },
        )

    def _scan(self, prefix: str) -> Iterator[Item]:
        values = {"ExpressionAttributeValues": {":k": {"S": prefix}}} if prefix else {}
        condition = "attribute_exists(v)" + (" AND begins_with(k, :k)" if prefix else "")
        yield from self._pages("scan", {"FilterExpression": condition, "ConsistentRead": True, **values})

    def read(self, keys: Collection[str] = (), prefixes: Collection[str] = ()) -> Reads:
        """Records a hundred at a time, and lists, together."""
        return self._batches.read([check_key(key) for key in keys], prefixes)

    def due(self, before: float, *, limit: int) -> tuple[Record, ...]:
        """The longest overdue first."""
        named = sorted(
            (float(item["due"]["N"]), item["k"]["S"])
            for shard in range(SHARDS)
            for item in self._overdue(shard, before, limit)
        )[:limit]
        records = self.read([key for _, key in named]).records.values()
        overdue = [record for record in records if record.due is not None and record.due <= before]
        return tuple(sorted(overdue, key=lambda record: (record.due, record.key)))

    def _overdue(self, shard: int, before: float, limit: int) -> Iterator[Item]:
        parameters = {
            "IndexName": INDEX,
            "KeyConditionExpression": "s = :s AND due <= :before",
            "ExpressionAttributeValues": {":s": {"S": str(shard)}, ":before": {"N": repr(before)}},
        }
        for number, item in enumerate(self._pages("query", {**parameters, "Limit": limit}), start=1):
            yield item
            if number >= limit:
                return

    def _batch(self, keys: Sequence[str]) -> Iterator[Record]:
        """Those of at most READ_BATCH records that there are; an answer of 16 MB leaves some to the next request."""
        wanted: Any = [_primary(key) for key in keys]
        while wanted:
            request = {self._table: {"Keys": wanted, "ConsistentRead": True}}
            answer = self._clients.call("dynamodb", "batch_get_item", self._table, {"RequestItems": request})
            items = answer["Responses"].get(self._table, [])
            yield from (record for item in items if (record := self._record(item)) is not None)
            left = answer.get("UnprocessedKeys", {}).get(self._table, {}).get("Keys", [])
            if len(left) == len(wanted):
                raise Transient(f"DynamoDB is throttling reads of {self._table}")
            wanted = left

    def _pages(self, operation: str, parameters: Item) -> Iterator[Item]:
        start: Item = {}
        while True:
            answer = self._call(operation, {**parameters, **start})
            yield from answer.get("Items", ())
            last = answer.get("LastEvaluatedKey")
            if not last:
                return
            start = {"ExclusiveStartKey": last}

    def _record(self, item: Item) -> Record | None:
        """The record of an item; None where it was deleted while its further items were read."""
        key = item["k"]["S"]
        if item.get("f", {}).get("S") != FORMAT:
            raise Terminal(f"record {key} is written in a format that this release cannot read: upgrade this plane")
        if not _count(item["v"]["S"]):
            return _to_record(item, ())
        wanted = [_primary(key), *(_part_key(key, number) for number in range(1, MOST_PARTS + 1))]
        gets = [{"Get": {"TableName": self._table, "Key": each}} for each in wanted]
        try:
            answer = self._clients.call(
                "dynamodb",
                "transact_get_items",
                self._table,
                {"TransactItems": gets},
                expect={"TransactionCanceledException"},
            )
        except Answered as answered:
            raise Transient(f"record {key} is being written: {answered.code}") from None
        head, *parts = (each.get("Item") or {} for each in answer["Responses"])
        return _to_record(head, parts) if head else None

    def _call(self, operation: str, parameters: Item, *, expect: frozenset[str] | set[str] = frozenset()) -> Any:
        return self._clients.call(
            "dynamodb", operation, self._table, {"TableName": self._table, **parameters}, expect=expect
        )


def partition(key: str) -> str:
    """The hash key of a record's key."""
    family, _, rest = key.partition("/")
    return f"{family}/{rest.partition('/')[0]}" if family in CLUSTER_FAMILIES and rest else family


def _partition_of_prefix(prefix: str) -> str | None:
    """The one partition that holds all keys with this prefix; None where there may be several."""
    family, slash, rest = prefix.partition("/")
    if not slash:
        return None
    return None if family in CLUSTER_FAMILIES and "/" not in rest else partition(prefix)


def _primary(key: str) -> dict[str, Any]:
    return {"p": {"S": partition(key)}, "k": {"S": key}}


def _part_key(key: str, number: int) -> dict[str, Any]:
    return {"p": {"S": f"+{key}"}, "k": {"S": str(number)}}


def _items(key: str, text: str, due: float | None) -> tuple[Item, list[Item]]:
    """The record's item, and the further ones where it is too large for one; of a version that is new."""
    version = secrets.token_hex(8)
    item = {**_primary(key), "v": {"S": version}, "f": {"S": FORMAT}}
    if due is not None:
        item |= {"due": {"N": repr(float(due))}, "s": {"S": str(zlib.crc32(key.encode()) % SHARDS)}}
    if len(text) <= DEFLATE_BYTES:
        return {**item, "j": {"S": text}}, []
    data = zlib.compress(text.encode())
    pieces = [data[start : start + ITEM_BYTES] for start in range(0, len(data), ITEM_BYTES)]
    if len(pieces) > 1:
        version = f"{version}-{len(pieces) - 1}"
    parts: list[Item] = [
        {**_part_key(key, number), "z": {"B": piece}, "of": {"S": version}}
        for number, piece in enumerate(pieces[1:], start=1)
    ]
    head: Item = {**item, "v": {"S": version}, "z": {"B": pieces[0]}}
    return head, parts


def _to_record(item: Item, parts: Sequence[Item]) -> Record:
    if "j" in item:
        text = item["j"]["S"]
    else:
        text = zlib.decompress(b"".join(each["z"]["B"] for each in (item, *parts[: _count(item["v"]["S"])]))).decode()
    due = float(item["due"]["N"]) if "due" in item else None
    return Record(key=item["k"]["S"], value=from_json(text), version=item["v"]["S"], due=due)


def _count(version: str) -> int:
    """How many further items a version has."""
    return int(version.partition("-")[2] or 0)


def _condition(expected: str | None) -> dict[str, Any]:
    if expected is None:
        return {}
    if expected == ABSENT:
        return {"ConditionExpression": "attribute_not_exists(p)"}
    return {"ConditionExpression": "v = :v", "ExpressionAttributeValues": {":v": {"S": expected}}}


def _is_ours(answered: Answered, item: Item) -> bool:
    """Whether what is there is of this very call: its first attempt was taken, its answer lost."""
    reasons = answered.response.get("CancellationReasons") or [{}]
    there = reasons[0].get("Item") or {}
    return bool(there.get("v") == item["v"])


def _conflict(key: str) -> Conflict:
    return Conflict(f"record {key} was written by somebody else meanwhile")
