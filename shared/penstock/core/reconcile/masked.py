"""Objects as people may see them: without the values of Secrets, and of whatever came out of one.

A hidden value becomes ``***`` and a short HMAC under a key. So it can be told that a value is added, changed or
removed, and nothing else: a plain hash of a short secret could be guessed (docs/decisions/0018-drift-and-diff.md).
"""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from penstock.core.resources import Manifest, ObjectRef, ref_of

HIDDEN = "***"
SHORTEST = 6
"""Values of variables that are shorter are left: ``8080`` or ``prod`` stand in too many places."""
_SECRET_FIELDS = ("data", "stringData")
_IDENTITY = ("apiVersion", "kind", "metadata")
_COPY = "kubectl.kubernetes.io/last-applied-configuration"
_CUT = " …"
"""At the end of an answer that was too long (adapters/cluster/answers.py)."""
_USERINFO = re.compile(r"(?<=://)[^\s/@]+@")
_PURPOSE = b"penstock.dev masked values v1"


def masking_key(token: bytes) -> bytes:
    """The key of a plane's masks, derived from its api token: whoever may ask the plane makes the same masks."""
    return hmac.new(token, _PURPOSE, hashlib.sha256).digest()


@dataclass(frozen=True, kw_only=True, slots=True)
class Mask:
    """What to hide, and under which key.

    ``key``: b"" makes every mask ``***``; ``decrypted``: objects that were ciphertext in Git, of any kind: every value
    of theirs is hidden; ``values``: texts that came from Secrets (``substituteFrom``): hidden wherever they stand.
    """

    key: bytes = field(default=b"", repr=False)
    decrypted: frozenset[ObjectRef] = frozenset()
    values: Collection[str] = field(default=(), repr=False)

    def __call__(self, manifest: Manifest) -> Manifest:
        """The manifest with nothing to hide; the same one where it has nothing."""
        shown = self._without_copy(manifest)
        if (manifest.get("apiVersion"), manifest.get("kind")) == ("v1", "Secret"):
            hidden = {
                part: self._all(value) for part in _SECRET_FIELDS if isinstance(value := manifest.get(part), dict)
            }
            shown = {**shown, **hidden}
        elif self.decrypted and ref_of(manifest) in self.decrypted:
            shown = {key: value if key in _IDENTITY else self._all(value) for key, value in shown.items()}
        known = sorted((each for each in self.values if len(each) >= SHORTEST), key=len, reverse=True)
        return self._some(shown, known) if known else shown

    def quoted(self, text: str, manifests: Iterable[Manifest]) -> str:
        """A text of somebody else's, an API server's refusal say, without the values of these objects that are hidden.

        What was cut off at its end is hidden too, and values as Go and JSON quote them.
        """
        found = {each for manifest in manifests for each in self._hidden_in(manifest)} | set(self.values)
        forms = {form for each in found for form in (each, json.dumps(each, ensure_ascii=False)[1:-1])}
        dots = _CUT if text.endswith(_CUT) else ""
        body = text.removesuffix(_CUT)
        for form in sorted((each for each in forms if len(each) >= SHORTEST), key=len, reverse=True):
            body = body.replace(form, HIDDEN)
            if dots:
                body = _without_start(body, form)
        return body + dots

    def _hidden_in(self, manifest: Manifest) -> Iterator[str]:
        if (manifest.get("apiVersion"), manifest.get("kind")) == ("v1", "Secret"):
            for name in _SECRET_FIELDS:
                for value in _leaves(manifest.get(name)):
                    yield value
                    yield _decoded(value)
        elif ref_of(manifest) in self.decrypted:
            for name in manifest.keys() - set(_IDENTITY):
                yield from _leaves(manifest[name])

    def flux(self, document: Manifest) -> Manifest:
        """A Flux document without what it may hold of secrets: an address, a login in a URL, values of variables."""
        spec = document.get("spec")
        if not isinstance(spec, dict):
            return document
        shown = dict(spec)
        if isinstance(address := spec.get("address"), str):
            shown["address"] = self.text(address)
        if isinstance(url := spec.get("url"), str) and "@" in url:
            shown["url"] = _USERINFO.sub(lambda found: f"{self.text(found.group())}@", url)
        build = spec.get("postBuild")
        if isinstance(build, dict) and isinstance(build.get("substitute"), dict):
            shown["postBuild"] = {**build, "substitute": self._all(build["substitute"])}
        return {**document, "spec": shown}

    def text(self, value: str) -> str:
        """One hidden value."""
        if not self.key:
            return HIDDEN
        return f"{HIDDEN} ({hmac.new(self.key, value.encode(), hashlib.sha256).hexdigest()[:8]})"

    def _without_copy(self, manifest: Manifest) -> Manifest:
        """Kubectl keeps a copy of what it applied, values included."""
        metadata = manifest.get("metadata") or {}
        annotations = metadata.get("annotations")
        if not isinstance(annotations, dict) or _COPY not in annotations:
            return manifest
        return {**manifest, "metadata": {**metadata, "annotations": {**annotations, _COPY: HIDDEN}}}

    def _all(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: self._all(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self._all(item) for item in value]
        return None if value is None else self.text(str(value))

    def _some(self, value: Any, known: list[str]) -> Any:
        if isinstance(value, dict):
            return {name: self._some(item, known) for name, item in value.items()}
        if isinstance(value, list):
            return [self._some(item, known) for item in value]
        if isinstance(value, str):
            for each in known:
                value = value.replace(each, self.text(each))
        return value


def _without_start(text: str, value: str) -> str:
    """A text that may have been cut off inside a value, without that value's start."""
    for size in range(len(value) - 1, SHORTEST - 1, -1):
        if text.endswith(value[:size]):
            return text[:-size] + HIDDEN
    return text


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _leaves(item)
    elif value is not None and not isinstance(value, bool):
        yield str(value)


def _decoded(value: str) -> str:
    try:
        return base64.b64decode(value, validate=True).decode()
    except ValueError:
        return ""
