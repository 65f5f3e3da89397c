"""Times in the form in which the API server reads and stores them."""

import re
from datetime import UTC, datetime

FORM = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)")
SECONDS = "2006-01-02T15:04:05Z07:00"
MICROSECONDS = "2006-01-02T15:04:05.000000Z07:00"


def canonical_time(text: str) -> str:
    """RFC 3339 in UTC, to the second. Raises ValueError where the text is no such time."""
    return _parsed(text, SECONDS).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_time(text: str) -> str:
    """RFC 3339 in UTC with exactly six decimals, as Leases have it. Raises ValueError where it has another count."""
    match = FORM.fullmatch(text)
    if match is not None and len(match[2] or "") != 7:
        rest = (match[2] or "") + match[3]
        raise ValueError(f'parsing time "{text}" as "{MICROSECONDS}": cannot parse "{rest}" as ".000000"')
    return _parsed(text, MICROSECONDS).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _parsed(text: str, form: str) -> datetime:
    match = FORM.fullmatch(text)
    try:
        if match is not None:
            fraction = (match[2] or "")[:7]
            return datetime.fromisoformat(match[1] + fraction + match[3].replace("Z", "+00:00")).astimezone(UTC)
    except ValueError:
        pass
    raise ValueError(f'parsing time "{text}" as "{form}": cannot parse "{text}" as "2006"')
