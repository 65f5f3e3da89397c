"""Why something waits for what others render, for people; and what they can do where that will not come."""

from collections.abc import Collection, Sequence

from penstock.core.resources import ObjectRef
from penstock.stages.reconcile.due import Due


def waiting_for_renders(held: Sequence[ObjectRef], due: Due) -> str:
    """Why deletions wait."""
    names = due.everybody
    return f"{len(held)} deletions wait until {_named(names, due)} rendered this revision{way_on(names, due)}"


def waiting_as_a_whole(names: Sequence[str], due: Due) -> str:
    """Why a removal waits with all of it."""
    told = f"it waits until {_named(names, due)} rendered this revision, to whom it may have moved"
    return told + way_on(names, due)


def told_leaving(held: Sequence[ObjectRef], names: Sequence[str], due: Due) -> str:
    """Why Flux objects stay that left the render."""
    those = ", ".join(map(str, held[:3])) + (" and others" if len(held) > 3 else "")
    return f"{those} left the render, and stays until {_named(names, due)} rendered this revision{way_on(names, due)}"


def way_on(names: Collection[str], due: Due) -> str:
    """What lets it go on without those that cannot be rendered, or "" where there are none."""
    failing = [name for name in due.failing if name in names]
    if not failing:
        return ""
    namespace, _, name = failing[0].partition("/")
    others = f", and the same for {', '.join(failing[1:5])}" if failing[1:] else ""
    command = f"penstock approve kustomization/{name} -n {namespace} --without-render"
    return f". {failing[0]} has tried that, and failed: mend it, or let all go on without it: {command}{others}"


def _named(names: Sequence[str], due: Due) -> str:
    return ", ".join(f"{name} (suspended)" if name in due.resting else name for name in names[:5])
