"""A plane's ports on Google Cloud. google-auth and urllib3 load at the first call, and no SDK at all."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from penstock.adapters.clock.system import SystemClock
from penstock.adapters.google.names import GoogleNames
from penstock.adapters.secrets.environment import EnvironmentSecrets
from penstock.core.pipeline import Pipeline
from penstock.ports.clock import Clock
from penstock.wiring.lazy import Once
from penstock.wiring.settings import Settings

if TYPE_CHECKING:
    from penstock.adapters.state.parted import PartedState

ANSWER_LIMIT = 128 << 20
"""Bytes: artifacts come in one answer."""

HOOKS, INDEX = ("delivery",), ("object", "plane", "receiver")
"""Families of records that webhook writes, and reads. Rights of Firestore end at a database: hence one for each."""

_SECONDS = 60.0
"""For all attempts at a call: an attempt has time for the largest artifact at 5 MiB/s."""


def google_ports(
    settings: Settings, names: GoogleNames, pipeline: Pipeline, clock: Callable[[], Clock]
) -> dict[str, Callable[[], Any]]:
    """Makers of the bus, state, storage and secrets; in a plane of several regions each over one a region."""
    client = Once(_client)
    if not names.regions:
        return _ports(settings, names, pipeline, clock, client)
    from penstock.wiring.regions import regional  # noqa: PLC0415 - most planes have one region

    made = {region: _ports(settings, names.at(region), pipeline, clock, client) for region in names.everywhere}
    return regional(made, clock, here=names.region, home=names.everywhere[0])


def _ports(
    settings: Settings,
    names: GoogleNames,
    pipeline: Pipeline,
    clock: Callable[[], Clock],
    client: Callable[[], Any],
) -> dict[str, Callable[[], Any]]:
    """Those of one region; all share their connections and token."""

    def bus() -> Any:
        from penstock.adapters.bus.pubsub import PubsubBus  # noqa: PLC0415 - each stage loads what it uses

        return PubsubBus(client(), names, pipeline, clock())

    def state() -> Any:
        return _records(client(), names)

    def storage() -> Any:
        from penstock.adapters.storage.gcs import GcsStorage  # noqa: PLC0415 - see above

        return GcsStorage(client(), names)

    def secrets() -> Any:
        from penstock.adapters.secrets.secretmanager import SecretManagerSecrets  # noqa: PLC0415 - see above

        return EnvironmentSecrets(settings.secrets, SecretManagerSecrets(client(), names, clock()))

    return {"bus": bus, "state": state, "storage": storage, "secrets": secrets}


def _records(client: Any, names: GoogleNames) -> "PartedState":
    from penstock.adapters.state.firestore import FirestoreState  # noqa: PLC0415 - see above
    from penstock.adapters.state.parted import PartedState  # noqa: PLC0415 - see above

    rest, hooks, index = (FirestoreState(client, names, root) for root in (names.documents, names.hooks, names.index))
    return PartedState({**dict.fromkeys(HOOKS, hooks), **dict.fromkeys(INDEX, index)}, rest)


def bring_over(settings: Settings) -> int:
    """Copy records of a plane that had one database a region to where they belong, once; how many that were."""
    names = settings.google
    if names is None:
        return 0
    client = _client()
    return sum(_records(client, names.at(region)).bring_over() for region in names.everywhere)


def push_check(names: GoogleNames, clock: Callable[[], Clock]) -> Callable[[Mapping[str, str]], None]:
    """What refuses a push that is not Pub/Sub's by its headers; nothing where Cloud Run checks it (names.push)."""
    if not names.push.accounts and not names.push.audiences:
        return lambda _headers: None
    from penstock.adapters.google.push import PushVerifier  # noqa: PLC0415 - only where a function verifies
    from penstock.adapters.identity.http import HttpSender  # noqa: PLC0415 - see above

    now = clock()
    verifier = PushVerifier(names.push, HttpSender(), names.endpoints.certificates, lambda: now.now().timestamp())
    return verifier.check


def _client() -> Any:
    from penstock.adapters.google.client import GoogleClient  # noqa: PLC0415 - see above
    from penstock.adapters.identity.http import HttpSender  # noqa: PLC0415 - see above
    from penstock.adapters.identity.kept import Kept  # noqa: PLC0415 - see above
    from penstock.adapters.identity.own import Own  # noqa: PLC0415 - see above

    clock = SystemClock()
    send = HttpSender(limit=ANSWER_LIMIT, seconds=_SECONDS)
    return GoogleClient(send, Own(send, {}, lambda: clock.now().timestamp()).gcp, Kept())
