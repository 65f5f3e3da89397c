"""``environment`` of both modules takes no secret, no name that a platform keeps for itself, and nothing that is no name."""

import re
from dataclasses import asdict

import pytest
from tests.docs.test_serve import Recorder
from tests.infra import terraform
from tests.infra.test_google_model import PROJECT
from tests.infra.test_topology import ACCOUNT

from penstock.adapters.secrets.environment import PREFIX
from penstock.core.errors import Terminal
from penstock.wiring.settings import AZURE, PROXIES, settings_from

CANARY = "canary-5711"
MODULES = {"aws/model": ACCOUNT, "google/model": PROJECT}
BESIDE_SECRETS = {*PROXIES, *AZURE} - {"AZURE_CLIENT_SECRET", "IDENTITY_HEADER"}
"""Hidden with the secrets that they stand beside, and none themselves: modules take them."""
TAKEN = sorted(BESIDE_SECRETS | {"PENSTOCK_ALLOWED_HOSTS", "NO_COLOR", "VAULT_NAMESPACE", "SSL_CERT_FILE", "a1", "Z_"})
REFUSED = {
    "no name": ("", "A", "A-B", "1A", "_HANDLER", "_X_AMZN_TRACE_ID", "A B", "A=B", "Ä_B", "A.B"),
    "secrets": ("AZURE_CLIENT_SECRET", "OTEL_EXPORTER_OTLP_HEADERS", "PENSTOCK_SECRET_X", "PENSTOCK_API_TOKEN"),
    "aws/model": ("AWS_REGION", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR", "TZ", "PENSTOCK_AWS_BUCKET", "PENSTOCK_BACKEND"),
    "google/model": ("PORT", "K_SERVICE", "K_REVISION", "FUNCTION_TARGET", "FUNCTION_SIGNATURE_TYPE", "X_GOOGLE_A", "PYTHONPATH"),
}  # fmt: skip


def hidden():
    """Every variable that ends in a field which no representation of the settings shows."""
    collector = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
    asked = Recorder()
    asked.update(collector)
    settings_from(asked)
    return {name for name in asked.asked if _is_hidden({**collector, name: CANARY})}


def _is_hidden(environment):
    try:
        settings = settings_from(environment)
    except Terminal:  # a name, a number, a URL: not this one
        return False
    return CANARY in str(asdict(settings)) and CANARY not in repr(settings)


def test_what_no_module_takes_is_what_the_settings_hide(tmp_path):
    found = hidden()
    assert found > BESIDE_SECRETS
    secret = terraform.outputs("topology", tmp_path)["secret_variables"]
    assert {name for name in found if re.match(secret, name)} == found - BESIDE_SECRETS
    assert re.match(secret, f"{PREFIX}TOKEN")
    assert not [name for name in TAKEN if re.match(secret, name)]


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("kind", ["no name", "secrets", "theirs"])
def test_what_is_refused_is_named(tmp_path, module, kind):
    names = sorted(REFUSED[module if kind == "theirs" else kind])
    with pytest.raises(AssertionError) as stopped:
        terraform.outputs(module, tmp_path, environment={"notify": dict.fromkeys(names, "x")}, **MODULES[module])
    assert f"environment: {', '.join(names)}: " in terraform.text(stopped)


@pytest.mark.parametrize("module", MODULES)
def test_the_rest_is_taken(tmp_path, module):
    said = terraform.outputs(module, tmp_path, environment={"reconcile": dict.fromkeys(TAKEN, "x")}, **MODULES[module])
    assert {*said["functions"]["reconcile"]["environment"]} > {*TAKEN}
