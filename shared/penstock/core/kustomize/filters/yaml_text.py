"""A YAML text after a change of some of its values, printed as go-yaml v3 prints the nodes of the original.

Order, quotes, block and flow style and comments stay; indentation becomes two spaces with lists at the indentation of
their key, lines are not folded, empty lines go. Anchors are written out.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

from penstock.core.kustomize.written import Quoted, read, text_of
from penstock.core.kustomize.yaml_out import dump_one


class Tagged(str):
    """A scalar printed with the tag that stands before it."""

    __slots__ = ()


_Node = yaml.Node | None  # None: a value that the original does not have


def rewritten(original: str, old: Any, new: Any) -> str:
    """``new`` in the form of ``original``, whose value is ``old``: what is the same object in both has not changed."""
    node = yaml.compose(original, Loader=yaml.CBaseLoader)
    printer = _Printer(original)
    return "".join(f"{line}\n" for line in (*printer.block(node, old, new), *printer.tail()))


class _Printer:
    def __init__(self, original: str) -> None:
        self._lines = original.split("\n")
        self._printed = 0  # the first line whose comments have not been printed

    def block(self, node: _Node, old: Any, new: Any) -> Iterator[str]:
        """The lines of a value that starts a line."""
        if isinstance(new, dict) and new and not _is_flow(node, new):
            yield from self._mapping(node, old, new)
        elif isinstance(new, list) and new and not _is_flow(node, new):
            yield from self._sequence(node, old, new)
        else:
            lines = self._leaf(node, old, new)
            yield lines[0] + self._comment_after(node)
            yield from lines[1:]

    def _mapping(self, node: _Node, old: Any, new: dict[str, Any]) -> Iterator[str]:
        known = {key.value: (key, value) for key, value in node.value} if isinstance(node, yaml.MappingNode) else {}
        for name, value in new.items():
            key_node, value_node = known.get(name, (None, None))
            yield from self._comments_before(key_node)
            before = old.get(name) if isinstance(old, dict) else None
            key = self._leaf(key_node, name, name)[0]
            if isinstance(value, dict | list) and value and not _is_flow(value_node, value):
                yield f"{key}:" + self._comment_on(key_node)
                pad = "  " if isinstance(value, dict) else ""
                yield from (pad + line if line else line for line in self.block(value_node, before, value))
            else:
                first, *rest = self._leaf(value_node, before, value)
                yield (f"{key}: {first}" if first else f"{key}:") + self._comment_after(value_node)
                yield from (f"  {line}" if line else line for line in rest)

    def _sequence(self, node: _Node, old: Any, new: list[Any]) -> Iterator[str]:
        nodes = node.value if isinstance(node, yaml.SequenceNode) else []
        for index, value in enumerate(new):
            item = nodes[index] if index < len(nodes) else None
            yield from self._comments_before(item)
            before = old[index] if isinstance(old, list) and index < len(old) else None
            lead = "- "
            for line in self.block(item, before, value):
                yield lead + line if line else line
                lead = "  "

    def _leaf(self, node: _Node, old: Any, new: Any) -> list[str]:
        """A scalar, an empty container or one in flow style; lines after the first are to be indented."""
        if isinstance(new, dict | list):
            return [self._flow(node, old, new)]
        same = new is old and isinstance(node, yaml.ScalarNode)
        text = str(node.value) if same else text_of(new)  # type: ignore[union-attr] # `same` says that it is one
        style = node.style if isinstance(node, yaml.ScalarNode) else None
        if type(new) is Tagged:
            return [text]
        if style in ("|", ">") or (style is None and "\n" in text):
            return _literal(text, style or "|")
        if style == "'":
            return ["'" + text.replace("'", "''") + "'"]
        if style == '"' or (node is None and type(new) is Quoted):
            text = json.dumps(text, ensure_ascii=False)
        elif isinstance(new, str) and not same:
            text = plain(text)
        elif new is None and not same:
            text = "null"
        return [text]

    def _flow(self, node: _Node, old: Any, new: Any) -> str:
        nodes: Any = node.value if isinstance(node, yaml.CollectionNode) else ()
        if isinstance(new, dict):
            known = {key.value: (key, value) for key, value in nodes} if isinstance(node, yaml.MappingNode) else {}
            cells = []
            for name, value in new.items():
                key_node, value_node = known.get(name, (None, None))
                before = old.get(name) if isinstance(old, dict) else None
                cells.append(f"{self._cell(key_node, name, name)}: {self._cell(value_node, before, value)}")
            return "{" + ", ".join(cells) + "}"
        items = []
        for index, value in enumerate(new):
            item = nodes[index] if index < len(nodes) else None
            before = old[index] if isinstance(old, list) and index < len(old) else None
            items.append(self._cell(item, before, value))
        return "[" + ", ".join(items) + "]"

    def _cell(self, node: _Node, old: Any, new: Any) -> str:
        lines = self._leaf(node, old, new)
        return lines[0] if len(lines) == 1 else json.dumps(text_of(new), ensure_ascii=False)

    def _comments_before(self, node: _Node) -> Iterator[str]:
        """The comments between what was printed and a node: groups keep one empty line between them."""
        if node is None:
            return
        start, gap, any_comment = node.start_mark.line, False, False
        for line in self._lines[self._printed : start]:
            text = line.strip()
            if text.startswith("#"):
                if gap and any_comment:
                    yield ""
                # one that stands further in belongs to what was printed before
                yield f"  {text}" if line.index("#") > node.start_mark.column else text
                gap, any_comment = False, True
            else:
                gap = True
        if gap and any_comment:
            yield ""
        self._printed = max(self._printed, start)

    def tail(self) -> Iterator[str]:
        """The comments after everything else."""
        lines = [line.strip() for line in self._lines[self._printed :]]
        comments = [line for line in lines if line.startswith("#")]
        yield from ["", *comments] if comments else []

    def _comment_on(self, node: _Node) -> str:
        """The comment behind a key whose value starts on the next line."""
        if node is None:
            return ""
        line = self._lines[node.end_mark.line][node.end_mark.column :]
        self._printed = max(self._printed, node.end_mark.line + 1)
        found = line.find(" #")
        return f" {line[found + 1 :].strip()}" if found >= 0 and not line[1:found].strip() else ""

    def _comment_after(self, node: _Node) -> str:
        """The comment behind a value, on the line where it ends."""
        if node is None or node.end_mark.column == 0:
            return ""
        line = self._lines[node.end_mark.line][node.end_mark.column :]
        self._printed = max(self._printed, node.end_mark.line + 1)
        return f" {line.strip()}" if line.strip().startswith("#") else ""


def _is_flow(node: _Node, new: Any) -> bool:
    same_kind = isinstance(node, yaml.MappingNode if isinstance(new, dict) else yaml.SequenceNode)
    return same_kind and bool(node.flow_style)  # type: ignore[union-attr] # not None: it has a kind


def plain(text: str) -> str:
    """A string that may stand plain, in quotes where it must."""
    printed = dump_one(text).rstrip("\n")
    return text if "\n" in printed else printed


def tagged_text(text: str) -> str:
    """A string that has a tag before it: in quotes only where its characters ask for them."""
    return plain(text) if isinstance(read(text), str) else text


def _literal(text: str, style: str) -> list[str]:
    body = text.rstrip("\n")
    end = "-" if body == text else "" if text == body + "\n" else "+"
    hint = "2" if text[:1] in (" ", "\n") else ""
    if style == ">":  # folded, n line feeds are n empty lines; go-yaml writes them at the end too
        text = re.sub(r"\n+(?! )", r"\g<0>\n", text)
    lines = (text if end == "-" else text[:-1]).split("\n")
    return [f"{style}{hint}{end}", *lines]
