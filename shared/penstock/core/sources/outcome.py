"""What a look at a source means: its new status, when to look again, and what people are told.

Conditions, reasons and messages are Flux's (GitRepository status); people hear of a failure when it begins and when
it ends, not at each retry.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from penstock.core.errors import PenstockError, Transient
from penstock.core.records import Condition, SourceStatus
from penstock.core.sources.oci import ORIGIN_REVISION, ORIGIN_SOURCE

SHORTEST_RETRY = 0.75
VERIFIED = "SourceVerified"
UNVERIFIED = frozenset(
    {
        "VerificationError",
        "InvalidVerificationMode",
        "InvalidGitObject",
        "InvalidTagSignature",
        "InvalidCommitSignature",
    }
)
"""Flux's reasons of a signature that does not hold: condition SourceVerified is False then."""

BACKSTOP = 60.0
"""Seconds after which an outcome is looked at again that may not have been announced (the process was killed)."""

_JITTER = 0.05
_SUBJECT_RUNES = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """One look at a source. ``key``: of its status record; ``generation``: of its document; ``now``: UTC."""

    key: str
    generation: int
    now: datetime
    interval: timedelta


@dataclass(frozen=True, kw_only=True, slots=True)
class Announcement:
    """An event in the making. ``id``: the same each time that it is published."""

    id: str
    severity: str
    reason: str
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """``due``: POSIX seconds of the next look, None for never by itself; ``changed``: a new observation."""

    status: SourceStatus
    due: float | None
    announcement: Announcement | None = None
    changed: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Words:
    """Flux's texts of a stored artifact: ``status``: of the conditions; ``event``: of a NewArtifact event.

    ``verified``: what was verified, for condition SourceVerified; "" where the document does not ask for it.
    """

    status: str
    event: str
    verified: str = ""


def revision_words(revision: str) -> Words:
    """Of a GitRepository whose commit nobody looked at."""
    text = f"stored artifact for revision '{revision}'"
    return Words(status=text, event=text)


def commit_words(revision: str, subject: str) -> Words:
    """Of a GitRepository; ``subject``: the first line of the commit's message, or ""."""
    words = revision_words(revision)
    if not subject:
        return words
    shown = subject if len(subject) <= _SUBJECT_RUNES else subject[:_SUBJECT_RUNES] + "..."
    return replace(words, event=f"stored artifact for commit '{shown}'")


def oci_words(revision: str, url: str, annotations: Mapping[str, str]) -> Words:
    """Of an OCIRepository; ``annotations``: its manifest's, which may name where it came from."""
    event = f"stored artifact with revision '{revision}' from '{url}'"
    for name, what in ((ORIGIN_SOURCE, "source"), (ORIGIN_REVISION, "revision")):
        if annotations.get(name):
            event += f", origin {what} '{annotations[name][:256]}'"
    return Words(status=f"stored artifact for digest '{revision}'", event=event)


def bucket_words(revision: str) -> Words:
    """Of a Bucket."""
    text = f"stored artifact: revision '{revision}'"
    return Words(status=text, event=text)


def stored(before: SourceStatus, look: Look, revision: str, artifact: str, words: Words) -> Outcome:
    """A successful look: the source is at ``revision``, its tree is ``artifact``."""
    changed = (revision, artifact) != (before.revision, before.artifact)
    text = words.status
    positive = [("Ready", "Succeeded", text), ("ArtifactInStorage", "Succeeded", text)]
    if words.verified:
        positive.append((VERIFIED, "Succeeded", words.verified))
    status = replace(
        before,
        revision=revision,
        artifact=artifact,
        observation=before.observation + changed,
        generation=look.generation,
        conditions=_conditions(before, look, tuple(positive)),
        last_checked=rfc3339(look.now),
        error="",
    )
    announcement = None
    if artifact != before.artifact:
        announcement = _announce(status, look, severity="info", reason="NewArtifact", message=words.event)
    elif before.error:
        announcement = _announce(status, look, severity="info", reason="Succeeded", message=words.event)
    due = look.now.timestamp() + _jittered(look)
    return Outcome(status=status, due=due, announcement=announcement, changed=changed)


def generated(before: SourceStatus, look: Look, *, count: int, changed: tuple[str, ...]) -> Outcome:
    """A generator's successful run: ``count`` artifacts, of which ``changed`` are new (``namespace/name (digest)``)."""
    text = f"reconciliation succeeded, generated {count} artifact(s)"
    status = replace(
        before,
        observation=before.observation + bool(changed),
        generation=look.generation,
        conditions=_conditions(before, look, (("Ready", "Succeeded", text),)),
        last_checked=rfc3339(look.now),
        error="",
    )
    told = "external artifacts reconciled: " + "\n".join(changed) if changed else text
    announcement = None
    if changed or before.error:
        announcement = _announce(status, look, severity="info", reason="Succeeded", message=told)
    return Outcome(status=status, due=None, announcement=announcement, changed=bool(changed))


def failed(before: SourceStatus, look: Look, error: PenstockError, *, stalled: bool) -> Outcome:
    """A look that failed. ``stalled``: no retry can mend it, only a changed document.

    What was stored before stays. The wait doubles: each retry comes after as long again as the failure has lasted.
    """
    message = str(error)
    follow_up = ("Stalled", error.reason, message) if stalled else ("Reconciling", "ProgressingWithRetry", message)
    conditions = [
        _condition(before, look, ("Ready", "False", error.reason, message)),
        *_kept(before, error),
        *_conditions(before, look, (follow_up,)),
    ]
    negative = (VERIFIED, "False") if error.reason in UNVERIFIED else ("FetchFailed", "True")
    conditions.insert(1, _condition(before, look, (*negative, error.reason, message)))
    status = replace(
        before,
        generation=look.generation if stalled else before.generation,
        conditions=tuple(conditions),
        last_checked=rfc3339(look.now),
        error=error.reason,
    )
    announcement = None
    if not before.error:
        announcement = _announce(status, look, severity="error", reason=error.reason, message=message)
    asked = error.retry_after if isinstance(error, Transient) else None
    due = None if stalled else look.now.timestamp() + max(retry_delay(status, look), asked or 0.0)
    return Outcome(status=status, due=due, announcement=announcement)


def is_of(status: SourceStatus, revision: str, generation: int, *, verified: bool) -> bool:
    """Whether what is stored is this revision, made under the document of this generation.

    ``verified``: the document asks for a signature, so that must have been verified under it, too.
    """
    wanted = ["ArtifactInStorage", VERIFIED] if verified else ["ArtifactInStorage"]
    held = {c.type: c.observed_generation for c in status.conditions if c.status == "True"}
    return status.revision == revision and all(held.get(each) == generation for each in wanted)


def _kept(before: SourceStatus, error: PenstockError) -> list[Condition]:
    """What is still true of the artifact in use: when it was made and verified, and under which document."""
    wanted = ("ArtifactInStorage",) if error.reason in UNVERIFIED else ("ArtifactInStorage", VERIFIED)
    return [c for c in before.conditions if c.type in wanted and c.status == "True"]


def retry_delay(status: SourceStatus, look: Look) -> float:
    """Seconds until a failing source is tried again: 0.75 at first, then doubling, at most its interval."""
    ready = next(c for c in status.conditions if c.type == "Ready")
    lasted = (look.now - datetime.fromisoformat(ready.since)).total_seconds()
    return min(max(lasted, SHORTEST_RETRY), max(look.interval.total_seconds(), SHORTEST_RETRY))


def rfc3339(moment: datetime) -> str:
    """A UTC time in whole seconds, as Kubernetes writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _conditions(before: SourceStatus, look: Look, positive: tuple[tuple[str, str, str], ...]) -> tuple[Condition, ...]:
    return tuple(_condition(before, look, (kind, "True", reason, message)) for kind, reason, message in positive)


def _condition(before: SourceStatus, look: Look, found: tuple[str, str, str, str]) -> Condition:
    """``found``: type, status, reason, message."""
    kind, status, reason, message = found
    old = next((c for c in before.conditions if c.type == kind), None)
    since = old.since if old is not None and old.status == status else rfc3339(look.now)
    return Condition(
        type=kind, status=status, reason=reason, message=message, since=since, observed_generation=look.generation
    )


def _announce(status: SourceStatus, look: Look, *, severity: str, reason: str, message: str) -> Announcement:
    told = f"{look.key}\n{status.observation}\n{reason}\n{rfc3339(look.now)}"
    return Announcement(
        id=hashlib.sha256(told.encode()).hexdigest()[:32], severity=severity, reason=reason, message=message
    )


def _jittered(look: Look) -> float:
    """The interval, up to 5 % more or less: by a hash, so that a fleet spreads and a test does not waver."""
    number = int.from_bytes(hashlib.sha256(f"{look.key}{look.now.timestamp()}".encode()).digest()[:4], "big")
    return look.interval.total_seconds() * (1 + _JITTER * (2 * number / 0xFFFFFFFF - 1))
