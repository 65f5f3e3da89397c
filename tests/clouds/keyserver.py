"""Key services for tests: one loopback server that answers as Google's, Microsoft's and Vault's references say.

It wraps and unwraps for real (AES-GCM, RSA-OAEP-256), checks tokens, and serves the real `sops` as well as ours. What
the real services check beyond what stands here is not tested. AWS is moto.
"""

import base64
import json
import re
import secrets
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from penstock.adapters.identity.http import HttpSender
from penstock.core.http import HttpRequest, HttpResponse

GOOGLE_TOKEN, AZURE_TOKEN, VAULT_TOKEN = "google-access-token", "azure-access-token", "hvs.vault-access-token"
TENANT = "11111111-2222-4333-8444-555555555555"
OAEP = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)
VERSION = "0123456789abcdef0123456789abcdef"


class KeyServer:
    """``fail``: path -> a status to answer with instead, or None. ``asked``: (path, headers, body) of each request."""

    def __init__(self) -> None:
        self.fail: Callable[[str], int | None] = lambda _path: None
        self.asked: list[tuple[str, dict[str, str], bytes]] = []
        self.origin = ""
        self.jwt = ""
        self._sealed = AESGCM(secrets.token_bytes(32))
        self._rsa = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def send(self, request: HttpRequest) -> HttpResponse:
        """A Send that leads requests to the clouds' hosts here."""
        parts = urlsplit(request.url)
        url = f"{self.origin}{parts.path}" + (f"?{parts.query}" if parts.query else "")
        return _SENDER(replace(request, url=url, headers={**request.headers, "x-meant-for": parts.netloc}))

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, Any]:
        self.asked.append((path, headers, body))
        failed = self.fail(path)
        if failed is not None:
            return failed, {"error": {"message": "told to"}}
        if path == "/token" or path.endswith("/oauth2/v2.0/token"):
            return self._token(path, body)
        if path.endswith("/.well-known/openid-configuration") or path == "/common/discovery/instance":
            return 200, _authority()
        if path.startswith("/keys/"):
            return self._azure(method, path, headers, body)
        if path.startswith("/v1/projects/"):
            return self._google(path, headers, body)
        return self._vault(path, headers, json.loads(body or b"{}"))

    def _token(self, path: str, body: bytes) -> tuple[int, Any]:
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        if form.get("client_secret") == "wrong":
            return 401, {"error": "invalid_client", "error_description": "AADSTS7000215: wrong"}
        self.jwt = form.get("assertion") or form.get("client_assertion") or ""
        token = GOOGLE_TOKEN if path == "/token" else AZURE_TOKEN
        return 200, {"access_token": token, "expires_in": 3600, "token_type": "Bearer"}

    def _google(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, Any]:
        if headers.get("authorization") != f"Bearer {GOOGLE_TOKEN}":
            return 403, {"error": {"code": 403, "status": "PERMISSION_DENIED", "message": "denied"}}
        name, _, verb = path.removeprefix("/v1/").rpartition(":")
        asked = json.loads(body)
        if verb == "encrypt":
            return 200, {"name": name, "ciphertext": _b64(self._wrap(base64.b64decode(asked["plaintext"]), name))}
        try:
            return 200, {"plaintext": _b64(self._unwrap(base64.b64decode(asked["ciphertext"]), name))}
        except ValueError:
            return 400, {"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "Decryption failed"}}

    def _azure(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, Any]:
        if headers.get("authorization") != f"Bearer {AZURE_TOKEN}":
            return 401, {"error": {"code": "Unauthorized", "message": "AKV10000: Request is missing a Bearer token."}}
        key, verb = re.sub(r"/(encrypt|decrypt)$", "", path), path.rpartition("/")[2]
        kid = f"https://vault/{key}"
        if method == "GET":
            return 200, {"key": {"kid": f"https://keys.vault.azure.net/keys/k/{VERSION}", "kty": "RSA"}}
        asked = json.loads(body)
        if asked["alg"] != "RSA-OAEP-256":
            return 400, {"error": {"code": "BadParameter", "message": "alg"}}
        value = base64.urlsafe_b64decode(asked["value"] + "==")
        try:
            done = self._rsa.public_key().encrypt(value, OAEP) if verb == "encrypt" else self._rsa.decrypt(value, OAEP)
        except ValueError:
            return 400, {"error": {"code": "BadParameter", "message": "the operation failed"}}
        return 200, {"kid": kid, "value": base64.urlsafe_b64encode(done).decode().rstrip("=")}

    def _vault(self, path: str, headers: dict[str, str], asked: dict[str, str]) -> tuple[int, Any]:  # noqa: PLR0911
        if path == "/v1/auth/kubernetes/login":
            if asked["role"] != "apps_decryptor":
                return 400, {"errors": [f"invalid role name {asked['role']}"]}
            self.jwt = asked["jwt"]
            return 200, {"auth": {"client_token": VAULT_TOKEN, "lease_duration": 3600}}
        if headers.get("x-vault-token") != VAULT_TOKEN:
            return 403, {"errors": ["permission denied"]}
        found = re.fullmatch(r"/v1/([\w/-]+)/(encrypt|decrypt)/([\w-]+)", path)
        if found is None:
            return 404, {"errors": []}
        name = f"{found[1]}/{found[3]}"
        if found[2] == "encrypt":
            sealed = _b64(self._wrap(base64.b64decode(asked["plaintext"]), name))
            return 200, {"data": {"ciphertext": f"vault:v1:{sealed}", "key_version": 1}}
        try:
            opened = self._unwrap(base64.b64decode(asked["ciphertext"].removeprefix("vault:v1:")), name)
        except ValueError:
            return 400, {"errors": ["cipher: message authentication failed"]}
        return 200, {"data": {"plaintext": _b64(opened)}}

    def _wrap(self, data: bytes, name: str) -> bytes:
        nonce = secrets.token_bytes(12)
        return nonce + self._sealed.encrypt(nonce, data, name.encode())

    def _unwrap(self, data: bytes, name: str) -> bytes:
        try:
            return self._sealed.decrypt(data[:12], data[12:], name.encode())
        except Exception:
            raise ValueError from None


_SENDER = HttpSender(sleep=lambda _seconds: None)


def _authority() -> dict[str, Any]:
    """What Microsoft's own client asks Entra ID before it asks for a token."""
    base = f"https://login.microsoftonline.com/{TENANT}"
    return {
        "tenant_discovery_endpoint": f"{base}/v2.0/.well-known/openid-configuration",
        "api-version": "1.1",
        "metadata": [],
        "issuer": f"{base}/v2.0",
        "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
        "token_endpoint": f"{base}/oauth2/v2.0/token",
    }


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _handler(server: KeyServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, value = server.answer(self.command, urlsplit(self.path).path, headers, body)
            data = json.dumps(value).encode()
            self.send_response(status)
            if status == 401:
                where = (
                    f'authorization="https://login.microsoftonline.com/{TENANT}", resource="https://vault.azure.net"'
                )
                self.send_header("WWW-Authenticate", f"Bearer {where}")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = serve  # noqa: N815 - http.server's names

        def log_message(self, *_args: Any) -> None:
            """Nothing on the terminal."""

    return Handler


@contextmanager
def key_server(certificate: Path | None = None) -> Iterator[KeyServer]:
    """The server, listening on loopback; with TLS where it is given a certificate with its key."""
    server = KeyServer()
    listener = ThreadingHTTPServer(("127.0.0.1", 0), _handler(server))
    listener.daemon_threads = True
    listener.handle_error = lambda *_args: None  # type: ignore[method-assign] # clients hang up
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        listener.socket = context.wrap_socket(listener.socket, server_side=True)
    threading.Thread(target=listener.serve_forever, args=(0.02,), daemon=True).start()
    server.origin = f"http{'s' if certificate else ''}://127.0.0.1:{listener.server_address[1]}"
    try:
        yield server
    finally:
        listener.shutdown()
        listener.server_close()
