"""``penstock get``: Flux's tables, from the plane's records."""

import pytest

from penstock.adapters.state.memory import MemoryState
from penstock.cli import main
from penstock.cli.get import Query, parse_kind, show
from penstock.cli.tables import render, shorten
from penstock.core.errors import NotFound
from penstock.core.flux.receiver import index_entry, parse_receiver
from penstock.core.messages import PLANE
from penstock.core.records import (
    PLANE_KEY,
    Condition,
    DeliveryRecord,
    KustomizationStatus,
    ObjectRecord,
    PlaneRecord,
    SourceStatus,
    Suspension,
    delivery_key,
    object_key,
    receiver_key,
    status_key,
)
from penstock.wiring import open_state

COMMIT = "a1b2c3d4" + "e" * 32
READY = (Condition(type="Ready", status="True", reason="Succeeded", message=f"Applied revision: main@sha1:{COMMIT}"),)
NOTIFY = "notification.toolkit.fluxcd.io"
VERSIONS = {"Receiver": f"{NOTIFY}/v1", "Alert": f"{NOTIFY}/v1beta3", "Provider": f"{NOTIFY}/v1beta3"}


class Records:
    """Writes records into a state."""

    def __init__(self, state=None):
        self.state = state or MemoryState()

    def object(self, kind, name, spec=None, *, status=None, cluster="production", namespace="flux-system", **fields):
        document = {
            "apiVersion": VERSIONS.get(kind, "example/v1"),
            "kind": kind,
            "metadata": {"name": name, "namespace": namespace},
            "spec": spec or {},
        }
        record = ObjectRecord(document=document, **fields)
        self.state.put(object_key(cluster, kind, namespace, name), record.to_value(), expected=None)
        if status is not None:
            self.state.put(status_key(cluster, kind, namespace, name), status.to_value(), expected=None)
        return document

    def receiver(self, name="github", *, indexed=True, **spec):
        base = {
            "type": "github",
            "secretRef": {"name": "webhook-token"},
            "resources": [{"kind": "GitRepository", "name": "flux-system"}],
        }
        document = self.object("Receiver", name, base | spec)
        if indexed:
            entry = index_entry(parse_receiver(document), "production", b"token")
            key = receiver_key(entry.digest, entry.cluster, entry.namespace, entry.name)
            self.state.put(key, entry.to_value(), expected=None)
            return entry
        return None

    def delivery(self, name="github", **fields):
        value = DeliveryRecord(**fields).to_value()
        self.state.put(delivery_key("production", "flux-system", name), value, expected=None)

    def plane(self, *names):
        document = {"spec": {"clusters": [{"name": name} for name in names]}}
        self.state.put(PLANE_KEY, PlaneRecord(uid="0" * 32, document=document).to_value(), expected=None)

    def show(self, kind, **query):
        return [line.split("\t") for line in show(self.state, kind, Query(**query)).split("\n")]


@pytest.fixture
def records():
    return Records()


def cells(lines):
    return [[cell.strip() for cell in line] for line in lines]


def test_kustomizations(records):
    done = KustomizationStatus(conditions=READY, last_applied_revision=f"main@sha1:{COMMIT}")
    records.object("Kustomization", "apps", {"suspend": True}, status=done)
    records.object("Kustomization", "infrastructure")
    records.object("Kustomization", "gone", tombstone=True)
    records.object("Kustomization", "stopped", status=KustomizationStatus(suspension=Suspension(who="ann")))
    assert cells(records.show("kustomizations", namespace="flux-system")) == [
        ["NAME", "REVISION", "SUSPENDED", "READY", "MESSAGE"],
        ["apps", "main@sha1:a1b2c3d4", "True", "True", "Applied revision: main@sha1:a1b2c3d4"],
        ["infrastructure", "", "False", "False", "waiting to be reconciled"],
        ["stopped", "", "True", "False", "waiting to be reconciled"],
    ]


@pytest.mark.parametrize(("until", "suspended"), [("2026-01-01T00:00:00Z", "False"), ("9000-01-01T00:00:00Z", "True")])
def test_a_suspension_that_has_run_out_is_over(records, until, suspended):
    status = KustomizationStatus(suspension=Suspension(who="ann", until=until))
    records.object("Kustomization", "apps", status=status)
    (_, row) = cells(records.show("kustomizations", namespace="flux-system"))
    assert row[2] == suspended


def test_columns_are_padded_and_separated_by_tabs():
    text = render(["NAME", "READY"], [["a", "True"], ["infrastructure", ""]])
    assert text == "NAME          \tREADY\na             \tTrue\ninfrastructure"


@pytest.mark.parametrize(
    ("text", "short"),
    [
        (f"main@sha1:{COMMIT}", "main@sha1:a1b2c3d4"),
        ("sha256:" + "f" * 64, "sha256:ffffffff"),
        ("a1b2c3d4", "a1b2c3d4"),
        ("two\nlines", "two lines"),
    ],
)
def test_digests_are_cut_to_eight_characters(text, short):
    assert shorten(text) == short


def test_a_cluster_shows_the_planes_source_where_it_has_none_of_its_own(records):
    records.object("GitRepository", "flux-system", implicit=True)
    status = SourceStatus(revision=f"main@sha1:{COMMIT}", conditions=READY)
    records.object("GitRepository", "flux-system", status=status, cluster=PLANE)
    lines = cells(records.show("sources git", namespace="flux-system"))
    assert lines[1][:4] == ["flux-system", "main@sha1:a1b2c3d4", "False", "True"]
    assert len(lines) == 2


NO_TOKEN = "waiting for key token of Secret flux-system/webhook-token: it is read when its Kustomization is reconciled"


def test_receivers_show_url_events_and_last_deliveries(records):
    entry = records.receiver(events=["ping", "push"])
    records.delivery(
        delivered_at="2026-01-01T00:00:00Z",
        delivered_event="push",
        refused_at="2026-01-02T00:00:00Z",
        refused_reason="401: the signature does not match",
    )
    records.receiver("waiting", indexed=False)
    lines = cells(records.show("receivers", namespace="flux-system", public_url="https://penstock.example.com/"))
    assert lines == [
        ["NAME", "SUSPENDED", "READY", "MESSAGE", "URL", "EVENTS", "LAST DELIVERY", "LAST REFUSAL"],
        [
            *("github", "False", "True", "Receiver initialized"),
            f"https://penstock.example.com/hook/{entry.digest}",
            *("ping,push", "2026-01-01T00:00:00Z push", "2026-01-02T00:00:00Z 401: the signature does not match"),
        ],
        ["waiting", "False", "False", NO_TOKEN, "", "*"],
    ]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"type": "gitlab"}, "Receivers of type gitlab are not served yet (served: github)"),
        ({"resourceFilter": "res ="}, "spec.resourceFilter: "),
        ({"typo": 1}, "Receiver/flux-system/github, spec.typo: is not a field here"),
    ],
)
def test_a_receiver_that_is_not_served_says_why(records, spec, message):
    records.receiver(indexed=False, **spec)
    (_, line) = cells(records.show("receivers", namespace="flux-system"))
    assert line[2] == "False"
    assert line[3].startswith(message)


def test_alerts_show_what_was_sent_and_what_could_not_be(records):
    source = {"kind": "Kustomization", "name": "*"}
    sent = DeliveryRecord(
        delivered_at="2026-01-01T00:00:00Z",
        delivered_event="BuildFailed",
        refused_at="2026-01-02T00:00:00Z",
        refused_reason="NotFound: there is no Provider",
    )
    records.object("Alert", "a", {"providerRef": {"name": "p"}, "eventSources": [source]}, status=sent)
    records.object("Alert", "b", {"providerRef": {"name": "p"}})
    assert cells(records.show("alerts", namespace="flux-system")) == [
        ["NAME", "SUSPENDED", "READY", "MESSAGE", "LAST SENT", "LAST FAILURE"],
        [
            *("a", "False", "True", "Alert is Ready", "2026-01-01T00:00:00Z BuildFailed"),
            "2026-01-02T00:00:00Z NotFound: there is no Provider",
        ],
        [
            *("b", "False", "False"),
            "Alert/flux-system/b, spec.eventSources: is required: at least one kind and name (or '*')",
        ],
    ]


def test_providers(records):
    records.object("Provider", "chat", {"type": "slack", "address": "https://x"})
    records.object("Provider", "other", {"type": "discord"})
    records.object("Provider", "wrong", {"type": "irc"})
    lines = cells(records.show("alert-providers", namespace="flux-system"))
    assert lines[0] == ["NAME", "READY", "MESSAGE"]
    assert [line[1] for line in lines[1:]] == ["True", "False", "False"]
    assert lines[2][2].startswith("Providers of type discord are not served yet")


def test_all_prefixes_the_kind_and_leaves_out_what_there_is_none_of(records):
    records.object("Kustomization", "apps")
    records.object("Provider", "chat", {"type": "slack"})
    text = show(records.state, "all", Query(namespace="flux-system"))
    assert [block.split("\n")[1].split("\t")[0] for block in text.split("\n\n")] == [
        "kustomization/apps",
        "provider/chat",
    ]


def test_namespaces_and_clusters_get_columns_where_there_are_several(records):
    records.plane("production", "staging")
    records.object("Kustomization", "apps", namespace="team")
    records.object("Kustomization", "apps", cluster="staging")
    records.object("Kustomization", "apps", cluster="left-the-plane")
    lines = cells(records.show("kustomizations"))
    assert [line[:3] for line in lines] == [
        ["CLUSTER", "NAMESPACE", "NAME"],
        ["production", "team", "apps"],
        ["staging", "flux-system", "apps"],
    ]
    assert [line[:2] for line in cells(records.show("kustomizations", cluster="staging"))][1] == ["flux-system", "apps"]
    assert cells(records.show("kustomizations", namespace="team", header=False))[0][:2] == ["production", "apps"]


@pytest.mark.parametrize(
    ("kind", "query", "message"),
    [
        ("kustomizations", {"namespace": "x"}, 'no Kustomization objects found in "x" namespace'),
        ("alerts", {}, "no Alert objects found in any namespace"),
        ("receivers", {"name": "y", "namespace": "x"}, "Receiver object 'y' not found in \"x\" namespace"),
        ("all", {"namespace": "x"}, 'no objects found in "x" namespace'),
    ],
)
def test_nothing_found_is_said_as_flux_says_it(records, kind, query, message):
    with pytest.raises(NotFound) as caught:
        records.show(kind, **query)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["ks"], ("kustomizations", "")),
        (["kustomization", "apps"], ("kustomizations", "apps")),
        (["sources", "git"], ("sources git", "")),
        (["source", "git", "web"], ("sources git", "web")),
        (["alert-providers"], ("alert-providers", "")),
        (["all"], ("all", "")),
    ],
)
def test_kinds_are_spelt_as_flux_spells_them(words, expected):
    assert parse_kind(words) == expected


@pytest.mark.parametrize("words", [["sources"], ["pods"], ["ks", "a", "b"], ["sources", "git", "a", "b"]])
def test_what_is_no_kind_is_said(words):
    with pytest.raises(NotFound, match="there is no kind"):
        parse_kind(words)


def test_the_command_reads_a_data_directory(tmp_path, capsys):
    state = open_state(tmp_path)
    Records(state).object("Kustomization", "apps", namespace="team")
    state.close()
    assert main(["get", "ks", "-A", "--no-header", "--data-dir", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "team\tapps\t\tFalse\tFalse\twaiting to be reconciled\n"
    assert main(["get", "ks", "--data-dir", str(tmp_path)]) == 1
    assert capsys.readouterr().err == 'penstock: no Kustomization objects found in "flux-system" namespace\n'
