"""Receivers and sources that Kustomizations declare, move and remove in a schedule, and what is left of them in the end.

Two Receivers: the token of ``hand`` is a Secret that people keep in the cluster, that of ``git`` comes from Git. One
source, with a login that people keep in the cluster.
"""

import random
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import yaml
from tests.chaos.stories import OWNERS
from tests.memory_plane import CLUSTER, MemoryPlane

from penstock.core.flux.receiver import webhook_digest
from penstock.core.records import ReceiverRecord, SourceStatus, hooked_key, receiver_key, status_key
from penstock.core.secrets.names import FETCH, WEBHOOK, secret_name
from penstock.core.secrets.rotation import PREVIOUS, TOKEN
from penstock.stages.reconcile.context import decoded

NAMESPACE = "flux-system"
SOURCE_URL = "https://git.example.com/extra"
RECEIVERS = ("hand", "git")
BY_HAND = {"receivers": "hook-hand", "sources": "login"}
"""Kind of a schedule -> the Secret that people keep in the cluster for it."""
_KEYS = {"hook-hand": TOKEN, "login": "bearerToken"}
_ROOT = "clusters/prod"
_LATE = timedelta(minutes=20)
"""So long after the end of its grace an old token's entry is gone: each interval somebody looks."""

Files = Mapping[str, str]


class Missed(AssertionError):
    """All else has come to rest, and this waits for somebody's interval."""


def declare(kinds: frozenset[str], trees: list[dict[str, str]], chance: random.Random) -> None:
    """Put the Flux objects of these kinds into successive commits."""
    names = [
        name for name, kind in (("hand", "receivers"), ("git", "receivers"), ("extra", "sources")) if kind in kinds
    ]
    for name in names:
        place, token = "", 0
        for files in trees:
            places = [_ROOT, *(owner for owner in OWNERS if f"{_ROOT}/{owner}.yaml" in files)]
            if place not in places or chance.random() < 0.5:
                place = chance.choice([*places, ""])
            token += chance.random() < 0.4
            if place:
                files[f"{place}/{name}.yaml"] = _source() if name == "extra" else _receiver(name)
            if place and name == "git":
                files[f"{chance.choice([place, *places])}/token.yaml"] = yaml.safe_dump(
                    secret("hook-git", f"git-{token}")
                )


def _flux(group: str, kind: str, name: str, spec: Mapping[str, Any]) -> str:
    metadata = {"name": name, "namespace": NAMESPACE}
    return yaml.safe_dump(
        {"apiVersion": f"{group}.toolkit.fluxcd.io/v1", "kind": kind, "metadata": metadata, "spec": spec}
    )


def _receiver(name: str) -> str:
    resources = [{"kind": "GitRepository", "name": "flux-system"}]
    spec = {"type": "github", "secretRef": {"name": f"hook-{name}"}, "resources": resources}
    return _flux("notification", "Receiver", name, spec)


def _source() -> str:
    spec = {"url": SOURCE_URL, "interval": "5m", "ref": {"branch": "main"}, "secretRef": {"name": "login"}}
    return _flux("source", "GitRepository", "extra", spec)


def secret(name: str, value: str) -> dict[str, Any]:
    """A Secret with one value."""
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {_KEYS.get(name, TOKEN): value}}


def ids_of(owner: str, files: Files) -> set[str]:
    """Inventory ids of what a Kustomization applies of these: its Secret."""
    return {f"{NAMESPACE}_hook-git__Secret@v1"} if f"{owner}/token.yaml" in files else set()


def declares(files: Files, kind: str, name: str) -> bool:
    """Whether a commit has such an object."""
    documents = [
        yaml.safe_load(text) for path, text in files.items() if path.endswith((f"/{name}.yaml", "/token.yaml"))
    ]
    return any((each["kind"], each["metadata"]["name"]) == (kind, name) for each in documents)


def check_receivers(plane: MemoryPlane, files: Files, now: float) -> None:
    """The webhook takes what is declared, an old token only for a while, and nothing else."""
    records = plane.state.list("receiver/")
    found = [ReceiverRecord.from_value(each.value) for each in records]
    wanted = {(name, _digest(plane, name)) for name in RECEIVERS if declares(files, "Receiver", name)}
    current = {(each.name, each.digest) for each in found if not each.until}
    assert current == wanted, f"Receivers in the index {sorted(current)}, declared {sorted(wanted)}"
    keys = [receiver_key(each.digest, CLUSTER, NAMESPACE, each.name) for each in found]
    assert [each.key for each in records] == keys, "an entry stands under another's key"
    hooked = plane.state.get(hooked_key(CLUSTER))
    assert (list(hooked.value["entries"]) if hooked else []) == keys, f"hooked/ says {hooked}, the index has {keys}"
    for each in found:
        held = plane.secrets.get(each.secret) or {}
        token = held.get(PREVIOUS if each.until else TOKEN, b"")
        assert webhook_digest(token, each.name, NAMESPACE) == each.digest, f"{each.name}: its entry is of another token"
        late = datetime.fromtimestamp(now, UTC) - datetime.fromisoformat(each.until or "9999-01-01T00:00:00Z")
        assert late < _LATE, f"{each.name}: its old token was to be taken until {each.until}"


def check_announced(plane: MemoryPlane, files: Files) -> None:
    """What commits have changed about Receivers is in the index as soon as their runs have ended. Raises Missed."""
    found = [ReceiverRecord.from_value(each.value) for each in plane.state.list("receiver/")]
    current = {each.name: each.digest for each in found if not each.until}
    declared = {name for name in RECEIVERS if declares(files, "Receiver", name)}
    if "hand" in declared and "hand" not in current:  # its Secret was not there when somebody looked
        declared.discard("hand")
    if current.keys() != declared:
        raise Missed(f"Receivers in the index {sorted(current)}, declared {sorted(declared)}")
    if "git" in current and current["git"] != _digest(plane, "git"):
        raise Missed("the Receiver whose token is in Git is in the index with another one")


def _digest(plane: MemoryPlane, name: str) -> str:
    found = plane.live("v1", "Secret", NAMESPACE, f"hook-{name}")
    assert found is not None, f"Secret hook-{name} is gone"
    return webhook_digest(decoded(found)[TOKEN], name, NAMESPACE)


def check_source(plane: MemoryPlane, files: Files) -> None:
    """The source stands exactly while it is declared, and has an artifact then."""
    known, declared = plane.known("GitRepository", "extra"), declares(files, "GitRepository", "extra")
    assert known is declared, f"GitRepository extra: known {known}, in Git {declared}"
    status = plane.state.get(status_key(CLUSTER, "GitRepository", NAMESPACE, "extra"))
    assert (status is not None) is declared, f"status of GitRepository extra: {status}"
    if status is not None:
        told = SourceStatus.from_value(status.value)
        assert not told.error, f"GitRepository extra: {told.conditions}"
        assert plane.storage.has(told.artifact), f"GitRepository extra: artifact {told.artifact} is not stored"


def check_copies(plane: MemoryPlane, files: Files, *, restored: bool) -> None:
    """The store has what the lean stages need, as the cluster has it now, and nothing else.

    ``restored``: records may have forgotten a copy that was made after them.
    """
    wanted = dict(_copies(files))
    exact = restored or plane.secrets.names() == tuple(sorted(wanted))
    assert exact, f"copies {plane.secrets.names()}, needed {sorted(wanted)}"
    for stored_as, name in wanted.items():
        live = plane.live("v1", "Secret", NAMESPACE, name)
        held = dict(plane.secrets.get(stored_as) or {})
        held.pop(PREVIOUS, None)
        assert live is not None, f"Secret {name} is gone"
        assert held == decoded(live), f"the copy {stored_as} is not what the cluster has"


def _copies(files: Files) -> Iterator[tuple[str, str]]:
    for name in RECEIVERS:
        if declares(files, "Receiver", name):
            yield secret_name(WEBHOOK, CLUSTER, NAMESPACE, f"hook-{name}"), f"hook-{name}"
    if declares(files, "GitRepository", "extra"):
        yield secret_name(FETCH, CLUSTER, NAMESPACE, "login"), "login"
