"""What the operator says through the environment. Nothing else in the project reads it.

| variable | meaning |
| --- | --- |
| `PENSTOCK_BACKEND` | where bus, records and artifacts live: `embedded` (default, not in functions), `aws`, `google` |
| `PENSTOCK_DATA_DIR` | the embedded plane's directory (below) |
| `PENSTOCK_SECRET_…` | secrets in front of the store (adapters/secrets/environment.py) |
| `PENSTOCK_ALLOWED_HOSTS` | `host` or `host:port`, separated by commas: private addresses that manifests may name |
| `PENSTOCK_URL`, `PENSTOCK_API_TOKEN` | the plane that commands such as `penstock reconcile` talk to |
| `AWS_REGION`, `PENSTOCK_AWS_ACCOUNT` | region and account (12 digits) of a plane on AWS |
| `PENSTOCK_AWS_PREFIX` | what the names of its resources start with: `penstock` by default |
| `PENSTOCK_AWS_BUCKET` | its bucket of artifacts |
| `PENSTOCK_AWS_SCHEDULER_ROLE` | ARN of the role with which EventBridge Scheduler publishes what waits long |
| `PENSTOCK_AWS_REGIONS`, `PENSTOCK_AWS_HOME_REGION` | of a plane in several: the further ones, and its own |
| `PENSTOCK_AWS_SECRETS` | where its secrets are: `secrets-manager` by default, or `parameter-store` |
| `GOOGLE_CLOUD_PROJECT`, `PENSTOCK_GOOGLE_REGION` | project and region of a plane on Google Cloud |
| `PENSTOCK_GOOGLE_PREFIX` | what the names of its resources start with: `penstock` by default |
| `PENSTOCK_GOOGLE_BUCKET` | its bucket of artifacts |
| `PENSTOCK_GOOGLE_REGIONS`, `PENSTOCK_GOOGLE_HOME_REGION` | of a plane in several: the further ones, and its own |
| `PENSTOCK_GOOGLE_DATABASE` | its Firestore database: `<prefix>-state` by default |
| `PENSTOCK_GOOGLE_TASKS_ACCOUNT` | e-mail of the service account that Cloud Tasks publishes delayed messages as |
| `PENSTOCK_GOOGLE_PUSH_ACCOUNT`, `PENSTOCK_GOOGLE_PUSH_AUDIENCE` | whose pushes functions verify: lists, with commas |
| `PUBSUB_EMULATOR_HOST`, `FIRESTORE_EMULATOR_HOST`, `STORAGE_EMULATOR_HOST` | emulators, as Google's SDKs read them |
| `CLOUDSDK_API_ENDPOINT_OVERRIDES_…` | base URLs of `CLOUDTASKS` and `SECRETMANAGER`, as for gcloud |
| `AZURE_…`, `IDENTITY_ENDPOINT`, `IDENTITY_HEADER` | the plane's own identity at Azure, as Azure's SDKs read them |
| `OTEL_EXPORTER_OTLP_ENDPOINT`, … | where spans and metrics go: nowhere unless it is set (docs/observability.md) |
| `PENSTOCK_OTLP_HEADERS_SECRET` | the plane's Secret in `penstock-system` that holds their receiver's credentials |
| `K_SERVICE`, `AWS_LAMBDA_FUNCTION_NAME` | in a function: what its platform calls it |
| `KUBECONFIG` | kubeconfig files, as kubectl reads them |
| `VAULT_TOKEN`, `VAULT_NAMESPACE`, `VAULT_CACERT` | the plane's own, for SOPS |
| `NO_COLOR` | whatever it is: output to a terminal is not coloured |
| `HTTPS_PROXY`, `NO_PROXY` | the proxy to clusters' API servers, and what is reached without it |
| `PATH`, `HOME`, `SSL_CERT_FILE`, `DOCKER_CONFIG`, … | what Helm sees of it in `penstock build` (`HELM`) |

The data directory: `PENSTOCK_DATA_DIR`, else `./.penstock` where that exists, else `penstock` in the user's state
directory (`XDG_STATE_HOME`, by default `~/.local/state`).
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from penstock.adapters.aws.names import PARAMETER_STORE, SECRETS_MANAGER, AwsNames
from penstock.adapters.google.names import Endpoints, GoogleNames, PushPolicy
from penstock.adapters.keys.vault_settings import VaultSettings
from penstock.adapters.secrets.environment import PREFIX, secrets_of
from penstock.adapters.telemetry.collector import CollectorSettings
from penstock.core.errors import Terminal
from penstock.ports.secrets import SecretData
from penstock.wiring.collector import collector_from

BACKENDS = ("embedded", "aws", "google")
SECRETS_STORES = (SECRETS_MANAGER, PARAMETER_STORE)
AZURE = (
    "AZURE_AUTHORITY_HOST",
    "AZURE_CLIENT_ID",
    "AZURE_CLIENT_SECRET",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_TENANT_ID",
    "IDENTITY_ENDPOINT",
    "IDENTITY_HEADER",
)
PROXIES = ("https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY")
HELM = (
    *PROXIES, "http_proxy", "HTTP_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "PATH", "HOME", "DOCKER_CONFIG",
    "HELM_REGISTRY_CONFIG", "HELM_REPOSITORY_CONFIG",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """``kubeconfig``: files; empty means kubectl's default. ``service_host``, ``service_port``: in a pod, its API.

    ``aws``, ``google``: where backend is that. ``url``, ``api_token``: of the plane's api, for commands that ask it.
    ``no_color``: colour nothing. ``collector``: None exports nothing; ``function``: its name, in a function.
    """

    data_dir: Path
    backend: str = "embedded"
    kubeconfig: tuple[str, ...] = ()
    service_host: str = ""
    service_port: str = ""
    allowed_hosts: tuple[str, ...] = ()
    secrets: Mapping[str, SecretData] = field(default_factory=dict, repr=False)
    proxies: Mapping[str, str] = field(default_factory=dict, repr=False)
    azure: Mapping[str, str] = field(default_factory=dict, repr=False)
    url: str = ""
    api_token: str = field(default="", repr=False)
    no_color: bool = False
    aws: AwsNames | None = None
    vault: VaultSettings = field(default_factory=VaultSettings)
    google: GoogleNames | None = None
    collector: CollectorSettings | None = None
    function: str = ""


def settings_from(
    environment: Mapping[str, str] | None = None, *, data_dir: Path | str = "", is_function: bool = False
) -> Settings:
    """The settings; ``data_dir`` (a flag) wins over the environment. Raises Terminal naming the variable.

    ``is_function``: the backend must be named. With records of its own in a directory that goes with it, a function
    would take messages and lose them.
    """
    found = os.environ if environment is None else environment
    backend = found.get("PENSTOCK_BACKEND") or ("" if is_function else "embedded")
    if not backend:
        names = ", ".join(BACKENDS)
        raise Terminal(f"environment variable PENSTOCK_BACKEND is not set: a function needs one of {names}")
    if backend not in BACKENDS:
        raise Terminal(f"environment variable PENSTOCK_BACKEND is {backend!r}; this release has {', '.join(BACKENDS)}")
    return Settings(
        backend=backend,
        data_dir=_data_dir(found, str(data_dir)) if backend == "embedded" else Path(data_dir or "."),
        kubeconfig=tuple(part for part in found.get("KUBECONFIG", "").split(os.pathsep) if part),
        service_host=found.get("KUBERNETES_SERVICE_HOST", ""),
        service_port=found.get("KUBERNETES_SERVICE_PORT", ""),
        allowed_hosts=_listed(found.get("PENSTOCK_ALLOWED_HOSTS", "")),
        proxies={name: found[name] for name in PROXIES if found.get(name)},
        azure={name: found[name] for name in AZURE if found.get(name)},
        url=found.get("PENSTOCK_URL", ""),
        api_token=found.get("PENSTOCK_API_TOKEN", "").strip(),
        no_color=bool(found.get("NO_COLOR")),
        aws=_aws(found) if backend == "aws" else None,
        vault=VaultSettings(
            token=found.get("VAULT_TOKEN", "").strip(),
            namespace=found.get("VAULT_NAMESPACE", "").strip(),
            ca_file=found.get("VAULT_CACERT", ""),
        ),
        google=_google(found) if backend == "google" else None,
        collector=collector_from(found),
        function=found.get("K_SERVICE", "") or found.get("AWS_LAMBDA_FUNCTION_NAME", ""),
        secrets=secrets_of({name: value for name, value in found.items() if name.startswith(PREFIX)}),
    )


def _aws(environment: Mapping[str, str]) -> AwsNames:
    names = AwsNames(
        region=environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION", ""),
        account=environment.get("PENSTOCK_AWS_ACCOUNT", ""),
        bucket=environment.get("PENSTOCK_AWS_BUCKET", ""),
        prefix=environment.get("PENSTOCK_AWS_PREFIX") or "penstock",
        scheduler_role=environment.get("PENSTOCK_AWS_SCHEDULER_ROLE", ""),
        secrets_store=environment.get("PENSTOCK_AWS_SECRETS") or SECRETS_MANAGER,
        home=environment.get("PENSTOCK_AWS_HOME_REGION", ""),
        regions=_listed(environment.get("PENSTOCK_AWS_REGIONS", "")),
    )
    checks = (
        ("AWS_REGION", names.region, r"[a-z0-9-]+", "a region"),
        ("PENSTOCK_AWS_ACCOUNT", names.account, r"[0-9]{12}", "12 digits"),
        ("PENSTOCK_AWS_BUCKET", names.bucket, r"[a-z0-9.-]{3,63}", "the name of a bucket"),
        ("PENSTOCK_AWS_PREFIX", names.prefix, r"[a-zA-Z0-9_-]{1,40}", "1 to 40 letters, digits, - or _"),
        ("PENSTOCK_AWS_SECRETS", names.secrets_store, "|".join(SECRETS_STORES), " or ".join(SECRETS_STORES)),
    )
    _check(checks, "AWS")
    _check_regions("AWS", names.region, names.home, names.regions)
    if names.secrets_store == PARAMETER_STORE and names.prefix.lower().startswith(("aws", "ssm")):
        raise Terminal(
            f"PENSTOCK_AWS_PREFIX is {names.prefix!r}: names in Parameter Store may not start with aws or ssm"
        )
    return names


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _check_regions(cloud: str, here: str, home: str, others: Sequence[str]) -> None:
    """A function of one region knows where home is; one at home need not say so."""
    variable = f"PENSTOCK_{cloud.upper()}_REGIONS"
    wrong = [each for each in others if not re.fullmatch(r"[a-z0-9-]+", each) or each == (home or here)]
    if wrong or len(set(others)) != len(others):
        raise Terminal(f"environment variable {variable} names the regions beside the home region, each once: {wrong}")
    if home and here not in {home, *others}:
        raise Terminal(f"environment variable {variable} does not name {here}, the region that this runs in")


def _google(environment: Mapping[str, str]) -> GoogleNames:
    names = GoogleNames(
        project=environment.get("GOOGLE_CLOUD_PROJECT", ""),
        region=environment.get("PENSTOCK_GOOGLE_REGION", ""),
        bucket=environment.get("PENSTOCK_GOOGLE_BUCKET", ""),
        prefix=environment.get("PENSTOCK_GOOGLE_PREFIX") or "penstock",
        database=environment.get("PENSTOCK_GOOGLE_DATABASE", ""),
        tasks_account=environment.get("PENSTOCK_GOOGLE_TASKS_ACCOUNT", ""),
        push=PushPolicy(
            accounts=_listed(environment.get("PENSTOCK_GOOGLE_PUSH_ACCOUNT", "")),
            audiences=_listed(environment.get("PENSTOCK_GOOGLE_PUSH_AUDIENCE", "")),
        ),
        endpoints=_google_endpoints(environment),
        home=environment.get("PENSTOCK_GOOGLE_HOME_REGION", ""),
        regions=_listed(environment.get("PENSTOCK_GOOGLE_REGIONS", "")),
    )
    checks = (
        ("GOOGLE_CLOUD_PROJECT", names.project, r"[a-z][a-z0-9:.-]{4,62}", "the id of a project"),
        ("PENSTOCK_GOOGLE_REGION", names.region, r"[a-z0-9-]+", "a region"),
        ("PENSTOCK_GOOGLE_BUCKET", names.bucket, r"[a-z0-9._-]{3,222}", "the name of a bucket"),
        ("PENSTOCK_GOOGLE_PREFIX", names.prefix, r"[a-z][a-z0-9-]{1,39}", "2 to 40 lower-case letters, digits or -"),
        ("PENSTOCK_GOOGLE_DATABASE", names.database, r"|\(default\)|[a-z][a-z0-9-]{2,61}[a-z0-9]", "a database's id"),
    )
    _check(checks, "Google Cloud")
    _check_regions("Google", names.region, names.home, names.regions)
    given = any(environment.get(f"PENSTOCK_GOOGLE_PUSH_{what}") for what in ("ACCOUNT", "AUDIENCE"))
    if given and not (names.push.accounts and names.push.audiences):
        raise Terminal("PENSTOCK_GOOGLE_PUSH_ACCOUNT and PENSTOCK_GOOGLE_PUSH_AUDIENCE: give both, or none")
    return names


def _google_endpoints(environment: Mapping[str, str]) -> Endpoints:
    """Google's own, but for what an emulator's variable names (``host:port``, or a URL)."""
    variables = {
        "pubsub": "PUBSUB_EMULATOR_HOST",
        "firestore": "FIRESTORE_EMULATOR_HOST",
        "storage": "STORAGE_EMULATOR_HOST",
        "tasks": "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDTASKS",
        "secrets": "CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER",
    }
    found = {
        name: environment[variable].rstrip("/") for name, variable in variables.items() if environment.get(variable)
    }
    return Endpoints(**{name: url if "://" in url else f"http://{url}" for name, url in found.items()})


def _check(checks: Sequence[tuple[str, str, str, str]], where: str) -> None:
    for variable, value, pattern, what in checks:
        if not re.fullmatch(pattern, value):
            raise Terminal(f"environment variable {variable} is {value!r}; a plane on {where} needs {what}")


def _data_dir(environment: Mapping[str, str], flag: str) -> Path:
    given = flag or environment.get("PENSTOCK_DATA_DIR", "")
    if given:
        return Path(given)
    here = Path(".penstock")
    if here.is_dir():
        return here
    state = environment.get("XDG_STATE_HOME") or str(Path("~/.local/state").expanduser())
    return Path(state) / "penstock"


def helm_environment(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """What Helm may see of the environment of who runs a command (adapters/helm)."""
    found = os.environ if environment is None else environment
    return {name: found[name] for name in HELM if name in found}
