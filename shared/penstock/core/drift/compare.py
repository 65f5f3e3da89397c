"""Whether applying ``desired`` would change ``live``, told from what the API server already said.

Equal means all three: every desired field has its value; no field that we own by managedFields is missing from the
desired object; every desired field is owned by us. The structure of our own entry in managedFields (FieldsV1) also
tells how each list is merged: by keys (``k:``), as a set (``v:``), or as a whole. Fields that only others own (an
HPA's replicas, an injected sidecar, defaults) are not looked at.

Where that cannot be told, the answer is ``DOUBT``: a server-side dry-run of that one object decides.
"""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from penstock.core.drift.quantity import same_quantity
from penstock.core.resources import Manifest

MOST_PATHS = 32
OWNERSHIP = "metadata.managedFields"
"""The path of a difference that is nothing but who owns the fields."""
_MISSING: Any = object()


class Verdict(Enum):
    """What a comparison found."""

    EQUAL = "equal"
    DIFFERS = "differs"
    DOUBT = "doubt"


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """``paths``: dotted paths of the fields that differ or are in doubt (at most 32).

    A place in a list is that in the live object; of an item that is not there, that in the desired one.
    """

    verdict: Verdict
    paths: tuple[str, ...] = ()


class _Walk:
    def __init__(self, desired: Manifest, ignored: Collection[str] = ()) -> None:
        self.differs: list[str] = []
        self.doubts: list[str] = []
        self.others = False
        self.ignored = ignored
        self.defaults = _DEFAULTS.get((desired["apiVersion"], desired.get("kind", "")), {})
        self.quantities = desired["apiVersion"] in _WITH_QUANTITIES

    def differ(self, path: str) -> None:
        if len(self.differs) < MOST_PATHS and not self.is_ignored(path):
            self.differs.append(path)

    def doubt(self, path: str) -> None:
        if len(self.doubts) < MOST_PATHS and not self.is_ignored(path):
            self.doubts.append(path)

    def is_ignored(self, path: str) -> bool:
        return any(path == each or path.startswith((f"{each}.", f"{each}[")) for each in self.ignored)

    def mapping(self, desired: Mapping[str, Any], live: Any, owned: Mapping[str, Any], path: str) -> None:
        if not isinstance(live, Mapping):
            self.differ(path)
            return
        for key, value in desired.items():
            self.field(value, live.get(key, _MISSING), owned.get(f"f:{key}"), f"{path}.{key}" if path else key)
        for key, below in owned.items():
            name = key.removeprefix("f:")
            if key != name and desired.get(name) is None and not (name in desired and live.get(name) is None):
                self.absent(live.get(name), below, f"{path}.{name}" if path else name)

    def absent(self, live: Any, owned: Mapping[str, Any], path: str) -> None:
        """Ours, and not in Git. An empty structure that was applied (Flux adds some) is owned as an atomic one is."""
        if isinstance(live, Mapping) and not owned:
            self.doubt(path)
        else:
            self.differ(path)

    def field(self, desired: Any, live: Any, owned: Mapping[str, Any] | None, path: str) -> None:
        live = _MISSING if live is None else live
        if live is _MISSING and desired in (None, {}, []):
            return  # neither is stored
        if desired is None:
            if owned is None:
                self.doubt(path)  # taken from others, or left to them: kinds differ
            return  # an owned one is found by its parent
        if owned is None and live is _MISSING and _is_zero(desired):
            self.doubt(path)  # built-in kinds do not store it, custom resources do
        elif owned is None:
            self.unowned(desired, live, path)
        elif isinstance(desired, Mapping) and _has(owned, "f:"):
            self.mapping(desired, live, owned, path)
        elif isinstance(desired, Sequence) and not isinstance(desired, str) and _has(owned, "k:"):
            self.keyed(desired, live, owned, path)
        elif isinstance(desired, Sequence) and not isinstance(desired, str) and _has(owned, "v:"):
            self.members(desired, live, owned, path)
        else:
            self.whole(desired, live, path)

    def unowned(self, desired: Any, live: Any, path: str) -> None:
        """Not ours (yet): one apply takes the ownership. The values that differ are named where there are any."""
        if isinstance(desired, Mapping) and any(each.startswith(f"{path}.") for each in self.ignored):
            self.mapping(desired, live, {}, path)
            return
        before = len(self.differs)
        self.whole(desired, live, path)
        self.others = self.others or (len(self.differs) == before and not self.is_ignored(path))

    def whole(self, desired: Any, live: Any, path: str) -> None:
        """An atomic value: ours as a whole, but the server may have filled in defaults inside.

        What it filled in looks like what has left Git: managedFields do not tell.
        """
        if isinstance(desired, Mapping):
            if not isinstance(live, Mapping):
                self.differ(path)
                return
            more = (k for k, value in live.items() if desired.get(k) is None and value not in (None, {}, []))
            if any(self.defaults.get(key) != live[key] for key in more):
                self.doubt(path)
            for key, value in desired.items():
                if value is not None and not (value in ({}, []) and key not in live):
                    self.whole(value, live.get(key, _MISSING), f"{path}.{key}")
        elif isinstance(desired, list):
            if not isinstance(live, list) or len(live) != len(desired):
                self.differ(path)
                return
            for index, (mine, theirs) in enumerate(zip(desired, live, strict=True)):
                self.whole(mine, theirs, f"{path}[{index}]")
        else:
            self.scalar(desired, live, path)

    def scalar(self, desired: Any, live: Any, path: str) -> None:
        if desired == live and isinstance(desired, bool) == isinstance(live, bool):
            return
        if live is _MISSING and _is_zero(desired):
            self.doubt(path)
        elif live is _MISSING or isinstance(live, list | dict) or isinstance(desired, bool) or isinstance(live, bool):
            self.differ(path)
        elif type(desired) is type(live) or not same_quantity(desired, live):
            if not same_quantity(desired, live):
                self.differ(path)
            elif not (self.quantities and _QUANTITY.fullmatch(path)):
                self.doubt(path)
        # else: a number that the server keeps as a quantity (``cpu: 1`` -> "1")

    def keyed(self, desired: Sequence[Any], live: Any, owned: Mapping[str, Any], path: str) -> None:
        if not isinstance(live, list):
            self.differ(path)
            return
        keys = [(json.loads(name[2:]), below) for name, below in owned.items() if name.startswith("k:")]
        unmatched = list(keys)
        places: list[int] = []
        for index, item in enumerate(desired):
            here = f"{path}[{index}]"
            matches = [pair for pair in keys if item_is(item, pair[0])]
            if len(matches) > 1:
                self.doubt(here)
                unmatched = [pair for pair in unmatched if pair not in matches]
                continue
            if not matches:
                self.differ(here)
                continue
            key, below = matches[0]
            unmatched = [pair for pair in unmatched if pair[0] != key]
            found = [place for place, entry in enumerate(live) if is_item(entry, key)]
            if len(found) != 1:
                self.differ(here)
                continue
            places += found
            there = f"{path}[{found[0]}]"
            if _has(below, "f:"):
                self.mapping(item, live[found[0]], below, there)
            else:
                self.whole(item, live[found[0]], there)
        if places != sorted(places):
            self.doubt(path)  # the order of variables or containers can matter, and is merged with that of others
        for key, _ in unmatched:
            self.differ(f"{path}[{json.dumps(key, sort_keys=True)}]")

    def members(self, desired: Sequence[Any], live: Any, owned: Mapping[str, Any], path: str) -> None:
        mine = {json.dumps(item, sort_keys=True) for item in desired}
        ours = {json.dumps(json.loads(name[2:]), sort_keys=True) for name in owned if name.startswith("v:")}
        there = {json.dumps(item, sort_keys=True) for item in live} if isinstance(live, list) else set()
        if mine != ours or not mine <= there:
            self.differ(path)
        elif [item for item in live if item in desired] != list(desired):
            self.doubt(path)


def compare(desired: Manifest, live: Manifest, *, manager: str, ignored: Collection[str] = ()) -> Comparison:
    """Whether an apply of ``desired`` by ``manager`` would change ``live`` (with its managedFields).

    ``ignored``: dotted paths at and below which nothing counts as a difference.
    """
    entries = [
        entry
        for entry in live["metadata"].get("managedFields") or ()
        if entry.get("manager") == manager and entry.get("operation") == "Apply" and not entry.get("subresource")
    ]
    if len(entries) != 1:
        return Comparison(verdict=Verdict.DIFFERS, paths=(OWNERSHIP,))
    if entries[0].get("apiVersion") != desired["apiVersion"]:
        return Comparison(verdict=Verdict.DOUBT, paths=("apiVersion",))
    walk = _Walk(desired, ignored)
    walk.mapping(_comparable(desired), live, entries[0].get("fieldsV1") or {}, "")
    if walk.differs:
        return Comparison(verdict=Verdict.DIFFERS, paths=tuple(walk.differs))
    if walk.others and not walk.doubts:
        return Comparison(verdict=Verdict.DIFFERS, paths=(OWNERSHIP,))
    if walk.doubts:
        return Comparison(verdict=Verdict.DOUBT, paths=tuple(walk.doubts))
    return Comparison(verdict=Verdict.EQUAL)


def same_after_dry_run(live: Manifest, applied: Manifest) -> bool:
    """Whether a dry-run's answer is the live object, apart from bookkeeping."""
    return _without_bookkeeping(live) == _without_bookkeeping(applied)


def changed_paths(live: Manifest, applied: Manifest) -> tuple[str, ...]:
    """Dotted paths at which a dry-run's answer is not the live object (at most 32)."""
    found: list[str] = []
    _diff(_without_bookkeeping(live), _without_bookkeeping(applied), "", found)
    return tuple(found[:MOST_PATHS])


def _diff(left: Any, right: Any, path: str, found: list[str]) -> None:
    if left == right or len(found) >= MOST_PATHS:
        return
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        for key in sorted({*left, *right}):
            _diff(left.get(key), right.get(key), f"{path}.{key}" if path else key, found)
    elif isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        for index, (one, other) in enumerate(zip(left, right, strict=True)):
            _diff(one, other, f"{path}[{index}]", found)
    else:
        found.append(path)


def _without_bookkeeping(manifest: Manifest) -> Manifest:
    dropped = ("managedFields", "resourceVersion", "generation", "creationTimestamp", "uid")
    metadata = {k: v for k, v in manifest["metadata"].items() if k not in dropped}
    return {k: v for k, v in manifest.items() if k != "status"} | {"metadata": metadata}


def _comparable(desired: Manifest) -> Manifest:
    """Without what managedFields never lists: type and identity."""
    metadata = {
        k: v
        for k, v in desired["metadata"].items()
        if k not in ("name", "namespace", "uid", "resourceVersion", "generation", "managedFields")
    }
    shown = {k: v for k, v in desired.items() if k not in ("apiVersion", "kind", "metadata")}
    return shown | ({"metadata": metadata} if metadata else {})


def _is_zero(value: Any) -> bool:
    """What Go leaves out where a field is optional."""
    return value in ("", 0) and not isinstance(value, float)


def _has(owned: Mapping[str, Any], prefix: str) -> bool:
    return any(key.startswith(prefix) for key in owned)


_WITH_QUANTITIES = frozenset({"v1", "apps/v1", "batch/v1"})
_QUANTITY = re.compile(
    r"spec\.(?:capacity|hard(?:\.limits|\.requests)?)\.[^.]+"
    r"|spec\.(?!.*\b(?:annotations|labels|matchLabels|nodeSelector)\.)(?:\w+(?:\[\d+\])?\.)*resources\.(?:limits|requests)\.[^.]+"
)
"""Where the kinds of these API versions hold quantities, which the API server writes in its own way.

Names of data, labels and annotations have dots, too: a text there is no quantity, whatever it looks like.
"""
_IN_PODS: Mapping[str, Any] = {"apiVersion": "v1", "divisor": "0", "expirationSeconds": 3600}
"""Of a fieldRef, a resourceFieldRef, and a serviceAccountToken among projected sources."""
_DEFAULTS: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("networking.k8s.io/v1", "NetworkPolicy"): {"protocol": "TCP"},
    ("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration"): {"scope": "*"},
    ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"): {"scope": "*"},
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"): {"apiGroup": "rbac.authorization.k8s.io"},
    ("rbac.authorization.k8s.io/v1", "RoleBinding"): {"apiGroup": "rbac.authorization.k8s.io"},
    ("batch/v1", "CronJob"): _IN_PODS,
    ("batch/v1", "Job"): _IN_PODS,
    ("apps/v1", "Deployment"): {
        **_IN_PODS,
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
    },
    ("apps/v1", "DaemonSet"): {
        **_IN_PODS,
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1},
    },
    ("apps/v1", "StatefulSet"): {
        **_IN_PODS,
        "type": "RollingUpdate",
        "rollingUpdate": {"partition": 0},
        "kind": "PersistentVolumeClaim",
        "volumeMode": "Filesystem",
        "status": {"phase": "Pending"},
    },
}
"""What the API server fills into atomic lists and empty structures (``strategy: {}``) of kinds where that is usual."""
_KEY_DEFAULTS = {"protocol": "TCP"}


def item_is(desired: Any, key: Mapping[str, Any]) -> bool:
    """Whether a desired list item is the one of this key (``k:`` of a FieldsV1); the server defaults what it omits."""
    return isinstance(desired, Mapping) and all(
        desired.get(name, _KEY_DEFAULTS.get(name, value)) == value for name, value in key.items()
    )


def is_item(live: Any, key: Mapping[str, Any]) -> bool:
    """Whether a live list item is the one of this key."""
    return isinstance(live, Mapping) and all(live.get(name) == value for name, value in key.items())
