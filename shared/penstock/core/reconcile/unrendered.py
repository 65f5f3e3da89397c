"""One that cannot be rendered, or whose children cannot be stored: others wait for its word before they delete.

It writes down with what it has tried in vain. Only where that is what it stands for now can a person let the others go
on without it (``penstock approve --without-render``): a newer commit, which may mend it and move something to it, is
waited for again. The word ends with the next thing that it does write down.
"""

import hashlib

from penstock.core.reconcile.standing import standing
from penstock.core.records import KustomizationStatus

ANY = "*"
"""In the place of an artifact: it has failed whatever the source holds."""


def tried(generation: int, artifact: str) -> str:
    """What stands for an attempt. ``generation``: of the document; ``artifact``: of its source, "" without one."""
    return f"{generation}/{artifact}"


def has_failed(status: KustomizationStatus, generation: int, artifact: str) -> bool:
    """Whether its last attempt at exactly this has failed, for good."""
    return status.failed_at in (tried(generation, artifact), tried(generation, ANY))


def render_mark(status: KustomizationStatus) -> str:
    """``sha256:<hex>``: stands for what it has written down last."""
    last = standing(status)
    return "sha256:" + hashlib.sha256(f"{last.generation}/{last.digest}/{last.children_due}".encode()).hexdigest()


def is_excused(status: KustomizationStatus) -> bool:
    """Whether somebody let the others go on without it, and it has written down nothing since."""
    return bool(status.excused) and status.excused == render_mark(status)
