import json

import pytest

from penstock.core.errors import Terminal
from penstock.core.messages import (
    MAX_BYTES,
    MOST_OBSERVATION,
    TOPICS,
    ArtifactStored,
    Envelope,
    Event,
    ReconcileDue,
    SourceChanged,
    decode,
    encode,
    is_sampled,
)

TRACEPARENT = f"00-{'ab' * 16}-{'cd' * 8}-01"
EVENT = Event(
    id="e1",
    cluster="prod",
    api_version="kustomize.toolkit.fluxcd.io/v1",
    kind="Kustomization",
    namespace="apps",
    name="web",
    severity="error",
    reason="BuildFailed",
    message="größer",
    timestamp="2026-01-01T00:00:00Z",
    metadata={"revision": "main@sha1:abc"},
)
WRONG_NUMBERS = ("canary", "1", -1, MOST_OBSERVATION + 1, True, 1.0, None)
MESSAGES = [
    SourceChanged(cluster="-", namespace="flux-system", name="flux-system", hint="refs/heads/main"),
    ReconcileDue(cluster="prod", namespace="apps", name="web", why="dependency", request="r1"),
    ArtifactStored(cluster="prod", namespace="apps", name="web", why="artifact", others=("apps/a", "apps/b")),
    SourceChanged(cluster="prod", kind="Bucket", namespace="apps", name="web", above=MOST_OBSERVATION),
    EVENT,
]


def envelope(message, **more):
    return Envelope(message=message, id="id-1", traceparent=TRACEPARENT, **more)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: m.topic)
def test_what_is_encoded_is_decoded(message):
    assert decode(encode(envelope(message))) == envelope(message)
    assert type(decode(encode(envelope(message))).message) is type(message)


def test_every_topic_is_covered_here():
    assert {message.topic for message in MESSAGES} == set(TOPICS)


def test_on_the_wire_it_is_a_cloud_event():
    event = json.loads(encode(envelope(MESSAGES[0])))
    assert event == {
        "specversion": "1.0",
        "type": "dev.penstock.source-changed.v1",
        "source": "/penstock",
        "id": "id-1",
        "traceparent": TRACEPARENT,
        "datacontenttype": "application/json",
        "data": {
            "cluster": "-",
            "kind": "GitRepository",
            "namespace": "flux-system",
            "name": "flux-system",
            "hint": "refs/heads/main",
            "above": 0,
        },
    }


def test_the_attempt_is_the_queues_to_say():
    assert decode(encode(envelope(MESSAGES[0], attempt=7))).attempt == 1
    assert decode(encode(envelope(MESSAGES[0])), attempt=3).attempt == 3


def test_a_field_of_a_later_release_is_left_out():
    event = json.loads(encode(envelope(MESSAGES[0])))
    event["data"]["later"] = 1
    assert decode(json.dumps(event).encode()).message == MESSAGES[0]


@pytest.mark.parametrize(
    "change",
    [
        {"type": "dev.penstock.source-changed.v2"},
        {"type": "dev.penstock.unheard-of.v1"},
        {"type": "com.example.dev.penstock.source-changed.v1"},
        {"type": None},
        {"data": {}},
        {"data": {"cluster": "c", "namespace": "n"}},
        {"data": "canary"},
        {"data": None},
        *({"data": {"cluster": "c", "namespace": "n", "name": "x", "above": above}} for above in WRONG_NUMBERS),
    ],
)
def test_what_is_not_ours_is_terminal(change):
    event = {**json.loads(encode(envelope(MESSAGES[0]))), **change}
    with pytest.raises(Terminal) as caught:
        decode(json.dumps(event).encode())
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("body", [b"", b"canary", b"[]", b"1", b"{}", b'{"type": "dev.penstock.event.v1"}', b"\xff"])
def test_what_is_no_cloud_event_is_terminal(body):
    with pytest.raises(Terminal, match="not a message of this plane"):
        decode(body)


def test_a_message_of_another_release_says_what_to_do():
    event = {**json.loads(encode(envelope(MESSAGES[0]))), "type": "dev.penstock.source-changed.v2"}
    with pytest.raises(Terminal, match="upgrade this plane first"):
        decode(json.dumps(event).encode())


@pytest.mark.parametrize(("extra", "fits"), [(0, True), (1, False)])
def test_messages_have_a_bound(extra, fits):
    room = MAX_BYTES - len(encode(envelope(SourceChanged(cluster="c", namespace="n", name=""))))
    message = SourceChanged(cluster="c", namespace="n", name="x" * (room + extra))
    if fits:
        assert len(encode(envelope(message))) == MAX_BYTES
    else:
        with pytest.raises(Terminal, match="over the limit"):
            encode(envelope(message))


@pytest.mark.parametrize(
    ("traceparent", "trace"), [(TRACEPARENT, "ab" * 16), ("", ""), ("nonsense", ""), ("a-b-c-d-e", "")]
)
def test_trace(traceparent, trace):
    assert Envelope(message=EVENT, id="1", traceparent=traceparent).trace == trace


@pytest.mark.parametrize(
    ("message", "key"),
    [
        (MESSAGES[0], "-/GitRepository/flux-system/flux-system"),
        (SourceChanged(cluster="c", namespace="n", name="x", above=7), "c/GitRepository/n/x>7"),
        (ReconcileDue(cluster="c", namespace="n", name="x"), "c/Kustomization/n/x"),
        (ReconcileDue(cluster="c", namespace="n", name="x", why="parent"), "c/Kustomization/n/x"),
        (ReconcileDue(cluster="c", namespace="n", name="x", request="r"), "c/Kustomization/n/x?r"),
        (EVENT, "e1"),
        (ReconcileDue(cluster="c", namespace="n", name="x", others=("n/y",)), "c/Kustomization/n/x+3a6731fb89d920c6"),
    ],
)
def test_keys_say_which_messages_say_the_same(message, key):
    assert message.key == key


# Traces


def test_what_a_message_says_of_its_trace_comes_back():
    more = {"time": "2026-01-01T00:00:01.000Z", "origin": "webhook", "began": "2026-01-01T00:00:00.000Z"}
    links = (f"00-{'ef' * 16}-{'cd' * 8}-01", f"00-{'12' * 16}-{'cd' * 8}-01")
    full = envelope(EVENT, links=links, **more)
    assert decode(encode(full)) == full
    assert more.items() <= json.loads(encode(full)).items()


@pytest.mark.parametrize(
    ("flags", "sampled"), [("01", True), ("03", True), ("ff", True), ("00", False), ("02", False), ("", False)]
)
def test_sampled(flags, sampled):
    assert is_sampled(f"00-{'ab' * 16}-{'cd' * 8}-{flags}") == sampled
    assert not is_sampled(flags)


def traced(number, **more):
    return Envelope(message=MESSAGES[0], id=str(number), traceparent=f"00-{number:032x}-{number:016x}-01", **more)


def test_a_wake_up_that_stands_for_another_is_linked_to_its_trace_once():
    one, two, three = traced(1), traced(2), traced(3)
    both = one.standing_for(two.standing_for(three)).standing_for(two)
    assert (both.id, both.traceparent) == (one.id, one.traceparent)
    assert both.links == (two.traceparent, three.traceparent)
    assert one.standing_for(one).links == ()


def test_links_are_bounded():
    many = traced(1)
    for number in range(2, 200):
        many = many.standing_for(traced(number))
    assert len(many.links) == 32
    assert encode(many)


@pytest.mark.parametrize(
    ("mine", "other", "origin"),
    [
        ("tick", "webhook", "webhook"),
        ("webhook", "tick", "webhook"),
        ("tick", "api", "tick"),
        ("", "webhook", "webhook"),
    ],
)
def test_a_push_is_not_forgotten_where_a_wake_up_stands_for_it(mine, other, origin):
    merged = traced(1, origin=mine, began="1").standing_for(traced(2, origin=other, began="2"))
    assert merged.origin == origin
    assert merged.began == ("1" if merged.origin == mine else "2")
