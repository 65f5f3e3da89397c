"""Records in DynamoDB: what the contract of all adapters cannot see."""

import base64
import os

import pytest
from tests.aws.plane import NAMES, in_process, make_table

from penstock.adapters.state.dynamodb import ITEM_BYTES, DynamoState, partition
from penstock.core.errors import Conflict, Terminal, Transient
from penstock.ports.state import ABSENT


@pytest.fixture
def clients():
    with in_process() as made:
        make_table(made)
        yield made


@pytest.fixture
def state(clients):
    return DynamoState(clients, NAMES.table)


@pytest.fixture
def calls(clients):
    """Operations that were sent, in order."""
    sent = []
    clients.client("dynamodb").meta.events.register("before-call.dynamodb", lambda model, **_: sent.append(model.name))
    return sent


def noise(size):
    """A value that cannot be made smaller."""
    return {"x": base64.b85encode(os.urandom(size * 4 // 5)).decode()}


def items(clients):
    return clients.client("dynamodb").scan(TableName=NAMES.table)["Items"]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("plane", "plane"),
        ("receiver/abc/prod/ns/name", "receiver"),
        ("sent/2026-01-01/x", "sent"),
        ("object/prod/Kustomization/apps/web", "object/prod"),
        ("status/-/GitRepository/flux-system/flux-system", "status/-"),
        ("object", "object"),
        ("object/prod", "object/prod"),
    ],
)
def test_the_partition_of_a_key(key, expected):
    assert partition(key) == expected


@pytest.mark.parametrize(
    ("prefix", "operation"),
    [
        ("object/prod/", "Query"),
        ("object/prod/Kustomization/apps/", "Query"),
        ("receiver/", "Query"),
        ("receiver/abc/", "Query"),
        ("sent/2026-01-01/", "Query"),
        ("object/", "Scan"),
        ("object/pro", "Scan"),
        ("rec", "Scan"),
        ("", "Scan"),
    ],
)
def test_a_prefix_within_one_partition_is_one_query(state, calls, prefix, operation):
    keys = (
        "object/prod/Kustomization/apps/web",
        "object/prod-2/Kustomization/a/b",
        "receiver/abc/x",
        "sent/2026-01-01/y",
    )
    for key in keys:
        state.put(key, {}, expected=None)
    calls.clear()
    assert [record.key for record in state.list(prefix)] == sorted(key for key in keys if key.startswith(prefix))
    assert calls == [operation]


def test_lists_and_due_go_on_over_pages(state):
    value = {"x": "y" * 8_000}  # a page of DynamoDB ends at 1 MB
    for number in range(140):
        state.put(f"object/prod/{number:03}", value, expected=None, due=float(number))
    assert len(state.list("object/prod/")) == len(state.list("")) == 140
    assert [record.due for record in state.due(500.0, limit=135)] == [float(number) for number in range(135)]


@pytest.mark.parametrize("size", [ITEM_BYTES - 20_000, 2 * ITEM_BYTES - 20_000, 900_000])
def test_values_that_no_compression_helps_come_back(state, clients, size):
    value = noise(size)
    record = state.put("k", value, expected=ABSENT, due=1.0)
    assert state.get("k") == record
    assert state.list("k") == state.list("") == state.due(2.0, limit=1) == (record,)
    assert record.value == value


def test_a_large_value_is_written_and_removed_as_a_whole(state, clients):
    version = state.put("k", noise(900_000), expected=None).version
    assert len(items(clients)) == 3
    with pytest.raises(Conflict):
        state.put("k", noise(900_000), expected="another")
    with pytest.raises(Conflict):
        state.put("k", noise(900_000), expected=ABSENT)
    assert state.get("k").version == version
    state.delete("k", expected=version)
    assert items(clients) == []


@pytest.mark.parametrize("sizes", [(900_000, 10), (900_000, 500_000), (10, 900_000), (20_000, 10)])
def test_a_value_may_shrink_and_grow(state, clients, sizes):
    for size in sizes:
        value = noise(size)
        state.put("k", value, expected=None)
        assert state.get("k").value == value
    state.delete("k", expected=None)
    assert items(clients) == []


def test_a_value_may_shrink_by_compare_and_swap(state, clients):
    version = state.put("k", noise(900_000), expected=None).version
    state.put("k", {}, expected=version)
    assert len(items(clients)) == 1


def test_clearing_up_after_a_version_leaves_a_newer_ones_items(state, clients):
    old = state.put("k", noise(900_000), expected=None).version
    new = state.put("k", noise(900_000), expected=old)
    state._drop_parts("k", old)
    assert state.get("k") == new


def test_text_is_readable_in_the_console_while_it_is_small(state, clients):
    state.put("k", {"a": "größer"}, expected=None)
    (item,) = items(clients)
    assert item["j"]["S"].startswith('{"a":')
    assert item["f"] == {"S": "1"}


def test_a_write_whose_answer_was_lost_is_not_taken_for_somebody_elses(state, clients):
    client, lost = clients.client("dynamodb"), []

    def lose(http_response, **_):
        if not lost:
            lost.append(http_response.status_code)
            return 0.0  # botocore sends it again
        return None

    client.meta.events.register_first(
        "needs-retry.dynamodb.PutItem", lambda response, **_: lose(response[0]) if response else None
    )
    record = state.put("k", {"n": 1}, expected=ABSENT)
    assert lost == [200]
    assert state.get("k") == record


def test_a_stale_entry_of_the_index_is_not_given_out(state, clients, monkeypatch):
    state.put("moved", {}, expected=None, due=1.0)
    state.put("gone", {}, expected=None, due=1.0)
    stale = list(state._overdue(0, 5.0, 9)) + [i for n in range(1, 8) for i in state._overdue(n, 5.0, 9)]
    assert len(stale) == 2
    state.put("moved", {}, expected=None, due=100.0)
    state.delete("gone", expected=None)
    monkeypatch.setattr(state, "_overdue", lambda shard, before, limit: stale if shard == 0 else [])
    assert state.due(5.0, limit=9) == ()


def test_an_item_of_a_newer_format_is_refused(state, clients):
    state.put("k", {}, expected=None)
    (item,) = items(clients)
    clients.client("dynamodb").put_item(TableName=NAMES.table, Item={**item, "f": {"S": "2"}})
    with pytest.raises(Terminal, match="record k is written in a format that this release cannot read"):
        state.get("k")


def test_reads_that_stay_throttled_are_transient(state, clients):
    for key in ("k", "l"):
        state.put(key, {}, expected=None, due=1.0)

    def throttle(parsed, **_):
        keys = [{"p": {"S": key}, "k": {"S": key}} for key in ("k", "l")]
        parsed |= {"Responses": {}, "UnprocessedKeys": {NAMES.table: {"Keys": keys}}}

    clients.client("dynamodb").meta.events.register("after-call.dynamodb.BatchGetItem", throttle)
    with pytest.raises(Transient, match="throttling"):
        state.due(2.0, limit=2)


@pytest.mark.parametrize(
    ("codes", "kind"),
    [
        (["ConditionalCheckFailed", "None"], Conflict),
        (["TransactionConflict", "None"], Transient),
        (["ThrottlingError"], Transient),
        (["ValidationError"], Terminal),
    ],
)
def test_why_a_transaction_was_cancelled_decides(state, clients, codes, kind):
    def cancel(parsed, http_response, **_):
        http_response.status_code = 400
        parsed |= {
            "Error": {"Code": "TransactionCanceledException", "Message": "canary"},
            "CancellationReasons": [{"Code": code} for code in codes],
        }

    clients.client("dynamodb").meta.events.register("after-call.dynamodb.TransactWriteItems", cancel)
    with pytest.raises(kind) as raised:
        state.put("k", noise(900_000), expected=None)
    assert type(raised.value) is kind
    assert "canary" not in str(raised.value)


def test_a_large_value_that_is_being_written_is_read_again_later(state, clients):
    state.put("k", noise(900_000), expected=None)

    def cancel(parsed, http_response, **_):
        http_response.status_code = 400
        parsed["Error"] = {"Code": "TransactionCanceledException", "Message": ""}

    clients.client("dynamodb").meta.events.register("after-call.dynamodb.TransactGetItems", cancel)
    with pytest.raises(Transient, match="record k is being written"):
        state.get("k")
