"""What the operator says through the environment. Nothing else in the project reads it.

| variable | meaning |
| --- | --- |
| `PENSTOCK_BACKEND` | where bus, records and artifacts live: `embedded` (the default) |
| `PENSTOCK_DATA_DIR` | the embedded plane's directory (below) |
| `PENSTOCK_SECRET_…` | secrets in front of the store (adapters/secrets/environment.py) |
| `PENSTOCK_ALLOWED_HOSTS` | `host` or `host:port`, separated by commas: private addresses that manifests may name |
| `PENSTOCK_URL`, `PENSTOCK_API_TOKEN` | the plane that commands such as `penstock reconcile` talk to |
| `KUBECONFIG` | kubeconfig files, as kubectl reads them |
| `HTTPS_PROXY`, `NO_PROXY` | the proxy to clusters' API servers, and what is reached without it |

The data directory: `PENSTOCK_DATA_DIR`, else `./.penstock` where that exists, else `penstock` in the user's state
directory (`XDG_STATE_HOME`, by default `~/.local/state`).
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from penstock.adapters.secrets.environment import PREFIX, secrets_of
from penstock.core.errors import Terminal
from penstock.ports.secrets import SecretData

BACKENDS = ("embedded",)
PROXIES = ("https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY")


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """``kubeconfig``: files; empty means kubectl's default. ``service_host``, ``service_port``: in a pod, its API.

    ``url``, ``api_token``: of the plane's api, for commands that ask it.
    """

    data_dir: Path
    backend: str = "embedded"
    kubeconfig: tuple[str, ...] = ()
    service_host: str = ""
    service_port: str = ""
    allowed_hosts: tuple[str, ...] = ()
    secrets: Mapping[str, SecretData] = field(default_factory=dict, repr=False)
    proxies: Mapping[str, str] = field(default_factory=dict, repr=False)
    url: str = ""
    api_token: str = field(default="", repr=False)


def settings_from(environment: Mapping[str, str] | None = None, *, data_dir: Path | str = "") -> Settings:
    """The settings; ``data_dir`` (a flag) wins over the environment. Raises Terminal naming the variable."""
    found = os.environ if environment is None else environment
    backend = found.get("PENSTOCK_BACKEND") or "embedded"
    if backend not in BACKENDS:
        raise Terminal(f"environment variable PENSTOCK_BACKEND is {backend!r}; this release has {', '.join(BACKENDS)}")
    return Settings(
        backend=backend,
        data_dir=_data_dir(found, str(data_dir)),
        kubeconfig=tuple(part for part in found.get("KUBECONFIG", "").split(os.pathsep) if part),
        service_host=found.get("KUBERNETES_SERVICE_HOST", ""),
        service_port=found.get("KUBERNETES_SERVICE_PORT", ""),
        allowed_hosts=tuple(h.strip() for h in found.get("PENSTOCK_ALLOWED_HOSTS", "").split(",") if h.strip()),
        proxies={name: found[name] for name in PROXIES if found.get(name)},
        url=found.get("PENSTOCK_URL", ""),
        api_token=found.get("PENSTOCK_API_TOKEN", "").strip(),
        secrets=secrets_of({name: value for name, value in found.items() if name.startswith(PREFIX)}),
    )


def _data_dir(environment: Mapping[str, str], flag: str) -> Path:
    given = flag or environment.get("PENSTOCK_DATA_DIR", "")
    if given:
        return Path(given)
    here = Path(".penstock")
    if here.is_dir():
        return here
    state = environment.get("XDG_STATE_HOME") or str(Path("~/.local/state").expanduser())
    return Path(state) / "penstock"
