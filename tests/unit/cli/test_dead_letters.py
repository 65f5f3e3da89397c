"""``penstock dead-letters`` on the embedded bus, and on AWS and Google's where their parts are."""

import base64
import dataclasses
import json
import threading

import pytest
from tests.aws.plane import ENVIRONMENT, in_process, make_queues
from tests.google import plane as google

from penstock.cli import dead_letters
from penstock.cli.main import main
from penstock.core.messages import Envelope, Event, SourceChanged, encode
from penstock.ports.bus import Dispatch
from penstock.wiring import Runtime, load_pipeline, open_runtime, settings_from

SOURCE = Envelope(
    message=SourceChanged(cluster="prod", namespace="flux-system", name="fleet", hint="canary"),
    id="message-1",
    traceparent=f"00-{'ab' * 16}-{'c' * 16}-01",
)
EVENT = Envelope(
    message=Event(
        id="e", cluster="prod", api_version="v1", kind="Kustomization", namespace="apps", name="web", severity="error",
        reason="BuildFailed", message="m", timestamp="2026-01-01T00:00:00Z",
    ),
    id="message-2",
    traceparent="",
)  # fmt: skip


def bury(bus, envelope, stage, error):
    """Use up its attempts."""
    bus.publish([Dispatch(envelope=envelope)])
    while (delivery := bus.receive(stage, wait=0)) is not None and bus.retry(delivery, delay=0, error=error):
        pass


class Embedded:
    """Three letters, one of which cannot be read."""

    def __init__(self, directory):
        self.flags = ["--data-dir", str(directory)]
        self.runtime = open_runtime(directory)
        bury(self.runtime.bus, SOURCE, "fetch", "Timeout: git.example.com does not answer")
        bury(self.runtime.bus, EVENT, "notify", "Unauthorized: the webhook is gone")

    def depth(self):
        return self.runtime.bus.depth()


@pytest.fixture
def plane(tmp_path):
    made = Embedded(tmp_path)
    yield made
    made.runtime.close()


def call(plane, *arguments):
    return main(["dead-letters", *arguments, *plane.flags])


def ids(plane, capsys):
    assert call(plane, "list", "-o", "json") == 0
    return [each["id"] for each in json.loads(capsys.readouterr().out)]


def test_the_list_says_what_each_points_at_and_why_it_was_given_up(plane, capsys):
    assert call(plane, "list") == 0
    header, first, second = capsys.readouterr().out.splitlines()
    assert header.split() == ["STAGE", "ID", "POINTS", "AT", "ERROR"]
    assert first.split("\t")[2].strip() == "source-changed prod/GitRepository/flux-system/fleet"
    assert second.endswith("Unauthorized: the webhook is gone")


def test_one_is_shown_as_a_pointer(plane, capsys):
    ident, _ = ids(plane, capsys)
    assert call(plane, "show", ident) == 0
    told = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert (told["stage"], told["topic"], told["name"], told["trace"]) == (
        "fetch",
        "source-changed",
        "fleet",
        "ab" * 16,
    )


def test_a_stage_alone(plane, capsys):
    assert call(plane, "list", "--stage", "notify", "-o", "json") == 0
    (letter,) = json.loads(capsys.readouterr().out)
    assert letter["kind"] == "Kustomization"


def test_redriven_ones_wait_for_their_stage_again(plane, capsys):
    ident, other = ids(plane, capsys)
    assert call(plane, "redrive", ident) == 0
    assert "1 given back" in capsys.readouterr().out
    assert plane.depth() == {"fetch": 1, "reconcile": 0, "notify": 0}
    assert ids(plane, capsys) == [other]


def test_all_of_a_stage_are_dropped_and_the_others_stay(plane, capsys):
    first, _ = ids(plane, capsys)
    assert call(plane, "drop", "--all", "--stage", "notify") == 0
    capsys.readouterr()
    assert ids(plane, capsys) == [first]
    assert plane.depth()["notify"] == 0


@pytest.mark.parametrize("arguments", [("drop",), ("redrive", "1", "--all")])
def test_neither_or_both_is_an_error(plane, capsys, arguments):
    assert call(plane, *arguments) == 1
    assert "either the IDs" in capsys.readouterr().err
    assert len(ids(plane, capsys)) == 2


def test_one_that_is_not_there_stops_before_any_is_taken(plane, capsys):
    first, _ = ids(plane, capsys)
    assert call(plane, "drop", first, "999") == 1
    assert "no dead letter 999" in capsys.readouterr().err
    assert len(ids(plane, capsys)) == 2


def test_hundreds_go_back_at_once_to_a_plane_that_serves(plane, capsys):
    """The other process takes them while this one gives them back: every one, once."""
    for number in range(300):
        message = dataclasses.replace(SOURCE.message, name=f"s{number}")
        bury(plane.runtime.bus, dataclasses.replace(SOURCE, message=message), "fetch", "Timeout")
    other, taken, stop = open_runtime(plane.flags[1]), [], threading.Event()

    def work():
        while not stop.is_set():
            delivery = other.bus.receive("fetch", wait=0.05)
            if delivery is not None:
                taken.append(delivery.envelope.message.name)
                other.bus.ack(delivery)

    worker = threading.Thread(target=work)
    worker.start()
    assert call(plane, "redrive", "--all", "--stage", "fetch") == 0
    assert "301 given back" in capsys.readouterr().out
    while other.bus.depth()["fetch"]:
        stop.wait(0.05)
    stop.set()
    worker.join()
    other.close()
    assert sorted(taken) == sorted(["fleet", *(f"s{number}" for number in range(300))])


def test_those_that_somebody_else_took_meanwhile_are_not_counted(plane, capsys, monkeypatch):
    bus = plane.runtime.bus
    letters = bus.dead_letters()
    bus.drop_dead_letters(letters[:1], again=False)
    monkeypatch.setattr(type(bus), "dead_letters", lambda _self, **_: letters)  # as a look a moment ago
    assert call(plane, "drop", "--all") == 0
    told = capsys.readouterr().out
    assert "1 dropped" in told
    assert "1 were not shown, or are gone" in told


def test_without_any_it_says_so(tmp_path, capsys):
    assert main(["dead-letters", "list", "--data-dir", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "no dead letters\n"


@pytest.fixture
def on_aws(monkeypatch):
    with in_process() as clients:
        make_queues(clients, load_pipeline())
        yield Runtime(settings_from(ENVIRONMENT)).bus


def test_where_none_could_be_given_back_the_exit_status_says_so(on_aws, capsys):
    url = on_aws._url("plane-1-notify-dead")
    on_aws._clients.client("sqs").send_message(QueueUrl=url, MessageBody="canary poison")
    assert main(["dead-letters", "redrive", "--all", "--stage", "notify"]) == 1
    assert "✗ 0 given back" in capsys.readouterr().out
    assert main(["dead-letters", "redrive", "--all", "--stage", "fetch"]) == 0  # there are none


def test_on_aws_an_unreadable_one_can_only_be_dropped(on_aws, capsys):
    url = on_aws._url("plane-1-fetch-dead")
    client = on_aws._clients.client("sqs")
    client.send_message(QueueUrl=url, MessageBody="canary poison")
    client.send_message(QueueUrl=url, MessageBody=encode(SOURCE).decode())
    assert main(["dead-letters", "redrive", "--all"]) == 0
    told = capsys.readouterr().out
    assert "cannot be read" in told
    assert "1 given back" in told
    assert on_aws.receive("fetch", wait=0).envelope.message == SOURCE.message
    assert main(["dead-letters", "list"]) == 0
    told = capsys.readouterr().out
    assert "unreadable, 13 bytes" in told
    assert "canary" not in told
    assert main(["dead-letters", "drop", "--all"]) == 0
    assert on_aws.dead_letters() == ()


@pytest.fixture
def on_google():
    """The bus, and put(stage, data): a letter as Pub/Sub forwards it."""
    with google.pubsub() as base:
        names = google.names(pubsub=base)
        google.make_topics(names, load_pipeline())
        settings = dataclasses.replace(settings_from({}), google=names, backend="google")
        bus = Runtime(settings).bus

        def put(stage, data):
            attributes = {"CloudPubSubDeadLetterSourceDeliveryCount": "8"}
            message = {"data": base64.b64encode(data).decode(), "attributes": attributes}
            url = f"{base}/v1/{names.dead_topic(stage)}:publish"
            return google.request("POST", url, {"messages": [message]})["messageIds"][0]

        yield bus, put
        google.drop_topics(names)


def test_on_google_they_are_read_given_back_and_dropped(on_google):
    bus, put = on_google
    ids = [put("fetch", encode(SOURCE)), put("notify", encode(EVENT)), put("fetch", b"poison")]
    letters = bus.dead_letters()
    assert {letter.receipt for letter in letters} == set(ids)
    assert {letter.receipt for letter in bus.dead_letters()} == set(ids)  # a look hides nothing
    by_id = {letter.receipt: letter for letter in letters}
    assert (
        by_id[ids[0]].error == f"given up by Pub/Sub after 8 deliveries: the log of fetch says why, trace {'ab' * 16}"
    )
    assert dead_letters._envelope(by_id[ids[2]]) is None
    bus.drop_dead_letters([by_id[ids[0]]], again=True)
    bus.drop_dead_letters([by_id[ids[0]]], again=True)
    bus.drop_dead_letters([by_id[ids[2]]], again=False)
    assert [letter.receipt for letter in bus.dead_letters()] == [ids[1]]
    url = f"{bus._names.endpoints.pubsub}/v1/{bus._names.subscription('fetch', 'source-changed')}:pull"
    (again,) = google.request("POST", url, {"maxMessages": 5, "returnImmediately": True})["receivedMessages"]
    assert base64.b64decode(again["message"]["data"]) == encode(SOURCE)
