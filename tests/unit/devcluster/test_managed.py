import pytest

from penstock.devcluster.managed import (
    APPLY,
    UPDATE,
    ConflictError,
    Context,
    Writer,
    apply,
    conflict_message,
    decode,
    encode,
    update,
)
from penstock.devcluster.schema import Schema

STRING = Schema(kind="scalar", type="string")
ROOT = Schema(
    kind="struct",
    fields={
        "metadata": Schema(kind="struct", fields={"name": STRING, "labels": Schema(kind="map", element=STRING)}),
        "data": Schema(kind="map", element=STRING),
        "status": Schema(kind="struct", fields={"ok": STRING}),
    },
)


def context(manager, operation=APPLY, *, now="2026-01-01T00:00:00Z", reset=frozenset()):
    return Context(
        schema=ROOT, writer=Writer(manager=manager, operation=operation, api_version="v1"), now=now, reset=reset
    )


def data(**pairs):
    return {"data": pairs}


def owned(entries):
    return {
        entry.writer.manager: {path[-1][2:] for path in entry.paths if path[0] == "f:data"}
        for entry in entries.values()
    }


def applied(live, config, entries, manager, *, force=False):
    return apply(live, config, entries, context(manager), force=force)


def test_an_applier_owns_what_it_says_and_gives_back_the_rest():
    live, entries = applied({}, data(a="1", b="2"), {}, "one")
    assert owned(entries) == {"one": {"a", "b"}}
    live, entries = applied(live, data(b="2"), entries, "one")
    assert live == data(b="2")
    assert owned(entries) == {"one": {"b"}}


def test_a_shared_field_stays_until_its_last_owner_lets_go():
    live, entries = applied({}, data(a="1", b="2"), {}, "one")
    live, entries = applied(live, data(a="1"), entries, "two")
    live, entries = applied(live, data(b="2"), entries, "one")
    assert live == data(a="1", b="2")
    assert owned(entries) == {"one": {"b"}, "two": {"a"}}
    live, entries = applied(live, {}, entries, "two")
    assert live == data(b="2")
    assert set(owned(entries)) == {"one"}


def test_a_field_of_somebody_else_is_a_conflict_that_force_takes():
    live, entries = applied({}, data(a="1", b="2"), {}, "one")
    with pytest.raises(ConflictError) as problem:
        applied(live, data(a="9"), entries, "two")
    assert conflict_message(problem.value.conflicts) == 'Apply failed with 1 conflict: conflict with "one": .data.a'
    live, entries = applied(live, data(a="9"), entries, "two", force=True)
    assert live == data(a="9", b="2")
    assert owned(entries) == {"one": {"b"}, "two": {"a"}}


def test_several_conflicts_are_listed_by_owner():
    live, entries = applied({}, data(a="1", b="2"), {}, "one")
    new = {"data": {**live["data"], "c": "3"}}
    entries = update(live, new, entries, context("editor", UPDATE))
    with pytest.raises(ConflictError) as problem:
        applied(new, data(a="x", b="x", c="x"), entries, "two")
    assert conflict_message(problem.value.conflicts) == (
        'Apply failed with 3 conflicts: conflicts with "editor" using v1:\n- .data.c\nconflicts with "one":\n- .data.a\n- .data.b'
    )


def test_a_plain_write_takes_what_it_changes_and_removes():
    live, entries = applied({}, data(a="1", b="2", c="3"), {}, "one")
    new = data(a="1", b="9")
    entries = update(live, new, entries, context("editor", UPDATE))
    assert owned(entries) == {"one": {"a"}, "editor": {"b"}}


def test_a_plain_write_without_changes_owns_nothing():
    live, entries = applied({}, data(a="1"), {}, "one")
    assert update(live, live, entries, context("editor", UPDATE)) == entries


def test_the_same_manager_has_an_entry_for_each_operation():
    entries = update({}, data(a="1"), {}, context("kubectl", UPDATE))
    with pytest.raises(ConflictError):
        applied(data(a="1"), data(a="2"), entries, "kubectl")


def test_fields_that_an_endpoint_resets_are_nobodys():
    new = {"data": {"a": "1"}, "status": {"ok": "yes"}}
    entries = update({}, new, {}, context("editor", UPDATE, reset=frozenset({"f:status"})))
    assert [path for entry in entries.values() for path in entry.paths if path[0] == "f:status"] == []


def test_names_and_uids_are_nobodys():
    entries = update({}, {"metadata": {"name": "x", "labels": {"a": "b"}}}, {}, context("editor", UPDATE))
    assert encode(entries)[0]["fieldsV1"] == {"f:metadata": {"f:labels": {".": {}, "f:a": {}}}}


def test_an_apply_that_changes_nothing_keeps_its_time():
    live, entries = applied({}, data(a="1"), {}, "one")
    _, again = apply(live, data(a="1"), entries, context("one", now="2027-01-01T00:00:00Z"), force=False)
    assert again == entries
    _, shared = apply(live, data(a="1"), entries, context("two", now="2027-01-01T00:00:00Z"), force=False)
    assert [entry.get("time") for entry in encode(shared)] == [None, "2026-01-01T00:00:00Z"]


def test_entries_round_trip_appliers_first():
    live, entries = applied({}, data(a="1"), {}, "one")
    entries = update(live, data(a="1", b="2"), entries, context("a-editor", UPDATE))
    encoded = encode(entries)
    assert [entry["manager"] for entry in encoded] == ["one", "a-editor"]
    assert decode(encoded) == entries
    status = Writer(manager="m", operation=UPDATE, api_version="v1", subresource="status")
    assert str(status) == '"m" with subresource "status" using v1'
