"""postBuild substitution of one object, as Flux does it: on the object's YAML text, which is read again afterwards.

So keys are substituted too, and quotes don't survive: ``"${port}"`` becomes a number when the value is one. To keep
a string, put quotes into the value. Spec: Flux's Kustomization documentation, "Post build variable substitution".
"""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from penstock.core.errors import BuildFailed
from penstock.core.flux.envsubst import VariableNotSet, Watched, expand
from penstock.core.kustomize.yaml_in import MalformedYaml, load_config
from penstock.core.kustomize.yaml_out import dump_one
from penstock.core.resources import Manifest, gvk_of, ref_of

SWITCH = "kustomize.toolkit.fluxcd.io/substitute"
_VARIABLE = re.compile(r"[_A-Za-z][_A-Za-z0-9]*")
_VARIABLE_RULE = "^[_[:alpha:]][_[:alpha:][:digit:]]*$"
_EXACT = 2.0**63
_LINE = re.compile(r"\bline (\d+)")


def variables(sources: Iterable[Mapping[str, str]], inline: Mapping[str, str]) -> dict[str, str]:
    """The variables of a Kustomization: ``substituteFrom`` in order (the later wins), then ``substitute``.

    Line feeds are taken out of each value. Raises BuildFailed for a name that is no variable name.
    """
    merged: dict[str, str] = {}
    for source in (*sources, inline):
        merged.update((name, value.replace("\n", "")) for name, value in source.items())
    for name in merged:
        if not _VARIABLE.fullmatch(name):
            raise BuildFailed(f"envsubst error: '{name}' var name is invalid, must match '{_VARIABLE_RULE}'")
    return merged


def substitute(
    manifest: Manifest,
    values: Mapping[str, str],
    *,
    strategy: str = "WithVariables",
    strict: bool = True,
    watched: Watched | None = None,
) -> Manifest:
    """The object with its variables replaced; the same object where nothing is to be done.

    ``values``: see ``variables``; ``strategy``: ``WithVariables`` does nothing without any, ``Always`` expands
    defaults all the same; ``strict``: an unset variable without a default is an error; ``watched``: see ``expand``.
    Raises BuildFailed naming object and variable, never a value.
    """
    if not (values or strategy == "Always") or _switched_off(manifest) or not _has_dollar(manifest):
        return manifest
    try:
        return _read_back(expand(dump_one(manifest), values, strict=strict, watched=watched))
    except BuildFailed as error:
        gvk = gvk_of(manifest)
        problem = str(error)
        if isinstance(error, VariableNotSet) and gvk.kind == "Secret":
            # What looks like a variable may be a piece of a decrypted value.
            problem = problem.removesuffix(f': "{error.name}"')
        kind = f"{gvk.kind}.{gvk.version}.{gvk.group or '[noGrp]'}"
        raise BuildFailed(f"post build failed for '{kind}/{ref_of(manifest).name}': {problem}") from None


def _switched_off(manifest: Manifest) -> bool:
    metadata = manifest.get("metadata") or {}
    return any((metadata.get(place) or {}).get(SWITCH) == "disabled" for place in ("labels", "annotations"))


def _has_dollar(value: Any) -> bool:
    if isinstance(value, str):
        return "$" in value
    if isinstance(value, Mapping):
        return any("$" in name or _has_dollar(item) for name, item in value.items())
    return isinstance(value, list) and any(_has_dollar(item) for item in value)


def _read_back(text: str) -> Manifest:
    try:
        found = load_config(text.encode(), "")
    except MalformedYaml as error:
        # The parser's own words can hold a piece of a value.
        line = _LINE.search(str(error))
        place = f"line {line[1]} of the object: " if line else ""
        raise BuildFailed(f"YAMLToJSON: {place}no YAML any more: a value may need quotes in it") from None
    if not isinstance(found, dict):
        raise BuildFailed("the object is no mapping any more")
    found = {name: _through_json(item) for name, item in found.items()}
    metadata = found.get("metadata")
    identity = {
        "apiVersion": found.get("apiVersion"),
        "kind": found.get("kind"),
        "metadata.name": metadata.get("name") if isinstance(metadata, dict) else None,
    }
    for field, value in identity.items():
        if not isinstance(value, str) or not value:
            raise BuildFailed(f"{field} is no string any more: put quotes into the variable's value")
    return found


def _through_json(value: Any) -> Any:
    """What is left of a value after Go has written it as JSON and read it again: 1.0 is the integer 1."""
    if isinstance(value, dict):
        return {name: _through_json(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_through_json(item) for item in value]
    if isinstance(value, str):
        return str(value)  # without the renderer's notes on how it was written
    if isinstance(value, float):
        return _number(value)
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _number(value: float) -> int | float:
    if not math.isfinite(value):
        raise BuildFailed("YAMLToJSON: an infinite number: a value may need quotes in it")
    return int(value) if value.is_integer() and abs(value) < _EXACT else float(value)
