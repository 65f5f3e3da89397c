"""How much work an expression could make of its data, told before it is evaluated.

CEL ends always, but not soon: a tenant's expression can walk a list for each element of a list and scan a long string
each time, or double a string thirty times. The runtime bounds the iterations, not what one of them costs, and nothing
can stop it once it runs. So the worst case is reckoned from the text and the size of the data:

    iterations x operations x the longest value that could come about  <=  MOST_WORK characters (some seconds)

Iterations: the longest list, to the power of how deep the macros are nested; at most 10,000, the runtime's own bound.
The longest value: the data as a whole, or a string as replace, join and format can have multiplied it, doubled by
each ``+``.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MOST_WORK = 2_000_000_000
MOST_ITERATIONS = 10_000

_TEXT = re.compile(
    r"//[^\n]*|`[^`]*`"
    r"|[rR][bB]?(?:\"\"\".*?\"\"\"|'''.*?'''|\"[^\"]*\"|'[^']*')|[bB][rR](?:\"\"\".*?\"\"\"|'''.*?'''|\"[^\"]*\"|'[^']*')"
    r"|[bB]?(?:\"\"\"(?:\\.|[^\\])*?\"\"\"|'''(?:\\.|[^\\])*?'''|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*')",
    re.DOTALL,
)
"""Comments, string literals and quoted names: nothing in them is an operation."""

_MACRO = re.compile(r"\.\s*(?:all|exists|exists_one|existsOne|map|filter)\s*\(")
_OPERATION = re.compile(r"[(\[=<>+*/%?-]|\bin\b")
_SPLIT = re.compile(r"\bsplit\b")


def too_much(text: str, data: Mapping[str, Any]) -> str:
    """Why an expression is not evaluated on ``data``, or ""."""
    bare = _TEXT.sub("''", text)
    facts = _extent(data)
    size = facts.size + len(text)
    string = max(facts.longest_string, *(len(each) for each in _TEXT.findall(text)), 1)
    items = max(facts.longest_list, 1 + bare.count(","))
    doubled = bare.count("+")
    for name, by in (("replace", string), ("join", items), ("format", size)):
        string *= by ** len(re.findall(rf"\b{name}\b", bare))
    longest_value = max(size, string) << doubled
    elements = longest_value if _SPLIT.search(bare) else items << doubled
    operations = 1 + len(_OPERATION.findall(bare))
    work = _iterations(bare, elements) * operations * longest_value
    if work <= MOST_WORK:
        return ""
    return f"too much work for {size} characters of data: fewer nested macros, replace, join, format or +"


def _iterations(bare: str, elements: int) -> int:
    """The most iterations of all macros together, given the most elements that one of them can walk."""
    macros = {found.end() - 1 for found in _MACRO.finditer(bare)}
    open_brackets: list[bool] = []
    total = 1
    for place, character in enumerate(bare):
        if character in "([{":
            open_brackets.append(place in macros)
            if place in macros:
                total += min(elements ** sum(open_brackets), MOST_ITERATIONS)
        elif character in ")]}" and open_brackets:
            open_brackets.pop()
    return min(total, MOST_ITERATIONS * (1 + len(macros)))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Extent:
    """``size``: all characters, a number counts as one; the longest string; the longest list or mapping."""

    size: int
    longest_string: int
    longest_list: int


def _extent(value: Any) -> _Extent:
    size, string, items, waiting = 0, 0, 0, [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            size, string = size + len(each), max(string, len(each))
        elif isinstance(each, Mapping):
            waiting.extend(each.keys())
            waiting.extend(each.values())
        elif isinstance(each, list | tuple):
            waiting.extend(each)
        if isinstance(each, Mapping | list | tuple):
            items = max(items, len(each))
        size += 1
    return _Extent(size=size, longest_string=string, longest_list=items)
