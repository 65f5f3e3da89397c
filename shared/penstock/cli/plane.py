"""``penstock plane``: show the Plane document, or change it and say what that changes."""

import argparse
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

from penstock.core.errors import Conflict, NotFound, Terminal
from penstock.core.flux.plane import parse_plane
from penstock.core.flux.plane_diff import diff_planes
from penstock.core.flux.plane_records import CLUSTER_PREFIXES, PlaneChange, plane_records
from penstock.core.kustomize.yaml_in import load_documents
from penstock.core.kustomize.yaml_out import dump_one
from penstock.core.records import PLANE_KEY, PlaneRecord
from penstock.core.resources import Manifest
from penstock.ports.state import ABSENT, Record, State
from penstock.wiring import Runtime, open_runtime, open_state
from penstock.wiring.google import bring_over
from penstock.wiring.regions import check_regions

STDIN = "-"
_LONGEST_DOCUMENT = 4 << 20


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare flags and help."""
    parser = subparsers.add_parser(
        "plane",
        help="show or change the Plane document",
        description="The Plane document names the repository, the clusters and the policy of a plane (docs/plane.md).",
    )
    commands = parser.add_subparsers(metavar="COMMAND", dest="plane_command", required=True)
    apply = commands.add_parser("apply", help="put a Plane document in place; prints what changes")
    apply.add_argument("-f", "--file", required=True, metavar="FILE", help="penstock.yaml; - is stdin")
    apply.add_argument("--dry-run", action="store_true", help="print what would change, and change nothing")
    show = commands.add_parser("show", help="print the Plane document in force")
    for each in (apply, show):
        each.add_argument("--data-dir", default="", help="the plane's data directory")


def run(args: argparse.Namespace) -> int:
    """Show or apply. Raises InvalidDocument for a document that is no Plane, Conflict where somebody was faster."""
    if args.plane_command == "show":
        held = stored_plane(open_state(args.data_dir))
        print(f"# uid: {held.uid}")
        print(dump_one(held.document), end="")
        return 0
    runtime = open_runtime(args.data_dir)
    try:
        brought = 0 if args.dry_run else bring_over(runtime.settings)
        if brought:
            print(f"{brought} records copied from the plane's one database to those that webhook reaches")
        for line in change_plane(runtime, read_document(args.file), dry_run=args.dry_run):
            print(line)
    finally:
        runtime.close()
    return 0


def read_document(file: str) -> Manifest:
    """The one YAML document of a file. Raises NotFound or Terminal naming the file."""
    try:
        data = sys.stdin.buffer.read(_LONGEST_DOCUMENT + 1) if file == STDIN else Path(file).read_bytes()
    except OSError as error:
        raise NotFound(f"{file}: {error.strerror}") from error
    if len(data) > _LONGEST_DOCUMENT:
        raise Terminal(f"{file}: is larger than {_LONGEST_DOCUMENT} bytes")
    documents = load_documents(data, file)
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise Terminal(f"{file}: must hold one document, a Plane; it holds {len(documents)}")
    found: Manifest = documents[0]
    parse_plane(found, file=file)
    return found


def stored_plane(state: State) -> PlaneRecord:
    """The Plane in force. Raises NotFound before the first `penstock plane apply`."""
    record = state.get(PLANE_KEY)
    if record is None:
        raise NotFound("there is no Plane yet: `penstock plane apply -f penstock.yaml` puts one in place")
    return PlaneRecord.from_value(record.value)


def change_plane(runtime: Runtime, document: Manifest, *, dry_run: bool = False) -> Sequence[str]:
    """Put a valid Plane document in force and wake what it concerns; lines that say what changed.

    Raises Conflict where the Plane was changed meanwhile; nothing was written then.
    """
    state: State = runtime.port("state")
    before = state.get(PLANE_KEY)
    held = None if before is None else PlaneRecord.from_value(before.value)
    plane = parse_plane(document)
    check_regions(runtime.settings, plane, parse_plane(held.document) if held else None)
    change = plane_records(plane, document, held.uid if held else secrets.token_hex(16), _existing(state, before))
    lines = [*diff_planes(held.document if held else None, document), *_orphans(change)]
    name = f"plane/{document['metadata']['name']}"
    if dry_run:
        return [*lines, f"{name} {_outcome(before, change)} (dry run: nothing was changed)"]
    _write(state, change, before)
    runtime.publish(change.wake)
    _forget(runtime, change, held)
    return [*lines, f"{name} {_outcome(before, change)}"]


def _forget(runtime: Runtime, change: PlaneChange, held: PlaneRecord | None) -> None:
    """What is left of removed clusters; the records last, so that a second apply finishes a broken one."""
    for name in change.copies:
        runtime.port("secrets").delete(name, owner=held.uid if held else "")
    for key in change.deletes:
        runtime.port("state").delete(key, expected=None)


def _existing(state: State, plane: Record | None) -> dict[str, Manifest]:
    found = {record.key: dict(record.value) for prefix in CLUSTER_PREFIXES for record in state.list(prefix)}
    return found if plane is None else {**found, PLANE_KEY: dict(plane.value)}


def _outcome(before: Record | None, change: PlaneChange) -> str:
    if before is None:
        return "created"
    return "configured" if change.writes or change.deletes else "unchanged"


def _orphans(change: PlaneChange) -> list[str]:
    return [
        f"cluster {name} is orphaned: everything on it stays, and nothing reconciles it any more. "
        f"penstock uninstall --cluster {name} --kubeconfig FILE removes what penstock keeps there, and workloads "
        "where you ask for it"
        for name in change.orphaned
    ]


def _write(state: State, change: PlaneChange, before: Record | None) -> None:
    """The Plane first, by compare-and-swap; the rest follows from it."""
    writes = dict(change.writes)
    plane = writes.pop(PLANE_KEY, None)
    if plane is not None:
        try:
            state.put(PLANE_KEY, plane, expected=ABSENT if before is None else before.version)
        except Conflict as error:
            raise Conflict("the Plane was changed by somebody else meanwhile: look again, and apply again") from error
    for key, value in writes.items():
        state.put(key, value, expected=None)
