"""A plane in several regions: its ports over those of each region, and which regions a Plane may name."""

from collections.abc import Callable, Mapping
from typing import Any

from penstock.adapters.regions import (
    RegionalBus,
    RegionalSecrets,
    RegionalState,
    RegionalStorage,
    Regions,
    planes_regions,
)
from penstock.core.errors import Refused
from penstock.core.flux.plane import Plane
from penstock.ports.clock import Clock
from penstock.wiring.lazy import Once
from penstock.wiring.settings import Settings
from penstock.wiring.stored_plane import StoredPlane

Makers = Mapping[str, Callable[[], Any]]
_REGIONAL: Mapping[str, Callable[[Regions], Any]] = {
    "bus": RegionalBus,
    "secrets": RegionalSecrets,
    "state": RegionalState,
    "storage": RegionalStorage,
}


def regional(
    made: Mapping[str, Makers], clock: Callable[[], Clock], *, here: str, home: str
) -> dict[str, Callable[[], Any]]:
    """Makers of the ports over those of each region (``made``), each made at its first use."""
    once = {region: {name: Once(make) for name, make in makers.items()} for region, makers in made.items()}
    stored = Once(lambda: StoredPlane(once[home]["state"]()))

    def clusters() -> Mapping[str, str] | None:
        plane = stored()()
        return None if plane is None else {cluster.name: cluster.region for cluster in plane.clusters}

    # a further region's functions have no rights in a third: what they look for everywhere is here, or at home
    reached = tuple(made) if here == home else (home, here)
    of = planes_regions(clusters, home, lambda: clock().monotonic())

    def maker(name: str) -> Callable[[], Any]:
        regions = Regions(here=here, home=home, all=reached, of=of, at=lambda region: once[region][name]())
        return lambda: _REGIONAL[name](regions)

    return {name: maker(name) for name in _REGIONAL}


def check_regions(settings: Settings, plane: Plane, before: Plane | None) -> None:
    """Raises Refused for a cluster in a region that this plane does not have, or in another one than before."""
    names = settings.aws or settings.google
    has = () if names is None else names.everywhere
    moved = {each.name: each.region for each in (before.clusters if before else ())}
    for index, cluster in enumerate(plane.clusters):
        where = f"Plane: spec.clusters[{index}].region is {cluster.region!r}"
        if cluster.region and names is None:
            raise Refused(f"{where}: a plane on one machine has no regions, leave it out (labels are for people)")
        if cluster.region and cluster.region not in has:
            raise Refused(f"{where}: this plane has {', '.join(has)}; its Terraform module makes others (regions)")
        if names is not None and (moved.get(cluster.name, cluster.region) or has[0]) != (cluster.region or has[0]):
            raise Refused(
                f"{where}: cluster {cluster.name} is in {moved[cluster.name] or has[0]}, where its records are. Remove "
                "it from the Plane, apply, and add it again: its workloads stay, and its records are made anew"
            )
