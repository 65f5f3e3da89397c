"""The sources of a plan: the fleet's own tree, under whatever name a manifest knows it."""

from collections.abc import Iterable

from penstock.cli.plan.source import FleetSource, repository_key, without_login
from penstock.core.errors import InvalidDocument, NotFound
from penstock.core.flux.gitrepository import parse_git_repository
from penstock.core.flux.kustomization import SourceRef
from penstock.core.flux.plane import NAME, NAMESPACE
from penstock.core.records import ObjectRecord, SourceStatus, object_key, status_key
from penstock.core.resources import Manifest, ref_of
from penstock.core.sources.artifact import encode
from penstock.core.sources.ignore import apply_ignore
from penstock.core.sources.kinds import ARTIFACTS, FETCHED
from penstock.core.tree import MemoryTree
from penstock.ports.deps import Deps
from penstock.stages.reconcile.attempt import objects

CLUSTER = "this-cluster"


class Sources:
    """``source``: the fleet's; ``deps``: where artifacts and their status go."""

    def __init__(self, source: FleetSource, deps: Deps) -> None:
        self._source, self._deps = source, deps
        self._declared: dict[str, str] = {}

    def declare(self, documents: Iterable[Manifest]) -> None:
        """Take note of the GitRepository by which the repository itself knows its source."""
        for document in documents:
            ref = ref_of(document)
            if (ref.kind, ref.namespace, ref.name) == ("GitRepository", NAMESPACE, NAME):
                spec = document.get("spec") or {}
                branch = str((spec.get("ref") or {}).get("branch") or "")
                self._declared = {"url": str(spec.get("url") or ""), "branch": branch}

    def offer_all(self) -> None:
        """Give every GitRepository that is this very repository its tree."""
        for name, record in objects(self._deps, CLUSTER, "GitRepository").items():
            if not record.implicit and self._is_this(record):
                ignore = (record.document.get("spec") or {}).get("ignore")
                tree = apply_ignore(self._source.tree, ignore) if ignore else self._source.tree
                self.offer(status_key(CLUSTER, "GitRepository", *name.split("/")), tree)

    def offer(self, key: str, tree: MemoryTree) -> None:
        """The tree as a source's newest artifact."""
        artifact = encode(tree)
        self._deps.storage.put(artifact.digest, artifact.data)
        status = SourceStatus(revision=self._source.revision, artifact=artifact.digest, observation=1)
        self._deps.state.put(key, status.to_value(), expected=None)

    def _is_this(self, record: ObjectRecord) -> bool:
        """Whether a GitRepository is the very repository that this plan is about, at this branch."""
        try:
            found = parse_git_repository(record.document)
        except InvalidDocument:
            return False
        keys = {repository_key(url) for url in (*self._source.urls, self._declared.get("url", "")) if url}
        branches = {self._source.branch, self._declared.get("branch", ""), "main"} - {""}
        ref = found.reference
        others = (ref.tag, ref.semver, ref.name, ref.commit)
        return repository_key(found.url) in keys and (ref.branch or "master") in branches and not any(others)

    def why_outside(self, ref: SourceRef) -> str:
        """Why a source is none of this plan's, or ""."""
        if ref.kind not in ARTIFACTS:
            return f"its source {ref} is of a kind that is not supported yet"
        if ref.kind not in FETCHED:
            return ""
        held = self._deps.state.get(object_key(CLUSTER, ref.kind, ref.namespace, ref.name))
        if held is None:
            return ""
        spec = ObjectRecord.from_value(held.value).document.get("spec") or {}
        if ref.kind != "GitRepository":
            place = spec.get("url") or f"{spec.get('endpoint')}/{spec.get('bucketName')}"
            return f"its source {ref} is not in this repository ({place})"
        return f"its source {ref} is another repository or branch ({without_login(str(spec.get('url')))})"

    def why_none(self, ref: SourceRef, error: NotFound) -> str:
        """Why a source that should be there is not."""
        for name in objects(self._deps, CLUSTER, "ArtifactGenerator"):
            held = self._deps.state.get(status_key(CLUSTER, "ArtifactGenerator", *name.split("/")))
            status = SourceStatus.from_value(held.value) if held else SourceStatus()
            told = next((c.message for c in status.conditions if c.type == "Ready" and c.status == "False"), "")
            if ref.kind == "ExternalArtifact" and told:
                return f"{error} (ArtifactGenerator {name}: {told})"
        return f"{error}: nothing that was rendered declares {ref}"
