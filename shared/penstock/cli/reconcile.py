"""``penstock reconcile``: look at a source or a Kustomization now; with ``--plan`` only say what it would change."""

import argparse
from collections.abc import Mapping
from typing import Any

from penstock.cli.client import (
    LONGEST_SLICE,
    Client,
    Named,
    add_object_flags,
    add_plane_flags,
    add_who,
    named,
    open_client,
    query,
    seconds_of,
    target,
    who,
)
from penstock.cli.look import look_and_wait
from penstock.core.errors import Terminal, Transient
from penstock.core.sources.kinds import FETCHED

PLAN_WAIT = "60s"


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare flags and help."""
    parser = subparsers.add_parser(
        "reconcile",
        help="reconcile now",
        description="Wakes a Kustomization or a source. With --wait the outcome is printed: exit status 0 where it is "
        "ready, 1 where it is not (or not known yet).",
    )
    add_object_flags(parser, "kustomization/NAME|source/NAME|ocirepository/NAME|bucket/NAME")
    parser.add_argument("--plan", action="store_true", help="change nothing: print what a reconcile would do")
    parser.add_argument("--adopt", action="store_true", help="take over what another plane owns, once")
    parser.add_argument("--wait", default="", metavar="30s", help="wait so long for the outcome")
    add_who(parser)
    add_plane_flags(parser)


def run(args: argparse.Namespace) -> int:
    """Ask, wait, print. Raises Transient where the outcome is not known in time."""
    wanted = named(args.object, ("Kustomization", *FETCHED))
    seconds = seconds_of(args.wait or (PLAN_WAIT if args.plan else "0s"), "--wait")
    if args.adopt and (args.plan or wanted.kind != "Kustomization"):
        raise Terminal("--adopt is for a Kustomization, and not with --plan")
    client = open_client(args)
    if args.adopt:
        body = {**target(args, client, wanted), "who": who(args)}
        return _told(args, wanted, ask(client, "/adopt", body, seconds=seconds))
    body = {"kind": wanted.kind, **target(args, client, wanted)}
    if wanted.kind in FETCHED and seconds and not args.plan:
        return _print_outcome(wanted, look_and_wait(client, body, seconds))
    outcome = ask(client, "/reconcile", body, plan=args.plan, seconds=seconds)
    return _told(args, wanted, outcome)


def _told(args: argparse.Namespace, wanted: Named, outcome: Mapping[str, Any] | None) -> int:
    if outcome is None:
        print(f"{wanted.kind} {args.namespace}/{wanted.name}: asked for; `penstock status` shows how it goes")
        return 0
    return _print_plan(outcome) if args.plan else _print_outcome(wanted, outcome)


def ask(
    client: Client, path: str, body: Mapping[str, Any], *, plan: bool = False, seconds: float
) -> Mapping[str, Any] | None:
    """The outcome of a request; None where nobody waits for one. Raises Transient where it is not known in time."""
    wait = f"{min(seconds, LONGEST_SLICE):g}s" if seconds else ""
    answer = client.post(path + query(plan="1" if plan else "", wait=wait), body)
    if answer.status == 200:
        return answer.body
    identity = str(answer.body.get("request") or "")
    if not seconds or not identity:
        return None
    outcome = client.outcome(identity, max(0.0, seconds - LONGEST_SLICE))
    if outcome is None:
        raise Transient(f"the outcome is not known after {seconds:g} s: `penstock status` shows how it goes")
    return outcome


def _print_outcome(wanted: Named, outcome: Mapping[str, Any]) -> int:
    if outcome.get("ready") == "True":
        print(f"{wanted.kind} {wanted.name} is ready: {outcome.get('message')}")
        return 0
    raise Terminal(f"{wanted.kind} {wanted.name} is not ready: {outcome.get('reason')}: {outcome.get('message')}")


def _print_plan(outcome: Mapping[str, Any]) -> int:
    if "changes" not in outcome:
        raise Terminal(f"no plan can be made: {outcome.get('reason')}: {outcome.get('message')}")
    for change in outcome["changes"]:
        fields = f": {', '.join(each['path'] for each in change['fields'][:5])}" if change.get("fields") else ""
        told = f" (refused: {change['error']})" if change.get("error") else ""
        print(f"{change['object']} {change['action']}{fields}{told}")
    if outcome.get("held"):
        print(outcome["held"])
    counts = outcome["counts"]
    writes = {action: counts.get(action, 0) for action in ("created", "configured", "deleted")}
    told = ", ".join(f"{number} {action}" for action, number in writes.items())
    print(f"{sum(writes.values())} changes ({told}) at {outcome['revision']}")
    return 0
