"""What a long plan says meanwhile."""

import time
from typing import TextIO


class Progress:
    """Says on stderr what is being done: one line that is rewritten on a terminal, else one every few seconds."""

    EVERY = 5.0

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._terminal = stream, stream.isatty()
        self._said, self._count = time.monotonic(), 0

    def __call__(self, doing: str, name: str) -> None:
        """Something begins."""
        self._count += 1
        text = f"{doing} {name}"
        if self._terminal:
            print(f"\r\033[K{text[:100]}", end="", file=self._stream, flush=True)
        elif time.monotonic() - self._said > self.EVERY:
            self._said = time.monotonic()
            print(f"{text} …", file=self._stream, flush=True)

    def done(self) -> None:
        """Nothing more to say: the line is cleared."""
        if self._terminal:
            print("\r\033[K", end="", file=self._stream, flush=True)
