"""``penstock get``: sources, Kustomizations, Receivers, Alerts and Providers, as ``flux get`` prints them."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from penstock.cli.tables import Item, Table, clusters, items, render, tables
from penstock.core.errors import NotFound
from penstock.ports.state import State
from penstock.wiring import open_state

NAMESPACE = "flux-system"
ALIASES = {
    "sources git": ("sources git", "source git"),
    "sources oci": ("sources oci", "source oci"),
    "sources bucket": ("sources bucket", "source bucket"),
    "kustomizations": ("kustomizations", "kustomization", "ks"),
    "receivers": ("receivers", "receiver"),
    "alerts": ("alerts", "alert"),
    "alert-providers": ("alert-providers", "alert-provider"),
    "all": ("all",),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Query:
    """What to show. ``name``, ``namespace``, ``cluster``: "" is any. ``header``: whether there is one."""

    name: str = ""
    namespace: str = ""
    cluster: str = ""
    header: bool = True
    public_url: str = ""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare flags and help."""
    parser = subparsers.add_parser(
        "get",
        help="sources, kustomizations, receivers, alerts and how they are",
        usage="penstock get KIND [NAME] [options]",
        description="Prints the plane's objects and their status from its records.",
    )
    parser.add_argument(
        "what",
        nargs="+",
        metavar="KIND",
        help="sources git | sources oci | sources bucket | kustomizations (ks) | receivers | alerts | "
        "alert-providers | all",
    )
    parser.add_argument("-n", "--namespace", default=NAMESPACE, help="default: %(default)s")
    parser.add_argument("-A", "--all-namespaces", action="store_true", help="in every namespace")
    parser.add_argument("--cluster", default="", help="of this cluster only (default: all of them)")
    parser.add_argument("--no-header", action="store_true", help="rows only")
    parser.add_argument(
        "--public-url", default="", help="where Git servers reach the plane: makes Receivers' URLs whole"
    )
    parser.add_argument("--data-dir", default="", help="the plane's data directory")


def run(args: argparse.Namespace) -> int:
    """Print. Raises NotFound where there is nothing to show."""
    kind, name = parse_kind(args.what)
    query = Query(
        name=name,
        namespace="" if args.all_namespaces else args.namespace,
        cluster=args.cluster,
        header=not args.no_header,
        public_url=args.public_url,
    )
    print(show(open_state(args.data_dir), kind, query))
    return 0


def parse_kind(words: Sequence[str]) -> tuple[str, str]:
    """(key of ALIASES, name or ""). Raises NotFound for what is no kind."""
    for kind, spellings in ALIASES.items():
        for spelling in spellings:
            parts = spelling.split()
            rest = list(words[len(parts) :])
            if list(words[: len(parts)]) == parts and len(rest) <= 1:
                return kind, "".join(rest)
    raise NotFound(f"there is no kind {' '.join(words)!r} to get: {', '.join(ALIASES)}")


def show(state: State, kind: str, query: Query) -> str:
    """The table of a kind, or with ``all`` one for each kind that has objects. Raises NotFound."""
    found = tables(state, query.public_url)
    several = not query.cluster and len(clusters(state)) > 1
    if kind != "all":
        return _table(state, found[kind], query, several=several, kind_in_name=False)
    parts = []
    for table in found.values():
        try:
            parts.append(_table(state, table, query, several=several, kind_in_name=True))
        except NotFound:
            continue
    if not parts:
        raise NotFound(f"no objects found in {_where(query)} namespace")
    return "\n\n".join(parts)


def _table(state: State, table: Table, query: Query, *, several: bool, kind_in_name: bool) -> str:
    rows = []
    for item in items(state, table.kind, cluster=query.cluster):
        if query.namespace in ("", item.namespace) and query.name in ("", item.name):
            name = f"{table.kind.lower()}/{item.name}" if kind_in_name else item.name
            rows.append([*_place(item, query, several=several), name, *table.cells(item)])
    if not rows and query.name:
        raise NotFound(f"{table.kind} object '{query.name}' not found in {_where(query)} namespace")
    if not rows:
        raise NotFound(f"no {table.kind} objects found in {_where(query)} namespace")
    place = [*(["CLUSTER"] if several else []), *([] if query.namespace else ["NAMESPACE"])]
    return render([*place, "NAME", *table.columns] if query.header else [], rows)


def _place(item: Item, query: Query, *, several: bool) -> list[str]:
    return [*([item.cluster] if several else []), *([] if query.namespace else [item.namespace])]


def _where(query: Query) -> str:
    return f'"{query.namespace}"' if query.namespace else "any"
