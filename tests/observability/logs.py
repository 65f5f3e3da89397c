"""The fields of a log line, as the pages promise them."""

import functools
import re

from tests.docs.markdown import ROOT


@functools.cache
def documented():
    """Every field that docs/serve.md and docs/observability.md name for the log."""
    pages = [(ROOT / "docs" / page).read_text() for page in ("serve.md", "observability.md")]
    sections = [re.split(r"^## ", page.partition("## Logs\n")[2], flags=re.MULTILINE)[0] for page in pages]
    return frozenset(re.findall(r"`([A-Za-z_./]+)`", " ".join(sections)))
