"""Text from elsewhere, before people see it: a terminal, a log and a chat take no orders from a file or a server.

Key names, messages of an API server, commit subjects and branch names are others' words. Control characters move
cursors and colour lines; characters that turn the direction of writing show one thing and say another. All of them
are shown as escapes, so that nothing is hidden. Newlines and tabs stay.
"""

import re

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")


def printable(text: str) -> str:
    r"""The text with ``\x1b`` for each escape, ``\u202e`` for each override of direction, and so on."""
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)
