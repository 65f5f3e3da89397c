import json
import threading
import time

import pytest

from penstock.devcluster.store import Store, Stored, TooOldError

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


def config_map(name, **labels):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels}}


def names(listed):
    return [item["metadata"]["name"] for item in listed["items"]]


@pytest.fixture
def five(call):
    for name in "cabed":
        call("POST", CONFIG_MAPS, config_map(name, app="web" if name in "ab" else "api"))
    return call


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "abcde"),
        ("?labelSelector=app%3Dweb", "ab"),
        ("?labelSelector=app+in+(web,x),app", "ab"),
        ("?fieldSelector=metadata.name%3Dc", "c"),
        ("?labelSelector=app!%3Dweb&fieldSelector=metadata.name!%3Dc", "de"),
        ("?resourceVersion=0", "abcde"),
    ],
)
def test_selectors(five, query, expected):
    code, listed = five("GET", CONFIG_MAPS + query)
    assert (code, listed["kind"], "".join(names(listed))) == (200, "ConfigMapList", expected)
    assert all("kind" not in item for item in listed["items"])


def test_pages_show_one_moment(five):
    _, first = five("GET", f"{CONFIG_MAPS}?limit=2")
    assert (names(first), first["metadata"]["remainingItemCount"]) == (["a", "b"], 3)
    five("DELETE", f"{CONFIG_MAPS}/d")
    five("POST", CONFIG_MAPS, config_map("f"))
    _, second = five("GET", f"{CONFIG_MAPS}?limit=2&continue={first['metadata']['continue']}")
    assert names(second) == ["c", "d"]
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    _, last = five("GET", f"{CONFIG_MAPS}?limit=2&continue={second['metadata']['continue']}")
    assert (names(last), "continue" in last["metadata"]) == (["e"], False)


def test_a_continue_token_expires(five):
    _, first = five("GET", f"{CONFIG_MAPS}?limit=1")
    for _ in range(64):
        five("GET", f"{CONFIG_MAPS}?limit=1")
    code, status = five("GET", f"{CONFIG_MAPS}?limit=1&continue={first['metadata']['continue']}")
    assert (code, status["reason"]) == (410, "Expired")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("continue=x", 400),
        ("limit=x", 400),
        ("resourceVersion=x", 400),
        ("resourceVersion=999999", 504),
        ("resourceVersion=1&resourceVersionMatch=Exact", 410),
        ("labelSelector=a+in", 400),
        ("watch=1&resourceVersion=999999", 504),
    ],
)
def test_lists_that_are_refused(five, query, code):
    assert five("GET", f"{CONFIG_MAPS}?{query}")[0] == code


def test_all_namespaces_in_order(call):
    call("POST", "/api/v1/namespaces", {"metadata": {"name": "another"}})
    call("POST", "/api/v1/namespaces/another/configmaps", config_map("z"))
    call("POST", CONFIG_MAPS, config_map("a"))
    _, listed = call("GET", "/api/v1/configmaps")
    assert names(listed) == ["z", "a"]


def test_delete_by_selector(five):
    code, gone = five("DELETE", f"{CONFIG_MAPS}?labelSelector=app%3Dweb")
    assert (code, names(gone)) == (200, ["a", "b"])
    assert names(five("GET", CONFIG_MAPS)[1]) == ["c", "d", "e"]


def watch_text(call, query):
    call.connection.request(
        "GET",
        f"{CONFIG_MAPS}?watch=1&timeoutSeconds=1&{query}",
        headers={"Authorization": f"Bearer {call.cluster.token}"},
    )
    return [json.loads(line) for line in call.connection.getresponse().read().splitlines()]


def short(events):
    return [(event["type"], event["object"]["metadata"].get("name")) for event in events]


def test_a_watch_continues_after_a_list(five):
    revision = five("GET", CONFIG_MAPS)[1]["metadata"]["resourceVersion"]
    five("POST", CONFIG_MAPS, config_map("x"))
    five.merge(f"{CONFIG_MAPS}/a", {"data": {"k": "v"}})
    five("DELETE", f"{CONFIG_MAPS}/b")
    five("POST", "/api/v1/namespaces", {"metadata": {"name": "elsewhere"}})
    events = watch_text(five, f"resourceVersion={revision}")
    assert short(events) == [("ADDED", "x"), ("MODIFIED", "a"), ("DELETED", "b")]
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in events]
    assert versions == sorted(versions)


def test_a_watch_sends_what_happens_while_it_waits(five):
    writer = threading.Timer(0.1, lambda: five.cluster.store.remove(("", "configmaps"), ("default", "a")))
    writer.start()
    revision = five.cluster.store.revision
    assert short(watch_text(five, f"resourceVersion={revision}")) == [("DELETED", "a")]
    writer.join()


def test_a_watch_from_nowhere_starts_with_what_exists(five):
    assert short(watch_text(five, "labelSelector=app%3Dweb")) == [("ADDED", "a"), ("ADDED", "b")]
    events = watch_text(
        five,
        "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&fieldSelector=metadata.name%3Dc",
    )
    assert short(events) == [("ADDED", "c"), ("BOOKMARK", None)]
    assert events[1]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


def test_objects_enter_and_leave_a_selection(five):
    revision = five("GET", CONFIG_MAPS)[1]["metadata"]["resourceVersion"]
    five.merge(f"{CONFIG_MAPS}/a", {"metadata": {"labels": {"app": "api"}}})
    five.merge(f"{CONFIG_MAPS}/c", {"metadata": {"labels": {"app": "web"}}})
    events = watch_text(five, f"resourceVersion={revision}&labelSelector=app%3Dweb")
    assert short(events) == [("DELETED", "a"), ("ADDED", "c")]
    assert events[0]["object"]["metadata"]["labels"] == {"app": "web"}


def test_a_watch_beyond_the_history_is_told_so(five):
    store = five.cluster.store
    store._history = type(store._history)(store._history, maxlen=2)
    events = watch_text(five, "resourceVersion=1")
    assert (events[0]["type"], events[0]["object"]["code"], events[0]["object"]["reason"]) == ("ERROR", 410, "Expired")


def test_a_watch_ends_with_the_cluster(five):
    threading.Timer(0.1, five.cluster._stopping.set).start()
    start = time.monotonic()
    five.connection.request(
        "GET",
        f"{CONFIG_MAPS}?watch=1&resourceVersion={five.cluster.store.revision}",
        headers={"Authorization": f"Bearer {five.cluster.token}"},
    )
    assert five.connection.getresponse().read() == b""
    assert time.monotonic() - start < 5


def obj(name, namespace="n"):
    return {"kind": "X", "apiVersion": "v1", "metadata": {"name": name, "namespace": namespace}}


def test_the_store_numbers_each_change_and_forgets_old_ones():
    store = Store(history=2)
    heard = []
    store.listeners.append(heard.append)
    for name in "ab":
        store.put(("", "xs"), obj(name))
    store.put(("", "xs"), obj("a"))
    store.remove(("", "xs"), ("n", "b"))
    assert store.remove(("", "xs"), ("n", "zz")) is None
    assert [(change.revision, change.type) for change in heard] == [
        (2, "ADDED"),
        (3, "ADDED"),
        (4, "MODIFIED"),
        (5, "DELETED"),
    ]
    assert [change.revision for change in store.since(3)] == [4, 5]
    with pytest.raises(TooOldError) as problem:
        store.since(2)
    assert problem.value.oldest == 3
    assert store.resources() == [("", "xs")]


def test_stored_objects_give_their_json_once():
    stored = Stored({**obj("ä"), "metadata": {"name": "ä", "resourceVersion": "7"}})
    assert stored.rest() == '"metadata":{"name":"ä","resourceVersion":"7"}}'.encode()
    assert stored.rest() is stored.rest()
    assert stored.resource_version == 7
