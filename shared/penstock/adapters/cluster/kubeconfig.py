"""Kubeconfigs (https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/) as Connections.

One that the operator passes is trusted: exec plugins run, files are read. One that comes from a manifest's
Secret is not: whatever would run a program, read a file of ours or talk past the named server is refused
(CVE-2022-24817).
"""

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from penstock.adapters.cluster.credentials import Credentials, Login, Static, exec_plugin, token_file
from penstock.adapters.http.addresses import Guard
from penstock.core.errors import InvalidDocument, NotFound, Refused
from penstock.core.kustomize.yaml_in import MalformedYaml, load_config

SIZE_LIMIT = 1 << 20
"""Bytes of a kubeconfig."""

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_FILES = (
    ("cluster", "certificate-authority"),
    ("user", "client-certificate"),
    ("user", "client-key"),
    ("user", "tokenFile"),
)
_RUNS = (("user", "exec"), ("user", "auth-provider"))
_DETOURS = (("cluster", "proxy-url"), ("cluster", "insecure-skip-tls-verify"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Connection:
    """Where an API server is and how to speak to it.

    ``ca``: PEM of its authorities (empty: the system's); ``tls_server_name``: the name to expect ("" is the
    host's); ``context``: of the kubeconfig; ``user``: how messages call us; ``acting_as``: headers of the kubeconfig's
    own ``as`` fields; ``guard``: where a manifest names the server, what it may be.
    """

    server: str
    credentials: Credentials = field(repr=False)
    context: str = ""
    user: str = "we"
    ca: bytes = field(default=b"", repr=False)
    tls_server_name: str = ""
    verify: bool = True
    proxy: str = ""
    compress: bool = True
    acting_as: tuple[tuple[str, str], ...] = ()
    guard: Guard = field(default_factory=Guard)


def from_files(paths: Iterable[str], *, context: str = "") -> Connection:
    """The operator's own kubeconfig files, merged as kubectl does: the first to name something wins.

    Missing files are passed over; NotFound where none exists.
    """
    merged: dict[str, Any] = {"clusters": [], "users": [], "contexts": []}
    names: list[str] = []
    for path in (Path(p).expanduser() for p in paths if p):
        if not path.is_file():
            continue
        names.append(str(path))
        document = _parse(path.read_bytes(), str(path))
        for section in ("clusters", "users", "contexts"):
            known = {each["name"] for each in merged[section]}
            added = [each for each in _entries(document, section, str(path)) if each["name"] not in known]
            merged[section] += [_absolute(each, path.parent) for each in added]
        if document.get("current-context") and "current-context" not in merged:
            merged["current-context"] = document["current-context"]
    if not names:
        raise NotFound(f"no kubeconfig at {', '.join(map(str, paths)) or '(no path given)'}")
    return _connection(merged, context, name=":".join(names))


def from_bytes(data: bytes, *, name: str, context: str = "") -> Connection:
    """A trusted kubeconfig that is no file (the plane's store); its paths must be absolute."""
    return _connection(_parse(data, name), context, name=name)


def untrusted(data: bytes, *, name: str) -> Connection:
    """A kubeconfig from a manifest's Secret (``name``: for messages, such as ``Secret/apps/prod``).

    Refused, naming the field, where any entry has exec, auth-provider, a file path, proxy-url or
    insecure-skip-tls-verify, or the server is none of https. Where it may be is for the Connection's guard.
    """
    document = _parse(data, name)
    for section, inner in (("clusters", "cluster"), ("users", "user")):
        for number, entry in enumerate(_entries(document, section, name)):
            _refuse(entry.get(inner) or {}, inner, f"{section}[{number}].{inner}", name)
    made = _connection(document, "", name=name)
    if not made.server.startswith("https://"):
        raise Refused(
            f"{name}: clusters[].cluster.server: {made.server}: a kubeconfig from a manifest must name an https URL"
        )
    return made


@dataclass(frozen=True, kw_only=True, slots=True)
class Where:
    """Where a kubeconfig leads, without its login: ``authority`` is PEM; whether it holds a credential inline."""

    server: str
    authority: bytes = field(repr=False)
    has_own_credentials: bool


def server_of(data: bytes, *, name: str) -> Where:
    """What a kubeconfig says of its current cluster; nothing of its user is read but whether it has a credential."""
    document = _parse(data, name)
    chosen = _named(document, "contexts", str(document.get("current-context") or ""), name)
    cluster = _named(document, "clusters", str(chosen.get("cluster", "")), name)
    _refuse(cluster, "cluster", "clusters[].cluster", name)
    user = _named(document, "users", str(chosen["user"]), name) if chosen.get("user") else {}
    return Where(
        server=str(cluster.get("server") or ""),
        authority=_material(cluster, "certificate-authority", "clusters[].cluster", name),
        has_own_credentials=any(user.get(key) for key in ("client-certificate-data", "client-key-data", "token")),
    )


def in_cluster(host: str, port: str, *, folder: Path = SERVICE_ACCOUNT) -> Connection:
    """The API server of the pod that we run in (KUBERNETES_SERVICE_HOST and _PORT), as its service account."""
    token, authority = folder / "token", folder / "ca.crt"
    if not host or not token.is_file():
        raise NotFound("not in a cluster: KUBERNETES_SERVICE_HOST or the service account's token is missing")
    bracketed = f"[{host}]" if ":" in host else host
    return Connection(
        server=f"https://{bracketed}:{port or '443'}",
        credentials=token_file(str(token)),
        user="the pod's service account",
        ca=authority.read_bytes(),
    )


def _refuse(fields: Mapping[str, Any], inner: str, path: str, name: str) -> None:
    for where, key in (*_RUNS, *_FILES, *_DETOURS):
        if where == inner and fields.get(key):
            raise Refused(
                f"{name}: {path}.{key} is not allowed in a kubeconfig from a manifest: it must hold the server,"
                " certificate-authority-data and a token or client certificate inline"
            )


def _parse(data: bytes, name: str) -> dict[str, Any]:
    if len(data) > SIZE_LIMIT:
        raise InvalidDocument(f"a kubeconfig has at most {SIZE_LIMIT} bytes, this one {len(data)}", file=name)
    try:
        document = load_config(data, name)
    except MalformedYaml:
        raise InvalidDocument("the kubeconfig is not YAML", file=name) from None  # its text may hold a token
    if not isinstance(document, dict):
        raise InvalidDocument("a kubeconfig is a mapping with clusters, users and contexts", file=name)
    return document


def _entries(document: Mapping[str, Any], section: str, name: str) -> list[dict[str, Any]]:
    found = document.get(section) or []
    if not isinstance(found, list) or not all(isinstance(e, dict) and isinstance(e.get("name"), str) for e in found):
        raise InvalidDocument("must be a list of entries with a name", path=section, file=name)
    for number, entry in enumerate(found):
        inner = entry.get(section[:-1])
        if inner is not None and not isinstance(inner, dict):
            raise InvalidDocument("must be a mapping", path=f"{section}[{number}].{section[:-1]}", file=name)
    return found


def _absolute(entry: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Relative paths are relative to the file that holds them."""
    moved = dict(entry)
    for inner, key in _FILES:
        fields = moved.get(inner)
        if isinstance(fields, dict) and fields.get(key):
            moved[inner] = {**fields, key: str(folder / str(fields[key]))}
    user = moved.get("user")
    if isinstance(user, dict) and user.get("exec"):
        moved["user"] = {**user, "folder": str(folder)}
    return moved


def _named(document: Mapping[str, Any], section: str, wanted: str, name: str) -> dict[str, Any]:
    for entry in _entries(document, section, name):
        if entry["name"] == wanted:
            return dict(entry.get(section[:-1]) or {})
    known = ", ".join(e["name"] for e in _entries(document, section, name)) or "none"
    raise InvalidDocument(f"there is no entry {wanted!r} (there is: {known})", path=section, file=name)


def _connection(document: Mapping[str, Any], context: str, *, name: str) -> Connection:
    chosen = context or document.get("current-context") or ""
    if not chosen:
        raise InvalidDocument("set it, or name a context", path="current-context", file=name)
    wanted = _named(document, "contexts", str(chosen), name)
    cluster = _named(document, "clusters", str(wanted.get("cluster", "")), name)
    user_name = str(wanted.get("user") or "")
    user = _named(document, "users", user_name, name) if user_name else {}
    server = str(cluster.get("server") or "")
    if not server.startswith(("https://", "http://")):
        raise InvalidDocument("must be an http(s) URL", path="clusters[].cluster.server", file=name)
    return Connection(
        server=server.rstrip("/"),
        credentials=_credentials(user, cluster, name),
        context=str(chosen),
        user=f"user {user_name!r} of context {chosen!r}",
        ca=_material(cluster, "certificate-authority", "clusters[].cluster", name),
        tls_server_name=str(cluster.get("tls-server-name") or ""),
        verify=not cluster.get("insecure-skip-tls-verify"),
        proxy=str(cluster.get("proxy-url") or ""),
        compress=not cluster.get("disable-compression"),
        acting_as=_acting_as(user),
    )


def _credentials(user: Mapping[str, Any], cluster: Mapping[str, Any], name: str) -> Credentials:
    """In kubectl's order: tokenFile, token, client certificate and basic; exec where none of them is set."""
    if user.get("auth-provider"):
        raise InvalidDocument(
            "auth-provider is not supported: use an exec plugin (for OIDC: kubectl oidc-login)",
            path="users[].user.auth-provider",
            file=name,
        )
    if user.get("tokenFile"):
        return token_file(str(user["tokenFile"]))
    certificate = _material(user, "client-certificate", "users[].user", name)
    key = _material(user, "client-key", "users[].user", name)
    if bool(certificate) != bool(key):
        raise InvalidDocument("client-certificate and client-key go together", path="users[].user", file=name)
    login = Login(authorization=_authorization(user), certificate=certificate + b"\n" + key if key else b"")
    if user.get("exec") and not login.authorization and not login.certificate:
        return exec_plugin(user["exec"], cluster, folder=str(user.get("folder") or ""))
    return Static(value=login)


def _authorization(user: Mapping[str, Any]) -> str:
    if user.get("token"):
        return f"Bearer {user['token']}"
    if user.get("username") and user.get("password"):
        pair = f"{user['username']}:{user['password']}".encode()
        return "Basic " + base64.b64encode(pair).decode()
    return ""


def _acting_as(user: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    if not user.get("as"):
        return ()
    groups = tuple(("Impersonate-Group", str(group)) for group in user.get("as-groups") or ())
    uid = (("Impersonate-Uid", str(user["as-uid"])),) if user.get("as-uid") else ()
    return (("Impersonate-User", str(user["as"])), *uid, *groups)


def _material(fields: Mapping[str, Any], key: str, path: str, name: str) -> bytes:
    """PEM from ``<key>-data`` (base64; it wins) or from the file that ``key`` names."""
    if inline := fields.get(f"{key}-data"):
        try:
            return base64.b64decode(str(inline), validate=True)
        except (binascii.Error, ValueError) as error:
            raise InvalidDocument("is not base64", path=f"{path}.{key}-data", file=name) from error
    if not fields.get(key):
        return b""
    try:
        return Path(str(fields[key])).read_bytes()
    except OSError as error:
        raise InvalidDocument(f"{fields[key]}: {error.strerror}", path=f"{path}.{key}", file=name) from error
