"""Upgrades and ways back: today's code reads what each format's release wrote, and refuses a newer one by its number."""

import base64
import json

import pytest
from tests import formats
from tests.memory_plane import CLUSTER

from penstock.adapters.bus.sqlite import SqliteBus
from penstock.adapters.clock.memory import SimulatedClock
from penstock.core import messages, records
from penstock.core.errors import Terminal
from penstock.core.messages import decode, encode
from penstock.core.reconcile import inventory
from penstock.core.sources import artifact
from penstock.ports.bus import Dispatch
from penstock.wiring import load_pipeline

NUMBERS = sorted(int(path.stem) for path in formats.FOLDER.glob("*.json"))
KINDS = {
    "adoption": records.Adoption,
    "approval": records.Approval,
    "delivery": records.DeliveryRecord,
    "object": records.ObjectRecord,
    "plane": records.PlaneRecord,
    "receiver": records.ReceiverRecord,
    "status": records.KustomizationStatus,
}


def read(number):
    return json.loads((formats.FOLDER / f"{number}.json").read_text())


def kind_of(key):
    family, *rest = key.split("/")
    source = family == "status" and rest[1] != "Kustomization"
    return records.SourceStatus if source else KINDS.get(family)


def test_there_is_a_file_for_each_format_that_this_release_reads():
    assert records.FORMAT in NUMBERS
    assert {artifact.FORMAT, int(inventory.FORMAT)} <= {*NUMBERS}


@pytest.mark.parametrize("number", NUMBERS)
def test_every_kind_of_record_and_message_is_in_it(number):
    value = read(number)
    assert {kind_of(each["key"]) for each in value["records"]} >= {*KINDS.values(), records.SourceStatus}
    topics = {decode(text.encode()).message.topic for text in value["messages"]}
    assert topics >= {"artifact-stored", "event"}
    assert value["artifacts"]


@pytest.mark.parametrize("number", NUMBERS)
def test_an_upgrade_under_load_goes_on_where_the_release_before_stopped(number):
    """Its records, artifacts and inventories are read, and its messages on the bus are worked off."""
    plane = formats.restored(read(number))
    assert plane.config_map("b") == {"x": "1"}
    plane.settle()
    assert (plane.config_map("a"), plane.config_map("b"), plane.config_map("c")) == ({"x": "2"}, None, {"x": "2"})
    deleted = [what for verb, what in plane.writes() if verb == "delete" and "ConfigMap" in what]
    assert deleted == ["ConfigMap/apps/b"]
    assert {plane.ready(name).partition(" ")[0] for name in ("flux-system", "apps", "web")} == {"True"}
    plane.push({"apps/a.yaml": formats.config_map("a", x="3")})
    plane.settle()
    assert plane.config_map("a") == {"x": "3"}


@pytest.mark.parametrize("number", NUMBERS)
def test_a_release_that_was_put_back_refuses_what_a_newer_one_wrote(number):
    """Every record of it, by number; nothing is misread, and nothing in the cluster changes."""
    value = read(number)
    for each in value["records"]:
        kind = kind_of(each["key"])
        if kind is None:
            continue
        kind.from_value(each["value"])
        with pytest.raises(Terminal, match=f"format {records.FORMAT + 1} .this release reads {records.FORMAT}"):
            kind.from_value({**each["value"], "format": records.FORMAT + 1})
    for each in value["records"]:
        if kind_of(each["key"]) is records.KustomizationStatus:
            each["value"]["format"] = records.FORMAT + 1
    plane = formats.restored(value)
    plane.settle()
    assert [what for verb, what in plane.writes() if "ConfigMap/apps" in what] == []


@pytest.mark.parametrize("number", NUMBERS)
def test_fields_that_a_newer_release_adds_to_a_format_are_passed_over(number):
    """Both releases may run at a time: functions are replaced one by one."""
    value = read(number)
    plain = formats.restored(read(number))
    for each in value["records"]:
        kind = kind_of(each["key"])
        if kind is not None:
            more = {**each["value"], "addedLater": [{"of": "a newer release"}]}
            assert kind.from_value(more) == kind.from_value(each["value"])
            each["value"] = more
    plane = formats.restored(value)
    for each in (plain, plane):
        each.settle()
    assert plane.writes() == plain.writes()


@pytest.mark.parametrize("number", NUMBERS)
def test_messages_of_a_newer_release_wait_as_dead_letters_for_it(number, tmp_path):
    bus = SqliteBus(tmp_path / "bus.db", load_pipeline(), SimulatedClock())
    envelopes = [decode(text.encode()) for text in read(number)["messages"]]
    bus.publish([Dispatch(envelope=envelope) for envelope in envelopes])
    with bus._accepting.write() as run:
        run.execute("UPDATE message SET body = CAST(replace(CAST(body AS TEXT), '.v1\"', '.v2\"') AS BLOB)")
    assert [bus.receive(stage.name, wait=0) for stage in load_pipeline().queues()] == [None, None, None]
    letters = bus.dead_letters()
    assert len(letters) == len({envelope.message.key for envelope in envelopes})
    assert all("v2" in letter.error for letter in letters), letters[0].error
    bus.close()


@pytest.mark.parametrize("number", NUMBERS)
def test_artifacts_are_read_and_newer_ones_refused(number):
    for digest, text in read(number)["artifacts"].items():
        data = base64.b64decode(text)
        assert artifact.digest_of(data) == digest
        assert len([*artifact.decode(data).items()]) >= 6
        newer = data.replace(str(artifact.FORMAT).encode(), str(artifact.FORMAT + 1).encode(), 1)
        with pytest.raises(Terminal, match=f"format {artifact.FORMAT + 1} .this release reads {artifact.FORMAT}"):
            artifact.decode(newer)


@pytest.mark.parametrize("number", NUMBERS)
def test_inventories_are_read_and_newer_ones_refused(number):
    found = [each for each in read(number)["cluster"] if each["metadata"].get("namespace") == "penstock-system"]
    maps = [each for each in found if each["kind"] == "ConfigMap"]
    assert len(maps) == 3
    for manifest in maps:
        inventory.from_config_map(manifest)
        newer = {**manifest, "data": {**manifest["data"], "format": "2"}}
        with pytest.raises(Terminal, match="its format is '2', this release reads 1"):
            inventory.from_config_map(newer)


@pytest.mark.parametrize("number", NUMBERS)
def test_messages_are_written_as_they_were(number):
    for text in read(number)["messages"]:
        assert encode(decode(text.encode())).decode() == text
    assert set(messages.TOPICS) == {"source-changed", "artifact-stored", "reconcile-due", "event"}
    assert CLUSTER == "prod"
