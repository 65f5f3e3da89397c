"""What is installed in a folder, by its .dist-info: names, versions, licences, who needs whom."""

from collections.abc import Mapping
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tools.package.target import Target


@dataclass(frozen=True, kw_only=True, slots=True)
class Installed:
    """A distribution. ``name``: normalised; ``licence``: an SPDX expression or the author's words, or "".

    ``needs``: names, for the target at hand.
    """

    name: str
    version: str
    licence: str
    needs: tuple[str, ...]


def installed(directory: Path, target: Target) -> dict[str, Installed]:
    """By name."""
    found = (_read(path, target) for path in sorted(directory.glob("*.dist-info/METADATA")))
    return {each.name: each for each in found}


def _read(metadata: Path, target: Target) -> Installed:
    headers = HeaderParser().parsestr(metadata.read_text(encoding="utf-8"))
    needs = [Requirement(text) for text in headers.get_all("Requires-Dist") or ()]
    holding = (each for each in needs if each.marker is None or each.marker.evaluate(target.markers))
    licence = headers.get("License-Expression") or headers.get("License") or _classified(headers.get_all("Classifier"))
    return Installed(
        name=canonicalize_name(headers["Name"]),
        version=headers["Version"],
        licence=licence.strip().partition("\n")[0],
        needs=tuple(sorted({canonicalize_name(each.name) for each in holding})),
    )


def _classified(classifiers: list[str] | None) -> str:
    """``License :: OSI Approved :: BSD License`` as ``BSD License``."""
    found = [each.rpartition(" :: ")[2] for each in classifiers or () if each.startswith("License ::")]
    return " or ".join(found)


def closure(name: str, distributions: Mapping[str, Installed]) -> tuple[str, ...]:
    """``name`` and all that it needs, sorted. Raises KeyError where one of them is not installed."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        each = waiting.pop()
        if each not in found:
            found.add(each)
            waiting.extend(distributions[each].needs)
    return tuple(sorted(found))
