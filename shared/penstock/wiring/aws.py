"""A plane's ports on AWS. Nothing of botocore is loaded before the first call."""

from collections.abc import Callable
from typing import Any

from penstock.adapters.aws.clients import Clients
from penstock.adapters.aws.names import PARAMETER_STORE, AwsNames
from penstock.adapters.secrets.environment import EnvironmentSecrets
from penstock.core.pipeline import Pipeline
from penstock.ports.clock import Clock
from penstock.wiring.settings import Settings


def aws_ports(
    settings: Settings, names: AwsNames, pipeline: Pipeline, clock: Callable[[], Clock]
) -> dict[str, Callable[[], Any]]:
    """Makers of the bus, state, storage and secrets; in a plane of several regions each over one a region."""
    if not names.regions:
        return _ports(settings, names, pipeline, clock)
    from penstock.wiring.regions import regional  # noqa: PLC0415 - most planes have one region

    made = {region: _ports(settings, names.at(region), pipeline, clock) for region in names.everywhere}
    return regional(made, clock, here=names.region, home=names.everywhere[0])


def _ports(
    settings: Settings, names: AwsNames, pipeline: Pipeline, clock: Callable[[], Clock]
) -> dict[str, Callable[[], Any]]:
    """Those of one region; all share their clients."""
    clients = Clients(names.region)

    def bus() -> Any:
        from penstock.adapters.bus.sns_sqs import SnsSqsBus  # noqa: PLC0415 - each stage loads what it uses

        return SnsSqsBus(clients, names, pipeline, clock())

    def state() -> Any:
        from penstock.adapters.state.dynamodb import DynamoState  # noqa: PLC0415 - see above

        return DynamoState(clients, names.table)

    def storage() -> Any:
        from penstock.adapters.storage.s3 import S3Storage  # noqa: PLC0415 - see above

        return S3Storage(clients, names.bucket)

    def secrets() -> Any:
        return EnvironmentSecrets(settings.secrets, _secrets(clients, names, clock()))

    return {"bus": bus, "state": state, "storage": storage, "secrets": secrets}


def _secrets(clients: Clients, names: AwsNames, clock: Clock) -> Any:
    if names.secrets_store == PARAMETER_STORE:
        from penstock.adapters.secrets.parameterstore import ParameterStoreSecrets  # noqa: PLC0415 - see above

        return ParameterStoreSecrets(clients, names.secret_path, clock)
    from penstock.adapters.secrets.secretsmanager import SecretsManagerSecrets  # noqa: PLC0415 - see above

    return SecretsManagerSecrets(clients, names.secret_path, clock)
