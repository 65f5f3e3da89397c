"""``penstock approve``: allow exactly the deletions that were stopped, once, or those that wait for a failing one."""

import argparse

from penstock.cli.client import add_object_flags, add_plane_flags, add_who, named, open_client, target, who


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare flags and help."""
    parser = subparsers.add_parser(
        "approve",
        help="allow deletions that were stopped",
        description="A prune that would delete much, or a Namespace, waits for this. The digest names exactly those "
        "deletions: other ones need another approval. Deletions wait, too, for Kustomizations to which an object may "
        "have moved; where one of them cannot be rendered, --without-render of that one lets them go on.",
    )
    add_object_flags(parser, "kustomization/NAME")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--prune", metavar="DIGEST", help="sha256:…, as the Ready message says it")
    what.add_argument(
        "--without-render",
        action="store_true",
        help="of one that cannot be rendered: nobody waits for it, until it has a render",
    )
    add_who(parser)
    add_plane_flags(parser)


def run(args: argparse.Namespace) -> int:
    """Approve them."""
    wanted = named(args.object)
    client = open_client(args)
    what = {"withoutRender": True} if args.without_render else {"prune": args.prune}
    client.post("/approve", {**target(args, client, wanted), **what, "who": who(args)})
    if args.without_render:
        print(f"{wanted.kind} {args.namespace}/{wanted.name}: nobody waits for its render, until it has one")
        return 0
    print(f"{wanted.kind} {args.namespace}/{wanted.name}: deletions {args.prune} are approved, once")
    return 0
