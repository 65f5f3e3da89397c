"""Ports that are made when a stage first touches them, and ports that a stage was not given."""

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from penstock.core.errors import Refused

T = TypeVar("T")


class Once(Generic[T]):
    """Calls ``make`` at the first call, whatever the thread, and gives that value ever after."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: list[T] = []
        self._lock = threading.Lock()

    def __call__(self) -> T:
        """The one value. Where making it raised, the next call tries again."""
        if not self._made:
            with self._lock:
                if not self._made:
                    self._made.append(self._make())
        return self._made[0]

    def made(self) -> tuple[T, ...]:
        """The value, where it was made already."""
        return tuple(self._made)


class LazyPort:
    """Stands for a port until it is used: a webhook never loads the Kubernetes client that it never asks for."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.__make = make

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__make(), name)


class WithheldPort:
    """Stands for a port that pipeline.json does not list for a stage. Any use is Refused."""

    def __init__(self, stage: str, port: str) -> None:
        self.__stage, self.__port = stage, port

    def __getattr__(self, name: str) -> Any:
        raise Refused(f"stage {self.__stage} may not use port {self.__port}: pipeline.json does not list it")
