"""One process's plane: its adapters, each made at first use, and the ways to run a stage on them."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from penstock.adapters.clock.system import SystemClock
from penstock.adapters.telemetry.jsonlines import JsonLinesTelemetry
from penstock.adapters.telemetry.libraries import listen
from penstock.core.errors import PenstockError, Transient
from penstock.core.http import HttpRequest, HttpResponse
from penstock.core.messages import Envelope, Message, Outgoing
from penstock.core.pipeline import Pipeline
from penstock.ports.deps import OF_MESSAGE, Deps, Lives
from penstock.ports.telemetry import Field, Scoped
from penstock.wiring import http, run
from penstock.wiring.lazy import LazyPort, Once, WithheldPort
from penstock.wiring.outcome import Outcome
from penstock.wiring.sending import Sender
from penstock.wiring.settings import Settings, settings_from
from penstock.wiring.telemetry import log_of, telemetry_of
from penstock.wiring.topology import load_pipeline

if TYPE_CHECKING:  # a port's own module is loaded with its adapter, by the stage that uses it
    from werkzeug.wrappers import Request, Response

    from penstock.adapters.identity.logins import SourceLogins
    from penstock.ports.buckets import Buckets
    from penstock.ports.bus import Bus
    from penstock.ports.clock import Clock
    from penstock.ports.cluster import Clusters
    from penstock.ports.downloads import Downloads
    from penstock.ports.git import Git
    from penstock.ports.keys import Keys
    from penstock.ports.notifier import Notifier
    from penstock.ports.registry import Registry
    from penstock.ports.secrets import Secrets
    from penstock.ports.state import State
    from penstock.ports.storage import Storage

Makers = Mapping[str, Callable[[], Any]]
PORTS = tuple(name for name in Deps.__dataclass_fields__ if name not in OF_MESSAGE)
ALWAYS = frozenset({"clock", "telemetry"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Process:
    """What kind of process this is. ``short_lived``: a function; ``scraped``: its metrics are read from it.

    ``lives``: it is the only one, as were those before it.
    """

    short_lived: bool = False
    scraped: bool = False
    lives: Lives = field(default_factory=Lives)


class Runtime:
    """``instead``: port name (or ``bus``, ``log``) -> maker of another adapter than the settings' (demo, tests)."""

    def __init__(
        self,
        settings: Settings,
        *,
        pipeline: Pipeline | None = None,
        instead: Makers | None = None,
        process: Process | None = None,
    ) -> None:
        self.settings = settings
        self._process = process or Process()
        self._cold, self._invocation = self._process.short_lived, ""
        self.pipeline = pipeline or load_pipeline()
        makers = {**self._embedded(), **self._cloud(), **(instead or {})}
        self._ports = {name: Once(make) for name, make in makers.items()}
        self._lazy: dict[str, LazyPort] = {}
        self._push_check = Once(self._make_push_check)

    def publish(self, messages: Sequence[Message]) -> None:
        """Put messages of nobody else's making on the bus: one trace for all of them."""
        sender = Sender(bus=self.bus, clock=self.port("clock"), telemetry=self.port("telemetry"))
        sender.send([Outgoing(message=message) for message in messages])

    def _embedded(self) -> dict[str, Callable[[], Any]]:
        return {
            "bus": self._bus,
            "buckets": self._buckets,
            "clock": SystemClock,
            "clusters": self._clusters,
            "downloads": self._downloads,
            "git": self._git,
            "keys": self._keys,
            "notifier": self._notifier,
            "registry": self._registry,
            "secrets": self._secrets,
            "state": self._state,
            "storage": self._storage,
            "log": lambda: log_of(self.settings, self.port("clock")),
            "telemetry": lambda: telemetry_of(
                self.settings,
                self.port("log"),
                lambda: cast("Secrets", self.port("secrets")),
                short_lived=self._process.short_lived,
                scraped=self._process.scraped,
            ),
        }

    def _cloud(self) -> dict[str, Callable[[], Any]]:
        if self.settings.google is not None:
            from penstock.wiring.google import google_ports  # noqa: PLC0415 - only where the plane is on Google Cloud

            return google_ports(
                self.settings, self.settings.google, self.pipeline, lambda: cast("Clock", self.port("clock"))
            )
        if self.settings.aws is None:
            return {}
        from penstock.wiring.aws import aws_ports  # noqa: PLC0415 - only where the plane is on AWS

        return aws_ports(self.settings, self.settings.aws, self.pipeline, lambda: cast("Clock", self.port("clock")))

    def _make_push_check(self) -> Callable[[Mapping[str, str]], None]:
        if self.settings.google is None:
            return lambda _headers: None
        from penstock.wiring.google import push_check  # noqa: PLC0415 - see above

        return push_check(self.settings.google, lambda: cast("Clock", self.port("clock")))

    def check_push(self, headers: Mapping[str, str]) -> None:
        """Raises Refused or Transient for a push that does not prove who sends it, where the settings ask for it."""
        self._push_check()(headers)

    def _file(self, name: str) -> Path:
        directory = self.settings.data_dir
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise Transient(f"data directory {directory}: {error.strerror}") from error
        return directory / name

    def _bus(self) -> "Bus":
        from penstock.adapters.bus.sqlite import SqliteBus  # noqa: PLC0415 - not where the plane is in a cloud

        return SqliteBus(self._file("bus.db"), self.pipeline, self.port("clock"))

    def _secrets(self) -> "Secrets":
        from penstock.adapters.secrets.environment import EnvironmentSecrets  # noqa: PLC0415 - see above
        from penstock.adapters.secrets.memory import MemorySecrets  # noqa: PLC0415 - see above

        return EnvironmentSecrets(self.settings.secrets, MemorySecrets())

    def _state(self) -> "State":
        from penstock.adapters.state.sqlite import SqliteState  # noqa: PLC0415 - see above

        return SqliteState(self._file("state.db"))

    def _storage(self) -> "Storage":
        from penstock.adapters.storage.directory import DirectoryStorage  # noqa: PLC0415 - see above

        return DirectoryStorage(self._file("artifacts"))

    def _clusters(self) -> "Clusters":
        from penstock.wiring.clusters import kube_clusters  # noqa: PLC0415 - heavy, and not every stage's

        return kube_clusters(self.settings, self.port("state"), self.port("secrets"))

    def _logins(self) -> "SourceLogins":
        from penstock.wiring.logins import source_logins  # noqa: PLC0415 - see above

        return source_logins(self.settings)

    def _git(self) -> "Git":
        from penstock.adapters.git.dulwich import DulwichGit  # noqa: PLC0415 - see above

        return DulwichGit(self._logins())

    def _registry(self) -> "Registry":
        from penstock.adapters.registry.distribution import DistributionRegistry  # noqa: PLC0415 - see above

        return DistributionRegistry(self._logins())

    def _buckets(self) -> "Buckets":
        from penstock.adapters.buckets.providers import ProviderBuckets  # noqa: PLC0415 - see above

        return ProviderBuckets(self._logins())

    def _keys(self) -> "Keys":
        from penstock.wiring.keys import key_services  # noqa: PLC0415 - see above

        return key_services(self.settings)

    def _downloads(self) -> "Downloads":
        from penstock.adapters.downloads.http import HttpDownloads  # noqa: PLC0415 - see above

        return HttpDownloads()

    def _notifier(self) -> "Notifier":
        from penstock.wiring.notifier import PolicyNotifier  # noqa: PLC0415 - see above

        return PolicyNotifier(self.settings.allowed_hosts, self.port("state"))

    def port(self, name: str) -> Any:
        """The adapter of a port, or the bus: made now, if it was not."""
        return self._ports[name]()

    @property
    def bus(self) -> "Bus":
        """Where messages go."""
        return cast("Bus", self.port("bus"))

    def deps(self, stage: str) -> Deps:
        """The ports that pipeline.json gives a stage; the others raise Refused when they are used."""
        given = {*self.pipeline.stage(stage).ports, *ALWAYS}
        ports: dict[str, Any] = {
            name: self._lazy.setdefault(name, LazyPort(self._ports[name]))
            if name in given
            else WithheldPort(stage, name)
            for name in PORTS
        }
        if self._cold:
            self._begin(stage)
        about = self._about_run()
        if about:
            ports["telemetry"] = Scoped(telemetry=ports["telemetry"], fields=about)
        return Deps(**ports, lives=self._process.lives)

    def _begin(self, stage: str) -> None:
        """Of a function: its counters stand at 0 before they count. ``tick`` tells of everybody's dead letters."""
        begin = getattr(self.port("telemetry"), "begin", None)
        if begin is not None:
            queues = [each.name for each in self.pipeline.queues()]
            begin([stage], queues if self.pipeline.stage(stage).trigger == "schedule" else [*({stage} & set(queues))])

    def _about_run(self) -> dict[str, Field]:
        """What is told of a run beside what it does: by whom it was called, and whether it is the process's first."""
        found: dict[str, Field] = {"requestId": self._invocation} if self._invocation else {}
        if self._cold:
            self._cold, found["cold"] = False, True
        return found

    @contextmanager
    def invocation(self, ident: str = "") -> Iterator[None]:
        """One call of a function. ``ident``: the platform's, where it names calls. What it told is sent at its end."""
        self._invocation = ident
        try:
            yield
        finally:
            for telemetry in self._ports["telemetry"].made():
                flush = getattr(telemetry, "flush", None)
                if flush is not None:
                    flush()

    def run_message(self, stage: str, envelope: Envelope) -> Outcome:
        """One delivery; see run.run_message."""
        return run.run_message(self.pipeline.stage(stage), envelope, self.deps(stage), self.bus)

    def run_tick(self, stage: str = "tick") -> Outcome:
        """One scheduled run; see run.run_tick."""
        return run.run_tick(self.pipeline.stage(stage), self.deps(stage), self.bus)

    def serve_http(self, stage: str, request: "Request") -> "Response":
        """One HTTP request; see http.serve."""
        return http.serve(
            self.pipeline.stage(stage), request, self.deps(stage), cast("Bus", LazyPort(self._ports["bus"]))
        )

    def answer_http(self, stage: str, request: HttpRequest) -> HttpResponse:
        """One HTTP request as a value; see http.answer."""
        bus = cast("Bus", LazyPort(self._ports["bus"]))
        return http.answer(self.pipeline.stage(stage), request, self.deps(stage), bus)

    def close(self) -> None:
        """Close the files of those adapters that were made."""
        for port in self._ports.values():
            for adapter in port.made():
                close = getattr(adapter, "close", None)
                if close is not None:
                    close()


def open_runtime(data_dir: Path | str = "", *, instead: Makers | None = None) -> Runtime:
    """The plane of this machine, as the environment and ``data_dir`` (a flag; it wins) say."""
    return Runtime(settings_from(data_dir=data_dir), instead=instead)


def open_function() -> Runtime:
    """The plane that a function is part of, as its environment says. Its libraries are heard by its log alone.

    Raises Terminal, and says why in the log, where the environment is wrong: what the platform makes of an exception
    tells nobody.
    """
    log = JsonLinesTelemetry(sys.stdout, SystemClock())
    listen(log)
    try:
        made = Runtime(settings_from(is_function=True), process=Process(short_lived=True))
    except PenstockError as error:
        log.record("settings not usable", outcome="failed", reason=error.reason, error=str(error))
        raise
    listen(made.port("log"))
    return made


def open_state(data_dir: Path | str = "") -> "State":
    """The records of this machine's plane, for commands that read or write them without running anything."""
    return cast("State", open_runtime(data_dir).port("state"))
