"""One transformer on its way to be run."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from penstock.core.errors import BuildFailed
from penstock.core.kustomize.resmap import ResMap
from penstock.core.kustomize.resource import Origin

Run = Callable[[ResMap], None]
"""What a transformer does to the resources."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One transformer. ``origin``: how it is recorded, where that is wanted."""

    run: Run
    origin: Origin | None = None


def placed(run: Run, place: str) -> Run:
    """The same transformer, whose errors name the place that it was configured in."""

    def named(resources: ResMap) -> None:
        with naming(place):
            run(resources)

    return named


@contextmanager
def naming(place: str) -> Iterator[None]:
    """BuildFailed begins with ``place``, unless it names a place already: it then begins with one."""
    try:
        yield
    except BuildFailed as error:
        if str(error).startswith(place):
            raise
        raise BuildFailed(f"{place}: {error}") from error
