"""Who we are to an API server: tokens, token files, client certificates, exec plugins.

A Login is asked for before every request; sources that change (files, plugins) keep it until it is due.
"""

import datetime as dt
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from penstock.core.errors import PenstockError, Refused, Terminal

FILE_AGE = 60.0
"""Seconds for which the content of a token file is taken for granted (bound tokens rotate)."""

EXPIRY_MARGIN = 60.0
"""Seconds before its expiry at which a plugin's credential is renewed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Login:
    """``authorization``: the header's value or ""; ``certificate``: PEM of a client certificate and its key."""

    authorization: str = field(default="", repr=False)
    certificate: bytes = field(default=b"", repr=False)


class Credentials(Protocol):
    """A source of Logins; safe to use from several threads."""

    def login(self) -> Login:
        """What to send now. Raises Refused where there is nothing to send."""

    def renew(self, used: Login) -> bool:
        """After a 401 to ``used``: forget it; whether asking again can give something else."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Static:
    """A Login that does not change."""

    value: Login = field(default_factory=Login)

    def login(self) -> Login:
        """See Credentials."""
        return self.value

    def renew(self, used: Login) -> bool:
        """See Credentials."""
        del used
        return False


class Renewed:
    """A Login from ``source``, kept until the POSIX time that came with it.

    ``source`` is told whether the last one was refused: then what it has kept itself will not do.
    """

    def __init__(
        self, source: Callable[[bool], tuple[Login, float]], *, clock: Callable[[], float] = time.time
    ) -> None:
        self._source, self._clock = source, clock
        self._lock = threading.Lock()
        self._kept: tuple[Login, float] | None = None
        self._refused = False

    def login(self) -> Login:
        """See Credentials."""
        with self._lock:
            if self._kept is None or self._kept[1] <= self._clock():
                self._kept = self._source(self._refused)
                self._refused = False
            return self._kept[0]

    def renew(self, used: Login) -> bool:
        """See Credentials. Of several threads with the same refused Login, one asks anew."""
        with self._lock:
            if self._kept is not None and self._kept[0] is used:
                self._kept, self._refused = None, True
        return True


class Reread:
    """Credentials that an operator may replace while we run: looked at anew once they are refused.

    ``again`` reads where they came from. Where that fails, or gives the same, the refusal stands.
    """

    def __init__(self, first: Credentials, again: Callable[[], Credentials]) -> None:
        self._now, self._again = first, again
        self._lock = threading.Lock()

    def login(self) -> Login:
        """See Credentials."""
        return self._now.login()

    def renew(self, used: Login) -> bool:
        """See Credentials. Of several threads with the same refused Login, one reads anew."""
        with self._lock:
            try:
                if self._now.renew(used) or self._now.login() != used:
                    return True
                fresh = self._again()
                if fresh.login() == used:
                    return False
            except PenstockError:
                return False
            self._now = fresh
            return True


def token_file(path: str) -> Renewed:
    """The bearer token that stands in a file, read again each minute."""

    def read(_refused: bool) -> tuple[Login, float]:
        try:
            token = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise Refused(f"tokenFile {path}: {error.__class__.__name__}; the token cannot be read") from error
        return Login(authorization=f"Bearer {token}"), time.time() + FILE_AGE

    return Renewed(read)


def exec_plugin(config: Mapping[str, Any], cluster: Mapping[str, Any], *, folder: str) -> Renewed:
    """A credential plugin (client.authentication.k8s.io), run by the kubernetes package from ``folder``.

    ``config``: the kubeconfig's ``user.exec``; ``cluster``: its cluster entry, for ``provideClusterInfo``.
    """

    def run(_refused: bool) -> tuple[Login, float]:
        command = config.get("command")
        try:
            # The only use of this package is here: importing it costs half a second that other credentials save.
            from kubernetes.config.config_exception import ConfigException  # noqa: PLC0415 - heavy, see above
            from kubernetes.config.exec_provider import ExecProvider  # noqa: PLC0415 - see above
            from kubernetes.config.kube_config import ConfigNode  # noqa: PLC0415 - see above
        except ImportError:
            raise Refused(
                f"users[].user.exec: {command}: functions run no credential plugins: reach this cluster by the plane's "
                "own identity (kubeConfig.configMapRef), or by a token in its kubeconfig"
            ) from None
        try:
            node = ConfigNode("exec", dict(config))  # type: ignore[no-untyped-call] # theirs
            about = ConfigNode("cluster", dict(cluster))  # type: ignore[no-untyped-call]
            status = ExecProvider(node, folder, about).run()  # type: ignore[no-untyped-call]
        except ConfigException as error:
            raise Refused(f"users[].user.exec: {command}: {error}") from error
        except OSError as error:
            hint = config.get("installHint") or "is it installed and on PATH?"
            raise Refused(f"users[].user.exec: {command} cannot be run ({error.strerror}): {hint}") from error
        return login_of_plugin(status, str(command))

    return Renewed(run)


def login_of_plugin(status: Mapping[str, Any], command: str) -> tuple[Login, float]:
    """The Login in an ExecCredential's status, and the POSIX time at which to ask again (inf: never)."""
    token, certificate, key = (
        str(status.get(name) or "") for name in ("token", "clientCertificateData", "clientKeyData")
    )
    if not token and not (certificate and key):
        raise Refused(f"users[].user.exec: {command} gave neither a token nor a client certificate with its key")
    login = Login(
        authorization=f"Bearer {token}" if token else "",
        certificate=f"{certificate}\n{key}\n".encode() if certificate else b"",
    )
    expiry = status.get("expirationTimestamp")
    if not expiry:
        return login, float("inf")
    try:
        moment = dt.datetime.fromisoformat(str(expiry))
    except ValueError as error:
        raise Terminal(f"users[].user.exec: {command}: expirationTimestamp {expiry!r} is not RFC 3339") from error
    return login, moment.timestamp() - EXPIRY_MARGIN
