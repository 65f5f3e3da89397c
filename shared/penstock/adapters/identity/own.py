"""The plane's own identity: AWS's and Google's by their own libraries, Azure's by plain requests.

AWS: botocore's chain (environment, Lambda, containers, profiles, instances). Google: application default credentials
(metadata server of Cloud Run, a key file, workload identity federation). Azure: a federated token file, a client
secret, or a managed identity, as the environment variables of Azure's SDKs say. The libraries load at first use.
"""

import datetime as dt
import math
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from penstock.adapters.identity.http import Send
from penstock.core.errors import Refused, Terminal, Transient
from penstock.core.http import HttpRequest
from penstock.core.identity import azure, gcp
from penstock.core.identity.sigv4 import AwsKeys
from penstock.ports.identity import AwsCredentials, Bearer


class Own:
    """``azure_settings``: the environment's AZURE_… and IDENTITY_… variables."""

    def __init__(self, send: Send, azure_settings: Mapping[str, str], clock: Callable[[], float]) -> None:
        self._send, self._azure, self._clock = send, azure_settings, clock
        self._lock = threading.Lock()
        self._aws_session: Any = None
        self._google: Any = None

    @property
    def cloud(self) -> azure.Cloud:
        """Azure's cloud, by AZURE_AUTHORITY_HOST."""
        return azure.cloud_of(self._azure.get("AZURE_AUTHORITY_HOST", ""))

    def aws(self) -> AwsCredentials:
        """What botocore finds; it renews temporary keys by itself."""
        try:
            import botocore.session  # noqa: PLC0415 - heavy, and an extra
            from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - see above
        except ImportError:
            raise Terminal("AWS credentials need botocore: install penstock[aws]") from None
        with self._lock:
            try:
                if self._aws_session is None:
                    self._aws_session = botocore.session.Session()
                found = self._aws_session.get_credentials()
                keys = found.get_frozen_credentials() if found else None
            except BotoCoreError as error:
                raise Transient(f"the plane's own AWS credentials: {type(error).__name__}") from None
        if keys is None or not keys.access_key:
            raise Refused("the plane has no AWS credentials of its own (no role, profile or keys in its environment)")
        held = AwsKeys(access_key_id=keys.access_key, secret_access_key=keys.secret_key, session_token=keys.token or "")
        return AwsCredentials(keys=held, expires=math.inf)

    def gcp(self) -> Bearer:
        """An access token by Google's application default credentials."""
        try:
            import google.auth  # noqa: PLC0415 - heavy, and an extra
            from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError  # noqa: PLC0415 - see above
            from google.auth.transport.urllib3 import Request  # noqa: PLC0415 - see above
        except ImportError:
            raise Terminal("Google credentials need google-auth: install penstock[google]") from None
        from penstock.adapters.http.connection import pool_manager  # noqa: PLC0415 - see above

        with self._lock:
            try:
                request = Request(pool_manager())  # type: ignore[no-untyped-call] # theirs
                if self._google is None:
                    self._google, _project = google.auth.default(scopes=gcp.SCOPES, request=request)
                self._google.refresh(request)
            except GoogleAuthError as error:
                kind = Transient if getattr(error, "retryable", False) else Refused
                none = isinstance(error, DefaultCredentialsError)
                hint = ": there are none (in a shell: `gcloud auth application-default login`)" if none else ""
                raise kind(f"the plane's own Google credentials: {type(error).__name__}{hint}") from None
            expiry = self._google.expiry  # UTC, without a zone
            token = str(self._google.token)
        return Bearer(token=token, expires=_posix(expiry) if expiry else self._clock() + 300)

    def azure(self, scope: str) -> Bearer:
        """An access token of Entra ID for ``scope``."""
        request, what = self._azure_request(scope)
        token, expires = azure.granted(self._send(request), what, self._clock())
        return Bearer(token=token, expires=expires)

    def _azure_request(self, scope: str) -> tuple[HttpRequest, str]:
        found = {name: self._azure.get(f"AZURE_{name}", "") for name in ("TENANT_ID", "CLIENT_ID", "CLIENT_SECRET")}
        application = azure.Application(tenant=found["TENANT_ID"], client=found["CLIENT_ID"], cloud=self.cloud)
        what = f"Azure token for the plane's own application {application.client}"
        if application.tenant and application.client:
            if not azure.is_tenant(application.tenant):
                raise Terminal("environment variable AZURE_TENANT_ID is no tenant's id or domain")
            if found["CLIENT_SECRET"]:
                return azure.with_secret(application, scope, found["CLIENT_SECRET"]), what
            if path := self._azure.get("AZURE_FEDERATED_TOKEN_FILE", ""):
                return azure.with_assertion(application, scope, _text_of(path)), what
        endpoint, header = (self._azure.get(name, "") for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER"))
        request = azure.managed(scope, application.client, endpoint=endpoint, header=header)
        return request, "Azure token for the plane's managed identity"


def _text_of(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"AZURE_FEDERATED_TOKEN_FILE {path}: {type(error).__name__}; it cannot be read") from error


def _posix(moment: Any) -> float:
    return float(moment.replace(tzinfo=dt.UTC).timestamp())
