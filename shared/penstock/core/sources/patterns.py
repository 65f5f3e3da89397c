"""Regular expressions that users write: RE2's, which no expression hangs, with Go's syntax."""

from typing import Protocol, cast

from penstock.core.errors import InvalidDocument


class Matcher(Protocol):
    """A compiled regular expression of a user's."""

    def search(self, text: str, /) -> object:
        """Something true where it is found in ``text``."""


def compiled(pattern: str, path: str) -> Matcher:
    """The expression in the field ``path``. Raises InvalidDocument where it is none."""
    import re2  # noqa: PLC0415 - a compiled library that most sources never need

    options = re2.Options()
    options.log_errors = False
    try:
        return cast("Matcher", re2.compile(pattern, options=options))
    except re2.error as error:
        raise InvalidDocument("is no regular expression", path=path) from error
