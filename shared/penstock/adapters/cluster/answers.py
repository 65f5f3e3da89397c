"""What the API server answered, as the port's errors: the only place that maps them.

Refusals are ``Status`` objects (https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/).
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from penstock.core.errors import Conflict, NotFound, PenstockError, Refused, Transient
from penstock.core.http import seconds_to_wait
from penstock.ports.cluster import ApiRefused

MESSAGE_LIMIT = 2000
"""Characters of the server's message that are kept."""

# 500s that mean a bad request (1.36): an apply that does not fit its schema, a create with a resourceVersion, an
# object that is too large for etcd.
_TOO_LARGE = r"trying to send message larger than max|etcdserver: request is too large"
_OURS = re.compile(rf"failed to create typed|resourceVersion should not be set|{_TOO_LARGE}")
_TYPED_CAUSE = re.compile(r"(?:^\s+|\): )\.(?P<field>.+?): (?P<message>.+)$", re.MULTILINE)
_SHOWN_VALUE = re.compile(
    r"(Invalid value: )(?:\"(?:[^\"\\]|\\.)*\"|[^:\s]+)|(got ).*?valueUnstructured\{Value:.*?\}(?=$|\n)"
)

_NO_KEY = re.compile(r"\b((?:data|stringData)\[)(?![-._a-zA-Z0-9]+\]).*?\](?=: |$)", re.MULTILINE | re.DOTALL)
"""A key that is none: a file of values that was read in another format, a whole line of it."""

# 403s of admission (quota, Pod Security, policies, webhooks); those of authorization go `is forbidden: User "x" cannot`
_ADMISSION = re.compile(r"is forbidden: (?!User \"|user \")|\bdenied (the )?request")


class Expired(Transient):
    """410: the resourceVersion or continue token is older than what the server keeps."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """What was asked, for messages. ``identity``: as whom; ``guarded``: a uid or resourceVersion was sent."""

    verb: str
    resource: str
    name: str = ""
    namespace: str = ""
    identity: str = ""
    guarded: bool = False

    def __str__(self) -> str:
        """``patch Deployment/shop/web``."""
        path = "/".join(part for part in (self.resource, self.namespace, self.name) if part)
        return f"{self.verb} {path}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """One HTTP answer. ``headers`` have lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    def json(self, call: Call) -> dict[str, Any]:
        """The body as a JSON object; Transient where it is something else (a proxy's page, a cut body)."""
        try:
            decoded = json.loads(self.body)
        except ValueError as error:
            raise Transient(f"{call}: the API server's answer is not JSON ({self.status})") from error
        if not isinstance(decoded, dict):
            raise Transient(f"{call}: the API server's answer is not a JSON object ({self.status})")
        return decoded

    @property
    def retry_after(self) -> float | None:
        """Seconds, from the Retry-After header (Kubernetes sends seconds, never a date)."""
        return seconds_to_wait(self.headers.get("retry-after", ""))


@dataclass(frozen=True, kw_only=True, slots=True)
class Status:
    """The parts of a Status object that decide. ``causes``: (field, reason, message)."""

    message: str
    reason: str
    causes: tuple[tuple[str, str, str], ...]

    @property
    def cause_reasons(self) -> frozenset[str]:
        """The machine-readable reasons of the causes."""
        return frozenset(reason for _, reason, _ in self.causes)


def status_of(answer: Answer) -> Status:
    """The Status in a refusal; where the body is none, its text."""
    try:
        decoded = json.loads(answer.body)
    except ValueError:
        decoded = None
    if not isinstance(decoded, dict) or decoded.get("kind") != "Status":
        text = answer.body[:MESSAGE_LIMIT].decode(errors="replace").strip()
        return Status(message=text or f"HTTP {answer.status}", reason="", causes=())
    details = decoded.get("details") or {}
    causes = tuple(
        (str(c.get("field", "")).lstrip("."), str(c.get("reason", "")), str(c.get("message", "")))
        for c in details.get("causes") or []
        if isinstance(c, dict)
    )
    message = str(decoded.get("message") or f"HTTP {answer.status}")
    return Status(message=message, reason=str(decoded.get("reason") or ""), causes=causes)


def error_of(answer: Answer, call: Call) -> PenstockError:
    """The error for an answer whose status is 300 or more: no redirect is followed.

    Beyond the plain table: a wrong uid in an apply is a 422 that means Conflict; a schema error in an apply is
    a 500 that means ApiRefused; a namespace on its way out is a 403 that passes; another field manager's claim
    is a 409 that does not.
    """
    status = _without_values(status_of(answer)) if call.resource == "Secret" else status_of(answer)
    text = f"{call}: {_cut(status.message)}"
    if answer.status in {401, 403}:
        return _unwelcome(answer, status, call)
    if answer.status == 404:
        return NotFound(text)
    if _lost_race(answer, status, call):
        return Conflict(text, retry_after=answer.retry_after)
    if answer.status == 410:
        return Expired(text)
    if is_passing(answer, status):
        return Transient(text, retry_after=answer.retry_after)
    if answer.status == 413 or re.search(_TOO_LARGE, status.message):
        text += " (the object is larger than the API server stores: split it, or keep its data elsewhere)"
    return ApiRefused(text, code=answer.status, causes=_causes(status))


def _unwelcome(answer: Answer, status: Status, call: Call) -> PenstockError:
    message = _cut(status.message)
    if answer.status == 401:
        return Refused(
            f"{call}: the API server does not know {call.identity or 'us'}: {message} (401). "
            "Its token or certificate has ended or was revoked: give the plane a new one"
        )
    if "NamespaceTerminating" in status.cause_reasons:
        return Transient(f"{call}: {message}", retry_after=answer.retry_after)
    if _ADMISSION.search(status.message):  # a quota, a policy, a webhook: whoever may write would hear the same
        return ApiRefused(f"{call}: {message}", code=answer.status, causes=_causes(status))
    return Refused(f"{call}: {message} (as {call.identity})" if call.identity else f"{call}: {message}")


def _lost_race(answer: Answer, status: Status, call: Call) -> bool:
    if answer.status == 409:
        return "FieldManagerConflict" not in status.cause_reasons
    return answer.status == 422 and call.guarded and any(where == "metadata.uid" for where, _, _ in status.causes)


def is_passing(answer: Answer, status: Status) -> bool:
    """Whether the same request may succeed later: 408, 429 and 5xx but for those that are our own doing."""
    if answer.status in {408, 429}:
        return True
    return answer.status >= 500 and not (answer.status == 500 and _OURS.search(status.message))


def _causes(status: Status) -> tuple[tuple[str, str], ...]:
    if status.causes:
        return tuple(dict.fromkeys((where, message) for where, _, message in status.causes))
    if not _OURS.search(status.message):
        return ()
    return tuple((m["field"], m["message"]) for m in _TYPED_CAUSE.finditer(status.message))


def _without_values(status: Status) -> Status:
    """Messages about a Secret quote its values: left out."""
    causes = tuple((_mask(f), r, _mask(m)) for f, r, m in status.causes)
    return Status(message=_mask(status.message), reason=status.reason, causes=causes)


def _mask(message: str) -> str:
    without = _SHOWN_VALUE.sub(lambda m: f"{m[1] or m[2]}(hidden)", message)
    return _NO_KEY.sub(r"\1(hidden)]", without)


def _cut(message: str) -> str:
    return message if len(message) <= MESSAGE_LIMIT else message[:MESSAGE_LIMIT] + " …"
