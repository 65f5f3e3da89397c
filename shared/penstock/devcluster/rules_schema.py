"""Validation of custom resources by their structural schema, in the API server's words."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from penstock.devcluster.schema import Schema
from penstock.devcluster.statuses import Cause


def schema_causes(new: Mapping[str, Any], schema: Schema) -> list[Cause]:
    """One cause per violation: required fields, null, enums, bounds, lengths, patterns."""
    return [cause for key, child in schema.fields.items() for cause in _field(new, key, child, schema)]


def _field(value: Mapping[str, Any], key: str, child: Schema, schema: Schema, path: str = "") -> Iterator[Cause]:
    here = f"{path}.{key}" if path else key
    if key not in value:
        if key in schema.required:
            yield Cause(reason="FieldValueRequired", message="Required value", field=here)
    elif here != "metadata":
        yield from _walk(value[key], child, here)


def _walk(value: Any, schema: Schema, path: str) -> Iterator[Cause]:
    if value is None:
        if not schema.nullable and schema.kind != "any":
            kind = {"struct": "object", "map": "object", "list": "array"}.get(schema.kind, schema.type)
            message = f'Invalid value: "null": {path} in body must be of type {kind}: "null"'
            yield Cause(reason="FieldValueTypeInvalid", message=message, field=path)
        return
    yield from _rules(value, schema.rules, path)
    if isinstance(value, dict):
        for key in schema.required:
            if key not in value:
                yield Cause(reason="FieldValueRequired", message="Required value", field=f"{path}.{key}")
        for key, inner in value.items():
            child = schema.child(key)
            if child is not None:
                yield from _walk(inner, child, f"{path}.{key}")
    elif isinstance(value, list) and schema.element is not None:
        for index, item in enumerate(value):
            yield from _walk(item, schema.element, f"{path}[{index}]")


def _rules(value: Any, rules: Mapping[str, Any], path: str) -> Iterator[Cause]:
    if not rules:
        return
    shown = json.dumps(value) if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
    if "enum" in rules and value not in rules["enum"]:
        allowed = ", ".join(json.dumps(choice) for choice in rules["enum"])
        message = f"Unsupported value: {shown}: supported values: {allowed}"
        yield Cause(reason="FieldValueNotSupported", message=message, field=path)
    for problem in (*_number(value, rules), *_string(value, rules), *_size(value, rules)):
        text = f"{path} in body {problem}"
        yield Cause(reason="FieldValueInvalid", message=f"Invalid value: {shown}: {text}", field=path)


def _number(value: Any, rules: Mapping[str, Any]) -> Iterator[str]:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return
    low, high = rules.get("minimum"), rules.get("maximum")
    if low is not None and (value <= low if rules.get("exclusiveMinimum") else value < low):
        yield f"should be greater than {'' if rules.get('exclusiveMinimum') else 'or equal to '}{low}"
    if high is not None and (value >= high if rules.get("exclusiveMaximum") else value > high):
        yield f"should be less than {'' if rules.get('exclusiveMaximum') else 'or equal to '}{high}"


def _string(value: Any, rules: Mapping[str, Any]) -> Iterator[str]:
    if not isinstance(value, str):
        return
    if len(value) < rules.get("minLength", 0):
        yield f"should be at least {rules['minLength']} chars long"
    if len(value) > rules.get("maxLength", len(value)):
        yield f"should be at most {rules['maxLength']} chars long"
    if "pattern" in rules and not _matches(rules["pattern"], value):
        yield f"should match '{rules['pattern']}'"


def _matches(pattern: str, value: str) -> bool:
    """A pattern that Go knows and Python does not is taken as matching: this is no validator of record."""
    try:
        return re.search(pattern, value) is not None
    except re.error:
        return True


def _size(value: Any, rules: Mapping[str, Any]) -> Iterator[str]:
    if isinstance(value, list):
        if len(value) < rules.get("minItems", 0):
            yield f"should have at least {rules['minItems']} items"
        if len(value) > rules.get("maxItems", len(value)):
            yield f"should have at most {rules['maxItems']} items"
    elif isinstance(value, dict) and len(value) < rules.get("minProperties", 0):
        yield f"should have at least {rules['minProperties']} properties"
