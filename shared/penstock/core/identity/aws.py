"""AWS: its hosts by partition, and the exchange of a ServiceAccount's token for a role's keys.

https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode, urlsplit

from penstock.core.errors import InvalidDocument
from penstock.core.http import HttpRequest, HttpResponse
from penstock.core.identity.answers import error_of, malformed, xml_texts
from penstock.core.identity.sigv4 import AwsKeys

DOMAINS = {
    "aws": "amazonaws.com",
    "aws-cn": "amazonaws.com.cn",
    "aws-us-gov": "amazonaws.com",
    "aws-eusc": "amazonaws.eu",
    "aws-iso": "c2s.ic.gov",
    "aws-iso-b": "sc2s.sgov.gov",
    "aws-iso-e": "cloud.adc-e.uk",
    "aws-iso-f": "csp.hci.ic.gov",
}
"""The domain of a partition's services."""

REGION = r"[a-z]{2,8}(?:-[a-z]{2,12}){1,3}-[0-9]{1,2}"
TOKEN_AUDIENCE = "sts.amazonaws.com"  # noqa: S105 - no password
_STS = re.compile(
    rf"(?:vpce-[a-z0-9-]+\.)?sts(?:-fips)?(?:\.(?P<region>{REGION}))?(?:\.vpce)?\.amazonaws\.(?:com|com\.cn|eu)"
)
_ROLE = re.compile(r"arn:(aws[a-z-]*):iam::[0-9]{12}:role/[\w+=,.@/-]{1,512}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Role:
    """A role to assume. ``session``: how CloudTrail calls us."""

    arn: str
    session: str
    region: str


def host(service: str, region: str, partition: str) -> str:
    """The regional host of a service, such as ``sts.eu-central-1.amazonaws.com``. Nothing else is built from it."""
    if not re.fullmatch(REGION, region) or partition not in DOMAINS:
        raise InvalidDocument(f"{partition}:{region} is no partition and region of AWS")
    return f"{service}.{region}.{DOMAINS[partition]}"


def sts_region(endpoint: str) -> str:
    """The region of an STS' URL, a private endpoint's too. Raises InvalidDocument where it is no STS of AWS."""
    parts = urlsplit(endpoint)
    found = _STS.fullmatch(parts.hostname or "")
    if found is None or parts.scheme != "https" or parts.path not in ("", "/") or parts.port or parts.username:
        problem = f"is {endpoint[:200]!r}, must be AWS's STS, such as https://sts.eu-central-1.amazonaws.com"
        raise InvalidDocument(problem, path="spec.sts.endpoint")
    return found["region"] or "us-east-1"


def partition_of_role(arn: str) -> str:
    """The partition in a role's ARN. Raises InvalidDocument where it is none."""
    found = _ROLE.fullmatch(arn)
    if found is None or found[1] not in DOMAINS:
        raise InvalidDocument(f"is {arn!r}, must be the ARN of a role, such as arn:aws:iam::111122223333:role/deployer")
    return found[1]


def session_name(namespace: str, name: str, region: str) -> str:
    """How a session of a ServiceAccount is called: at most 64 characters, apart for different accounts."""
    full = f"{name}.{namespace}.{region}.penstock"
    if len(full) <= 64:
        return full
    return f"{full[:47]}.{hashlib.sha256(full.encode()).hexdigest()[:16]}"


def assume_role(role: Role, token: str) -> HttpRequest:
    """AssumeRoleWithWebIdentity with a ServiceAccount's token. It needs no signature: the token is the proof."""
    form = {
        "Action": "AssumeRoleWithWebIdentity",
        "Version": "2011-06-15",
        "RoleArn": role.arn,
        "RoleSessionName": role.session,
        "WebIdentityToken": token,
    }
    return HttpRequest(
        method="POST",
        path="/",
        url=f"https://{host('sts', role.region, partition_of_role(role.arn))}/",
        headers={"content-type": "application/x-www-form-urlencoded"},
        body=urlencode(form).encode(),
    )


def assumed(answer: HttpResponse, role: Role) -> tuple[AwsKeys, float]:
    """The role's temporary keys, and the POSIX time at which they end."""
    return temporary_keys(answer, f"AWS sts:AssumeRoleWithWebIdentity for {role.arn}")


def temporary_keys(answer: HttpResponse, what: str, *, without_token: bool = False) -> tuple[AwsKeys, float]:
    """What any STS answers: keys, and the POSIX time at which they end. ``without_token``: they may lack one."""
    if answer.status != 200:
        raise error_of(answer, what)
    texts = xml_texts(answer.body)
    try:
        keys = AwsKeys(
            access_key_id=texts["AccessKeyId"],
            secret_access_key=texts["SecretAccessKey"],
            session_token=texts.get("SessionToken", "") if without_token else texts["SessionToken"],
        )
        return keys, datetime.fromisoformat(texts["Expiration"]).timestamp()
    except (KeyError, ValueError):
        raise malformed(what) from None
