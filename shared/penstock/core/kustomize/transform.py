"""The transformers that the fields of one kustomization file stand for, in the order in which kustomize runs them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from penstock.core.errors import InvalidDocument
from penstock.core.kustomize import origins
from penstock.core.kustomize.fields import Where
from penstock.core.kustomize.fieldspec import FieldSpecs
from penstock.core.kustomize.filters.images import set_images
from penstock.core.kustomize.filters.labels import add_entries, label_specs
from penstock.core.kustomize.filters.names import affix_names
from penstock.core.kustomize.filters.namespace import NamespaceSetting, set_namespace
from penstock.core.kustomize.filters.replicas import set_replicas
from penstock.core.kustomize.kustomization import Entries, Kustomization
from penstock.core.kustomize.load import Loader
from penstock.core.kustomize.resmap import ResMap
from penstock.core.kustomize.resource import Origin
from penstock.core.kustomize.session import Session
from penstock.core.kustomize.step import Run, Step, placed
from penstock.core.kustomize.transformer_config import TransformerConfig

if TYPE_CHECKING:
    from penstock.core.kustomize.filters.patches import Patch


@dataclass(frozen=True, kw_only=True, slots=True)
class _Stage:
    """What all transformers of one file have at hand."""

    kustomization: Kustomization
    loader: Loader
    config: TransformerConfig
    session: Session

    def named(self) -> Iterator[tuple[str, Run]]:
        """Each transformer with the name of its kind. Patches and replacements are read before any runs."""
        yield from self._merge_patches()
        yield from self._patches()
        yield from self._names()
        yield from self._labels()
        yield from self._json_patches()
        yield from self._replicas()
        yield from self._images()
        yield from self._replacements()

    def _applying(self, patches: list["Patch"]) -> Run:
        from penstock.core.kustomize.filters.patches import apply_patch  # noqa: PLC0415 - not for every build

        def run(resources: ResMap) -> None:
            for patch in patches:
                self.session.builtin_in_use = self.session.builtin_in_use or bool(patch.strategic)
                apply_patch(resources, patch, self.session.schema, self.session.scopes)

        return run

    def _placed(self, field: str, run: Run) -> Run:
        """Patches and replacements name their places in errors; the others have to be told."""
        return placed(run, f"{self.kustomization.file}: {field}")

    def _merge_patches(self) -> Iterator[tuple[str, Run]]:
        file, entries = self.kustomization.file, self.kustomization.patches_strategic_merge
        if entries:
            from penstock.core.kustomize.filters.patches import load_merge_patch  # noqa: PLC0415 - as above

            loaded = [
                load_merge_patch(entry, self.loader, Where(file, f"patchesStrategicMerge[{index}]"))
                for index, entry in enumerate(entries)
            ]
            if not any(patch.strategic for patch in loaded):
                raise InvalidDocument("patch appears to be empty", path="patchesStrategicMerge", file=file)
            yield "PatchStrategicMergeTransformer", self._applying(loaded)

    def _patches(self) -> Iterator[tuple[str, Run]]:
        if not self.kustomization.patches:
            return
        from penstock.core.kustomize.filters.patches import load_patch  # noqa: PLC0415 - as above

        for index, entry in enumerate(self.kustomization.patches):
            patch = load_patch(entry, self.loader, Where(self.kustomization.file, f"patches[{index}]"))
            yield "PatchTransformer", self._applying([patch])

    def _json_patches(self) -> Iterator[tuple[str, Run]]:
        if not self.kustomization.patches_json6902:
            return
        from penstock.core.kustomize.filters.patches import load_json_patch  # noqa: PLC0415 - as above

        for index, entry in enumerate(self.kustomization.patches_json6902):
            where = Where(self.kustomization.file, f"patchesJson6902[{index}]")
            yield "PatchJson6902Transformer", self._applying([load_json_patch(entry, self.loader, where)])

    def _names(self) -> Iterator[tuple[str, Run]]:
        kustomization, config = self.kustomization, self.config
        if kustomization.namespace:
            setting = NamespaceSetting(namespace=kustomization.namespace, specs=config.namespace)
            yield "NamespaceTransformer", self._placed("namespace", partial(set_namespace, setting=setting))
        if kustomization.name_prefix:
            prefix = partial(affix_names, affix=kustomization.name_prefix, specs=config.name_prefix, where="prefix")
            yield "PrefixTransformer", self._placed("namePrefix", prefix)
        if kustomization.name_suffix:
            suffix = partial(affix_names, affix=kustomization.name_suffix, specs=config.name_suffix, where="suffix")
            yield "SuffixTransformer", self._placed("nameSuffix", suffix)

    def _labels(self) -> Iterator[tuple[str, Run]]:
        kustomization, config = self.kustomization, self.config
        for index, label in enumerate(kustomization.labels):
            specs, pairs = label_specs(label, config), label.get("pairs", {})
            yield "LabelTransformer", self._placed(f"labels[{index}]", _adding(pairs, specs))
        if kustomization.labels or kustomization.common_labels:
            add = _adding(kustomization.common_labels, config.common_labels)
            yield "LabelTransformer", self._placed("commonLabels", add)
        if kustomization.common_annotations:
            add = _adding(kustomization.common_annotations, config.common_annotations)
            yield "AnnotationsTransformer", self._placed("commonAnnotations", add)

    def _replicas(self) -> Iterator[tuple[str, Run]]:
        specs = self.config.replicas
        for batch in self._batches(self.kustomization.replicas):
            run = partial(set_replicas, replicas=batch, specs=specs)
            yield "ReplicaCountTransformer", self._placed("replicas", run)

    def _images(self) -> Iterator[tuple[str, Run]]:
        specs = self.config.images
        for batch in self._batches(self.kustomization.images):
            yield "ImageTagTransformer", self._placed("images", partial(set_images, images=batch, specs=specs))

    def _batches(self, entries: Entries) -> Iterable[Entries]:
        """One transformer for all entries; one for each where each is recorded."""
        if self.session.tracking:
            return [(entry,) for entry in entries]
        return [entries] if entries else []

    def _replacements(self) -> Iterator[tuple[str, Run]]:
        entries = self.kustomization.replacements
        if entries:
            from penstock.core.kustomize.replacements import (  # noqa: PLC0415 - as above
                load_replacements,
                replace_values,
            )

            loaded = load_replacements(entries, self.loader, Where(self.kustomization.file))
            yield "ReplacementTransformer", partial(replace_values, replacements=loaded)


def _adding(entries: Mapping[str, str], specs: FieldSpecs) -> Run:
    return partial(add_entries, entries=entries, specs=specs)


def builtin_steps(
    kustomization: Kustomization,
    loader: Loader,
    config: TransformerConfig,
    session: Session,
    origin: Origin | None,
) -> list[Step]:
    """The steps of one file. ``origin``: where the file stands, if steps are to be recorded."""
    stage = _Stage(kustomization=kustomization, loader=loader, config=config, session=session)
    return [
        Step(run=run, origin=origins.built_by(origin, kustomization.file, kind) if origin else None)
        for kind, run in stage.named()
    ]
