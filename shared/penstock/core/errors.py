"""One tree of errors; its first split decides what happens to the message that met one.

PenstockError
├── Transient                retry with backoff (honours ``retry_after``)
│   └── Conflict             somebody else wrote first: read again, decide again
└── Terminal                 acknowledge, report, wait for a change
    ├── InvalidDocument      a document that a person wrote; names file, document, field
    ├── BuildFailed          a render that cannot be made
    ├── Refused              policy, ownership or rights say no
    └── NotFound             what was named does not exist

Every error carries ``reason``, the Flux condition reason that a user sees. Libraries' errors never leave an
adapter: they are raised again as one of these. Messages hold no secret values, and no control characters.
"""

from penstock.core.printable import printable


class PenstockError(Exception):
    """The root. ``reason`` is a CamelCase Flux condition reason; ``str()`` is the message for people."""

    reason: str = "ReconciliationFailed"

    def __init__(self, message: str, *, reason: str | None = None) -> None:
        super().__init__(printable(message))
        if reason is not None:
            self.reason = reason


class Transient(PenstockError):
    """May go away by itself: the message is delivered again, after ``retry_after`` seconds where known."""

    def __init__(self, message: str, *, reason: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(message, reason=reason)
        self.retry_after = retry_after


class Conflict(Transient):
    """A compare-and-swap lost (state record, Kubernetes 409)."""


class Terminal(PenstockError):
    """Does not go away without a change: acknowledged and reported."""


class InvalidDocument(Terminal):
    """A document that somebody wrote is wrong.

    ``file``: path or URL-free name of where it stands ("" when unknown); ``document``: zero-based number within
    the file or Kind/namespace/name ("" when unknown); ``path``: dotted path of the field
    (``spec.sourceRef.name``, ``images[0].newTag``); ``problem``: what is wrong and what to do.
    """

    reason = "BuildFailed"

    def __init__(self, problem: str, *, path: str = "", document: str | int = "", file: str = "") -> None:
        self.problem, self.path, self.document, self.file = problem, path, document, file
        where = ", ".join(
            part
            for part in (
                file,
                f"document {document}" if isinstance(document, int) else document,
                path,
            )
            if part
        )
        super().__init__(f"{where}: {problem}" if where else problem)


class BuildFailed(Terminal):
    """A kustomize build that cannot be made; the message starts with the file and the field."""

    reason = "BuildFailed"


class Refused(Terminal):
    """Policy, ownership or rights say no. Nothing was written."""

    reason = "AccessDenied"


class NotFound(Terminal):
    """What was named does not exist (source, object, path, branch)."""

    reason = "NotFound"
