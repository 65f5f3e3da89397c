"""``penstock resume``: end a suspension, and reconcile at once."""

import argparse

from penstock.cli.client import add_object_flags, add_plane_flags, add_who, named, open_client, target, who


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare flags and help."""
    parser = subparsers.add_parser(
        "resume",
        help="reconcile something again",
        description="Ends what `penstock suspend` began, and reconciles now.",
    )
    add_object_flags(parser, "kustomization/NAME")
    add_who(parser)
    add_plane_flags(parser)


def run(args: argparse.Namespace) -> int:
    """Resume it."""
    wanted = named(args.object)
    client = open_client(args)
    client.post("/resume", {**target(args, client, wanted), "who": who(args)})
    print(f"{wanted.kind} {args.namespace}/{wanted.name} is resumed")
    return 0
