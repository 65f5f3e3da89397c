"""Runs that are at the plane's copies of Secrets at once: in the end the store has what the cluster has.

A run is interrupted before each of its calls by all of another's; nobody waits for an interval afterwards.
"""

import contextlib

import pytest
import yaml
from tests.chaos.interrupted import at_each_call, fetched, reconciles, standing
from tests.memory_plane import CLUSTER, MemoryPlane, config_map, kustomization

from penstock.core.records import CopiesRecord, copies_key
from penstock.core.secrets.names import NOTIFY, secret_name

CHAT = secret_name(NOTIFY, CLUSTER, "flux-system", "chat")


def provider(name="chat"):
    metadata = {"name": name, "namespace": "flux-system"}
    spec = {"type": "generic", "secretRef": {"name": "chat"}}
    api = "notification.toolkit.fluxcd.io/v1beta3"
    return yaml.safe_dump({"apiVersion": api, "kind": "Provider", "metadata": metadata, "spec": spec})


def secret(address):
    metadata = {"name": "chat", "namespace": "flux-system"}
    text = {"address": f"https://chat.example.com/{address}"}
    return yaml.safe_dump({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": text})


BASE = {
    "clusters/prod/keep.yaml": config_map("keep", "default"),
    "clusters/prod/users.yaml": kustomization("users", "users"),
    "clusters/prod/keys.yaml": kustomization("keys", "keys"),
    "users/a.yaml": config_map("a", "default", x="1"),
    "keys/b.yaml": config_map("b", "default", x="1"),
}
KEYS = {**BASE, "keys/secret.yaml": secret("old")}
BOTH = {**KEYS, "users/provider.yaml": provider()}
REPLACED = {**BOTH, "keys/secret.yaml": secret("new")}


def stands(*commits):
    """A new plane at these commits: see ``standing``."""
    plane = MemoryPlane()
    plane.cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "flux-system"}})
    return standing(plane, *commits)


def held(plane):
    return {key: value.decode() for key, value in (plane.secrets.get(CHAT) or {}).items()}


@pytest.mark.parametrize(
    "order", [("users", "keys"), ("keys", "users")], ids=lambda o: f"{o[1]} in the middle of {o[0]}"
)
def test_a_copy_from_before_is_not_taken_for_the_newest(order):
    """A Provider that comes back, while another Kustomization replaces the Secret that it refers to."""
    for at, plane in at_each_call(lambda: stands(BOTH, KEYS, REPLACED), *map(reconciles, order)):
        plane.settle(seconds=30)
        assert held(plane) == {"address": "https://chat.example.com/new"}, at


def test_an_overtaken_run_does_not_leave_what_it_has_applied():
    """Its Secret is copied after the newer run's: it looks again."""

    def overtake(plane):
        fetched(plane, REPLACED)
        reconciles("keys")(plane)

    between = {**BOTH, "keys/secret.yaml": secret("between")}
    for at, plane in at_each_call(lambda: stands(BOTH, between), reconciles("keys"), overtake):
        plane.settle(seconds=30)
        assert held(plane) == {"address": "https://chat.example.com/new"}, at


@pytest.mark.parametrize("first", ["users", "keys"])
def test_a_copy_that_one_lets_go_in_the_moment_in_which_another_needs_it_is_there(first):
    """The last Provider that refers to a Secret leaves ``users``, and one comes to ``keys``."""
    before = {**BASE, "clusters/prod/secret.yaml": secret("kept"), "users/provider.yaml": provider()}
    after = {**BASE, "clusters/prod/secret.yaml": secret("kept"), "keys/provider.yaml": provider("other")}
    order = ("users", "keys") if first == "users" else ("keys", "users")
    for at, plane in at_each_call(lambda: stands(before, after), *map(reconciles, order)):
        plane.settle(seconds=30)
        assert held(plane) == {"address": "https://chat.example.com/kept"}, at
        assert CopiesRecord.from_value(plane.state.get(copies_key(CLUSTER)).value).names == (CHAT,), at
        fetched(plane, {**BASE, "clusters/prod/secret.yaml": secret("kept")})
        reconciles("keys")(plane)
        plane.settle(seconds=30)
        assert plane.secrets.names() == (), at


@pytest.mark.parametrize("name", ["users", "flux-system"], ids=lambda n: f"by {n}")
def test_a_copy_is_forgotten_whenever_who_forgets_it_is_killed(name):
    """Before any of its calls; what is left is found at the root's interval."""

    class Killed(BaseException):
        pass

    def kill(_):
        raise Killed

    def dies(plane):
        with contextlib.suppress(Killed):
            reconciles(name)(plane)

    gone = "users/provider.yaml" if name == "users" else "clusters/prod/users.yaml"
    after = {path: text for path, text in BOTH.items() if path != gone}
    for at, plane in at_each_call(lambda: stands(BOTH, after), dies, kill):
        plane.settle(seconds=30)
        plane.clock.advance(600)
        plane.tick()
        plane.settle(seconds=30)
        assert plane.secrets.names() == (), at
        assert CopiesRecord.from_value(plane.state.get(copies_key(CLUSTER)).value).names == (), at
