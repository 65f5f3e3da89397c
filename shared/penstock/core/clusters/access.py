"""How to reach a cluster by an identity: the keys of Flux's ``spec.kubeConfig.configMapRef``.

https://fluxcd.io/flux/components/kustomize/kustomizations/#secret-less-authentication

A ConfigMap comes from whoever may write it in a tenant's namespace, so nothing in it leads a request anywhere but to
a cloud's own hosts and to ``address``, over https, and what is unknown is refused.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from penstock.core.flux.fields import Fields, Where
from penstock.core.identity.aws import DOMAINS, REGION

PROVIDERS = ("aws", "azure", "gcp", "generic")
AUTHORITY = "ca.crt"
LONGEST_AUTHORITY = 256 << 10
MOST_AUDIENCES = 16

_ID = r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,199}"
EKS = re.compile(
    rf"arn:(?P<partition>{'|'.join(DOMAINS)}):eks:(?P<region>{REGION}):[0-9]{{12}}:cluster/(?P<name>[A-Za-z0-9][\w-]{{0,99}})",
    re.ASCII,
)
GKE = re.compile(rf"projects/(?P<project>{_ID})/locations/(?P<location>[a-z0-9-]{{1,63}})/clusters/(?P<name>{_ID})")
FLEET = re.compile(
    rf"projects/(?P<project>{_ID})/locations/(?P<location>[a-z0-9-]{{1,63}})/memberships/(?P<name>{_ID})"
)
AKS = re.compile(
    r"/subscriptions/[0-9a-f-]{36}/resourceGroups/[\w().-]{1,90}"
    r"/providers/Microsoft\.ContainerService/managedClusters/[\w-]{1,63}",
    re.ASCII | re.IGNORECASE,
)
_SHAPES: Mapping[str, tuple[tuple[re.Pattern[str], ...], str]] = {
    "aws": ((EKS,), "arn:aws:eks:REGION:ACCOUNT:cluster/NAME"),
    "azure": (
        (AKS,),
        "/subscriptions/ID/resourceGroups/GROUP/providers/Microsoft.ContainerService/managedClusters/NAME",
    ),
    "gcp": (
        (GKE, FLEET),
        "projects/PROJECT/locations/LOCATION/clusters/NAME (or …/memberships/NAME, by Connect Gateway)",
    ),
}
_PEM = re.compile(r"\s*(?:-----BEGIN CERTIFICATE-----\s([A-Za-z0-9+/=\s]+?)-----END CERTIFICATE-----\s*)+")
_BODY = re.compile(r"-----BEGIN CERTIFICATE-----\s([A-Za-z0-9+/=\s]+?)-----END CERTIFICATE-----")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]")
_PATH = re.compile(r"(?:/[A-Za-z0-9_~:-][A-Za-z0-9._~:-]*)*")


@dataclass(frozen=True, kw_only=True, slots=True)
class ClusterAccess:
    """``provider``: one of PROVIDERS; ``cluster``: its resource name in the cloud; ``address``: an https URL or "".

    ``authority``: PEM of the API server's authorities, or ""; ``audiences``: of the ServiceAccount's token, () is what
    the cloud expects; ``service_account``: name of the ServiceAccount whose
    identity is taken, or "".
    """

    provider: str
    cluster: str = ""
    address: str = ""
    authority: str = field(default="", repr=False)
    audiences: tuple[str, ...] = ()
    service_account: str = ""


def access_from_config_map(data: Mapping[str, Any], document: str) -> ClusterAccess:
    """What a ConfigMap's ``data`` says; ``document``: ``ConfigMap/namespace/name``, for messages.

    Raises InvalidDocument with the key that is wrong, missing or unknown.
    """
    fields = Fields(data, where=Where(document=document), path="data")
    given = fields.string("audiences", default="", longest=8192)
    audiences = tuple(line.strip() for line in given.splitlines() if line.strip())
    access = read_access(fields, authority=AUTHORITY, audiences=audiences)
    access = replace(access, service_account=fields.name("serviceAccountName", default=""))
    fields.done()
    return access


def read_access(fields: Fields, *, authority: str, audiences: tuple[str, ...]) -> ClusterAccess:
    """The access in ``fields``; ``authority``: the name of the field with the certificates. The caller calls done()."""
    provider = fields.string("provider", one_of=PROVIDERS)
    if len(audiences) > MOST_AUDIENCES:
        raise fields.error("audiences", f"has {len(audiences)} entries, at most {MOST_AUDIENCES} are allowed")
    if provider == "generic" and not audiences:
        audiences = (fields.string("address", default=""),)  # as it is written, as Flux does
    access = ClusterAccess(
        provider=provider,
        cluster=_cluster(fields, provider),
        address=_address(fields),
        authority=_authority(fields, authority),
        audiences=audiences,
    )
    if provider == "generic":
        if not access.address:
            raise fields.error("address", "is required for provider generic: the URL of the API server")
        return access
    if provider == "aws" and not access.cluster:
        raise fields.error("cluster", f"is required for provider aws: {_SHAPES['aws'][1]}")
    if not access.cluster and not (access.address and access.authority):
        raise fields.error("cluster", f"is required where address or {authority} is not set: {_SHAPES[provider][1]}")
    return access


def canonical(address: str) -> str:
    """An address in the form that two are compared in: lower case, https, with its port, without a last slash.

    Raises ValueError where it is no https address.
    """
    text = address if "://" in address else f"https://{address}"
    parts = urlsplit(text)
    port = parts.port or 443
    if parts.scheme.lower() != "https" or parts.username is not None or parts.query or parts.fragment:
        raise ValueError("must be an https URL without userinfo, query and fragment")
    host = parts.netloc.rpartition(":")[0] if parts.netloc.rpartition(":")[2].isdigit() else parts.netloc
    if not _HOST.fullmatch(host) or not _PATH.fullmatch(parts.path.rstrip("/")):
        raise ValueError("must be an https URL, such as https://api.example.com:6443")
    return f"https://{host.lower()}:{port}{parts.path.rstrip('/')}"


def _cluster(fields: Fields, provider: str) -> str:
    cluster = fields.string("cluster", default="", longest=1024)
    if provider == "generic" or not cluster:  # Flux documents it as not used there
        return ""
    patterns, shape = _SHAPES[provider]
    if not any(pattern.fullmatch(cluster) for pattern in patterns):
        raise fields.error("cluster", f"is {cluster!r}, must be {shape}")
    return cluster


def _address(fields: Fields) -> str:
    address = fields.string("address", default="", longest=2048)
    if not address:
        return ""
    try:
        return canonical(address)
    except ValueError as error:
        raise fields.error("address", str(error)) from None


def _authority(fields: Fields, name: str) -> str:
    text = fields.string(name, default="", longest=LONGEST_AUTHORITY)
    if not text.strip():
        return ""
    problem = "must be certificates in PEM (-----BEGIN CERTIFICATE-----), and nothing else"
    if not _PEM.fullmatch(text):
        raise fields.error(name, problem)
    for body in _BODY.findall(text):
        try:
            base64.b64decode("".join(body.split()), validate=True)
        except binascii.Error:
            raise fields.error(name, problem) from None
    return text
