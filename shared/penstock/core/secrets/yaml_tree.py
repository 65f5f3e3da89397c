"""YAML text to the tree that SOPS makes of it: order kept, scalars typed as go-yaml v3 types them.

The renderer's own reader is not used: it makes texts of all annotations, and the MAC covers what stands in the file.
"""

import base64
import binascii
from typing import Any

import yaml

from penstock.core.kustomize.scalars import resolve, timestamp
from penstock.core.secrets.errors import SopsError
from penstock.core.secrets.values import Moment

MOST_VALUES = 200_000
MOST_LEVELS = 100
_TAG = "tag:yaml.org,2002:"
_TYPED = tuple(f"{_TAG}{name}" for name in ("int", "float", "bool", "null"))
_PLAIN, _QUOTED = "plain", "quoted"


class _Loader(yaml.CBaseLoader):
    """Says of a scalar without a tag how it was written; go-yaml's rules decide what it is."""

    def resolve(self, kind: object, value: object, implicit: Any) -> str:  # noqa: ARG002 - PyYAML's signature
        return _PLAIN if implicit is not True and implicit and implicit[0] else _QUOTED


def load_yaml(text: str) -> list[dict[Any, Any]]:
    """Each document that is not empty. Raises SopsError naming the line, never what stands there."""
    try:
        _check_levels(text)
        nodes = list(yaml.compose_all(text, Loader=_Loader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" at line {mark.line + 1}" if mark is not None else ""
        raise SopsError(f"is not YAML{line}") from None
    reader = _Reader()
    documents = [reader.value(node) for node in nodes if node is not None]
    if not all(isinstance(document, dict) for document in documents if document is not None):
        raise SopsError("YAML documents that are no mappings cannot be encrypted by SOPS")
    return [document for document in documents if document is not None]


def _check_levels(text: str) -> None:
    """The composer recurses in C: look at the depth before it does."""
    level = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            level += 1
            if level > MOST_LEVELS:
                raise SopsError(f"is nested deeper than {MOST_LEVELS} levels")
        elif isinstance(event, yaml.CollectionEndEvent):
            level -= 1


class _Reader:
    def __init__(self) -> None:
        self._left = MOST_VALUES

    def value(self, node: yaml.Node) -> Any:
        self._left -= 1
        if self._left < 0:
            raise SopsError(f"holds more than {MOST_VALUES} values, aliases written out")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item) for item in node.value]
        return _scalar(node)

    def _mapping(self, node: yaml.MappingNode) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            key = _scalar(key_node) if isinstance(key_node, yaml.ScalarNode) else None
            if key is None or key in found:
                line = key_node.start_mark.line + 1
                raise SopsError(f"line {line}: a key that stands there twice, or is no scalar")
            found[key] = self.value(value_node)
        return found


def _scalar(node: Any) -> Any:
    if node.tag == f"{_TAG}binary":
        try:
            return base64.b64decode(node.value)
        except binascii.Error:
            raise SopsError(f"line {node.start_mark.line + 1}: !!binary is not base64") from None
    if node.tag not in (_PLAIN, *_TYPED):
        return node.value
    moment = timestamp(node.value) if node.tag == _PLAIN else None
    return resolve(node.value) if moment is None else Moment(moment)
