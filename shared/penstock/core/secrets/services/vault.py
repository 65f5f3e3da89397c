"""The transit engine of Vault and OpenBao: decrypt, and logins with a ServiceAccount's token.

https://developer.hashicorp.com/vault/api-docs/secret/transit#decrypt-data and
https://developer.hashicorp.com/vault/api-docs/auth/kubernetes#login
"""

import json
import re
from typing import Any
from urllib.parse import urlsplit

from penstock.core.errors import NotFound, PenstockError, Refused, Terminal, Transient
from penstock.core.http import HttpRequest, HttpResponse
from penstock.core.secrets.errors import SopsError
from penstock.core.secrets.master_keys import VaultKey
from penstock.core.secrets.services.texts import text_in

_SEGMENT = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}", re.ASCII)
_WRAPPED = re.compile(r"vault:v[0-9]{1,9}:[A-Za-z0-9+/=]{1,16384}", re.ASCII)
_PORTS = {"http": 80, "https": 443}


def origin_of(address: str) -> str:
    """``scheme://host:port`` of an address without path, query and userinfo, in lower case; "" where it is none."""
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return ""
    plain = parts.path in ("", "/") and not parts.query and not parts.fragment and "@" not in parts.netloc
    if parts.scheme not in _PORTS or not parts.hostname or not plain:
        return ""
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{port or _PORTS[parts.scheme]}"


def decrypt(key: VaultKey, token: str, namespace: str = "") -> HttpRequest:
    """The request. Raises SopsError for a key whose path would be another one than transit's."""
    engine = key.engine.strip("/")
    if not all(_SEGMENT.fullmatch(part) for part in (*engine.split("/"), key.name)):
        raise SopsError("sops.hc_vault[]: engine_path or key_name is none of a transit engine")
    if not _WRAPPED.fullmatch(key.enc):
        raise SopsError("its wrapped data key (`enc`) is damaged")
    url = f"{origin_of(key.address)}/v1/{engine}/decrypt/{key.name}"
    return _post(url, {"ciphertext": key.enc}, token, namespace)


def plaintext(answer: HttpResponse, key: VaultKey) -> bytes:
    """The data key in an answer. Raises what stands for another status than 200."""
    if answer.status == 200:
        return text_in(answer.body, "data", "plaintext")
    path = f"{key.engine.strip('/')}/decrypt/{key.name}"
    raise _error(answer, f"the token has expired, or its policies lack `update` on {path}", path)


def login(address: str, path: str, role: str, jwt: str) -> HttpRequest:
    """A login at an operator's ``path`` (``auth/kubernetes/login``)."""
    return _post(f"{origin_of(address)}/v1/{path.strip('/')}", {"role": role, "jwt": jwt}, "", "")


def logged_in(answer: HttpResponse, path: str, role: str) -> tuple[str, float]:
    """The token, and for how many seconds it lasts. Raises what stands for another status than 200."""
    if answer.status != 200:
        raise _error(answer, f"{path} does not let role {role} in", path)
    try:
        found: Any = json.loads(answer.body)["auth"]
        token, seconds = str(found["client_token"]), float(found["lease_duration"])
    except (ValueError, KeyError, TypeError):
        raise Transient("Vault's answer is not what is documented") from None
    return token, seconds


def _error(answer: HttpResponse, denied: str, path: str) -> PenstockError:
    """Of the body nothing is told: it could repeat what was sent."""
    said = f"Vault answered {answer.status}"
    if answer.status == 403:
        return Refused(f"{said}: {denied}")
    if answer.status == 404:
        return NotFound(f"{said}: it has no {path}")
    if answer.status == 400:
        return Terminal(f"{said}: it cannot do this at {path}: wrapped with another key, or no such role")
    if answer.status in (412, 429, 472, 473) or answer.status >= 500:
        return Transient(f"{said}: it is busy, sealed or in standby")
    return Terminal(said)


def _post(url: str, body: dict[str, str], token: str, namespace: str) -> HttpRequest:
    headers = {"content-type": "application/json", "x-vault-request": "true"}
    headers |= {"x-vault-token": token} if token else {}
    headers |= {"x-vault-namespace": namespace} if namespace else {}
    return HttpRequest(method="POST", path="", url=url, headers=headers, body=json.dumps(body).encode())
