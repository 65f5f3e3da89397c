"""Key services over HTTPS: each kind of key to the service that holds it."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from penstock.adapters.aws.errors import translated
from penstock.adapters.identity.http import Send
from penstock.adapters.keys.tokens import Tokens
from penstock.adapters.keys.vault_settings import VaultSettings
from penstock.core.errors import PenstockError
from penstock.core.http import HttpRequest, HttpResponse
from penstock.core.identity.answers import error_of, json_of
from penstock.core.identity.aws import Role, assumed
from penstock.core.identity.sigv4 import AwsKeys, Scope, signed
from penstock.core.secrets.master_keys import AwsKmsKey, AzureKey, GcpKmsKey, VaultKey
from penstock.core.secrets.services import aws, azure, gcp, vault
from penstock.ports.identity import Identities
from penstock.ports.keys import KeyRequest

REASON = "BuildFailed"


class KeyServices:
    """See the port. ``identities``: gives the port of that name when it is first needed.

    ``send``: to the clouds and their token servers; ``send_vault``: to Vaults, whose certificates may be private.
    ``clock``: POSIX seconds.
    """

    def __init__(
        self,
        identities: Callable[[], Identities],
        send: Send,
        send_vault: Send | None = None,
        *,
        settings: VaultSettings | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._send, self._send_vault, self._clock = send, send_vault or send, clock
        self._settings = settings or VaultSettings()
        self._tokens = Tokens(identities, send, self._send_vault, self._settings, clock)

    def unwrap(self, request: KeyRequest) -> bytes:
        """See Keys."""
        try:
            match request.key:
                case AwsKmsKey():
                    return self._aws(request, request.key)
                case GcpKmsKey():
                    return self._gcp(request, request.key)
                case AzureKey():
                    return self._azure(request, request.key)
                case VaultKey():
                    return self._vault(request, request.key)
        except PenstockError as error:
            error.args = (f"{error} (asked as {request})",)
            error.reason = REASON
            raise

    def _aws(self, request: KeyRequest, key: AwsKmsKey) -> bytes:
        asked, region = aws.decrypt(key), aws.region_of(key)
        keys = self._tokens.aws(request.who, region)
        if key.role:
            sent = self._sign(aws.assume_role(key), keys, region, "sts")
            what = f"AWS sts:AssumeRole for {key.role}"
            answer = self._send(sent)
            if answer.status != 200:
                raise error_of(answer, what)
            keys, _ = assumed(answer, Role(arn=key.role, session=aws.SESSION, region=region))
        answer = self._send(self._sign(asked, keys, region, "kms"))
        if answer.status != 200:
            raise _aws_error(answer, key.arn)
        return aws.plaintext(answer.body)

    def _sign(self, request: HttpRequest, keys: AwsKeys, region: str, service: str) -> HttpRequest:
        moment = datetime.fromtimestamp(self._clock(), UTC)
        return signed(request, keys, Scope(region=region, service=service, moment=moment))

    def _gcp(self, request: KeyRequest, key: GcpKmsKey) -> bytes:
        gcp.decrypt(key, "")  # a name that cannot be is refused before a token is asked for
        answer = self._send(gcp.decrypt(key, self._tokens.google(request.who)))
        json_of(answer, "Google cloudkms decrypt")
        return gcp.plaintext(answer.body)

    def _azure(self, request: KeyRequest, key: AzureKey) -> bytes:
        azure.decrypt(key, "")
        answer = self._send(azure.decrypt(key, self._tokens.azure(request.who, key)))
        json_of(answer, "Azure Key Vault decrypt")
        return azure.plaintext(answer.body)

    def _vault(self, request: KeyRequest, key: VaultKey) -> bytes:
        vault.decrypt(key, "")
        token = self._tokens.vault(request, key)
        return vault.plaintext(self._send_vault(vault.decrypt(key, token, self._settings.namespace)), key)


def _aws_error(answer: HttpResponse, resource: str) -> PenstockError:
    """AWS's code decides: its status is 400 for almost everything."""
    meta = {"HTTPStatusCode": answer.status, "HTTPHeaders": dict(answer.headers)}
    return translated(
        {"Error": {"Code": aws.error_code(answer.body)}, "ResponseMetadata": meta}, "kms:Decrypt", resource
    )
