"""Which rights a plan's writes need, and how a missing one is told. Verbs are those of Kubernetes' authorization.

https://kubernetes.io/docs/reference/access-authn-authz/authorization/#determine-the-request-verb: a server-side apply
is a ``patch``, and a ``create`` too where the object is new; handing fields over is an ``update``.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from penstock.core.reconcile.managers import taken_over
from penstock.core.reconcile.plan import Action, Change, ChangeSet
from penstock.core.resources import Gvk, Manifest

_RBAC = "rbac.authorization.k8s.io"
_MOST_TOLD = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Need:
    """One right: to ``verb`` the objects ``names`` of a kind in a namespace ("" for cluster scope)."""

    verb: str
    gvk: Gvk
    namespace: str
    names: tuple[str, ...] = ()


def needed(changes: ChangeSet, manager: str, *, everything: bool, overridden: Sequence[str] = ()) -> tuple[Need, ...]:
    """What the writes of a plan need, most of which is known already and left out unless ``everything`` is asked for.

    Known: where an object of the same kind and namespace was applied by us, another one can be. Not judged: what the
    plan itself may grant (namespaces that it makes, roles and bindings that it writes); a dry-run tells of those.
    """
    names: dict[tuple[str, Gvk, str], list[str]] = defaultdict(list)
    known, unjudged = set() if everything else _proven(changes, manager), _unjudged(changes)
    if unjudged is None:
        return ()
    for change in changes.writes:
        if change.ref.namespace in unjudged:
            continue
        for verb in _verbs(change, manager, overridden):
            gvk = Gvk(group=change.ref.group, version=change.version, kind=change.ref.kind)
            if verb in {"delete", "update"} or (gvk.group, gvk.kind, change.ref.namespace) not in known:
                names[verb, gvk, change.ref.namespace].append(change.ref.name)
    return tuple(
        Need(verb=verb, gvk=gvk, namespace=namespace, names=tuple(found))
        for (verb, gvk, namespace), found in names.items()
    )


def told(missing: Iterable[Need], plurals: Mapping[Gvk, str], identity: str) -> str:
    """A sentence: who may not do what where. ``plurals``: kind -> ``deployments``."""
    verbs: dict[tuple[str, str], list[str]] = defaultdict(list)
    for need in missing:
        resource = f"{plurals[need.gvk]}.{need.gvk.group}" if need.gvk.group else plurals[need.gvk]
        where = f"in namespace {need.namespace}" if need.namespace else "at cluster scope"
        verbs[resource, where].append(need.verb)
    parts = [f"{' and '.join(each)} {resource} {where}" for (resource, where), each in verbs.items()]
    more = f", and {len(parts) - _MOST_TOLD} more" if len(parts) > _MOST_TOLD else ""
    return f"{identity} may not {'; '.join(parts[:_MOST_TOLD])}{more}"


def _verbs(change: Change, manager: str, overridden: Sequence[str]) -> Iterator[str]:
    if change.action is Action.DELETED:
        yield "delete"
        return
    yield "patch"
    if change.live is None:
        yield "create"
    elif taken_over(change.live, manager, overridden) is not None:
        yield "update"


def _proven(changes: ChangeSet, manager: str) -> set[tuple[str, str, str]]:
    return {
        (change.ref.group, change.ref.kind, change.ref.namespace)
        for change in changes.changes
        if change.live is not None and _applied_by(change.live, manager)
    }


def _applied_by(live: Manifest, manager: str) -> bool:
    entries = live["metadata"].get("managedFields") or ()
    return any((each.get("manager"), each.get("operation")) == (manager, "Apply") for each in entries)


def _unjudged(changes: ChangeSet) -> set[str] | None:
    """Namespaces in which rights change with this very plan; None where it may be everywhere."""
    found = set()
    for change in changes.of(Action.CREATED, Action.CONFIGURED):
        if (change.ref.group, change.ref.kind) == ("", "Namespace"):
            found |= {change.ref.name} if change.action is Action.CREATED else set()
        elif change.ref.group == _RBAC and not change.ref.namespace:
            return None
        elif change.ref.group == _RBAC:
            found.add(change.ref.namespace)
    return found
