"""A whole plane in one process: `penstock serve`, the demo and the tests of the flow start and stop this.

What an operator runs needs no cloud: SQLite for bus and records, files for artifacts, secrets in memory only. So each
start begins with a sync that reads them again from the clusters; until it is over, a delivery that cannot be verified
is answered 503.
"""

import os
import secrets
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self, cast

from penstock.adapters.bus.sqlite import SqliteBus
from penstock.adapters.secrets.environment import EnvironmentSecrets
from penstock.adapters.secrets.memory import MemorySecrets
from penstock.adapters.secrets.tokenfile import TokenFileSecrets
from penstock.core.errors import NotFound, Refused, Transient
from penstock.core.flux.plane import NAME, NAMESPACE, Plane
from penstock.core.messages import PLANE, Message, ReconcileDue, SourceChanged
from penstock.core.secrets.names import API_TOKEN
from penstock.wiring.lock import DirectoryLock
from penstock.wiring.places import PlacedClock, Places
from penstock.wiring.reach import TOKEN, announce, withdraw
from penstock.wiring.runtime import Makers, Process, Runtime
from penstock.wiring.settings import Settings
from penstock.wiring.stored_metrics import StoredMetrics
from penstock.wiring.stored_plane import StoredPlane
from penstock.wiring.telemetry import Observed
from penstock.wiring.web import WebServer, application
from penstock.wiring.workers import THREADS, Workers

SYNC_SECONDS = 60.0
"""After this the webhook refuses what it cannot verify even where a source or a cluster did not answer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """``port`` 0: a free one. ``threads``: by stage. ``instead``: adapters other than the embedded ones.

    ``metrics``: ``host:port`` of a second listener that answers /metrics (metrics.py); "" opens none.
    """

    settings: Settings
    host: str = "127.0.0.1"
    port: int = 0
    threads: Mapping[str, int] = field(default_factory=lambda: THREADS)
    instead: Makers = field(default_factory=dict)
    sync_seconds: float = SYNC_SECONDS
    metrics: str = ""


class EmbeddedPlane:
    """Started by ``with``. Raises Refused where another one works on the data directory or the port is taken.

    NotFound where no Plane was applied to it yet.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._stack = ExitStack()
        self._synced = threading.Event()
        self.sync_took: float | None = None
        self.metrics_url = ""

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            settings = self._options.settings
            if settings.backend != "embedded":
                raise Refused(
                    f"PENSTOCK_BACKEND is {settings.backend}: there the provider runs the stages; "
                    "`serve` is the embedded plane"
                )
            lock = stack.enter_context(DirectoryLock(settings.data_dir))
            make_api_token(settings)
            places = Places(self._options.threads.get("reconcile", THREADS["reconcile"]))
            makers = {
                "clock": lambda: PlacedClock(places),
                "secrets": lambda: secrets_of(settings),
                **self._options.instead,
            }
            process = Process(scraped=bool(self._options.metrics), lives=lock.lives)
            self.runtime = Runtime(settings, instead=makers, process=process)
            stack.callback(self.runtime.close)
            self.plane = self._stored()
            self.workers = Workers(self.runtime, threads=self._options.threads, places=places)
            self._web = WebServer(
                application(self.runtime, self._synced.is_set), host=self._options.host, port=self._options.port
            )
            stack.callback(self._web.stop)
            add_gauges(self.runtime)
            self._open_metrics(stack)
            self.given_back = self._bus.give_back()
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _start(self, stack: ExitStack) -> None:
        self.runtime.publish(self._sync_messages())
        self.workers.start()
        stack.callback(self.workers.stop)
        self._web.start()
        stack.callback(withdraw, self._options.settings.data_dir)
        announce(self._options.settings.data_dir, self.url)
        watcher = threading.Thread(target=self._watch_sync, name="sync", daemon=True)
        watcher.start()
        stack.callback(watcher.join)
        stack.callback(self._synced.set)

    def _open_metrics(self, stack: ExitStack) -> None:
        if not self._options.metrics:
            return
        from penstock.wiring.metrics import serve_metrics  # noqa: PLC0415 - only where asked for

        server = serve_metrics(self.runtime, self._options.metrics)
        stack.callback(server.stop)
        server.start()
        self.metrics_url = f"{server.url}/metrics"

    @property
    def url(self) -> str:
        """Where it listens: ``http://127.0.0.1:<port>``."""
        return self._web.url

    def wait_synced(self, seconds: float) -> bool:
        """Whether the first sync was over within ``seconds``."""
        return self._synced.wait(seconds)

    @property
    def _bus(self) -> SqliteBus:
        bus = self.runtime.bus
        assert isinstance(bus, SqliteBus)
        return bus

    def _stored(self) -> Plane:
        plane = StoredPlane(self.runtime.port("state"))()
        if plane is None:
            raise NotFound(
                f"no Plane in {self._options.settings.data_dir}: `penstock plane apply -f penstock.yaml` puts one there"
            )
        return plane

    def _sync_messages(self) -> list[Message]:
        """Look at the plane's source, and let each root read again what its cluster's Receivers and Providers need."""
        roots = [
            ReconcileDue(cluster=cluster.name, namespace=NAMESPACE, name=NAME, why="request")
            for cluster in self.plane.clusters
        ]
        return [SourceChanged(cluster=PLANE, namespace=NAMESPACE, name=NAME), *roots]

    def _watch_sync(self) -> None:
        started = time.monotonic()
        while not self._synced.is_set() and time.monotonic() - started < self._options.sync_seconds:
            if self._bus.backlog() == 0:
                break
            self._synced.wait(0.05)
        self.sync_took = time.monotonic() - started
        self._synced.set()


def add_gauges(runtime: Runtime) -> None:
    """What is read of the store, beside what runs tell: for whoever scrapes it or is sent it, where anybody is."""
    observed = runtime.port("telemetry")
    if isinstance(observed, Observed):
        stored = StoredMetrics(runtime.port("state"), cast("SqliteBus", runtime.bus), runtime.port("clock"))
        stored.add_to(observed.pipeline.telemetry)
        observed.begin(tuple(runtime.pipeline.stages), [stage.name for stage in runtime.pipeline.queues()])


def secrets_of(settings: Settings) -> EnvironmentSecrets:
    """The environment's, the api's token from its file, and the copies in memory."""
    file = TokenFileSecrets(settings.data_dir / TOKEN, API_TOKEN, MemorySecrets())
    return EnvironmentSecrets(settings.secrets, file)


def make_api_token(settings: Settings) -> None:
    """A bearer token of the api in its file, where neither the environment nor the file gives one.

    Raises Transient where the file cannot be made, or not be read.
    """
    if settings.secrets.get(API_TOKEN, {}).get("token"):
        return
    path = settings.data_dir / TOKEN
    try:
        if not path.exists():
            _create(path, secrets.token_urlsafe(32))
        path.read_bytes()
    except OSError as error:
        raise Transient(f"{path}: {error.strerror}") from error


def _create(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text + "\n")
