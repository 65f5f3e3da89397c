"""A few requests at a time: what waits for the network waits together."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

T = TypeVar("T")
U = TypeVar("U")

AT_ONCE = 8


def parallel(items: Sequence[T], work: Callable[[T], U]) -> list[U]:
    """``work`` on each, a few at a time, results in order; the first error in order is raised after all ended."""
    if len(items) <= 1:
        return [work(item) for item in items]
    with ThreadPoolExecutor(max_workers=min(AT_ONCE, len(items))) as pool:
        futures = [pool.submit(copy_context().run, work, item) for item in items]
    return [future.result() for future in futures]
