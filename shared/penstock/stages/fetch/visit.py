"""One look at one source: what it begins with, and what it finds."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from penstock.core.errors import PenstockError, Terminal, Transient
from penstock.core.flux.source_fields import SourceDocument
from penstock.core.messages import SourceChanged
from penstock.core.records import ObjectRecord, PlaneRecord
from penstock.core.sources.artifact import encode
from penstock.core.sources.outcome import VERIFIED, Look, Outcome, Words, failed, is_of, stored
from penstock.core.sources.proxies import proxy_url
from penstock.core.tree import MemoryTree
from penstock.ports.deps import Deps
from penstock.ports.state import Record
from penstock.stages.fetch.ledger import Held
from penstock.stages.fetch.remote import stored_secret

Known = Mapping[str, Record | None]
"""Records by key; None is not there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Visit:
    """One look at one source: the message (its cluster is where the source stands), its record, what was held.

    ``plane``: the Plane's record as this look began; ``known``: all that was read then.
    """

    message: SourceChanged
    record: ObjectRecord
    plane: PlaneRecord | None
    known: Known
    held: Held
    look: Look
    deps: Deps


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What a look found.

    ``tree``: the artifact's files, None where they did not have to be fetched; ``included``: digests of the artifacts
    that were copied into it, None where it is the same as before.
    """

    outcome: Outcome
    tree: MemoryTree | None = None
    included: tuple[str, ...] | None = None


def is_stored(visit: Visit, revision: str, *, verified: bool = False) -> bool:
    """Whether the artifact of this revision, made (and ``verified``) under this very document, is in the store."""
    before = visit.held.status
    same = is_of(before, revision, visit.look.generation, verified=verified)
    return same and bool(before.artifact) and visit.deps.storage.has(before.artifact)


def unchanged(visit: Visit, revision: str, words: Words) -> Found:
    """The very same is stored already."""
    before = visit.held.status
    was = next((each.message for each in before.conditions if each.type == VERIFIED and each.status == "True"), "")
    return Found(outcome=stored(before, visit.look, revision, before.artifact, replace(words, verified=was)))


def keep(visit: Visit, revision: str, tree: MemoryTree, words: Words) -> Found:
    """Store a tree as the source's new artifact."""
    artifact = encode(tree)
    visit.deps.storage.put(artifact.digest, artifact.data, cluster=visit.message.cluster)
    return Found(outcome=stored(visit.held.status, visit.look, revision, artifact.digest, words), tree=tree)


def failure(visit: Visit, error: PenstockError, *, doing: str = "") -> Found:
    """The remote failed: recorded, and tried again. ``doing``: Flux's words for what was being done."""
    told = error
    if doing:
        text = f"{doing}: {error}"
        told = Terminal(text, reason=error.reason)
        if isinstance(error, Transient):
            told = Transient(text, reason=error.reason, retry_after=error.retry_after)
    return Found(outcome=failed(visit.held.status, visit.look, told, stalled=False))


def secret_of(visit: Visit, namespace: str, name: str) -> Mapping[str, bytes]:
    """The plane's copy of a Secret that a source names; empty for "". Raises Refused where it has none."""
    return stored_secret(visit.message.cluster, namespace, name, visit.deps) if name else {}


def proxy_of(visit: Visit, source: SourceDocument) -> str:
    """The URL of the proxy that a source names; "" for none. Raises Refused, Terminal where its Secret is none."""
    if not source.proxy_secret:
        return ""
    try:
        return proxy_url(secret_of(visit, source.namespace, source.proxy_secret))
    except Terminal as error:
        raise Terminal(f"failed to get proxy address: {error}", reason=error.reason) from error
