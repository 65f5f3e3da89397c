"""``penstock status``: every source and Kustomization of a plane, asked of its api."""

import argparse
import json
from collections.abc import Mapping
from typing import Any

from penstock.cli.client import add_plane_flags, open_client, query
from penstock.cli.tables import render, shorten


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare flags and help."""
    parser = subparsers.add_parser(
        "status",
        help="how the plane is",
        description="Every source and Kustomization of a plane, with its conditions. Exit status: 0 all are ready, "
        "1 some are not.",
    )
    parser.add_argument("--cluster", default="", help="this cluster only")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    add_plane_flags(parser)


def run(args: argparse.Namespace) -> int:
    """Ask and print."""
    found = open_client(args).get("/status" + query(cluster=args.cluster)).body
    rows = found["objects"]
    if args.output == "json":
        print(json.dumps(found, indent=2))
    else:
        header = ("CLUSTER", "NAME", "REVISION", "SUSPENDED", "READY", "MESSAGE")
        print(render(header, [_row(row) for row in rows]))
        ready = sum(_ready(row)[0] == "True" for row in rows)
        print(f"\n{ready} of {len(rows)} are ready")
    return 0 if all(_ready(row)[0] == "True" or row.get("suspended") for row in rows) else 1


def _row(row: Mapping[str, Any]) -> list[str]:
    name = f"{row['kind'].lower()}/{row['namespace']}/{row['name']}"
    status, message = _ready(row)
    return [row["cluster"], name, shorten(row["revision"]), str(bool(row.get("suspended"))), status, shorten(message)]


def _ready(row: Mapping[str, Any]) -> tuple[str, str]:
    for each in row["conditions"]:
        if each["type"] == "Ready":
            return str(each["status"]), str(each["message"])
    return "False", "waiting to be reconciled"
