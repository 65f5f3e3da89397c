"""YAML text to plain values, as kustomize reads it: libyaml's parser, go-yaml's resolution of scalars.

Values are shared: by every alias of an anchor, and by every build that takes a file from the same cache. Nothing
may change them in place.
"""

import base64
import binascii
import re
from collections.abc import Callable
from typing import Any

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from penstock.core.kustomize.braces import partly_empty
from penstock.core.kustomize.scalars import NO_KEY, resolve, resolve_old, timestamp
from penstock.core.kustomize.written import PlainText, Quoted, WrittenFloat, WrittenInt, WrittenTime
from penstock.core.kustomize.yaml_nodes import (
    DEFAULT_LIMITS,
    PLAIN,
    QUOTED,
    MalformedYaml,
    YamlLimits,
    compose,
    refolded,
)

__all__ = ["MalformedYaml", "load_config", "load_documents", "load_unaliased", "split_documents"]

_SEPARATOR = re.compile(r"\n---.*\n")
_TAGS = "tag:yaml.org,2002:"
_UNTAGGED = (PLAIN, QUOTED)
_MERGES = (PLAIN, _TAGS + "merge")
Path = tuple[str, ...]
_LONGEST_MARKED = 1000  # a longer text is nothing that a patch replaces by a number


class _Constructor:
    """One document's nodes to values. ``keys``: how a key becomes text; ``strict``: refuse repeated keys."""

    __slots__ = ("_constants", "_done", "_limits", "_open", "_refolds", "_strict", "_values", "where")

    def __init__(self, *, where: str, limits: YamlLimits, constants: Callable[[str], Any], strict: bool) -> None:
        self._refolds = constants is not resolve_old  # go-yaml v3 writes and reads again, v2 does not
        self.where, self._limits, self._constants, self._strict = where, limits, constants, strict
        self._done: dict[int, tuple[Any, int]] = {}
        self._open: set[int] = set()
        self._values = 0

    def build(self, node: Node, depth: int = 0) -> Any:
        """The value of one node."""
        self._values += 1
        if type(node) is ScalarNode:
            tag = node.tag
            if tag is PLAIN:
                value = self._constants(node.value)
                return value if value == node.value else _as_written(value, node.value)
            if tag is not QUOTED:
                return self._tagged(node)
            return _quoted(refolded(node.value) if node.style == ">" and self._refolds else node.value)
        known = self._done.get(id(node))
        if known is not None:  # an alias: counted each time that it stands in the document
            self._values += known[1]
            self._check_size(node)
            return known[0]
        if depth >= self._limits.depth:
            raise self.error(node, f"nested deeper than {self._limits.depth} levels")
        if id(node) in self._open:
            raise self.error(node, "an anchor contains itself")
        self._open.add(id(node))
        before = self._values
        value = self._sequence(node, depth) if isinstance(node, SequenceNode) else self._mapping(node, depth)
        self._open.discard(id(node))
        self._done[id(node)] = (value, self._values - before)
        self._check_size(node)
        return value

    def _check_size(self, node: Node) -> None:
        if self._values > self._limits.values:
            raise self.error(node, f"more than {self._limits.values} values, aliases included")

    def _sequence(self, node: SequenceNode, depth: int) -> list[Any]:
        build, below = self.build, depth + 1
        return [build(item, below) for item in node.value]

    def _mapping(self, node: Node, depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        empty: list[str] = []
        merged: list[Any] | None = None
        build, below, constants, strict = self.build, depth + 1, self._constants, self._strict
        for key_node, value_node in node.value:
            key, tag = key_node.value, key_node.tag
            if key == "<<" and tag in _MERGES:
                if merged is not None and strict:
                    raise self.error(key_node, "duplicate merge key")
                merged = self._merge(value_node, below)
                continue
            if (tag is PLAIN and constants(key) != key) or tag not in _UNTAGGED or type(key) is not str:
                key = self._odd_key(key_node, depth)
            if strict and key in result:
                raise self.error(key_node, f'mapping key "{key}" already defined')
            result[key] = value = build(value_node, below)
            if value is None and value_node.value == "":
                empty.append(key)
        if merged is not None:
            result = _combined(merged, result)
        if not empty:
            return result
        return partly_empty(result, empty, braces=bool(getattr(node, "flow_style", False)))

    def _merge(self, node: Node, depth: int) -> list[Any]:
        value = self.build(node, depth)
        mappings = value if isinstance(value, list) else [value]
        if not all(isinstance(mapping, dict) for mapping in mappings):
            raise self.error(node, "map merge requires map or sequence of maps as the value")
        return mappings

    def _odd_key(self, node: Node, depth: int) -> str:
        if type(node) is not ScalarNode:
            # A template's braces. kustomize minds only what is still there in the end: see ``key_order``.
            return f"{NO_KEY}{self.where}: line {node.start_mark.line + 1}: a mapping or sequence can't be a key"
        value = self._constants(node.value) if node.tag is PLAIN else self._tagged(node)
        if isinstance(value, str) and (node.tag is not PLAIN or not self._strict or value == node.value):
            return value if node.tag is not PLAIN else str(node.value)
        if self._strict and (depth > 0 or isinstance(value, str)):
            raise self.error(node, f"the key {node.value!r} is not a string: put it in quotes")
        if value is None and not self._strict:
            raise self.error(node, "null can't be a key: put it in quotes")
        return ("true" if value else "false") if isinstance(value, bool) else str(node.value)

    def _tagged(self, node: ScalarNode) -> Any:
        tag, text = node.tag.removeprefix(_TAGS), node.value
        if tag == "binary":
            try:
                return base64.b64decode("".join(text.split()), validate=True).decode()
            except (binascii.Error, UnicodeDecodeError) as error:
                raise self.error(node, "!!binary value is not base64 of text") from error
        if node.tag is tag or tag == "str":  # a tag of somebody's own leaves the text as it is
            return text
        value = resolve(text)
        wanted = {"int": int, "float": float, "bool": bool, "null": type(None)}.get(tag)
        if wanted is float and type(value) is int:
            return float(value)
        if (wanted is not None and type(value) is not wanted) or (tag == "timestamp" and timestamp(text) is None):
            raise self.error(node, f"cannot decode `{text}` as a !!{tag}")
        return value

    def error(self, node: Node, problem: str) -> MalformedYaml:
        return MalformedYaml(f"{self.where}: line {node.start_mark.line + 1}: {problem}")


def _combined(merged: list[Any], own: dict[str, Any]) -> dict[str, Any]:
    """The entries of merged mappings, the first ones winning, under a mapping's own."""
    combined: dict[str, Any] = {}
    for mapping in reversed(merged):
        combined.update(mapping)
    combined.update(own)
    return combined


def _as_written(value: Any, written: str) -> Any:
    """A number or a timestamp with its text, where that is not the usual one."""
    if type(value) is str:
        return WrittenTime(value, written)
    if type(value) is int and str(value) != written:
        return WrittenInt(value, written)
    if type(value) is float and repr(value) != written:
        return WrittenFloat(value, written)
    return value


def _quoted(value: str) -> str:
    """A string that stood in quotes, marked as one where that cannot be told from its text."""
    return Quoted(value) if len(value) <= _LONGEST_MARKED and isinstance(resolve(value), str) else value


def split_documents(text: str, where: str) -> list[str]:
    """The texts between the lines that start with ``---``: a line of that kind holds nothing else."""
    documents, start = [], 0
    for found in _SEPARATOR.finditer(text):
        rest = found[0][4:].strip()
        if rest and not rest.startswith("#"):
            raise MalformedYaml(f"{where}: invalid document separator: {found[0].strip()}")
        documents.append(text[start : found.start()] + "\n")
        start = found.end()
    documents.append(text[start:])
    return documents


def _decode(data: bytes, where: str) -> str:
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise MalformedYaml(f"{where}: byte {error.start} is not {encoding[:6].upper()}") from error


def _raw_annotations(node: Node, value: dict[str, Any], *, keep_null: bool) -> dict[str, Any]:
    """``value`` with metadata.annotations as texts, each as it was written: they are never anything else."""
    for key, child in node.value:
        if key.value == "metadata" and type(child) is MappingNode:
            for name, annotations in child.value:
                if name.value != "annotations" or type(annotations) is not MappingNode:
                    continue
                texts = (value["metadata"].get("annotations") or {}).copy()
                for entry, text in annotations.value:
                    old = texts.get(entry.value, "")
                    if type(text) is ScalarNode and not isinstance(old, str):
                        texts[entry.value] = None if keep_null and old is None else PlainText(text.value)
                    elif type(text) is ScalarNode and old != text.value and text.tag is PLAIN:  # a date
                        texts[entry.value] = PlainText(text.value)
                    elif type(text) is ScalarNode and old != text.value:  # folded, or with a tag
                        texts[entry.value] = text.value
                changed = value.copy()
                changed["metadata"] = value["metadata"].copy()
                changed["metadata"]["annotations"] = texts
                return changed
    return value


def load_documents(data: bytes, where: str, *, patch: bool = False, limits: YamlLimits = DEFAULT_LIMITS) -> list[Any]:
    """Each document of a file that is not empty, as plain values.

    ``patch``: read as a patch: an annotation that is null stays null (it deletes), and a repeated key is not an
    error. Raises MalformedYaml, naming ``where`` and the line.
    """
    documents: list[Any] = []
    for text in split_documents(_decode(data, where).replace("\r\n", "\n"), where):
        node = compose(text, where, limits)
        if node is None:
            continue
        constructor = _Constructor(where=where, limits=limits, constants=resolve, strict=not patch)
        value = constructor.build(node)
        if isinstance(value, dict):
            value = _raw_annotations(node, value, keep_null=patch)
        if value is not None:
            documents.append(value)
    return documents


def load_unaliased(data: bytes, where: str, *, limits: YamlLimits = DEFAULT_LIMITS) -> tuple[Any, list[Path]]:
    """The first document of a file as kyaml's merge leaves it, and the fields that are gone.

    It knows no aliases: where a field of a mapping is one, or merges one in (``<<``), the field is removed. Items of
    lists stay. Raises MalformedYaml, naming ``where`` and the line; an empty file is no document.
    """
    text = split_documents(_decode(data, where), where)[0]
    node = compose(text, where, limits)
    if node is None:
        raise MalformedYaml(f"{where}: EOF: the file is empty")
    gone: list[Path] = []
    _remove_aliases(node, (), set(), gone)
    return _Constructor(where=where, limits=limits, constants=resolve, strict=True).build(node), gone


def _remove_aliases(node: Node, path: Path | None, seen: set[int], gone: list[Path]) -> None:
    """Goes through the nodes in the order of the text: one that was met before is an alias. ``path``: None in lists."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if type(node) is SequenceNode:
        for item in node.value:
            _remove_aliases(item, None, seen, gone)
    elif type(node) is MappingNode:
        kept = []
        for key, value in node.value:
            merges = key.value == "<<" and key.tag in _MERGES
            if path is not None and (merges or id(value) in seen):
                gone.append((*path, key.value))
            else:
                kept.append((key, value))
            _remove_aliases(value, None if path is None or merges else (*path, str(key.value)), seen, gone)
        node.value = kept


def load_config(data: bytes, where: str, *, strict: bool = False, limits: YamlLimits = DEFAULT_LIMITS) -> Any:
    """The first document of a file of kustomize's own, read by the rules of YAML 1.1; None where it is empty.

    ``strict``: a repeated key is an error.
    """
    text = _decode(data, where)
    node = compose(text, where, limits)
    if node is None:
        return None
    return _Constructor(where=where, limits=limits, constants=resolve_old, strict=strict).build(node)
