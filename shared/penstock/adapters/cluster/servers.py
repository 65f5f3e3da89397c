"""Servers that are kept connected, by key: looked up outside of all locks but their own."""

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from penstock.adapters.cluster.discovery import Discovery
from penstock.adapters.cluster.kube import KubeCluster
from penstock.adapters.cluster.kubeconfig import Connection
from penstock.adapters.cluster.pools import Pools
from penstock.adapters.cluster.transport import Patience, Transport
from penstock.core.errors import Transient


class Server:
    """One API server: its connections and discovery are shared by all identities on it."""

    def __init__(self, connection: Connection, patience: Patience) -> None:
        self.connection, self._patience = connection, patience
        self._pools, self._discovery = Pools(connection), Discovery()
        self._clusters: dict[str, KubeCluster] = {}

    def close(self) -> None:
        """Closes what is idle; asking again opens new connections."""
        self._pools.close()

    def as_account(self, impersonate: str) -> KubeCluster:
        """The cluster as somebody ("" is who the connection says)."""
        if impersonate not in self._clusters:
            transport = Transport(self.connection, impersonate=impersonate, patience=self._patience, pools=self._pools)
            self._clusters[impersonate] = KubeCluster(transport, self._discovery)
        return self._clusters[impersonate]

    def is_at(self, connection: Connection) -> bool:
        """Whether it is where ``connection`` is, and trusts the same authorities."""
        return (self.connection.server, self.connection.ca) == (connection.server, connection.ca)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Kept:
    wanted: Hashable
    server: Server
    until: float


class Servers:
    """``patience``: of the servers; ``most``: that are kept, the oldest goes first; ``clock``: monotonic seconds."""

    def __init__(
        self, patience: Patience, *, most: int | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._patience, self._most, self._clock = patience, most, clock
        self._lock = threading.Lock()
        self._kept: dict[Hashable, _Kept] = {}
        self._busy: dict[Hashable, threading.Lock] = {}

    def get(
        self, key: Hashable, wanted: Hashable, connect: Callable[[], Connection], *, seconds: float = float("inf")
    ) -> Server:
        """The server kept under ``key`` while ``wanted`` is the same; else the one that ``connect`` finds.

        After ``seconds`` it is looked for again: one that is still there stays, with its connections. What passes by
        itself (Transient) leaves the old one in use.
        """
        with self._lock:
            busy = self._busy.setdefault(key, threading.Lock())
        with busy:
            kept = self._kept.get(key)
            if kept is not None and kept.wanted == wanted:
                if kept.until > self._clock():
                    return kept.server
                return self._again(key, kept, connect, seconds)
            return self._made(key, wanted, connect(), seconds)

    def close(self) -> None:
        """Closes all that is idle."""
        with self._lock:
            kept = tuple(self._kept.values())
        for each in kept:
            each.server.close()

    def _again(self, key: Hashable, kept: _Kept, connect: Callable[[], Connection], seconds: float) -> Server:
        try:
            found = connect()
        except Transient:
            return kept.server
        if not kept.server.is_at(found):
            return self._made(key, kept.wanted, found, seconds)
        with self._lock:
            self._kept[key] = _Kept(wanted=kept.wanted, server=kept.server, until=self._clock() + seconds)
        return kept.server

    def _made(self, key: Hashable, wanted: Hashable, connection: Connection, seconds: float) -> Server:
        made = _Kept(wanted=wanted, server=Server(connection, self._patience), until=self._clock() + seconds)
        with self._lock:
            gone = [self._kept.pop(key)] if key in self._kept else []
            self._kept[key] = made
            while self._most is not None and len(self._kept) > self._most:
                oldest = next(iter(self._kept))
                gone.append(self._kept.pop(oldest))
                self._busy.pop(oldest, None)
        for each in gone:
            each.server.close()
        return made.server
