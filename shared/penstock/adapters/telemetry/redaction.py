"""The last guard before a record leaves: nothing named like a secret, no userinfo, no control characters, no end.

Stages must not hand secrets to telemetry at all; this is for the day that one does.
"""

import re
from collections.abc import Mapping

from penstock.core.errors import PenstockError
from penstock.core.printable import printable
from penstock.ports.telemetry import Field

REDACTED = "[redacted]"
MAX_TEXT = 4_000
"""Characters of one field; an API server's refusal can be long, a manifest is longer."""

_SECRET_NAME = re.compile(
    r"passw|passphrase|secret|token|credential|authorization|cookie|api_?key|private_?key|signature|kubeconfig|address",
    re.IGNORECASE,
)
_USERINFO = re.compile(r"(?<=://)[^\s/@]+@")


def redact(fields: Mapping[str, Field]) -> dict[str, Field]:
    """The same fields: values of fields named like secrets replaced, URLs without userinfo, long texts cut."""
    return {name: REDACTED if _SECRET_NAME.search(name) else _clean(value) for name, value in fields.items()}


def _clean(value: Field) -> Field:
    if not isinstance(value, str):
        return value
    text = printable(_USERINFO.sub(f"{REDACTED}@", value))
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}… ({len(text)} characters)"


def error_kind(error: BaseException) -> str:
    """What is told of an error that leaves a step: its reason or class, never its text, which could hold anything."""
    return error.reason if isinstance(error, PenstockError) else type(error).__name__
