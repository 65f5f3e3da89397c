"""YAML text to nodes: libyaml's composer, kept from harm, and what go-yaml does to text in passing."""

import operator
import re
from dataclasses import dataclass
from typing import Any

from yaml import YAMLError
from yaml.composer import ComposerError
from yaml.cyaml import CParser  # type: ignore[attr-defined] # PyYAML's types leave it out
from yaml.events import (
    AliasEvent,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from penstock.core.errors import BuildFailed

PLAIN, QUOTED = "plain", "quoted"
"""The tags of untagged nodes: how a scalar was written is all that the composer says of it."""

_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_ESCAPE_WORK = 20_000_000
"""How many characters are read again, in all, to find escapes that libyaml does not know: a second of work."""
_DEEP = ("- " * 100, "? " * 100, "\n" + " " * 600)


@dataclass(frozen=True, kw_only=True, slots=True)
class YamlLimits:
    """What one document may hold: levels of nesting, and values after each alias has been written out."""

    depth: int = 200
    values: int = 1_000_000


DEFAULT_LIMITS = YamlLimits()


class MalformedYaml(BuildFailed):
    """The text is not YAML, or is YAML that JSON cannot hold."""


class _Composer(CParser):
    """libyaml's composer with a resolver that only says how a scalar was written."""

    def __init__(self, text: str) -> None:
        CParser.__init__(self, text)

    def resolve(self, _kind: type[Node], _value: str, implicit: tuple[bool, bool] | bool) -> str:
        return PLAIN if implicit is not True and implicit and implicit[0] else QUOTED

    # Called for every node, and nothing to do: functions in C that take these arguments cost the least.
    descend_resolver = staticmethod(operator.is_)
    ascend_resolver = tuple


def compose(text: str, where: str, limits: YamlLimits) -> Node | None:
    """The root node of the first document; None where there is none. Raises MalformedYaml."""
    if "\\'" in text or "\\/" in text:
        text = _with_gos_escapes(text, where)
    try:
        if text.count("[") + text.count("{") > 1000 or any(deep in text for deep in _DEEP):
            _check_depth(text, where, limits)
        return _composed(text, where, limits)
    except YAMLError as error:
        raise MalformedYaml(f"{where}: MalformedYAMLError: {_one_line(error)}") from error
    except ValueError as error:  # NUL and the like in PyYAML's own checks
        raise MalformedYaml(f"{where}: MalformedYAMLError: {error}") from error


def _with_gos_escapes(text: str, where: str) -> str:
    r"""The text for libyaml: within double quotes go-yaml knows ``\'``, which libyaml does not, and no ``\/``.

    Raises MalformedYaml for the latter. A text with very many scalars of the first kind stays as it is.
    """
    for _ in range(max(_ESCAPE_WORK // len(text), 1)):
        parser = _Composer(text)
        try:
            while (event := parser.get_event()) is not None:
                if type(event) is ScalarEvent and event.style == '"':
                    start, end = _span(event)
                    written = text[start:end]
                    if "\\/" in written and "/" in _ESCAPED.findall(written):
                        problem = "found unknown escape character: write / without a backslash"
                        raise MalformedYaml(f"{where}: MalformedYAMLError: yaml: line {_line(event)}: {problem}")
        except YAMLError as error:
            begin = getattr(getattr(error, "context_mark", None), "index", None)
            if begin is None or getattr(error, "problem", None) != "found unknown escape character":
                return text
            end = error.problem_mark.index + 2  # type: ignore[attr-defined] # this problem has a place
            mended = _ESCAPED.sub(lambda found: "'" if found[1] == "'" else found[0], text[begin:end])
            if mended == text[begin:end]:
                return text
            text = text[:begin] + mended + text[end:]
        else:
            return text
    return text


def _span(event: ScalarEvent) -> tuple[int, int]:
    return event.start_mark.index, event.end_mark.index  # type: ignore[union-attr] # libyaml gives each its place


def _line(event: ScalarEvent) -> int:
    return int(event.start_mark.line) + 1  # type: ignore[union-attr] # as above


def _composed(text: str, where: str, limits: YamlLimits) -> Node | None:
    composer = _Composer(text)
    try:
        return composer.get_node() if composer.check_node() else None
    except ComposerError as error:
        if "second occurrence" not in str(error):
            raise
    return _compose_with_repeated_anchors(text, where, limits)


def _compose_with_repeated_anchors(text: str, where: str, limits: YamlLimits) -> Node | None:
    """As ``compose``, slower: an anchor may be defined again, which libyaml's composer refuses and YAML allows."""
    parser, anchors = _Composer(text), dict[str, Node]()
    event = parser.get_event()
    while event is not None and not isinstance(event, NodeEvent):
        event = parser.get_event()

    def node_of(event: Any, depth: int) -> Node:
        if type(event) is AliasEvent:
            if event.anchor not in anchors:
                raise MalformedYaml(f"{where}: unknown anchor '{event.anchor}'")
            return anchors[event.anchor]
        if depth > limits.depth:
            raise MalformedYaml(f"{where}: nested deeper than {limits.depth} levels")
        node = _empty_node(parser, event)
        if event.anchor is not None:
            anchors[event.anchor] = node
        if isinstance(node, ScalarNode):
            return node
        children: list[Node] = []
        while not isinstance(event := parser.get_event(), SequenceEndEvent | MappingEndEvent):
            children.append(node_of(event, depth + 1))
        is_mapping = isinstance(node, MappingNode)
        node.value = list(zip(children[::2], children[1::2], strict=True)) if is_mapping else children
        return node

    return None if event is None else node_of(event, 0)


def _empty_node(parser: _Composer, event: Any) -> Node:
    """The node that an event starts, without its children."""
    kind: Any = (
        ScalarNode
        if isinstance(event, ScalarEvent)
        else SequenceNode
        if isinstance(event, SequenceStartEvent)
        else MappingNode
    )
    value = event.value if kind is ScalarNode else []
    tag = parser.resolve(kind, "", event.implicit) if event.tag in (None, "!") else event.tag
    made: Any = kind(tag, value, event.start_mark, event.end_mark)
    if kind is ScalarNode:
        made.style = event.style
    result: Node = made
    return result


def _one_line(error: YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    return f"yaml: line {mark.line + 1}: {problem}" if mark is not None else f"yaml: {problem}"


def _check_depth(text: str, where: str, limits: YamlLimits) -> None:
    """Refuse deep nesting before the composer, which recurses in C, meets it."""
    parser, depth = _Composer(text), 0
    while True:
        event = parser.get_event()
        kind = type(event)
        if kind is MappingStartEvent or kind is SequenceStartEvent:
            depth += 1
            if depth > limits.depth:
                raise MalformedYaml(f"{where}: nested deeper than {limits.depth} levels")
        elif kind is MappingEndEvent or kind is SequenceEndEvent:
            depth -= 1
        elif kind is StreamEndEvent or event is None:
            return


def refolded(value: str) -> str:
    """A folded block scalar after kustomize has written it and read it again.

    go-yaml's writer of folded scalars looks at the start of the text where it should look at the next line. So a
    line break before an indented line is doubled, and all breaks of a text that starts with a blank are folded.
    """
    tame = value[:1] not in (" ", "\t", "\n") and "\n " not in value and "\n\t" not in value
    if (tame and not value.endswith("\n\n")) or " \n" in value or value.endswith(" ") or not value:
        return value  # it reads back the same, or is not written as a folded scalar
    doubles = value.lstrip("\n")[:1] not in ("", " ", "\t")
    lines: list[str] = []
    breaks = leading = True
    for char in value:
        if char == "\n":
            lines.append("\n\n" if not breaks and not leading and doubles else "\n")
            breaks = True
            continue
        if breaks:
            lines.append("  ")
            leading = char in " \t"
        lines.append(char)
        breaks = False
    hint = "2" if value[0] in " \n" else ""
    chomp = "-" if value[-1] != "\n" else "+" if len(value) == 1 or value[-2] == "\n" else ""
    node: Any = _Composer(f"k: >{hint}{chomp}\n{''.join(lines)}").get_single_node()
    found: str = node.value[0][1].value
    return found
