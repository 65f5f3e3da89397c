"""``labels``, ``commonLabels`` and ``commonAnnotations``: entries set in each field that the configuration names."""

from collections.abc import Mapping
from typing import Any

from penstock.core.errors import BuildFailed
from penstock.core.kustomize.fieldspec import FieldSpec, FieldSpecs, SpecIndex, merge_specs, update
from penstock.core.kustomize.links import Entries
from penstock.core.kustomize.resmap import ResMap
from penstock.core.kustomize.resource import Resource
from penstock.core.kustomize.scalars import resolve
from penstock.core.kustomize.transformer_config import TransformerConfig

METADATA_LABELS = FieldSpec(path="metadata/labels", create=True)


def add_entries(resources: ResMap, entries: Mapping[str, str], specs: FieldSpecs) -> None:
    """Set the entries in the fields that ``specs`` name, creating those that may be created."""
    if not entries:
        return
    odd = next((key for key in entries if not isinstance(resolve(key), str)), None)
    if odd is not None and len(resources):
        raise BuildFailed(f"the name of the label or annotation `{odd}` is no text to YAML: give it another one")
    index = SpecIndex(specs)

    def change(resource: Resource) -> Resource:
        group, version, kind = resource.id[:3]
        setting = Entries(entries)
        manifest = setting.finish(update(resource, index.of(group, version, kind), setting.setter, {}))
        return resource if manifest is resource.manifest else resource.evolve(manifest=manifest, linked=True)

    resources.transform(("entries", tuple(entries.items()), specs), change)


def label_specs(label: Mapping[str, Any], config: TransformerConfig) -> FieldSpecs:
    """The fields that one entry of ``labels`` is set in. Raises BuildFailed where they contradict each other."""
    specs = merge_specs(tuple(label.get("fields", ())), config.labels)
    if label.get("includeSelectors"):
        return merge_specs(specs, config.common_labels)
    if label.get("includeTemplates"):
        specs = merge_specs(specs, config.template_labels)
    # A label that does not say is set as up to kustomize 5.8, where templates were pods' and claims' together.
    if label.get("includeVolumeClaimTemplates", label.get("includeTemplates")):
        specs = merge_specs(specs, config.volume_claim_template_labels)
    return merge_specs(specs, (METADATA_LABELS,))
