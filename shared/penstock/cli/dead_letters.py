"""``penstock dead-letters``: messages that were given up after their last attempt, on any bus.

It talks to the bus itself, with the rights of whoever runs it: a plane that cannot work can still be looked at.
"""

import argparse
import json
from collections.abc import Sequence
from typing import Any, cast

from penstock.cli.tables import render, shorten
from penstock.core.errors import NotFound, Terminal
from penstock.core.messages import Envelope, decode
from penstock.ports.bus import DeadLetter, DeadLetters
from penstock.wiring import load_pipeline, open_runtime

MOST = 10_000
EXAMPLES = """examples:
  penstock dead-letters list
  penstock dead-letters list --stage notify -o json
  penstock dead-letters show 17
  penstock dead-letters redrive 17 18          # all attempts anew
  penstock dead-letters redrive --all --stage fetch
  penstock dead-letters drop --all --stage notify
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare flags and help."""
    parser = subparsers.add_parser(
        "dead-letters",
        help="messages that were given up: look, try again, drop",
        description="Messages that were given up after their last attempt. They hold pointers alone: dropping one "
        "loses no work, as what it pointed at is due again at its interval.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(metavar="COMMAND", dest="letters_command", required=True)
    listing = commands.add_parser("list", help="what there is, the oldest first")
    show = commands.add_parser("show", help="one of them: what it points at, and why it was given up")
    show.add_argument("id", metavar="ID")
    redrive = commands.add_parser("redrive", help="give them back to their stages, with all attempts anew")
    drop = commands.add_parser("drop", help="forget them")
    for each in (redrive, drop):
        each.add_argument("ids", metavar="ID", nargs="*")
        each.add_argument("--all", action="store_true", help="all of them (with --stage: of that stage)")
    for each in (listing, show, redrive, drop):
        each.add_argument("--stage", default="", choices=["", *_stages()], metavar="STAGE", help=", ".join(_stages()))
        each.add_argument("--data-dir", default="", help="the plane's data directory")
    for each in (listing, show):
        each.add_argument("-o", "--output", choices=("text", "json"), default="text")


def _stages() -> list[str]:
    return [stage.name for stage in load_pipeline().queues()]


def run(args: argparse.Namespace) -> int:
    """Do it; 1 where there were some to give back or to drop, and none was.

    Raises NotFound for an ID that is not there, Terminal where neither IDs nor --all are given.
    """
    runtime = open_runtime(args.data_dir)
    try:
        bus = cast("DeadLetters", runtime.bus)
        letters = [each for each in bus.dead_letters(limit=MOST) if args.stage in ("", each.stage)]
        if args.letters_command == "list":
            _print(letters, args.output)
        elif args.letters_command == "show":
            _show(_chosen(letters, [args.id])[0], args.output)
        else:
            if bool(args.ids) == args.all:
                raise Terminal("give either the IDs of dead letters (`penstock dead-letters list`) or --all")
            chosen = letters if args.all else _chosen(letters, args.ids)
            done = _take(bus, chosen, again=args.letters_command == "redrive")
            return 1 if chosen and not done else 0
    finally:
        runtime.close()
    return 0


def _chosen(letters: Sequence[DeadLetter], ids: Sequence[str]) -> list[DeadLetter]:
    found = {letter.receipt: letter for letter in letters}
    missing = [each for each in ids if each not in found]
    if missing:
        raise NotFound(f"no dead letter {', '.join(missing)}: `penstock dead-letters list` shows what there is")
    return [found[each] for each in ids]


def _take(bus: DeadLetters, letters: Sequence[DeadLetter], *, again: bool) -> int:
    """How many were."""
    unreadable = [letter for letter in letters if again and _envelope(letter) is None]
    for letter in unreadable:
        print(f"✗ {letter.stage} {letter.receipt}: it cannot be read, so nobody could take it: drop it")
    wanted = [letter for letter in letters if letter not in unreadable]
    done = bus.drop_dead_letters(wanted, again=again)
    print(f"{'✔' if done or not letters else '✗'} {done} {'given back to their stages' if again else 'dropped'}")
    if done < len(wanted):
        print(f"► {len(wanted) - done} were not shown, or are gone: `penstock dead-letters list` says what is left")
    return done


def _print(letters: Sequence[DeadLetter], output: str) -> None:
    if output == "json":
        print(json.dumps([_value(letter) for letter in letters], indent=2))
    elif letters:
        rows = [(each.stage, each.receipt, _about(each), shorten(each.error)) for each in letters]
        print(render(("STAGE", "ID", "POINTS AT", "ERROR"), rows))
    else:
        print("no dead letters")


def _show(letter: DeadLetter, output: str) -> None:
    value = _value(letter)
    if output == "json":
        print(json.dumps(value, indent=2))
        return
    width = max(map(len, value))
    for name, item in value.items():
        print(f"{name.ljust(width)}  {item}")


def _value(letter: DeadLetter) -> dict[str, Any]:
    """What a letter says, for people. One that cannot be read is told by its size: it may be anything."""
    value: dict[str, Any] = {"stage": letter.stage, "id": letter.receipt, "error": letter.error}
    envelope = _envelope(letter)
    if envelope is None:
        return {**value, "bytes": len(letter.body)}
    message = envelope.message
    pointer = {name: getattr(message, name) for name in ("topic", "cluster", "kind", "namespace", "name")}
    return {**value, **pointer, "trace": envelope.trace, "message": envelope.id}


def _about(letter: DeadLetter) -> str:
    envelope = _envelope(letter)
    return f"{envelope.message.topic} {envelope.message.key}" if envelope else f"unreadable, {len(letter.body)} bytes"


def _envelope(letter: DeadLetter) -> Envelope | None:
    try:
        return decode(letter.body)
    except Terminal:
        return None
