"""What a Kustomization waits for after it was applied, and what it says when the wait ends.

Spec: Flux's ``wait``, ``healthChecks`` and ``timeout``; messages as Flux's ssa package writes them. Pure: the caller
reads the objects, asks ``judge`` again until ``done``, and passes the time that went by.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from penstock.core.flux.kustomization import Kustomization
from penstock.core.health.facts import Health, Status
from penstock.core.resources import Manifest, ObjectRef, gvk_of, ref_of

_SETTLED = frozenset({Status.CURRENT, Status.FAILED})
_TOLD = frozenset({Status.FAILED, Status.UNKNOWN})


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """Whether a health check goes on, and how it ended.

    ``done``: no more waiting; ``passed``: all healthy; ``waiting``: what is not Current yet; ``problem``: Flux's
    sentence where it is done and did not pass, else "".
    """

    done: bool
    passed: bool
    waiting: tuple[ObjectRef, ...] = ()
    problem: str = ""


def to_wait_for(kustomization: Kustomization, applied: Iterable[ObjectRef]) -> tuple[ObjectRef, ...]:
    """The objects whose health decides, without doubles, in order.

    ``applied``: what this run applied or interpreted (not what it skipped). With ``wait`` it is all of these, else
    what ``healthChecks`` names; never the Kustomization itself. Empty: nothing to check, healthy at once.
    """
    chosen = applied if kustomization.wait else kustomization.health_checks
    return tuple(dict.fromkeys(ref for ref in chosen if ref != kustomization.ref))


def unsupported_among(waited: Collection[ObjectRef], unsupported: Iterable[Manifest]) -> tuple[ObjectRef, ...]:
    """Which of the objects waited for are of a kind that is not supported yet: they can never be called healthy."""
    return tuple(ref for ref in map(ref_of, unsupported) if ref in waited)


def jobs_with_ttl(manifests: Iterable[Manifest]) -> frozenset[ObjectRef]:
    """Jobs that delete themselves when finished: their absence counts as done."""
    return frozenset(
        ref_of(each)
        for each in manifests
        if (gvk_of(each).group, gvk_of(each).kind) == ("batch", "Job")
        and (each.get("spec") or {}).get("ttlSecondsAfterFinished") is not None
    )


def judge(
    healths: Mapping[ObjectRef, Health | None],
    *,
    expired: bool,
    ttl_jobs: Collection[ObjectRef] = (),
    fail_fast: bool = True,
) -> Verdict:
    """Whether to go on waiting.

    ``healths``: each object waited for, None where nothing could be found out yet. ``expired``: the timeout has
    passed. ``ttl_jobs``: see jobs_with_ttl. Without ``fail_fast`` a failed object ends the wait only when all
    others have come to an end too.
    """
    effective = {ref: _effective(ref, health, ttl_jobs) for ref, health in healths.items()}
    waiting = tuple(ref for ref, health in effective.items() if health is None or health.status != Status.CURRENT)
    if not waiting:
        return Verdict(done=True, passed=True)
    seen = [health.status for health in effective.values() if health is not None]
    has_failed = Status.FAILED in seen
    settled = len(seen) == len(effective) and all(status in _SETTLED for status in seen)
    if not (expired or (has_failed and fail_fast) or settled):
        return Verdict(done=False, passed=False, waiting=waiting)
    return Verdict(done=True, passed=False, waiting=waiting, problem=_problem(effective, expired=expired))


def failure_message(problem: str, elapsed: timedelta) -> str:
    """The Ready message of a failed health check."""
    return f"health check failed after {format_duration(elapsed)}: {problem}"


def success_message(elapsed: timedelta) -> str:
    """The event of a health check that passed."""
    return f"Health check passed in {format_duration(elapsed)}"


def format_duration(elapsed: timedelta) -> str:
    """As Go prints durations, to the millisecond: ``1h2m3.5s``, ``2.034s``, ``150ms``, ``0s``."""
    milliseconds = round(elapsed.total_seconds() * 1000)
    if 0 < milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{rest // 1000}.{rest % 1000:03}".rstrip("0").rstrip(".")
    return "".join((f"{hours}h" if hours else "", f"{minutes}m" if hours or minutes else "", f"{seconds}s"))


def _effective(ref: ObjectRef, health: Health | None, ttl_jobs: Collection[ObjectRef]) -> Health | None:
    gone = health is None or health.status == Status.NOT_FOUND
    return Health(status=Status.CURRENT) if gone and ref in ttl_jobs else health


def _problem(healths: Mapping[ObjectRef, Health | None], *, expired: bool) -> str:
    said: Sequence[str] = [
        text for ref, health in healths.items() if (text := _complaint(ref, health, expired=expired))
    ]
    head = "timeout waiting for" if expired else "failed early due to stalled resources"
    return f"{head}: [{', '.join(said)}]"


def _complaint(ref: ObjectRef, health: Health | None, *, expired: bool) -> str:
    if health is None:
        return f"can't determine status for {ref}"
    if health.status != Status.FAILED and (not expired or health.status == Status.CURRENT):
        return ""
    detail = f": {health.message}" if health.status in _TOLD and health.message else ""
    return f"{ref} status: '{health.status}'{detail}"
