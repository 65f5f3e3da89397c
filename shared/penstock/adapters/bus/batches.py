"""What goes into one request of a bus that takes several messages at once, up to a number and a size."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def batches(messages: Iterable[T], size_of: Callable[[T], int], *, most: int, most_bytes: int) -> Iterator[list[T]]:
    """In order, each of at most ``most`` messages and ``most_bytes`` (one alone may be larger)."""
    batch: list[T] = []
    size = 0
    for message in messages:
        if batch and (len(batch) == most or size + size_of(message) > most_bytes):
            yield batch
            batch, size = [], 0
        batch.append(message)
        size += size_of(message)
    if batch:
        yield batch
