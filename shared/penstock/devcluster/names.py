"""Which names an object may have, in the API server's words."""

import re

SUBDOMAIN = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
LABEL_VALUE = r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?"
QUALIFIED = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    f"end with an alphanumeric character (e.g. 'example.com', regex used for validation is '{SUBDOMAIN}')"
)
LABEL_TEXT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    f"an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '{LABEL}')"
)
LABELS = frozenset({("", "namespaces"), ("", "services")})
FREE_GROUPS = frozenset({"rbac.authorization.k8s.io"})


def name_problems(resource: tuple[str, str], name: str) -> list[str]:
    """What is wrong with a name for a resource (group, plural); empty where nothing is."""
    if resource[0] in FREE_GROUPS:
        return _path_problems(name)
    if resource in LABELS:
        form, text, limit = LABEL, LABEL_TEXT, 63
    else:
        form, text, limit = SUBDOMAIN, SUBDOMAIN_TEXT, 253
    problems = [] if re.fullmatch(form, name) else [text]
    return problems if len(name) <= limit else [*problems, f"must be no more than {limit} characters"]


def _path_problems(name: str) -> list[str]:
    if name in {".", ".."}:
        return [f"may not be '{name}'"]
    return [f"may not contain '{character}'" for character in "/%" if character in name]


VALUE_TEXT = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    f"'{LABEL_VALUE}')"
)
KEY_TEXT = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    f"character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{QUALIFIED}')"
)


def label_problems(key: str, value: str) -> list[tuple[str, str]]:
    """(text, problem) of a label's key and value; empty where both are valid."""
    out: list[tuple[str, str]] = []
    prefix, slash, name = key.rpartition("/")
    if slash and not re.fullmatch(SUBDOMAIN, prefix):
        out.append((key, f"prefix part {SUBDOMAIN_TEXT}"))
    if not re.fullmatch(QUALIFIED, name):
        out.append((key, KEY_TEXT))
    if len(name) > 63:
        out.append((key, "name part must be no more than 63 bytes"))
    if not re.fullmatch(LABEL_VALUE, value):
        out.append((value, VALUE_TEXT))
    if len(value) > 63:
        out.append((value, "must be no more than 63 bytes"))
    return out
