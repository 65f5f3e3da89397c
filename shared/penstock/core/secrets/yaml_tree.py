"""YAML text to the tree that SOPS makes of it: order kept, scalars typed as go-yaml v3 types them.

The renderer's own reader is not used: it makes texts of all annotations, and the MAC covers what stands in the file.
"""

import base64
import binascii
from typing import Any

import yaml

from penstock.core.errors import BuildFailed
from penstock.core.kustomize.scalars import resolve
from penstock.core.secrets.errors import SopsError

MOST_VALUES = 200_000
MOST_LEVELS = 100
_TAG = "tag:yaml.org,2002:"


def load_yaml(text: str) -> list[dict[Any, Any]]:
    """Each document that is not empty. Raises SopsError naming the line, never what stands there."""
    try:
        _check_levels(text)
        nodes = list(yaml.compose_all(text, Loader=yaml.CBaseLoader))
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
    for event in yaml.parse(text, Loader=yaml.CBaseLoader):
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
    plain = not node.style and node.tag in (f"{_TAG}str", "", "!", None)
    tagged = node.tag in (f"{_TAG}int", f"{_TAG}float", f"{_TAG}bool", f"{_TAG}null")
    try:
        return resolve(node.value) if plain or tagged else node.value
    except BuildFailed:
        raise SopsError(f"line {node.start_mark.line + 1}: a number that JSON cannot hold") from None
