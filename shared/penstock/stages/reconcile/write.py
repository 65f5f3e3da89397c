"""One object: its dry-run, its apply, its recreation, its deletion.

Live objects are patched and deleted with their resourceVersion and uid as preconditions, so nothing is overwritten
that the plan has not seen.
"""

from dataclasses import dataclass, replace
from typing import Any

from penstock.core.drift.compare import OWNERSHIP, Verdict, changed_paths, same_after_dry_run
from penstock.core.drift.ignore import compare_ignoring, payload
from penstock.core.errors import Conflict, NotFound, PenstockError, Refused, Terminal, Transient
from penstock.core.reconcile.guard import PRECIOUS
from penstock.core.reconcile.managers import after_takeover, applied_fields, taken_over, with_managed_fields
from penstock.core.reconcile.order import GroupKind
from penstock.core.reconcile.plan import LET_GO, Action, Change, compared, merges, owner_of, switch
from penstock.core.resources import Gvk, Manifest
from penstock.ports.clock import Clock
from penstock.ports.cluster import FIELD_MANAGER, ApiRefused, ApplyOptions, Cluster
from penstock.stages.reconcile.lease import Claim
from penstock.stages.reconcile.undeclared import advice, declared

GONE_WITHIN = 20.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Writer:
    """What applying needs. ``claim`` is None for plans: then only dry-runs are made.

    ``drop``: undeclared fields are left out (``policy.fieldValidation: Warn``). ``stage_kinds``: applied in a stage of
    their own (``policy.customApplyStageKinds``). ``overridden``: managers whose fields become ours
    (``policy.overrideManagers``).
    """

    cluster: Cluster
    clock: Clock
    claim: Claim | None = None
    force: bool = False
    drop: bool = False
    stage_kinds: tuple[GroupKind, ...] = ()
    overridden: tuple[str, ...] = ()

    def check(self) -> None:
        """Raise Transient when no time is left for another write."""
        if self.claim is not None:
            self.claim.check(self.clock)


def dry_run_one(writer: Writer, change: Change) -> Change:
    """The change after the API server's word. Raises Terminal, naming the object, where it is refused."""
    if change.desired is None or change.action not in (Action.CREATED, Action.CONFIGURED):
        return change
    try:
        options = ApplyOptions(dry_run=True)
        change, answer = declared(change, lambda each: writer.cluster.apply(_sent(each), options), drop=writer.drop)
    except ApiRefused as refused:
        if _may_recreate(writer, change, refused):
            return replace(change, reason="recreate")
        problem = f"{change.ref} dry-run failed: {refused}{advice(refused)}"
        raise Terminal(problem, reason="ReconciliationFailed") from refused
    except NotFound as missing:
        raise Terminal(f"{change.ref} dry-run failed: {missing}", reason="ReconciliationFailed") from missing
    except Refused as refused:
        raise _refusal(change, refused) from refused
    if writer.claim is None:
        change = replace(change, after=_after(writer, change, answer))  # a plan shows it; a run has no use for it
    return _judged(writer, change, change.live, answer) if change.live is not None else change


def _judged(writer: Writer, change: Change, live: Manifest, answer: Manifest) -> Change:
    """What a dry-run's answer makes of a change: nothing, a matter of who owns the fields, or what it is."""
    before = applied_fields(live, FIELD_MANAGER)
    if same_after_dry_run(live, answer) and before is not None and not _to_take_over(writer, change):
        if writer.claim is not None and before != applied_fields(answer, FIELD_MANAGER):
            return replace(change, paths=(OWNERSHIP,), doubt=False, reason=LET_GO)  # else it is asked each time
        return replace(change, action=Action.UNCHANGED, paths=(), doubt=False)
    if change.doubt:
        return replace(change, doubt=False, paths=changed_paths(live, answer) or change.paths)
    return change


def _after(writer: Writer, change: Change, answer: Manifest) -> Manifest:
    if change.live is None or change.desired is None or _to_take_over(writer, change) is None:
        return answer
    return after_takeover(answer, change.desired, change.live, manager=FIELD_MANAGER, overridden=writer.overridden)


def _may_recreate(writer: Writer, change: Change, refused: ApiRefused) -> bool:
    """Whether deleting and creating it is allowed (spec.force, or its own switch), helps, and can succeed.

    It helps where nothing but immutable fields is in the way; it can succeed where the API server takes the new
    object, asked under another name. An object is never lost to a mistake in its new form.
    """
    own = "enabled" in (switch(change.desired, "force"), switch(change.live, "force"))
    if change.live is None or not (own or (writer.force and not _precious(change))):
        return False
    causes = [ApiRefused(message, code=refused.code) for _, message in refused.causes]
    return refused.immutable and all(cause.immutable for cause in causes) and _takes(writer, change)


def _precious(change: Change) -> bool:
    """What takes its contents along when it goes: only the object's own switch lets it be made anew."""
    return (change.ref.group, change.ref.kind) in PRECIOUS


def _takes(writer: Writer, change: Change) -> bool:
    assert change.desired is not None
    name = f"{change.ref.name[:54].rstrip('-.')}-dry-run"
    metadata = {**change.desired["metadata"], "name": name}
    try:
        writer.cluster.apply({**change.desired, "metadata": metadata}, ApplyOptions(dry_run=True))
    except ApiRefused as refused:
        return "already allocated" in str(refused)  # an address or port that the old one holds
    except (NotFound, Refused):
        return False
    return True


def apply_one(writer: Writer, change: Change) -> Change:
    """Apply it; the change with the API server's answer. Raises Terminal where it is refused, Transient otherwise."""
    if change.desired is None or change.action not in (Action.CREATED, Action.CONFIGURED):
        return change
    writer.check()
    if change.reason == "recreate":
        return _recreate(writer, change)
    for _ in range(4):
        try:
            change = _take_over(writer, change)
            change, answer = declared(
                change, lambda each: writer.cluster.apply(_with_precondition(each), ApplyOptions()), drop=writer.drop
            )
        except Conflict:
            fresh = _fresh(writer, change)
            if fresh.action is Action.UNCHANGED:
                return fresh
            change = fresh
            continue
        except (ApiRefused, NotFound) as refused:
            if isinstance(refused, ApiRefused) and _may_recreate(writer, change, refused):
                return _recreate(writer, change)
            hint = advice(refused) if isinstance(refused, ApiRefused) else ""
            raise Terminal(f"{change.ref} apply failed: {refused}{hint}", reason="ReconciliationFailed") from refused
        except Refused as refused:
            raise _refusal(change, refused) from refused
        before = change.live["metadata"].get("resourceVersion") if change.live else None
        same = before is not None and before == answer["metadata"].get("resourceVersion")
        quiet = same or change.reason == LET_GO
        return replace(change, live=answer, action=Action.UNCHANGED if quiet else change.action)
    raise Transient(f"{change.ref} is changed by others all the time")


def _take_over(writer: Writer, change: Change) -> Change:
    """Make kubectl's and Flux's fields of the live object ours, where there are any: one request more, once."""
    entries = _to_take_over(writer, change)
    if change.live is None or entries is None:
        return change
    return replace(change, live=writer.cluster.replace(with_managed_fields(change.live, entries)))


def _to_take_over(writer: Writer, change: Change) -> list[dict[str, Any]] | None:
    if change.live is None or merges(change.desired, change.live):
        return None
    return taken_over(change.live, FIELD_MANAGER, writer.overridden)


def _refusal(change: Change, refused: Refused) -> PenstockError:
    """A namespace that is being deleted takes nothing new, which the API server calls forbidden: it passes."""
    if "being terminated" in str(refused):
        return Transient(f"{change.ref}: namespace {change.ref.namespace} is being deleted", retry_after=5)
    return Refused(f"{change.ref} apply failed: {refused}", reason=refused.reason)


def _sent(change: Change) -> Manifest:
    """What is sent: of an object that exists, without touching what spec.ignore leaves to others."""
    assert change.desired is not None
    if change.live is None:
        return change.desired
    return payload(change.desired, change.live, change.ignore, manager=FIELD_MANAGER)


def _with_precondition(change: Change) -> Manifest:
    sent = _sent(change)
    if change.live is None:
        return sent
    metadata = {
        **sent["metadata"],
        "resourceVersion": change.live["metadata"]["resourceVersion"],
        "uid": change.live["metadata"]["uid"],
    }
    return {**sent, "metadata": metadata}


def _fresh(writer: Writer, change: Change) -> Change:
    """The change against what is live now, after a precondition failed."""
    assert change.desired is not None
    live = writer.cluster.get(_gvk(change), change.ref.namespace, change.ref.name)
    if live is None:
        return replace(change, live=None, action=Action.CREATED)
    owner = owner_of(live)
    if change.live is not None and owner != owner_of(change.live):
        raise Transient(f"{change.ref} belongs to {owner or 'nobody'} now: looking again")
    ours = compared(change.desired, live, FIELD_MANAGER, writer.overridden)
    if compare_ignoring(change.desired, ours, change.ignore, manager=FIELD_MANAGER).verdict is Verdict.EQUAL:
        return replace(change, live=live, action=Action.UNCHANGED)
    reason = "" if change.reason == LET_GO else change.reason
    return replace(change, live=live, action=Action.CONFIGURED, reason=reason)


def _recreate(writer: Writer, change: Change) -> Change:
    """Delete and create again: an immutable field changed, and somebody allowed it (force)."""
    assert change.desired is not None
    assert change.live is not None
    writer.cluster.delete(change.live)
    end = writer.clock.monotonic() + GONE_WITHIN
    while writer.cluster.get(_gvk(change), change.ref.namespace, change.ref.name) is not None:
        if writer.clock.monotonic() > end:
            raise Transient(f"{change.ref} is being deleted to be created again, and still there", retry_after=10)
        writer.clock.sleep(0.2)
    writer.check()
    answer = writer.cluster.apply(change.desired, ApplyOptions())
    return replace(change, live=answer, action=Action.CREATED, reason="recreated")


def delete_one(writer: Writer, change: Change) -> Change:
    """Delete it, unless it is somebody else's by now."""
    for _ in range(3):
        assert change.live is not None
        try:
            writer.cluster.delete(_identified(change.live))
        except Conflict:
            live = writer.cluster.get(_gvk(change), change.ref.namespace, change.ref.name)
            if live is None:
                return change
            if live["metadata"]["uid"] != change.live["metadata"]["uid"] or owner_of(live) != owner_of(change.live):
                return replace(change, action=Action.SKIPPED, live=live, reason="somebody else made it anew")
            if switch(live, "prune") == "disabled":
                return replace(change, action=Action.SKIPPED, live=live, reason="its prune was just disabled")
            change = replace(change, live=live)
        else:
            return change
    raise Transient(f"{change.ref} is changed by others all the time: it is deleted next time")


def _identified(live: Manifest) -> Manifest:
    metadata = {k: live["metadata"].get(k) for k in ("name", "namespace", "uid", "resourceVersion")}
    return {"apiVersion": live["apiVersion"], "kind": live["kind"], "metadata": metadata}


def _gvk(change: Change) -> Gvk:
    return Gvk(group=change.ref.group, version=change.version, kind=change.ref.kind)
