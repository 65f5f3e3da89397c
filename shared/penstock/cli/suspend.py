"""``penstock suspend``: a Kustomization is left alone, until somebody resumes it or a time has come."""

import argparse
from datetime import UTC, datetime, timedelta

from penstock.cli.client import add_object_flags, add_plane_flags, add_who, named, open_client, seconds_of, target, who
from penstock.core.errors import Terminal


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare flags and help."""
    parser = subparsers.add_parser(
        "suspend",
        help="stop reconciling something",
        description="The plane's own switch: nothing in Git changes. `penstock resume` ends it.",
    )
    add_object_flags(parser, "kustomization/NAME")
    parser.add_argument("--why", default="", help="said wherever its suspension is shown")
    parser.add_argument("--until", default="", metavar="2h|TIME", help="a duration, or a time as 2026-01-31T18:00:00Z")
    add_who(parser)
    add_plane_flags(parser)


def run(args: argparse.Namespace) -> int:
    """Suspend it."""
    wanted, until = named(args.object), _until(args.until)
    client = open_client(args)
    body = {**target(args, client, wanted), "who": who(args), "why": args.why, "until": until}
    client.post("/suspend", body)
    ending = f" until {until}" if until else ""
    print(f"{wanted.kind} {args.namespace}/{wanted.name} is suspended{ending}")
    return 0


def _until(text: str) -> str:
    """RFC 3339, or "". Raises Terminal."""
    if not text:
        return ""
    if "T" not in text:
        end = datetime.now(UTC) + timedelta(seconds=seconds_of(text, "--until"))
        return end.isoformat(timespec="seconds")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Terminal(f"--until {text!r} is neither a duration nor a time") from error
    return (moment if moment.tzinfo else moment.astimezone()).isoformat(timespec="seconds")
