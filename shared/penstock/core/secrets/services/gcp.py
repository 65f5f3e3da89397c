"""Google Cloud KMS: decrypt, and access tokens for the key of a service account.

https://cloud.google.com/kms/docs/reference/rest/v1/projects.locations.keyRings.cryptoKeys/decrypt and
https://developers.google.com/identity/protocols/oauth2/service-account#httprest
"""

import json
import re
from urllib.parse import urlencode

from penstock.core.http import HttpRequest
from penstock.core.secrets.credentials import GCP, GOOGLE_TOKEN_URLS, GoogleAccount
from penstock.core.secrets.errors import SopsError
from penstock.core.secrets.master_keys import GcpKmsKey
from penstock.core.secrets.services.jwt import private_key, signed_jwt
from penstock.core.secrets.services.texts import decoded, text_in

HOST = "cloudkms.googleapis.com"
SCOPE = "https://www.googleapis.com/auth/cloudkms"
_NAME = r"[A-Za-z0-9_-]{1,63}"
_PROJECT = r"[a-z0-9][a-z0-9.:-]{0,99}"
_RESOURCE = re.compile(rf"projects/{_PROJECT}/locations/{_NAME}/keyRings/{_NAME}/cryptoKeys/{_NAME}", re.ASCII)
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_SECONDS = 3600


def decrypt(key: GcpKmsKey, token: str) -> HttpRequest:
    """The request. Raises SopsError for a key that Google cannot have."""
    if not _RESOURCE.fullmatch(key.resource):
        raise SopsError("sops.gcp_kms[].resource_id: is no projects/…/locations/…/keyRings/…/cryptoKeys/…")
    return HttpRequest(
        method="POST",
        path="",
        url=f"https://{HOST}/v1/{key.resource}:decrypt",
        headers={"content-type": "application/json", "authorization": f"Bearer {token}"},
        body=json.dumps({"ciphertext": decoded(key.enc, as_text=True)}).encode(),
    )


def plaintext(body: bytes) -> bytes:
    """The data key in an answer. Raises Transient where it is not what is documented."""
    return text_in(body, "plaintext")


def token_request(account: GoogleAccount, now: float) -> HttpRequest:
    """An access token for a service account's key; ``now``: POSIX seconds. Raises SopsError where the key is none."""
    key = private_key(account.private_key, "", f"{GCP}: private_key")
    header = {"alg": "RS256", "typ": "JWT", "kid": account.key_id}
    claims = {
        "iss": account.email,
        "scope": SCOPE,
        "aud": GOOGLE_TOKEN_URLS[0],
        "iat": int(now),
        "exp": int(now) + _SECONDS,
    }
    return HttpRequest(
        method="POST",
        path="",
        url=GOOGLE_TOKEN_URLS[0],
        headers={"content-type": "application/x-www-form-urlencoded"},
        body=urlencode({"grant_type": _GRANT, "assertion": signed_jwt(header, claims, key)}).encode(),
    )
