"""Status objects: how a Kubernetes API server reports errors and deletions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from penstock.devcluster.fieldpaths import readable
from penstock.devcluster.managed import FieldConflict, conflict_message


@dataclass(frozen=True, kw_only=True, slots=True)
class Cause:
    """One entry of ``details.causes``."""

    reason: str
    message: str
    field: str

    def to_json(self) -> dict[str, str]:
        """As it stands in a Status."""
        return {"reason": self.reason, "message": self.message, "field": self.field}


class ApiError(Exception):
    """An answer with a Status of failure. ``code``: HTTP status; ``reason``: CamelCase, "" where there is none."""

    def __init__(self, code: int, reason: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code, self.reason, self.message, self.details = code, reason, message, details

    def to_json(self) -> dict[str, Any]:
        """The Status object."""
        out: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            out["reason"] = self.reason
        if self.details is not None:
            out["details"] = self.details
        return {**out, "code": self.code}


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """What an error speaks of: group, plural resource, kind, object name."""

    group: str
    resource: str
    kind: str
    name: str = ""

    @property
    def qualified_resource(self) -> str:
        """``deployments.apps``."""
        return f"{self.resource}.{self.group}" if self.group else self.resource

    @property
    def qualified_kind(self) -> str:
        """``Deployment.apps``."""
        return f"{self.kind}.{self.group}" if self.group else self.kind

    def details(self, kind: str) -> dict[str, Any]:
        """``details`` without causes; ``kind`` is the plural or the kind, as the error at hand has it."""
        return {key: value for key, value in (("name", self.name), ("group", self.group), ("kind", kind)) if value}


def unauthorized() -> ApiError:
    """401: no token, or a wrong one."""
    return ApiError(401, "Unauthorized", "Unauthorized")


def bad_request(message: str) -> ApiError:
    """400."""
    return ApiError(400, "BadRequest", message)


def unknown_resource() -> ApiError:
    """404 of a resource that no kind serves."""
    return ApiError(404, "NotFound", "the server could not find the requested resource", {})


def method_not_allowed() -> ApiError:
    """405 of a verb that the resource does not have."""
    message = "the server does not allow this method on the requested resource"
    return ApiError(405, "MethodNotAllowed", message, {})


def not_found(subject: Subject) -> ApiError:
    """404 of one object."""
    message = f'{subject.qualified_resource} "{subject.name}" not found'
    return ApiError(404, "NotFound", message, subject.details(subject.resource))


def already_exists(subject: Subject) -> ApiError:
    """409 of a create."""
    message = f'{subject.qualified_resource} "{subject.name}" already exists'
    return ApiError(409, "AlreadyExists", message, subject.details(subject.resource))


def modified(subject: Subject) -> ApiError:
    """409 of a stale resourceVersion."""
    message = (
        f'Operation cannot be fulfilled on {subject.qualified_resource} "{subject.name}": the object has been '
        "modified; please apply your changes to the latest version and try again"
    )
    return ApiError(409, "Conflict", message, subject.details(subject.resource))


def precondition_failed(subject: Subject, problem: str) -> ApiError:
    """409 of a delete's precondition."""
    message = f'Operation cannot be fulfilled on {subject.qualified_kind} "{subject.name}": {problem}'
    return ApiError(409, "Conflict", message, subject.details(subject.kind))


def invalid(subject: Subject, causes: Sequence[Cause]) -> ApiError:
    """422 with one cause per field."""
    texts = list(dict.fromkeys(f"{cause.field}: {cause.message}" for cause in causes))
    joined = texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
    message = f'{subject.qualified_kind} "{subject.name}" is invalid: {joined}'
    details = {**subject.details(subject.kind), "causes": [cause.to_json() for cause in causes]}
    return ApiError(422, "Invalid", message, details)


def forbidden(subject: Subject, problem: str, causes: Sequence[Cause] = ()) -> ApiError:
    """403 of an admission rule."""
    details = subject.details(subject.resource)
    if causes:
        details["causes"] = [cause.to_json() for cause in causes]
    message = f'{subject.qualified_resource} "{subject.name}" is forbidden: {problem}'
    return ApiError(403, "Forbidden", message, details)


def bad_options(kind: str, field: str, reason: str, problem: str) -> ApiError:
    """422 of query parameters; ``kind``: CreateOptions, UpdateOptions, PatchOptions or DeleteOptions."""
    cause = Cause(reason=reason, message=problem, field=field)
    return invalid(Subject(group="meta.k8s.io", resource="", kind=kind), [cause])


def expired(message: str) -> ApiError:
    """410: the resourceVersion or continue token is too old."""
    return ApiError(410, "Expired", message)


def apply_conflict(conflicts: tuple[FieldConflict, ...]) -> ApiError:
    """409 of a server-side apply that would take fields of others."""
    causes = [
        Cause(reason="FieldManagerConflict", message=f"conflict with {c.writer}", field=readable(c.path)).to_json()
        for c in conflicts
    ]
    return ApiError(409, "Conflict", conflict_message(conflicts), {"causes": causes})


def success(subject: Subject, uid: str) -> dict[str, Any]:
    """The Status of a deletion."""
    details = {**subject.details(subject.resource), "uid": uid}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
