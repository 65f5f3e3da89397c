"""Every kustomization of checked-out repositories, built by the real kustomize and by us: what differs.

``python -m tests.compat.kustomize_repositories DIR...`` prints a line for each directory that differs and a count.
No network: git and HTTP are closed to kustomize, and we refuse remote bases.
"""

import os
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from penstock.adapters.tree.disk import DiskTree
from penstock.core.errors import PenstockError
from penstock.core.kustomize.kustomization import FILE_NAMES
from penstock.kustomize import BuildOptions, ParseCache, build

RESTRICTORS = {"rootOnly": "LoadRestrictionsRootOnly", "none": "LoadRestrictionsNone"}
SECONDS = 120
OFFLINE = {
    "GIT_ALLOW_PROTOCOL": "none",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "HTTP_PROXY": "http://127.0.0.1:9",
}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a build gave: ``output``, or None and the reason."""

    output: bytes | None
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One directory with one load restrictor."""

    directory: Path
    restrictor: str
    theirs: Outcome
    ours: Outcome

    @property
    def verdict(self) -> str:
        """One of: same, both fail, differs, only ours fails, only theirs fails."""
        theirs, ours = self.theirs.output, self.ours.output
        if theirs is None or ours is None:
            return "both fail" if theirs is ours else "only theirs fails" if theirs is None else "only ours fails"
        return "same" if theirs == ours else "differs"


class _Alarm:
    """A build that takes too long raises TimeoutError."""

    def __enter__(self) -> None:
        signal.signal(signal.SIGALRM, self._expired)
        signal.alarm(SECONDS)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        signal.alarm(0)

    def _expired(self, number: int, frame: object) -> None:
        raise TimeoutError(f"more than {SECONDS} s")


def kustomizations(root: Path) -> list[Path]:
    """The directories below ``root`` that have a kustomization file."""
    found = {Path(at) for at, _, names in os.walk(root) if any(name in names for name in FILE_NAMES)}
    return sorted(found)


def theirs(directory: Path, restrictor: str, command: list[str]) -> Outcome:
    """What kustomize says."""
    try:
        ran = subprocess.run(
            [*command, "--load-restrictor", RESTRICTORS[restrictor], "."],
            cwd=directory, capture_output=True, timeout=SECONDS, check=False, env={**os.environ, **OFFLINE},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Outcome(output=None, error="timeout")
    if ran.returncode:
        return Outcome(output=None, error=ran.stderr.decode(errors="replace").strip())
    return Outcome(output=ran.stdout)


def ours(directory: Path, restrictor: str, cache: ParseCache) -> Outcome:
    """What we say. Any error but ours is reported with its class: it is a defect."""
    options = BuildOptions(load_restrictions=restrictor, policies_in_namespaces=True)  # type: ignore[arg-type] # one of the two
    try:
        with _Alarm():
            built = build(DiskTree("/"), str(directory.resolve()).lstrip("/"), options, cache)
            return Outcome(output=built.to_yaml().encode())
    except PenstockError as error:
        return Outcome(output=None, error=str(error))
    except Exception as error:  # a finding, and the next directory is to be looked at too
        return Outcome(output=None, error=f"DEFECT {type(error).__name__}: {error}")


def compare(root: Path, command: list[str]) -> list[Comparison]:
    """Every directory of a repository, with both restrictors where the strict one does not build."""
    found, cache = [], ParseCache()
    for directory in kustomizations(root):
        for restrictor in RESTRICTORS:
            other = theirs(directory, restrictor, command)
            found.append(
                Comparison(
                    directory=directory, restrictor=restrictor, theirs=other, ours=ours(directory, restrictor, cache)
                )
            )
            if other.output is not None or "security" not in other.error:
                break
    return found


def main(roots: list[str]) -> int:
    """Compare, and print what differs."""
    from tests.compat.test_kustomize_oracle import COMMAND, REASON  # looks for the binary

    if COMMAND is None:
        print(REASON)
        return 2
    total: Counter[str] = Counter()
    for root in roots:
        compared = compare(Path(root), COMMAND)
        count = Counter(one.verdict for one in compared)
        total += count
        print(f"{root}: {dict(count)}", flush=True)
        for one in compared:
            if one.verdict not in ("same", "both fail") or "DEFECT" in one.ours.error:
                told = one.theirs.error[-300:] or one.ours.error
                print(f"  {one.verdict}: {one.directory} ({one.restrictor}) {told}", flush=True)
    print(dict(total))
    return 0 if not total["differs"] + total["only ours fails"] + total["only theirs fails"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
