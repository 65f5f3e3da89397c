"""AWS KMS: Decrypt, and AssumeRole for the role that a file names.

https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html and
https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
"""

import json
import re
from urllib.parse import urlencode

from penstock.core.errors import InvalidDocument
from penstock.core.http import HttpRequest
from penstock.core.identity.aws import host, partition_of_role
from penstock.core.secrets.errors import SopsError
from penstock.core.secrets.master_keys import AwsKmsKey
from penstock.core.secrets.services.texts import decoded, text_in

_ARN = re.compile(r"arn:(aws[a-z-]*):kms:([a-z0-9-]+):[0-9]{12}:(?:key|alias)/[\w/-]{1,250}", re.ASCII)
SESSION = "sops@penstock"
"""How CloudTrail calls a session of an assumed role."""


def region_of(key: AwsKmsKey) -> str:
    """The region in the key's ARN. Raises SopsError where it is no ARN of a KMS key."""
    return _parts(key)[1]


def decrypt(key: AwsKmsKey) -> HttpRequest:
    """Decrypt, not signed yet. Raises SopsError for a key that AWS cannot have."""
    partition, region = _parts(key)
    body = {"KeyId": key.arn, "CiphertextBlob": decoded(key.enc, as_text=True), "EncryptionContext": dict(key.context)}
    return HttpRequest(
        method="POST",
        path="/",
        url=f"https://{host('kms', region, partition)}/",
        headers={"content-type": "application/x-amz-json-1.1", "x-amz-target": "TrentService.Decrypt"},
        body=json.dumps(body).encode(),
    )


def plaintext(body: bytes) -> bytes:
    """The data key in Decrypt's answer. Raises Transient where it is not what is documented."""
    return text_in(body, "Plaintext")


def error_code(body: bytes) -> str:
    """The code in an answer that is an error; "" where there is none."""
    try:
        found = json.loads(body)
    except ValueError:
        return ""
    code = found.get("__type") if isinstance(found, dict) else None
    return str(code).rpartition("#")[2] if code else ""


def assume_role(key: AwsKmsKey) -> HttpRequest:
    """AssumeRole for the key's ``role``, not signed yet. Raises SopsError where that is no role."""
    try:
        partition = partition_of_role(key.role)
    except InvalidDocument as error:
        raise SopsError(f"sops.kms[].role: {error.problem}") from None
    form = {"Action": "AssumeRole", "Version": "2011-06-15", "RoleArn": key.role, "RoleSessionName": SESSION}
    return HttpRequest(
        method="POST",
        path="/",
        url=f"https://{host('sts', region_of(key), partition)}/",
        headers={"content-type": "application/x-www-form-urlencoded"},
        body=urlencode(form).encode(),
    )


def _parts(key: AwsKmsKey) -> tuple[str, str]:
    """Partition and region."""
    found = _ARN.fullmatch(key.arn)
    try:
        if found is not None:
            host("kms", found[2], found[1])
            return found[1], found[2]
    except InvalidDocument:
        pass
    raise SopsError("sops.kms[].arn: is no ARN of a KMS key")
