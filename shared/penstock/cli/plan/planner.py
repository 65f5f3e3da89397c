"""The plan of each rendered Kustomization against the cluster, by the reconcile stage's own code."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from penstock.cli.plan.fields import FieldChange, field_changes, overlaid
from penstock.cli.plan.guest import GuestCluster, GuestClusters, World
from penstock.cli.plan.rehearsal import Rehearsal, Section
from penstock.cli.plan.removed import removed
from penstock.cli.plan.shown import Planned, Shown
from penstock.cli.plan.sources import CLUSTER
from penstock.core.errors import PenstockError, Refused
from penstock.core.flux.classify import Classified
from penstock.core.flux.components import component_reason
from penstock.core.reconcile.inventory import inventory_name
from penstock.core.reconcile.normalise import normalise
from penstock.core.reconcile.plan import SWITCHES, Action, Change
from penstock.core.reconcile.render import Rendered
from penstock.core.resources import Manifest, ObjectRef, ref_of
from penstock.ports.cluster import Cluster, Clusters
from penstock.stages.reconcile.attempt import Attempt
from penstock.stages.reconcile.preview import Preview, against
from penstock.stages.reconcile.target import Target, open_target

ENCRYPTED = "it is encrypted, and the key is not readable here"


class Planner:
    """``clusters``: the real ones; nothing but reads and dry-runs is asked of them."""

    def __init__(self, rehearsal: Rehearsal, clusters: Clusters, world: World, progress: Callable[[str], None]) -> None:
        self._rehearsal, self._world, self._progress = rehearsal, world, progress
        self._clusters = GuestClusters(clusters, world)

    @property
    def cluster(self) -> GuestCluster:
        """The fleet's own cluster."""
        return self._clusters.connect(CLUSTER)

    def run(self, sections: Sequence[Section]) -> list[Planned]:
        """Each section's plan, in the same order."""
        attempts = {section.ref: self._rehearsal.attempt(section.ref, self._clusters) for section in sections}
        self._world.others = _others(sections)
        for section in sections:
            self._look_ahead(section, attempts[section.ref])
        planned = [self._planned(section, attempts[section.ref]) for section in sections]
        return planned + removed(self.cluster, sections, self._world)

    def _look_ahead(self, section: Section, attempt: Attempt) -> None:
        """What later dry-runs and reads must know of this section."""
        owner = attempt.owner
        name = inventory_name(owner.namespace, owner.name)
        self._world.owners[name] = owner
        live = self.cluster.flux_object(owner.namespace, owner.name)
        if live is not None:
            self._world.flux[section.ref] = live
        if section.rendered is None:
            return
        self._world.left_out[name] = frozenset(each.ref for each in section.rendered.parts.left_out)
        for manifest in (*section.rendered.apply, *section.rendered.parts.namespaces):
            if manifest["kind"] == "Namespace":
                self._world.namespaces.add(str(manifest["metadata"]["name"]))
            elif manifest["kind"] == "CustomResourceDefinition":
                spec = manifest["spec"]
                self._world.kinds.add((str(spec["group"]), str(spec["names"]["kind"])))

    def _planned(self, section: Section, attempt: Attempt) -> Planned:
        if section.rendered is None or section.source is None:
            return Planned(section=section)
        self._progress(section.ref)
        flux = section.ref in self._world.flux
        wanted = _wanted(section, section.rendered, everything=flux)
        try:
            target = self._target(attempt)
            found = against(attempt, section.source, wanted, target)
        except PenstockError as error:
            return Planned(section=section, problem=str(error))
        notes = self._notes(section, found)
        return Planned(section=section, changes=tuple(self._shown(section, found)), notes=tuple(notes))

    def _target(self, attempt: Attempt) -> Target:
        self._world.opening = True
        try:
            return open_target(attempt)
        finally:
            self._world.opening = False

    def _notes(self, section: Section, found: Preview) -> Iterable[str]:
        live = self._world.flux.get(section.ref)
        if live is not None:
            revision = str((live.get("status") or {}).get("lastAppliedRevision") or "no revision yet")
            suspended = " (suspended there)" if (live.get("spec") or {}).get("suspend") else ""
            yield f"Flux reconciles it in this cluster{suspended}, at {revision}: compared as kustomize-controller"
        if found.planned is not None and found.planned.why_held:
            yield found.planned.why_held
        if found.why_unasked:
            yield found.why_unasked

    def _shown(self, section: Section, found: Preview) -> Iterable[Shown]:
        for change in found.changes:
            yield self._one(section, change, found)
        planned = found.planned
        if planned is None:
            return
        for ref in planned.held:
            live = planned.live.objects.get(ref)
            if live is not None and not component_reason(live):
                yield Shown(object=str(ref), action=Action.DELETED.value, reason=self._cascade(ref))

    def _one(self, section: Section, change: Change, found: Preview) -> Shown:
        ref, action, refused = change.ref, change.action, found.refused.get(str(change.ref), "")
        if ref in section.encrypted:
            return Shown(object=str(ref), action=Action.SKIPPED.value, reason=ENCRYPTED)
        if action is Action.DELETED and change.live is not None and component_reason(change.live):
            return Shown(object=str(ref), action=Action.SKIPPED.value, reason=component_reason(change.live))
        reason = change.reason or self._world.unchecked.get(ref, "")
        fields: tuple[FieldChange, ...] = ()
        if action is Action.DELETED:
            reason = self._cascade(ref)
        elif action is Action.CONFIGURED and change.live is not None and change.desired is not None:
            answer = overlaid(change.live, change.desired) if ref in found.unasked else change.after
            if answer is not None and ref not in self._world.unchecked:
                fields = field_changes(change.live, answer, section.rendered)
            if not fields and not refused:
                reason = reason or "the same, but its fields are not owned by penstock yet"
        return Shown(object=str(ref), action=action.value, fields=fields, reason=reason, error=refused)

    def _cascade(self, ref: ObjectRef) -> str:
        """What goes with a Kustomization of Flux that is deleted."""
        live = self._world.flux.get(f"{ref.namespace}/{ref.name}")
        if ref.kind != "Kustomization" or not ref.group.endswith(".fluxcd.io"):
            return ""
        live = live or self.cluster.flux_object(ref.namespace, ref.name)
        entries = (((live or {}).get("status") or {}).get("inventory") or {}).get("entries") or ()
        return f"and with it the {len(entries)} objects that it applied, by its deletionPolicy" if entries else ""


def _wanted(section: Section, rendered: Rendered, *, everything: bool) -> Rendered:
    """What is compared: what we apply, or where Flux is at work all that Flux applies."""
    manifests = [quiet(m) if ref_of(m) in section.encrypted else m for m in rendered.apply]
    if everything:
        manifests += [_normal(section, m) for m in _flux_objects(rendered.parts)]
    return replace(rendered, apply=tuple(manifests))


def _others(sections: Sequence[Section]) -> str:
    """What may bring further kinds to the cluster, and is not looked into here."""
    parts = [section.rendered.parts for section in sections if section.rendered]
    charts = any(m["kind"] == "HelmRelease" for each in parts for m, _ in each.unsupported)
    elsewhere = any(section.outside or section.problem for section in sections)
    named = (("a HelmRelease", charts), ("a Kustomization that is not rendered here", elsewhere))
    return " or ".join(name for name, there in named if there)


def _flux_objects(parts: Classified) -> Iterable[Manifest]:
    return (*parts.interpreted, *(manifest for manifest, _ in parts.unsupported))


def _normal(section: Section, manifest: Manifest) -> Manifest:
    kustomization = section.kustomization
    return normalise(
        manifest,
        namespace=kustomization.namespace,
        name=kustomization.name,
        labels=kustomization.common_labels,
        annotations=kustomization.common_annotations,
    )


def quiet(manifest: Manifest) -> Manifest:
    """Marked so that it is neither compared nor taken for stale."""
    metadata = manifest["metadata"]
    annotations = {**(metadata.get("annotations") or {}), f"{SWITCHES}ssa": "Ignore"}
    return {**manifest, "metadata": {**metadata, "annotations": annotations}}


def reachable(cluster: Cluster) -> None:
    """Raise what the cluster port raises where the API server cannot be asked."""
    if cluster.resource_type("", "Namespace") is None:
        raise Refused("the API server does not serve namespaces: is this a Kubernetes cluster?")
