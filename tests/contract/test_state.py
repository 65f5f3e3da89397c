"""What every adapter of the state port promises."""

import threading

import pytest
from tests.aws.plane import NAMES, in_process, make_table
from tests.google import plane as google

from penstock.adapters.state.dynamodb import DynamoState
from penstock.adapters.state.firestore import FirestoreState
from penstock.adapters.state.memory import MemoryState
from penstock.adapters.state.sqlite import SqliteState
from penstock.core.errors import Conflict, Terminal
from penstock.ports.state import ABSENT
from penstock.wiring import Runtime, settings_from
from penstock.wiring.google import bring_over


@pytest.fixture(scope="module")
def firestore():
    with google.firestore() as base:
        yield base


@pytest.fixture(params=["memory", "sqlite", "dynamodb", "firestore", "firestore by family"])
def state(request, tmp_path):
    if request.param == "memory":
        yield MemoryState()
    elif request.param == "dynamodb":
        with in_process() as clients:
            make_table(clients)
            yield DynamoState(clients, NAMES.table)
    elif request.param.startswith("firestore"):
        base = request.getfixturevalue("firestore")
        names = google.names(firestore=base)
        google.drop_records(base, names)
        yield FirestoreState(google.client(), names) if request.param == "firestore" else by_family(base)
    else:
        adapter = SqliteState(tmp_path / "state.db")
        yield adapter
        adapter.close()


def on_google(base, **more):
    """Settings of a plane on Google Cloud."""
    environment = {
        "PENSTOCK_BACKEND": "google",
        "GOOGLE_CLOUD_PROJECT": google.PROJECT,
        "PENSTOCK_GOOGLE_REGION": "europe-west3",
        "PENSTOCK_GOOGLE_BUCKET": "acme-penstock",
        "PENSTOCK_GOOGLE_PREFIX": "plane-1",
        "FIRESTORE_EMULATOR_HOST": base.removeprefix("http://"),
    }
    return settings_from({**environment, **more})


def by_family(base):
    """The records of such a plane."""
    return Runtime(on_google(base)).port("state")


FAMILIES = ("delivery/c/n/x", "object/c/K/n/x", "plane", "receiver/d/c/n/x", "request/x", "status/c/K/n/x")


def test_records_of_every_family_are_read_written_listed_and_removed_alike(state):
    versions = {key: state.put(key, {"key": key}, expected=ABSENT).version for key in FAMILIES}
    assert [record.key for record in state.list("")] == sorted(FAMILIES)
    assert [record.key for record in state.list("r")] == ["receiver/d/c/n/x", "request/x"]
    for key, version in versions.items():
        assert [record.key for record in state.list(key[:-1])] == [key]
        assert state.get(key).value == {"key": key}
        with pytest.raises(Conflict):
            state.put(key, {}, expected=ABSENT)
        state.delete(key, expected=version)
        assert state.get(key) is None
    assert state.list("") == ()


def test_what_was_put_is_read_back_with_its_version_and_due_time(state):
    value = {"format": 1, "text": "größer", "list": [1, 2.5, None, True], "nested": {"a": {}}}
    put = state.put("status/prod/Kustomization/apps/web", value, expected=ABSENT, due=12.5)
    got = state.get("status/prod/Kustomization/apps/web")
    assert got == put
    assert (got.value, got.due) == (value, 12.5)
    assert got.version != ABSENT


def test_values_come_back_as_json_whatever_went_in(state):
    assert state.put("k", {"tuple": (1, 2)}, expected=None).value == {"tuple": [1, 2]}


def test_a_value_that_was_read_is_not_the_stored_one(state):
    state.put("k", {"list": [1]}, expected=None)
    state.get("k").value["list"].append(2)
    assert state.get("k").value == {"list": [1]}


def test_a_missing_record_is_none(state):
    assert state.get("status/nothing") is None


@pytest.mark.parametrize(
    ("before", "expected_version", "wins"),
    [
        (False, lambda v: ABSENT, True),
        (True, lambda v: ABSENT, False),
        (True, lambda v: v, True),
        (True, lambda v: "another", False),
        (False, lambda v: "another", False),
        (True, lambda v: None, True),
        (False, lambda v: None, True),
    ],
)
def test_compare_and_swap(state, before, expected_version, wins):
    version = state.put("k", {"n": 1}, expected=None).version if before else ""
    if wins:
        assert state.put("k", {"n": 2}, expected=expected_version(version)).value == {"n": 2}
    else:
        with pytest.raises(Conflict):
            state.put("k", {"n": 2}, expected=expected_version(version))
        assert (state.get("k").value if before else state.get("k")) == ({"n": 1} if before else None)


def test_each_write_has_a_version_of_its_own_even_of_an_equal_value_or_after_a_deletion(state):
    versions = [state.put("k", {}, expected=None).version for _ in range(3)]
    state.delete("k", expected=None)
    versions.append(state.put("k", {}, expected=ABSENT).version)
    assert len(set(versions)) == 4


def test_delete(state):
    version = state.put("k", {}, expected=None).version
    with pytest.raises(Conflict):
        state.delete("k", expected="another")
    state.delete("k", expected=version)
    assert state.get("k") is None
    state.delete("k", expected=None)
    with pytest.raises(Conflict):
        state.delete("k", expected=version)


def test_a_prefix_lists_exactly_its_keys_in_order(state):
    for key in ("a/2", "a/10", "a", "ab/1", "b/1", "a/é", "A/1", "a/_", "a/%"):
        state.put(key, {"key": key}, expected=None)
    assert [r.key for r in state.list("a/")] == ["a/%", "a/10", "a/2", "a/_", "a/é"]
    assert len(state.list("")) == 9
    assert state.list("c/") == ()


def test_records_and_lists_are_read_together_as_they_are_one_by_one(state):
    for number in range(130):  # more than a batch of DynamoDB holds
        state.put(f"status/c{number % 3}/Kustomization/apps/k{number:03}", {"n": number}, expected=None, due=1.5)
    state.put("status/c1/Kustomization/apps/large", {"x": "y" * 850_000}, expected=None)
    keys = [record.key for record in state.list("status/")]
    missing = ["plane", "status/c1/Kustomization/apps/k999"]
    prefixes = ["status/c1/Kustomization/", "status/c2/Kustomization/apps/", "reads/c1/"]
    reads = state.read([*keys, *missing, *keys[:2]], prefixes)
    assert reads.records == {key: state.get(key) for key in keys}
    assert reads.lists == {prefix: state.list(prefix) for prefix in prefixes}
    assert reads.lists["reads/c1/"] == ()


@pytest.mark.parametrize("prefix", ["", "status/", "status/c1/Kustomization/", "s", "none/"])
def test_a_scan_gives_what_a_list_gives_a_page_at_a_time(state, prefix):
    for number in range(230):  # more than a page of SQLite and Firestore
        state.put(f"status/c{number % 3}/Kustomization/apps/k{number:03}", {"n": number}, expected=None)
    for key in ("plane", "receiver/d/c/n/x", "status/c1/Kustomization/apps/k001x", "status/é"):
        state.put(key, {"x": "y" * 500_000}, expected=None)
    found = state.scan(prefix)
    assert sorted((record.key, record.value, record.version) for record in found) == [
        (record.key, record.value, record.version) for record in state.list(prefix)
    ]


@pytest.mark.parametrize(("keys", "prefixes"), [([], []), (["a/1"], []), (["a/2"], []), ([], ["a/"])])
def test_reading_together_takes_as_few_as_there_are(state, keys, prefixes):
    state.put("a/1", {"n": 1}, expected=None)
    reads = state.read(keys, prefixes)
    assert [record.value for record in reads.records.values()] == [{"n": 1} for key in keys if key == "a/1"]
    assert [len(found) for found in reads.lists.values()] == [1 for _ in prefixes]


def test_a_record_that_is_read_together_can_be_written_over(state):
    """Its version is the one that a get would have given."""
    state.put("a", {"n": 1}, expected=None)
    state.put("b", {"n": 1}, expected=None)
    reads = state.read(["a", "b"])
    state.put("a", {"n": 2}, expected=reads.records["a"].version)
    with pytest.raises(Conflict):
        state.put("a", {"n": 3}, expected=reads.records["a"].version)


@pytest.mark.parametrize("key", ["", "a\nb"])
def test_keys_that_are_read_together_have_bounds(state, key):
    with pytest.raises(Terminal, match="cannot be a record's key"):
        state.read(["a", key])


def test_due_gives_the_longest_overdue_first_and_leaves_out_the_rest(state):
    for key, due in {"later": 30.0, "b": 10.0, "a": 10.0, "first": 5.0, "never": None}.items():
        state.put(key, {}, expected=None, due=due)
    assert [r.key for r in state.due(10.0, limit=10)] == ["first", "a", "b"]
    assert [r.key for r in state.due(10.0, limit=2)] == ["first", "a"]


def test_a_later_write_moves_or_clears_the_due_time(state):
    state.put("k", {}, expected=None, due=5.0)
    state.put("k", {}, expected=None, due=50.0)
    assert state.due(10.0, limit=9) == ()
    state.put("k", {}, expected=None)
    assert state.due(100.0, limit=9) == ()


@pytest.mark.parametrize("key", ["", "x" * 1025, "a\nb", "é" * 513])
def test_keys_have_bounds(state, key):
    with pytest.raises(Terminal, match="cannot be a record's key"):
        state.put(key, {}, expected=None)


@pytest.mark.parametrize("value", [{"x": "y" * 921_600}, {"x": float("nan")}, {"x": {1, 2}}, [1]])
def test_values_have_bounds(state, value):
    with pytest.raises(Terminal, match="JSON object"):
        state.put("k", value, expected=None)
    assert state.get("k") is None


def test_a_large_value_fits(state):
    state.put("k", {"x": "y" * 900_000}, expected=None)
    assert len(state.get("k").value["x"]) == 900_000


def test_of_many_writers_of_one_version_one_wins(state):
    version = state.put("k", {"n": 0}, expected=None).version
    outcomes = []

    def write(n):
        try:
            state.put("k", {"n": n}, expected=version)
            outcomes.append(n)
        except Conflict:
            pass

    threads = [threading.Thread(target=write, args=(n,)) for n in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [state.get("k").value["n"]] == outcomes


def test_a_list_and_what_is_due_go_over_many_pages(state):
    """More than a page of DynamoDB (1 MB) and of Firestore (300 documents)."""
    for number in range(330):
        due = float(number % 7) if number % 2 else None
        state.put(f"many/{number:04}", {"n": number, "x": "y" * 4_000}, expected=ABSENT, due=due)
    state.put("many-others", {}, expected=ABSENT)
    found = state.list("many/")
    assert [record.key for record in found] == [f"many/{number:04}" for number in range(330)]
    assert [record.value["n"] for record in found] == list(range(330))
    ready = [(record.due, record.key) for record in state.due(3.0, limit=1_000)]
    wanted = [(float(n % 7), f"many/{n:04}") for n in range(330) if n % 2 and n % 7 <= 3]
    assert ready == sorted(wanted)
    assert [(r.due, r.key) for r in state.due(3.0, limit=50)] == ready[:50]


def test_what_a_large_value_was_replaced_by_is_whole_either_way(state):
    """Whoever reads while others write sees one of the values, never parts of two."""
    large, small = {"x": "a" * 850_000, "end": "large"}, {"x": "b", "end": "small"}
    state.put("k", large, expected=ABSENT)
    seen, over = [], threading.Event()

    def read():
        while not over.is_set():
            found = state.get("k")
            seen.append((found.value["end"], len(found.value["x"])))

    reader = threading.Thread(target=read)
    reader.start()
    for value in (small, large) * 3:
        state.put("k", value, expected=None)
    over.set()
    reader.join()
    assert set(seen) <= {("large", 850_000), ("small", 1)}
    assert state.get("k").value == large


def test_a_write_that_lost_leaves_nothing_of_a_large_value(state):
    version = state.put("k", {"x": "a"}, expected=None).version
    with pytest.raises(Conflict):
        state.put("k", {"x": "b" * 850_000}, expected="another")
    assert state.get("k").value == {"x": "a"}
    state.delete("k", expected=version)
    assert state.get("k") is None
    assert state.list("") == ()


def test_a_plane_on_google_cloud_that_had_one_database_goes_on_with_what_it_had(firestore):
    """In each of its regions, once, and what is there for the older functions stays."""
    settings = on_google(firestore, PENSTOCK_GOOGLE_HOME_REGION="europe-west3", PENSTOCK_GOOGLE_REGIONS="us-central1")
    regions = [settings.google.at(region) for region in settings.google.everywhere]
    for names in regions:
        google.drop_records(firestore, names)
        before = FirestoreState(google.client(), names)
        for key in FAMILIES:
            before.put(key, {"region": names.region}, expected=ABSENT)
    assert bring_over(settings) == 2 * 4
    for names in regions:
        roots = {names.hooks: 1, names.index: 3, names.documents: len(FAMILIES) + 1}
        held = {root: len(FirestoreState(google.client(), names, root).list("")) for root in roots}
        assert held == roots
    assert by_family(firestore).get("plane").value == {"region": "europe-west3"}
    assert bring_over(settings) == 0
    for names in regions:
        google.drop_records(firestore, names)
