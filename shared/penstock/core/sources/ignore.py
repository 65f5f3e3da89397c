"""Which files of a source stay out of its artifact: Flux's ignore rules.

Four layers, lowest to highest, and the last pattern that matches decides:

1. files of version control (``.git/``, ``.gitignore``, …), always there for Git;
2. Flux's default excludes (images, archives, files of CI systems), only while layers 3 and 4 hold no pattern at all;
3. every ``.sourceignore`` file of the tree, each anchored to its own directory;
4. ``spec.ignore``.

Patterns read like ``.gitignore`` with the differences that Flux has: files are matched one by one, directories are
never pruned, so ``!dir/keep.yaml`` works below an excluded ``dir/``; ``**`` is only special as a whole segment.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from penstock.core.sources.glob import match_name
from penstock.core.tree import MemoryTree

IGNORE_FILE = ".sourceignore"

_VCS = (".git/", ".gitignore", ".gitmodules", ".gitattributes")
_DEFAULTS = (
    *("*.jpg", "*.jpeg", "*.gif", "*.png", "*.wmv", "*.flv", "*.tar.gz", "*.zip"),
    *(".github/", ".circleci/", ".travis.yml", ".gitlab-ci.yml", "appveyor.yml", ".drone.yml"),
    *("cloudbuild.yaml", "codeship-services.yml", "codeship-steps.yml"),
    *("**/.goreleaser.yml", "**/.sops.yaml", "**/.flux.yaml"),
)
_LONGEST_LINE = 64 * 1024
"""Upstream's line scanner stops at a longer line."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pattern:
    """One line. ``domain``: the directory it belongs to; ``segments``: the pattern, split at ``/``.

    One segment matches a name at any depth, several start at the domain. ``include``: began with ``!``;
    ``directories``: ended with ``/``.
    """

    domain: tuple[str, ...] = ()
    segments: tuple[str, ...]
    include: bool = False
    directories: bool = False

    def matches(self, path: Sequence[str]) -> bool:
        """Whether it matches a file's path (split at ``/``), by itself or by a directory above it."""
        depth = len(self.domain)
        if len(path) <= depth or tuple(path[:depth]) != self.domain:
            return False
        below = path[depth:]
        # A pattern that ended in "/" matches directories only: every segment of a file's path but its last.
        if len(self.segments) == 1:
            names = below[:-1] if self.directories else below
            return any(match_name(self.segments[0], name) for name in names)
        return self._glob(below)

    def _glob(self, path: Sequence[str]) -> bool:
        """Upstream's walk over the segments: greedy, no way back after a ``**``."""
        matched, traverse, at, last = False, False, 0, len(self.segments) - 1
        for index, segment in enumerate(self.segments):
            if segment == "":
                traverse = False
                continue
            if segment == "**":
                if index == last:
                    break
                traverse = True
                continue
            if "**" in segment or at >= len(path):
                return False
            if traverse:
                traverse = False
                found = next((i for i in range(at, len(path)) if match_name(segment, path[i])), None)
                matched, at = found is not None, len(path) if found is None else found + 1
            elif match_name(segment, path[at]):
                matched, at = True, at + 1
            else:
                return False
        return matched and not (self.directories and at == len(path))


def parse_patterns(text: str, domain: Sequence[str] = ()) -> tuple[Pattern, ...]:
    """The patterns of an ignore file or field; comments and blank lines are none. ``domain``: its directory."""
    return tuple(_patterns(text, tuple(domain)))


def apply_ignore(tree: MemoryTree, ignore: str | None) -> MemoryTree:
    """The tree without the files that Flux would leave out. ``ignore``: the source's ``spec.ignore``, or None."""
    return _without(tree, _rules(tree, ignore))


def apply_defaults(tree: MemoryTree) -> MemoryTree:
    """The tree without what layers 1 and 2 exclude, whatever ignore files it holds (artifacts of generators)."""
    rules = tuple(reversed((*_parsed(_VCS), *_parsed(_DEFAULTS))))
    return _without(tree, rules)


def _without(tree: MemoryTree, rules: Sequence[Pattern]) -> MemoryTree:
    return MemoryTree({path: found for path, found in tree.items() if not excluded(path.split("/"), rules)})


def _rules(tree: MemoryTree, ignore: str | None) -> tuple[Pattern, ...]:
    """All layers, highest priority first."""
    own = [pattern for path in sorted(_ignore_files(tree)) for pattern in _read(tree, path)]
    own.extend(parse_patterns(ignore or ""))
    defaults = () if own else _parsed(_DEFAULTS)
    return tuple(reversed((*_parsed(_VCS), *defaults, *own)))


def _ignore_files(tree: MemoryTree) -> Iterator[tuple[str, ...]]:
    """Directories with an ignore file; sorted, a directory comes before those below it, as upstream reads them."""
    for path, found in tree.items():
        *directory, name = path.split("/")
        if name == IGNORE_FILE and found.data and ".git" not in directory:
            yield tuple(directory)


def _read(tree: MemoryTree, directory: tuple[str, ...]) -> tuple[Pattern, ...]:
    found = tree.read("/".join((*directory, IGNORE_FILE)))
    return parse_patterns(found.data.decode("utf-8", "replace"), directory) if found else ()


def excluded(path: Sequence[str], rules: Sequence[Pattern]) -> bool:
    """Whether a file (its path, split at ``/``) stays out. ``rules``: highest priority first."""
    return next((not rule.include for rule in rules if rule.matches(path)), False)


def _parsed(lines: Sequence[str]) -> tuple[Pattern, ...]:
    return tuple(_pattern(line, ()) for line in lines)


def _patterns(text: str, domain: tuple[str, ...]) -> Iterator[Pattern]:
    for ended in text.split("\n"):
        if len(ended) > _LONGEST_LINE:
            return
        line = ended.removesuffix("\r")
        if line.strip() and not line.startswith("#"):
            yield _pattern(line, domain)


def _pattern(line: str, domain: tuple[str, ...]) -> Pattern:
    include = line.startswith("!")
    text = line[1:] if include else line
    if not text.endswith("\\ "):
        text = text.rstrip(" ")
    directories = text.endswith("/")
    segments = tuple((text[:-1] if directories else text).split("/"))
    return Pattern(domain=domain, segments=segments, include=include, directories=directories)
