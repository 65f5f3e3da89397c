"""The order of the output: as read, or by kind so that each object comes after what it needs."""

from collections.abc import Mapping, Sequence
from typing import Any

from penstock.core.errors import InvalidDocument
from penstock.core.kustomize.fieldspec import CREATION_FIRST, CREATION_LAST
from penstock.core.kustomize.resource import Resource


def legacy_order(
    resources: Sequence[Resource],
    first: Sequence[str] = CREATION_FIRST,
    last: Sequence[str] = CREATION_LAST,
) -> list[Resource]:
    """By kind: those of ``first``, the others, those of ``last``; then by group, version, kind, namespace, name."""
    ranks = {kind: index - len(first) for index, kind in enumerate(first)}
    ranks.update({kind: index + 1 for index, kind in enumerate(last)})

    def key(resource: Resource) -> tuple[int, bool, str, str]:
        group, version, kind, name, namespace = resource.id[:5]
        core_namespace = kind == "Namespace" and group == ""  # before the Namespaces of other groups
        gvk = f"{group or '~G'}_{version or '~V'}_{kind or '~K'}"
        shown = f"{kind}.{version or '[noVer]'}.{group or '[noGrp]'}|{namespace or '~X'}|{name or '~N'}"
        return (ranks.get(kind, 0), not core_namespace, gvk, shown)

    return sorted(resources, key=key)


def sort_by(resources: Sequence[Resource], options: Mapping[str, Any], file: str) -> list[Resource]:
    """The order that ``sortOptions`` asks for. Raises InvalidDocument for a combination that means nothing."""
    order = options.get("order", "")
    legacy = options.get("legacySortOptions")
    if order not in ("fifo", "legacy"):
        raise InvalidDocument(
            "the field 'sortOptions.order' must be one of [fifo, legacy]", path="sortOptions.order", file=file
        )
    if order == "fifo":
        if legacy is not None:
            problem = "is set but the selected sort order is 'fifo', not 'legacy'"
            raise InvalidDocument(problem, path="sortOptions.legacySortOptions", file=file)
        return list(resources)
    if legacy is None:
        return legacy_order(resources)
    return legacy_order(resources, legacy.get("orderFirst", ()), legacy.get("orderLast", ()))
