"""``penstock approve``: allow exactly the deletions that the prune guard has stopped, once."""

import argparse

from penstock.cli.client import add_object_flags, add_plane_flags, add_who, named, open_client, target, who


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare flags and help."""
    parser = subparsers.add_parser(
        "approve",
        help="allow deletions that were stopped",
        description="A prune that would delete much, or a Namespace, waits for this. The digest names exactly those "
        "deletions: other ones need another approval.",
    )
    add_object_flags(parser, "kustomization/NAME")
    parser.add_argument("--prune", required=True, metavar="DIGEST", help="sha256:…, as the Ready message says it")
    add_who(parser)
    add_plane_flags(parser)


def run(args: argparse.Namespace) -> int:
    """Approve them."""
    wanted = named(args.object)
    client = open_client(args)
    client.post("/approve", {**target(args, client, wanted), "prune": args.prune, "who": who(args)})
    print(f"{wanted.kind} {args.namespace}/{wanted.name}: deletions {args.prune} are approved, once")
    return 0
