"""Logins of sources: a cloud identity, or a GitHub App, as what a registry, a Git host or an object store takes.

Which identity may be used for what has been decided before (stages/fetch/identity.py); what is decided here is where
its tokens go: to hosts of that very cloud, whatever a manifest names.
"""

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar

from penstock.adapters.identity.http import Send
from penstock.adapters.identity.kept import Kept
from penstock.core.errors import PenstockError, Refused
from penstock.core.identity import azure, git_hosts, registries
from penstock.core.identity.sigv4 import AwsKeys
from penstock.core.sources import ldap_sts
from penstock.core.sources.registry_auth import Login
from penstock.ports.buckets import RemoteBucket
from penstock.ports.git import Remote
from penstock.ports.identity import CloudIdentity, Identities
from penstock.ports.registry import RemoteImage

KEPT_SECONDS = 600.0
"""For as long a login is used without asking who the account is now."""

DENIED = "AuthenticationFailed"
Guarded = Callable[[tuple[str, ...] | None, Mapping[str, bytes]], Send]
"""(``allowed_hosts``, None for the operator's own URL; ``ca.crt``) -> sends to what these allow."""

T = TypeVar("T")


class SourceLogins:
    """Safe to use from several threads.

    ``identities``: gives the port when it is first needed; ``send``: to the clouds; ``guarded``: to hosts that a Secret
    names; ``clock``: POSIX seconds.
    """

    def __init__(
        self,
        identities: Callable[[], Identities],
        send: Send,
        guarded: Guarded,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._identities, self._send, self._guarded, self._clock = identities, send, guarded, clock
        self._kept = Kept(clock)

    def registry(self, image: RemoteImage, identity: CloudIdentity) -> Login:
        """The login at a cloud's registry. Raises InvalidDocument where the registry is not that cloud's."""
        host = image.name.registry

        def make() -> tuple[Login, float]:
            if identity.provider == "aws":
                found = registries.ecr_registry(host)
                keys = self._identities().aws(identity.who, found.region).keys
                return registries.ecr_login(self._send(registries.ask_ecr(found, keys, self._now())), found)
            if identity.provider == "azure":
                token = self._identities().azure(identity.who, registries.acr_scope(host)).token
                return registries.acr_login(self._send(registries.ask_acr(host, token)), host, self._clock())
            registries.check_gcp(host)
            bearer = self._identities().gcp(identity.who)
            return registries.gcp_login(bearer.token), bearer.expires

        return self._login(("registry", host, *_key(identity)), make, str(identity))

    def git(self, remote: Remote) -> Remote:
        """The remote with the credentials that its identity, or its GitHub App, stands for."""
        if remote.github_app:
            return replace(remote, credentials=self._app(remote))
        identity = remote.identity
        if identity is None:
            return remote

        def make() -> tuple[dict[str, bytes], float]:
            if identity.provider == "aws":
                region = git_hosts.codecommit_region(remote.url)
                given = self._identities().aws(identity.who, region)
                until = min(given.expires, self._clock() + git_hosts.CODECOMMIT_SECONDS)
                return git_hosts.codecommit_login(remote.url, given.keys, self._now()), until
            git_hosts.check_devops(remote.url)
            bearer = self._identities().azure(identity.who, git_hosts.DEVOPS_SCOPE)
            return {"bearerToken": bearer.token.encode()}, bearer.expires

        return replace(remote, credentials=self._login(("git", str(remote.url), *_key(identity)), make, str(identity)))

    def aws_keys(self, identity: CloudIdentity, region: str) -> AwsKeys:
        """Keys for an S3 bucket."""
        return self._told(lambda: self._identities().aws(identity.who, region).keys, str(identity))

    def token(self, identity: CloudIdentity, scope: str) -> str:
        """A token for Google's or Azure's storage."""

        def make() -> str:
            if identity.provider == "gcp":
                return self._identities().gcp(identity.who).token
            return self._identities().azure(identity.who, scope).token

        return self._told(make, str(identity))

    def ldap_keys(self, bucket: RemoteBucket) -> AwsKeys:
        """Temporary keys by the bucket's STS."""
        sts = bucket.sts
        if sts is None:
            raise Refused(f"bucket '{bucket.name}' has no STS", reason=DENIED)
        send = self._guarded(bucket.allowed_hosts, sts.certificates)
        digest = hashlib.sha256(repr(sorted(sts.credentials.items())).encode()).hexdigest()

        def make() -> tuple[AwsKeys, float]:
            return ldap_sts.given(send(ldap_sts.ask(sts.endpoint, sts.credentials)))

        return self._login(
            ("ldap", sts.endpoint, *bucket.allowed_hosts, digest), make, f"STS of bucket '{bucket.name}'"
        )

    def application_token(self, application: azure.Application, scope: str, secret: str) -> str:
        """A token of an application of Microsoft Entra ID, by its client secret."""
        what = f"Azure token for application {application.client}"
        request = azure.with_secret(application, scope, secret)
        digest = hashlib.sha256(secret.encode()).hexdigest()

        def make() -> tuple[str, float]:
            return azure.granted(self._send(request), what, self._clock())

        key = ("application", application.cloud.authority, application.tenant, application.client, scope, digest)
        return self._login(key, make, f"application {application.client}")

    def _app(self, remote: Remote) -> Mapping[str, bytes]:
        app = git_hosts.github_app(remote.credentials)
        send = self._guarded(getattr(remote.url, "allowed_hosts", None), remote.credentials)

        def make() -> tuple[dict[str, bytes], float]:
            installed = app.installation
            for request in git_hosts.ask_installations(app, self._clock()):
                installed = installed or git_hosts.installation(send(request))
            if not installed:
                raise git_hosts.not_installed(app)
            return git_hosts.app_login(send(git_hosts.ask_token(app, installed, self._clock())))

        digest = hashlib.sha256(repr(sorted(remote.credentials.items())).encode()).hexdigest()
        login = self._login(("github", app.api, digest), make, f"GitHub App {app.id}")
        return {**{key: remote.credentials[key] for key in ("ca.crt", "caFile") if key in remote.credentials}, **login}

    def _login(self, key: tuple[str, ...], make: Callable[[], tuple[T, float]], who: str) -> T:
        def bounded() -> tuple[T, float]:
            made, end = make()
            return made, min(end, self._clock() + KEPT_SECONDS)

        return self._told(lambda: self._kept.get(key, bounded), who)

    def _told(self, make: Callable[[], T], who: str) -> T:
        """Errors say who asked, and are a source's."""
        try:
            return make()
        except PenstockError as error:
            error.args = (f"{error} (asked as {who})",)
            if error.reason != "InvalidProviderConfiguration":
                error.reason = DENIED
            raise

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)


def _key(identity: CloudIdentity) -> tuple[str, ...]:
    who = identity.who
    return (identity.provider, *((who.cluster, who.namespace, who.name) if who is not None else ()))
