r"""JSON and YAML texts within fields: a replacement's path may go on into them (``data.config\.yaml.server.port``).

The text keeps its form as far as kustomize keeps it: JSON is printed compact or indented by two, with its keys
sorted; YAML keeps order, quotes, flow and block style and comments, and gets kustomize's indentation.
"""

import json
from typing import Any

from penstock.core.errors import BuildFailed
from penstock.core.kustomize.filters.yaml_text import Tagged, rewritten, tagged_text
from penstock.core.kustomize.jsonpatch import through_json
from penstock.core.kustomize.paths import Editor, look_up, put
from penstock.core.kustomize.written import Unfit, retyped, text_of
from penstock.core.kustomize.yaml_in import load_documents

_HTML = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


class EmbeddingEditor(Editor):
    """An editor whose paths may enter the texts of scalars."""

    __slots__ = ()

    def edit_embedded(self, manifest: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any] | None:
        """The manifest with one text edited, by the first part of ``path`` that leads to one; else None."""
        for length in range(1, len(path)):
            try:
                found = look_up(manifest, path[:length])
                if found is None or isinstance(found, dict | list):
                    continue
                document = _parsed(text_of(found))
            except BuildFailed:
                continue
            return self._edited(manifest, (path[:length], path[length:]), document)
        return None

    def _edited(
        self, manifest: dict[str, Any], path: tuple[tuple[str, ...], tuple[str, ...]], document: Any
    ) -> dict[str, Any] | None:
        inner = self._inner()
        try:
            changed = inner.edit(document, path[1])
        except BuildFailed:
            return None  # told again, and better, by the ordinary path
        original = text_of(look_up(manifest, path[0]))
        if inner.hits == 0 or (inner.misfits and _is_json(original)):
            return None
        self.hits += inner.hits
        old = look_up(manifest, path[0])
        edited = put(manifest, path[0], retyped(old, _text(original, document, changed)))
        assert isinstance(edited, dict)
        return edited

    def _inner(self) -> "EmbeddingEditor":
        """An editor for a text, where kustomize checks no kinds: a value that does not fit gets a tag."""
        change = self.change

        def tolerant(old: Any) -> Any:
            try:
                return change(old)
            except Unfit as error:
                inner.misfits += 1
                return Tagged(f"{error.tag} {tagged_text(error.text)}".rstrip())

        inner = EmbeddingEditor(change=tolerant, blank=self.blank)
        return inner

    def enter_scalar(self, value: Any, path: tuple[str, ...]) -> None:
        """Count what is found in the text; kustomize edits a copy of it, which nobody sees."""
        inner = self._inner()
        if value is None:
            self.hits += self.blank is not None
            return
        inner.edit(_parsed(text_of(value)), path)
        self.hits += inner.hits


def _parsed(text: str) -> Any:
    documents = load_documents(text.encode(), "the text of this field")
    if not documents:
        raise BuildFailed("the text of this field is empty")
    return documents[0]


def _is_json(text: str) -> bool:
    return text.strip()[:1] in ("{", "[")


def _text(original: str, document: Any, changed: Any) -> str:
    if not _is_json(original):
        return rewritten(original, document, changed).strip()
    pretty = "\n" in original and "  " in original
    text = json.dumps(
        through_json(changed),
        ensure_ascii=False,
        sort_keys=True,
        indent=2 if pretty else None,
        separators=(",", ": ") if pretty else (",", ":"),
    )
    for character, escape in _HTML.items():  # as Go's encoder does; none of them stands outside of strings
        text = text.replace(character, escape)
    return text
