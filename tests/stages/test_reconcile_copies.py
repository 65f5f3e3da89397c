"""What Receivers, Providers and sources refer to is copied once for each stage that reads it, under that stage's names."""

import hashlib
import hmac
import json
from dataclasses import replace

import pytest
import yaml
from tests import formats
from tests.chaos.interrupted import reconciles
from tests.memory_plane import UID, MemoryPlane, config_map, kustomization

from penstock.adapters.secrets.memory import MemorySecrets
from penstock.core.errors import Transient
from penstock.core.flux.receiver import webhook_digest
from penstock.core.http import HttpRequest
from penstock.core.records import DeliveryRecord, ReceiverRecord, copies_key, delivery_key, receiver_key
from penstock.core.secrets.names import FETCH, NOTIFY, OWN, WEBHOOK, secret_name
from penstock.core.secrets.rotation import PREVIOUS
from penstock.stages import webhook

SHARED = {"token": b"token", "address": b"https://chat.example.com"}
LOGIN = {"bearerToken": b"t"}


def flux(group, kind, name, **spec):
    metadata = {"name": name, "namespace": "flux-system"}
    version = "v1beta3" if kind == "Provider" else "v1"
    return {"apiVersion": f"{group}.toolkit.fluxcd.io/{version}", "kind": kind, "metadata": metadata, "spec": spec}


def secret(name, data):
    metadata = {"name": name, "namespace": "flux-system"}
    text = {key: value.decode() for key, value in data.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": text}


def stored(reader, name):
    return secret_name(reader, "prod", "flux-system", name)


def receiver(name="hook"):
    resources = [{"kind": "GitRepository", "name": "flux-system"}]
    return flux(
        "notification",
        "Receiver",
        "github",
        type="github",
        events=["push"],
        secretRef={"name": name},
        resources=resources,
    )


def provider(name):
    return flux("notification", "Provider", "chat", type="generic", secretRef={"name": name})


def repository(name):
    spec = {"url": "https://git.example.com/site", "interval": "5m", "ref": {"branch": "main"}}
    return flux("source", "GitRepository", "site", **spec, secretRef={"name": name})


OTHER = {"name": "other", "namespace": "flux-system"}


def config_map_document():
    return yaml.safe_load(config_map("kept", "default"))


@pytest.fixture
def plane():
    made = MemoryPlane()
    made.cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "flux-system"}})
    return made


def push(plane, *documents):
    plane.push({"clusters/prod/all.yaml": yaml.safe_dump_all(documents)})
    plane.settle()


def test_each_stage_has_what_its_objects_refer_to_and_nothing_else(plane):
    for name, data in (("hook", SHARED), ("chat", SHARED), ("login", LOGIN), ("nobodys", LOGIN)):
        plane.cluster.create(secret(name, data))
    push(plane, receiver("hook"), provider("chat"), repository("login"))
    assert plane.secrets.names() == (stored(FETCH, "login"), stored(NOTIFY, "chat"), stored(WEBHOOK, "hook"))


def test_what_several_need_is_copied_for_each_and_read_once_for_all(plane):
    plane.cluster.create(secret("shared", SHARED))
    plane.cluster.calls.clear()
    push(plane, receiver("shared"), provider("shared"), repository("shared"))
    copies = [stored(reader, "shared") for reader in (FETCH, NOTIFY, WEBHOOK)]
    assert list(plane.secrets.names()) == copies
    assert [plane.secrets.get(name) for name in copies] == [SHARED] * 3
    assert plane.cluster.calls.count(("get", "Secret/flux-system/shared")) <= 3, "before, and after they are stored"
    plane.cluster.calls.clear()
    plane.reconcile("flux-system")
    assert plane.cluster.calls.count(("get", "Secret/flux-system/shared")) == 1


def test_of_a_rotated_token_only_the_webhook_is_told_the_one_before(plane):
    plane.cluster.create(secret("shared", SHARED))
    push(plane, receiver("shared"), provider("shared"))
    plane.cluster.delete(plane.live("v1", "Secret", "flux-system", "shared"))
    plane.cluster.create(secret("shared", {**SHARED, "token": b"new"}))
    plane.reconcile("flux-system")
    assert plane.secrets.get(stored(WEBHOOK, "shared")) == {**SHARED, "token": b"new", PREVIOUS: b"token"}
    assert plane.secrets.get(stored(NOTIFY, "shared")) == {**SHARED, "token": b"new"}


def test_a_secret_that_is_gone_takes_all_its_copies_along(plane):
    plane.cluster.create(secret("shared", SHARED))
    push(plane, receiver("shared"), provider("shared"))
    plane.cluster.delete(plane.live("v1", "Secret", "flux-system", "shared"))
    plane.reconcile("flux-system")
    assert plane.secrets.names() == ()


def test_a_copy_goes_with_the_last_object_that_refers_to_it(plane):
    plane.cluster.create(secret("shared", SHARED))
    plane.secrets.put(stored(NOTIFY, "by-hand"), SHARED, owner="")
    by_hand = stored(NOTIFY, "by-hand")
    push(plane, receiver("shared"), provider("shared"), {**provider("shared"), "metadata": OTHER}, repository("shared"))
    push(plane, provider("shared"), {**provider("by-hand"), "metadata": OTHER})
    assert plane.secrets.names() == (by_hand, stored(NOTIFY, "shared"))
    push(plane, {**provider("by-hand"), "metadata": OTHER})
    assert plane.secrets.names() == (by_hand,)
    push(plane, config_map_document())
    assert plane.secrets.names() == (by_hand,), "what an operator put there stays"
    assert plane.live("v1", "Secret", "flux-system", "shared") is not None, "only the plane's own store forgets"


def test_who_refers_to_another_secret_lets_the_one_before_go(plane):
    for name in ("one", "two"):
        plane.cluster.create(secret(name, SHARED))
    push(plane, provider("one"))
    push(plane, provider("two"))
    assert plane.secrets.names() == (stored(NOTIFY, "two"),)


def test_a_kustomization_that_leaves_takes_the_copies_of_its_objects_along(plane):
    plane.cluster.create(secret("shared", SHARED))
    chat = yaml.safe_dump(provider("shared"))
    plane.push({"clusters/prod/apps.yaml": kustomization("apps", "./apps"), "apps/chat.yaml": chat})
    plane.settle()
    assert plane.secrets.names() == (stored(NOTIFY, "shared"),)
    plane.push({"clusters/prod/apps.yaml": None, "clusters/prod/a.yaml": config_map("a", "default")})
    plane.settle()
    assert plane.secrets.names() == ()


def test_a_render_that_fails_forgets_nothing(plane):
    plane.cluster.create(secret("shared", SHARED))
    push(plane, provider("shared"))
    plane.push({"clusters/prod/all.yaml": "a: [", "clusters/prod/kustomization.yaml": "resources: [all.yaml]"})
    plane.settle()
    assert plane.ready("flux-system").startswith("False")
    assert plane.secrets.names() == (stored(NOTIFY, "shared"),)


def test_copies_of_a_release_that_wrote_none_of_them_down_are_known_after_the_roots_next_run(plane):
    plane.cluster.create(secret("shared", SHARED))
    push(plane, provider("shared"))
    plane.state.delete(copies_key("prod"), expected=None)
    plane.reconcile("flux-system", why="interval")
    push(plane, config_map_document())
    assert plane.secrets.names() == ()


def test_a_push_that_changes_no_reference_writes_no_list(plane):
    plane.cluster.create(secret("shared", SHARED))
    push(plane, provider("shared"))
    before = plane.state.get(copies_key("prod"))
    push(plane, provider("shared"), config_map_document())
    assert plane.state.get(copies_key("prod")) == before


def test_the_sources_credentials_that_are_missing_are_asked_for_by_the_stores_name(plane):
    push(plane, repository("login"))
    told = [event.message for event in plane.events if event.name == "site"]
    assert any("or make fetch_prod_flux--system_login there" in message for message in told), told


def send(plane, token):
    headers = {
        "content-type": "application/json",
        "x-github-event": "push",
        "x-hub-signature-256": "sha256=" + hmac.new(token, b"{}", hashlib.sha256).hexdigest(),
    }
    path = f"/hook/{webhook_digest(token, 'github', 'flux-system')}"
    request = HttpRequest(method="POST", path=path, headers=headers, body=b"{}")
    answer, _ = webhook.run(request, plane.deps)
    return webhook.settle(request, answer, plane.deps).status


def of_an_older_release(data):
    """A plane as a release left it whose names had no reader, some minutes after a rotation of the token."""
    plane = formats.restored(json.loads((formats.FOLDER / "1.json").read_text()))
    (entry,) = plane.state.list("receiver/")
    record = ReceiverRecord.from_value(entry.value)
    assert record.secret == stored(OWN, "hook")
    for token, until in ((b"token", ""), (b"before", "2100-01-01T00:00:00Z")):
        digest = webhook_digest(token, "github", "flux-system")
        value = record.to_value() | {"digest": digest, "until": until}
        plane.state.put(receiver_key(digest, "prod", "flux-system", "github"), value, expected=None)
    plane.secrets.put(stored(OWN, "hook"), data, owner=UID)
    return plane


def test_after_an_upgrade_the_roots_next_run_renames_the_copies_and_nobody_is_refused_for_good():
    plane = of_an_older_release({"token": b"token", PREVIOUS: b"before"})
    plane.secrets.put(stored(OWN, "by-hand"), LOGIN, owner="")
    assert send(plane, b"token") == 503  # a sender may try again; 401 would say that its token is wrong
    found = plane.state.get(delivery_key("prod", "flux-system", "github"))
    assert "runs of the root copy it" in DeliveryRecord.from_value(found.value).refused_reason
    plane.reconcile("flux-system")
    assert plane.secrets.names() == (stored(OWN, "by-hand"), stored(WEBHOOK, "hook"))
    entries = {ReceiverRecord.from_value(each.value).secret for each in plane.state.list("receiver/")}
    assert entries == {stored(WEBHOOK, "hook")}
    assert (send(plane, b"token"), send(plane, b"before"), send(plane, b"other")) == (202, 202, 404)


def test_an_older_entry_is_served_as_soon_as_the_copy_is_there():
    plane = of_an_older_release({"token": b"token"})
    plane.secrets.put(stored(WEBHOOK, "hook"), {"token": b"token"}, owner=UID)
    assert send(plane, b"token") == 202


def test_what_an_operator_made_under_an_older_name_stays_as_it_is():
    plane = of_an_older_release({"token": b"token"})
    plane.secrets.delete(stored(OWN, "hook"), owner=UID)
    plane.secrets.put(stored(OWN, "hook"), {"token": b"token"}, owner="")
    plane.reconcile("flux-system")
    assert plane.secrets.names() == (stored(OWN, "hook"), stored(WEBHOOK, "hook"))


def index(plane):
    return {each.key for each in plane.state.list("receiver/")}, set(plane.state.get("hooked/prod").value["entries"])


def test_entries_that_nobody_wrote_down_stop_nobody(plane):
    """A release that knows no hooked/ was put back for a while, and has made one."""
    plane.cluster.create(secret("shared", SHARED))
    push(plane, receiver("shared"))
    entries, named = index(plane)
    assert entries == named
    assert len(entries) == 1
    plane.state.put("hooked/prod", {"format": 1, "entries": []}, expected=None)
    plane.reconcile("flux-system")
    assert index(plane) == (entries, entries)
    assert plane.ready("flux-system").startswith("True")


def test_records_that_turn_out_to_be_old_are_not_asked_which_entries_there_are(plane):
    """Of a restored backup the index may be older or newer than what says what is in it."""
    plane.cluster.create(secret("shared", SHARED))
    push(plane, receiver("shared"))
    entries, _ = index(plane)
    (known,) = plane.state.list("receiver/")
    old = receiver_key("0" * 64, "prod", "flux-system", "github")
    plane.state.put(old, {**known.value, "digest": "0" * 64}, expected=None)
    backup = plane.state.list("")
    plane.push({"clusters/prod/more.yaml": config_map("more", "default")})
    plane.settle()
    for record in plane.state.list(""):
        plane.state.delete(record.key, expected=None)
    for record in backup:
        plane.state.put(record.key, record.value, expected=None, due=record.due)
    plane.clock.advance(3600)
    plane.reconcile("flux-system", why="interval")
    assert index(plane) == (entries, entries)
    assert plane.ready("flux-system").startswith("True")


BROKEN = {
    "cannot be rendered": {"clusters/prod/broken.yaml": "kind: ConfigMap\n  apiVersion: [v1\n"},
    "waits": {
        "clusters/prod/root.yaml": kustomization("flux-system", "./clusters/prod", dependsOn=[{"name": "never"}])
    },
    "is suspended": {"clusters/prod/root.yaml": kustomization("flux-system", "./clusters/prod", suspend=True)},
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_process_that_starts_anew_has_them_whatever_is_wrong_with_the_root(plane, how):
    for name, data in (("hook", SHARED), ("chat", SHARED), ("login", LOGIN)):
        plane.cluster.create(secret(name, data))
    push(plane, receiver("hook"), provider("chat"), repository("login"))
    before = plane.secrets.names()
    plane.push(BROKEN[how])
    plane.settle()
    plane.reconcile("flux-system")
    assert not plane.ready("flux-system").startswith("True") or how == "is suspended"
    plane.secrets = MemorySecrets()
    plane.deps = replace(plane.deps, secrets=plane.secrets)
    plane.reconcile("flux-system")
    assert plane.secrets.names() == before
    assert len(before) == 3


def test_a_token_that_is_replaced_while_the_root_is_broken_is_known_at_its_next_look(plane):
    plane.cluster.create(secret("hook", SHARED))
    push(plane, receiver("hook"))
    plane.push(BROKEN["cannot be rendered"])
    plane.settle()
    live = plane.live("v1", "Secret", "flux-system", "hook")
    plane.cluster.delete(live)
    plane.cluster.create(secret("hook", {"token": b"another"}))
    plane.reconcile("flux-system", why="interval")
    digest = webhook_digest(b"another", "github", "flux-system")
    assert plane.state.get(receiver_key(digest, "prod", "flux-system", "github")) is not None


def test_where_the_api_server_does_not_answer_the_next_try_brings_them(plane):
    plane.cluster.create(secret("hook", SHARED))
    push(plane, receiver("hook"))
    plane.secrets = MemorySecrets()
    plane.deps = replace(plane.deps, secrets=plane.secrets)
    asked = []

    class Away:
        def __getattr__(self, name):
            def call(*_args, **_kwargs):
                asked.append(name)
                raise Transient("the API server does not answer")

            return call

    class Nowhere(type(plane.clusters)):
        def connect(self, cluster, *, impersonate=""):
            return Away()

    there, plane.deps = plane.deps, replace(plane.deps, clusters=Nowhere(plane.cluster))
    reconciles("flux-system", "request")(plane)
    assert len(asked) == 1, "a run does not wait for it more than once"
    plane.deps = there
    plane.settle()
    assert plane.secrets.names() == (stored(WEBHOOK, "hook"),)
