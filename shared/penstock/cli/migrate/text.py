"""What a migration says: the plan before, and afterwards how to go on safely."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from penstock.cli.migrate.survey import Move, Survey
from penstock.cli.migrate.survey_back import Back, is_ours
from penstock.cli.tables import render
from penstock.core.flux.live import applied_revision
from penstock.core.reconcile.inventory import short_revision
from penstock.core.resources import ObjectRef

_COLUMNS = ("KUSTOMIZATION", "REVISION", "MOVES", "STAYS", "NOTES")


def plan_lines(found: Survey) -> list[str]:
    """The plan of `from-flux`."""
    rows = [
        [
            move.name,
            short_revision(applied_revision(move.live)) or "-",
            str(len(move.entries)),
            str(len(move.left)),
            "; ".join(move.notes) or "-",
        ]
        for move in found.moves
    ]
    total = sum(len(move.entries) for move in found.moves)
    lines = render(_COLUMNS, rows).splitlines()
    lines += ["", f"{len(found.moves)} Kustomizations with {total} objects move ({_kinds(found.moves)})."]
    lines += [
        "Nothing changes of the objects but the name of who manages their fields (metadata.managedFields):",
        "no object is made anew, no pod restarts. Flux's Kustomizations are suspended, not deleted.",
    ]
    for why, refs in _left(found.moves).items():
        lines.append(f"left out: {_counted(refs)}: {why}")
    lines += [f"stays with Flux: Kustomization {name}: {why}" for name, why in sorted(found.stays.items())]
    return lines


def back_lines(found: Back) -> list[str]:
    """The plan of `to-flux`."""
    rows = []
    for move in found.moves:
        state = "moves back" if is_ours(move) else "is Flux's already"
        if not move.live.get("metadata"):
            state = "is made in Flux: it is new in Git"
        rows.append([move.name, str(len(move.entries)), state])
    lines = render(("KUSTOMIZATION", "OBJECTS", "STATE"), rows).splitlines()
    lines += [
        "",
        "The plane rests (its own switch), Flux's objects get the specs of Git, the inventories and the fields;",
        "Flux is resumed when its sources stand at the plane's revisions:",
    ]
    sources = sorted(found.revisions.items())
    lines += [f"  {name}: {short_revision(revision)}" for name, revision in sources]
    lines += [f"{name} left Git meanwhile: it stays suspended in Flux, which prunes it" for name in found.abandoned]
    return lines


def after_from_flux(found: Survey) -> list[str]:
    """How to go on, and how to remove Flux's controllers without deleting anything."""
    lines = ["", "Flux's Kustomizations are suspended; the plane reconciles from now on: `penstock status`."]
    if found.stays:
        lines.append("Keep Flux: it still works on " + ", ".join(sorted(found.stays)) + ".")
        return lines
    if found.others:
        told = ", ".join(f"{number} {kind}" for kind, number in found.others.items())
        return [
            *lines,
            f"Keep Flux's other controllers: they still work on {told}. kustomize-controller is not needed any more:",
            "  kubectl -n flux-system scale deployment/kustomize-controller --replicas=0",
        ]
    return [
        *lines,
        "When all is well (`penstock migrate to-flux` goes back until then), remove Flux:",
        "  flux uninstall --keep-namespace",
        "It deletes the controllers before it takes the finalizers off, so that nothing that they applied is deleted.",
        "Keep the namespace: its Secrets (webhook tokens, keys, credentials) are read by the plane.",
        "Never delete a Kustomization, its CustomResourceDefinition or namespace flux-system while",
        "kustomize-controller runs: what is not suspended takes all that it applied along (docs/migrate.md).",
    ]


def after_to_flux(cluster: str) -> list[str]:
    """What is left to do."""
    return [
        "",
        "Flux reconciles from now on: `flux get kustomizations -A`. The plane rests on this cluster; to forget it:",
        f"  penstock cluster remove {cluster}",
    ]


def _left(moves: Iterable[Move]) -> dict[str, list[ObjectRef]]:
    found: dict[str, list[ObjectRef]] = {}
    for move in moves:
        for ref, why in move.left.items():
            found.setdefault(why.partition(": penstock")[0], []).append(ref)
    return found


def _kinds(moves: Sequence[Move]) -> str:
    return _counted([ref for move in moves for ref in move.entries]) or "none"


def _counted(refs: Iterable[ObjectRef]) -> str:
    kinds: Mapping[str, int] = Counter(ref.kind for ref in refs)
    ordered = sorted(kinds.items(), key=lambda item: (-item[1], item[0]))
    shown = ", ".join(f"{number} {kind}" for kind, number in ordered[:6])
    return shown + (f" and {sum(n for _, n in ordered[6:])} more" if len(ordered) > 6 else "")
