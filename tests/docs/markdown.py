"""What the tests need of a Markdown file: fences, links, headings, tables, inline code."""

import re
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = tuple(
    sorted(
        path.relative_to(ROOT).as_posix()
        for path in (
            *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
            *(ROOT / "docs").rglob("*.md"),
        )
    )
)
_FENCE = re.compile(r"^( *)```([^\n]*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Fence:
    """``language``: what stands behind the backticks; ``line``: where it begins, counted from 1."""

    document: str
    line: int
    language: str
    text: str

    def __str__(self):
        return f"{self.document}:{self.line}"


def text_of(document):
    return (ROOT / document).read_text()


def fences(document, *languages):
    text = text_of(document)
    found = [
        Fence(document, text[: match.start()].count("\n") + 1, match[2].strip(), match[3])
        for match in _FENCE.finditer(text)
    ]
    return [fence for fence in found if not languages or fence.language in languages]


def prose(document):
    """The text without fences."""
    return _FENCE.sub("", text_of(document))


def inline_code(document):
    return _INLINE.findall(prose(document))


def links(document):
    return _LINK.findall(_INLINE.sub("`code`", prose(document)))


def anchors(document):
    """As GitHub makes them of headings."""
    return {
        re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).strip().replace(" ", "-")
        for heading in _HEADING.findall(prose(document))
    }


def table(document, *header):
    """The rows of the first table whose header begins with these cells; each row a list of cells."""
    lines = text_of(document).splitlines()
    for number, line in enumerate(lines):
        if line.startswith("|") and cells(line)[: len(header)] == list(header):
            return [cells(row) for row in takewhile(lambda row: row.startswith("|"), lines[number + 2 :])]
    raise AssertionError(f"{document} has no table with the columns {', '.join(header)}")


def cells(line):
    return [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
