"""What travels between stages: pointers, never manifests or secrets.

On the wire each is a CloudEvent 1.0 (JSON, structured mode) of type ``dev.penstock.<topic>.v1`` with a W3C
``traceparent``; ``encode`` and ``decode`` are exact inverses. A message only says "look at X now": the stage that
gets it looks at the newest state.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, ClassVar

from penstock.core.errors import Terminal
from penstock.core.printable import printable

MAX_BYTES = 200_000
"""SNS and SQS carry 256 KiB; this leaves room for their envelope."""

MOST_LINKS = 32
"""Traces to which one message is linked; a wake-up that nobody takes for long stands for more."""

MOST_OBSERVATION = 1 << 53
"""Every store keeps such numbers exactly."""

PUSH = "webhook"
"""The origin of what a push has caused."""

RENDER = "render"
"""Why a suspended Kustomization is woken: to write down what it renders now, no more."""

LEFT_OUT = "left out"
"""Why one of a sweep is looked at alone: its run there may not have come to publish its events."""

PLANE = "-"
"""The cluster name under which the plane's own source stands (no cluster can be called so)."""
OWN_SOURCE = ("GitRepository", "flux-system", "flux-system")
"""Kind, namespace, name of the plane's own source, and of each cluster's alias of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceChanged:
    """Topic ``source-changed``: look at this source's head now.

    ``hint``: what the payload claimed (unverified). ``above``: a cluster holds an observation of that number, so the
    head counts higher: the records had been lost, or restored.
    """

    topic: ClassVar[str] = "source-changed"
    cluster: str
    kind: str = "GitRepository"
    namespace: str
    name: str
    hint: str = ""
    above: int = 0

    @property
    def key(self) -> str:
        """Messages with equal keys say the same: those that nobody has taken yet coalesce."""
        plain = f"{self.cluster}/{self.kind}/{self.namespace}/{self.name}"
        return f"{plain}>{self.above}" if self.above else plain


@dataclass(frozen=True, kw_only=True, slots=True)
class ReconcileDue:
    """Topics ``artifact-stored`` and ``reconcile-due``: reconcile this Kustomization now.

    ``why``: what woke it, for people (``artifact``, ``dependency``, ``parent``, ``interval``, ``request``,
    ``health``, ``again``); some ask for more than a look (``interval``, ``request``, LEFT_OUT) or less (RENDER).
    ``request``: id under which the api waits for the answer, or "". ``others``: ``namespace/name`` of further
    Kustomizations of the cluster to look at in the same run.
    """

    topic: ClassVar[str] = "reconcile-due"
    cluster: str
    kind: str = "Kustomization"
    namespace: str
    name: str
    why: str = ""
    request: str = ""
    others: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """See SourceChanged.key. Who waits for an answer gets one: a request is not merged with anything else."""
        plain = f"{self.cluster}/{self.kind}/{self.namespace}/{self.name}"
        if self.others:
            return f"{plain}+{hashlib.sha256(json.dumps(self.others).encode()).hexdigest()[:16]}"
        return f"{plain}?{self.request}" if self.request else plain


@dataclass(frozen=True, kw_only=True, slots=True)
class ArtifactStored(ReconcileDue):
    """A source's new artifact touches this Kustomization."""

    topic: ClassVar[str] = "artifact-stored"


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """Topic ``event``: something that users may want to hear of (Flux's event format, flux-core §0.3).

    ``severity``: info | error; ``timestamp``: RFC 3339 UTC seconds; ``metadata``: un-prefixed keys (``revision``).
    ``id``: the idempotency key under which ``notify`` sends it once.
    """

    topic: ClassVar[str] = "event"
    id: str
    cluster: str
    api_version: str
    kind: str
    namespace: str
    name: str
    severity: str
    reason: str
    message: str
    timestamp: str
    metadata: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Its words go to people: see core.printable."""
        object.__setattr__(self, "message", printable(self.message))
        object.__setattr__(self, "metadata", {key: printable(value) for key, value in self.metadata.items()})

    @property
    def key(self) -> str:
        """Each event stands for itself: none coalesce."""
        return self.id


Message = SourceChanged | ReconcileDue | ArtifactStored | Event

TOPICS: dict[str, type[SourceChanged | ReconcileDue | ArtifactStored | Event]] = {
    kind.topic: kind for kind in (SourceChanged, ReconcileDue, ArtifactStored, Event)
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Outgoing:
    """A message that a stage wants published. ``delay``: seconds before anyone may take it."""

    message: Message
    delay: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Envelope:
    """A message on its way: with its CloudEvent id and the trace that it belongs to.

    ``traceparent``: W3C ``00-<32 hex>-<16 hex>-01``; ``attempt``: 1 for the first delivery. ``time``: from when on it
    could be taken; ``origin``, ``began``: the stage with which its trace began, and when (RFC 3339, UTC); "" where
    whoever sent it did not say. ``links``: traceparents of wake-ups for which it stands too.
    """

    message: Message
    id: str
    traceparent: str
    attempt: int = 1
    time: str = ""
    origin: str = ""
    began: str = ""
    links: tuple[str, ...] = ()

    @property
    def trace(self) -> str:
        """The trace id: 32 hex digits, the same from the webhook to the notification."""
        return trace_of(self.traceparent)

    def standing_for(self, other: "Envelope") -> "Envelope":
        """This wake-up, after ``other`` of the same key was merged into it: linked to its trace, a push before all."""
        seen = dict.fromkeys((*self.links, other.traceparent, *other.links))
        links = [each for each in seen if trace_of(each) not in ("", self.trace)]
        first = other if other.origin == PUSH and self.origin != PUSH else self
        return replace(self, links=tuple(links[:MOST_LINKS]), origin=first.origin, began=first.began)


def trace_of(traceparent: str) -> str:
    """The trace id of a W3C traceparent; "" where it is none."""
    return traceparent.split("-")[1] if traceparent.count("-") == 3 else ""


def is_sampled(traceparent: str) -> bool:
    """Whether the span that a W3C traceparent names is kept by who made it; False where it names none."""
    flags = traceparent.rpartition("-")[2]
    return bool(trace_of(traceparent)) and flags.endswith(tuple("13579bdf"))


def encode(envelope: Envelope) -> bytes:
    """The CloudEvent as JSON. Raises Terminal when it is larger than MAX_BYTES."""
    message = envelope.message
    more = {
        "time": envelope.time,
        "origin": envelope.origin,
        "began": envelope.began,
        "links": ",".join(envelope.links),
    }
    body = json.dumps(
        {
            "specversion": "1.0",
            "type": f"dev.penstock.{message.topic}.v1",
            "source": "/penstock",
            "id": envelope.id,
            "traceparent": envelope.traceparent,
            **{name: text for name, text in more.items() if text},
            "datacontenttype": "application/json",
            "data": asdict(message),
        },
        separators=(",", ":"),
    ).encode()
    if len(body) > MAX_BYTES:
        raise Terminal(f"a message of {len(body)} bytes to {message.topic} is over the limit of {MAX_BYTES}")
    return body


def decode(body: bytes, *, attempt: int = 1) -> Envelope:
    """The message of a CloudEvent. Raises Terminal (a poison message) when it isn't one of ours."""
    try:
        event: dict[str, Any] = json.loads(body)
        prefix, _, rest = str(event["type"]).partition("dev.penstock.")
        topic, _, version = rest.rpartition(".")
        kind = TOPICS[topic]
        if prefix or version != "v1":
            told = str(event["type"])[:100]
            raise Terminal(f"a message of type {told!r} is from another release: upgrade this plane first")
        data: dict[str, Any] = event["data"]
        known = {f.name for f in fields(kind)}
        message = kind(**{name: _value(name, value) for name, value in data.items() if name in known})
        envelope = Envelope(
            message=message,
            id=_text(str(event["id"])),
            traceparent=_text(str(event.get("traceparent", ""))),
            attempt=attempt,
            time=_text(str(event.get("time", ""))),
            origin=_text(str(event.get("origin", ""))),
            began=_text(str(event.get("began", ""))),
            links=tuple(filter(None, _text(str(event.get("links", ""))).split(",")))[:MOST_LINKS],
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Terminal(f"not a message of this plane: {type(error).__name__}") from error
    return envelope


def _value(name: str, value: Any) -> Any:
    """A field of a message. Raises TypeError where it is of another type than ours: no stage is to meet such."""
    if name == "above":
        if type(value) is not int or not 0 <= value <= MOST_OBSERVATION:
            raise TypeError
        return value
    if name == "others":
        if not isinstance(value, list):
            raise TypeError
        return tuple(map(_text, value))
    if name == "metadata":
        return {_text(key): _text(each) for key, each in value.items()}
    return _text(value)


def _text(value: Any) -> str:
    """Raises TypeError for what is no text, UnicodeEncodeError for halves of characters, which nothing can write."""
    if not isinstance(value, str):
        raise TypeError
    value.encode()
    return value
