"""The Kustomization of a diff, as the plane knows it: its records, in a store of this process."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penstock.cli.client import Client, query
from penstock.cli.plan.in_memory import memory_deps
from penstock.core.errors import NotFound, Terminal
from penstock.core.flux.kustomization import KIND
from penstock.core.kustomize.yaml_in import load_documents
from penstock.core.messages import ReconcileDue
from penstock.core.records import ObjectRecord, SourceStatus, object_key
from penstock.core.resources import Manifest, ref_of
from penstock.ports.cluster import Clusters
from penstock.ports.deps import Deps
from penstock.stages.reconcile.attempt import Attempt, open_attempt, source_status

KINDS = ("kustomization", "ks")


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """``cluster``, ``namespace``, ``name``: where it is in the plane; ``records``: as the api gives them."""

    cluster: str
    namespace: str
    name: str
    records: Mapping[str, Mapping[str, Any]]

    def attempt(self, clusters: Clusters) -> Attempt:
        """An attempt at it against ``clusters``. Raises InvalidDocument where its document is wrong."""
        deps = memory_deps(clusters)
        for key, value in self.records.items():
            deps.state.put(key, value, expected=None)
        due = ReconcileDue(cluster=self.cluster, namespace=self.namespace, name=self.name, why="plan")
        found = open_attempt(due, deps)
        assert found is not None, "the api gave its record"
        return found


def fetch_subject(client: Client, cluster: str, namespace: str, name: str) -> Subject:
    """What the plane knows of it. Raises NotFound, and what a Client raises."""
    where = query(cluster=cluster, namespace=namespace, name=name)
    records = client.get(f"/kustomization{where}").body["records"]
    return Subject(cluster=cluster, namespace=namespace, name=name, records=records)


def name_of(words: list[str]) -> str:
    """NAME of ``kustomization NAME`` or ``kustomization/NAME``. Raises Terminal."""
    parts = words[0].split("/") if len(words) == 1 else words
    if len(parts) != 2 or parts[0].lower() not in KINDS or not parts[1]:
        raise Terminal(f"{' '.join(words)!r}: give kustomization NAME")
    return parts[1]


def with_document(subject: Subject, file: Path) -> Subject:
    """The same with another document for it: what a change to the Kustomization itself would do.

    Raises NotFound where the file does not hold it, InvalidDocument or BuildFailed where it cannot be read.
    """
    document = _document(file, subject)
    key = object_key(subject.cluster, KIND, subject.namespace, subject.name)
    known = ObjectRecord.from_value(subject.records[key])
    record = ObjectRecord(
        document=document, parent=known.parent, generation=known.generation + 1, account=known.account
    )
    return Subject(
        cluster=subject.cluster,
        namespace=subject.namespace,
        name=subject.name,
        records={**subject.records, key: record.to_value()},
    )


def ignore_of(attempt: Attempt) -> str | None:
    """``spec.ignore`` of its source, as the plane has it."""
    value = _source_document(attempt.deps, attempt).get("ignore")
    return None if value is None else str(value)


def includes_of(attempt: Attempt) -> bool:
    """Whether its source includes others, which no local directory holds."""
    return bool(_source_document(attempt.deps, attempt).get("include"))


def known_source(attempt: Attempt) -> SourceStatus:
    """What the plane has found of its source."""
    return source_status(attempt.deps, attempt.cluster, attempt.kustomization.source) or SourceStatus()


def _source_document(deps: Deps, attempt: Attempt) -> Mapping[str, Any]:
    ref = attempt.kustomization.source
    found = deps.state.get(object_key(attempt.cluster, ref.kind, ref.namespace, ref.name))
    return ObjectRecord.from_value(found.value).document.get("spec") or {} if found else {}


def _document(file: Path, subject: Subject) -> Manifest:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise NotFound(f"--kustomization-file {file}: {error.strerror}") from error
    for each in load_documents(data, str(file)):
        if isinstance(each, dict) and each.get("kind") == KIND and isinstance(each.get("metadata"), dict):
            metadata = {"namespace": subject.namespace, **each["metadata"]}
            ref = ref_of({**each, "metadata": {"name": "", **metadata}})
            if (ref.namespace, ref.name) == (subject.namespace, subject.name):
                return {**each, "metadata": metadata}
    raise NotFound(f"--kustomization-file {file}: it holds no Kustomization {subject.namespace}/{subject.name}")
