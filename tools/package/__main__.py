"""python -m tools.package: see `make package`."""

import argparse
import logging
import sys
from pathlib import Path

from tools.package.bytecode import find
from tools.package.provider import AWS, PROVIDERS, Provider
from tools.package.release import release, table
from tools.package.target import Target

ROOT = Path(__file__).parents[2]
EXAMPLES = """
examples:
  make package                                    for Python 3.13 on x86_64
  make package PYTHON_VERSION=3.12 ARCH=arm64     for another runtime of the clouds
  make package BYTECODE=no                        the same bytes whatever Python packs; slower cold starts on Lambda
  python -m tools.package --provider aws          one bundle, the wheel, their SBOMs and checksums
"""


def main(words: list[str]) -> int:
    """The status: 0, or 1 with what went wrong on standard error; there too what is being done."""
    args = _parser().parse_args(words)
    logging.basicConfig(format="package: %(message)s", level=logging.INFO, stream=sys.stderr)
    try:
        target = Target(python=args.python_version, arch=args.arch)
        providers = [PROVIDERS[name] for name in args.provider or PROVIDERS]
        for provider in providers:
            _check(provider, target)
        bytecode = args.bytecode == "yes" or (args.bytecode == "auto" and bool(find(target)))
        rows = release(ROOT, target, args.out, providers, bytecode=bytecode)
    except (RuntimeError, ValueError) as error:
        print(f"package: {error}", file=sys.stderr)
        return 1
    print(table(rows))
    print(f"\nfor Python {target.python} on {target.arch}, in {args.out}; `sha256sum --check SHA256SUMS` checks them")
    if not bytecode and args.bytecode == "auto" and AWS in providers:
        print(f"aws.zip has no bytecode (no python{target.python} is here): its cold starts take up to twice as long")
    return 0


def _check(provider: Provider, target: Target) -> None:
    if _numbers(target.python) < _numbers(provider.oldest):
        raise ValueError(
            f"{provider.name}: Python {target.python} is too old; its machines there have an older glibc than the "
            f"locked wheels need: take {provider.oldest} or newer, or leave {provider.name} out with --provider"
        )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="package",
        description="Write the bundles of functions, the wheel for `penstock serve`, SBOMs and checksums.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--python-version", default="3.13", metavar="X.Y", help="of the clouds' runtime (3.13)")
    parser.add_argument("--arch", default="x86_64", help="of the clouds' machines: x86_64 (the default) or arm64")
    parser.add_argument(
        "--bytecode",
        choices=["auto", "yes", "no"],
        default="auto",
        help="in aws.zip: auto, where a Python of that version is here; it then counts as input",
    )
    parser.add_argument("--out", type=Path, default=Path("dist"), metavar="DIRECTORY", help="where to write (dist)")
    parser.add_argument("--provider", action="append", choices=sorted(PROVIDERS), help="only this one; repeatable")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
