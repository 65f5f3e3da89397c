"""Amazon EKS: where a cluster is (DescribeCluster), and the tokens that its API server takes.

A token is a presigned GetCallerIdentity, good for this cluster alone (its name is signed); the API server asks STS
who signed it, and an access entry (or the old aws-auth ConfigMap) says what they may do. It holds for 15 minutes.
https://github.com/kubernetes-sigs/aws-iam-authenticator#api-authorization-from-outside-a-cluster
https://docs.aws.amazon.com/eks/latest/APIReference/API_DescribeCluster.html
"""

import base64
import re
from datetime import datetime

from penstock.core.clusters.access import EKS
from penstock.core.clusters.endpoints import Endpoint, endpoint, pem
from penstock.core.http import HttpRequest, HttpResponse
from penstock.core.identity.answers import inner, json_of
from penstock.core.identity.aws import host
from penstock.core.identity.sigv4 import AwsKeys, Scope, presigned, signed

TOKEN_SECONDS = 14 * 60
"""For which a token is used: the API server takes it for 15 minutes after its time."""

_PRESIGNED_SECONDS = 60
"""What kubectl's and Amazon's own tools sign; nobody goes by it."""


def region_of(cluster: str) -> str:
    """The region in a cluster's ARN."""
    return _parts(cluster)["region"]


def describe(cluster: str, keys: AwsKeys, moment: datetime) -> HttpRequest:
    """The signed request for a cluster's description."""
    parts = _parts(cluster)
    url = f"https://{host('eks', parts['region'], parts['partition'])}/clusters/{parts['name']}"
    scope = Scope(region=parts["region"], service="eks", moment=moment)
    return signed(HttpRequest(method="GET", path="", url=url), keys, scope)


def described(answer: HttpResponse, cluster: str) -> tuple[Endpoint | None, ...]:
    """Its endpoints in that answer: EKS has one."""
    what = f"AWS eks:DescribeCluster for {cluster}"
    found = inner(json_of(answer, what), "cluster", what)
    authority = pem(inner(found, "certificateAuthority", what).get("data"), what)
    return (endpoint(str(found.get("endpoint") or ""), authority),)


def token(cluster: str, keys: AwsKeys, moment: datetime) -> str:
    """The bearer token: ``k8s-aws-v1.`` and the presigned URL."""
    parts = _parts(cluster)
    url = f"https://{host('sts', parts['region'], parts['partition'])}/?Action=GetCallerIdentity&Version=2011-06-15"
    scope = Scope(region=parts["region"], service="sts", moment=moment)
    made = presigned(url, keys, scope, headers={"x-k8s-aws-id": parts["name"]}, seconds=_PRESIGNED_SECONDS)
    return "k8s-aws-v1." + base64.urlsafe_b64encode(made.encode()).rstrip(b"=").decode()


def _parts(cluster: str) -> dict[str, str]:
    found = EKS.fullmatch(cluster)
    assert isinstance(found, re.Match), "parsed before"
    return found.groupdict()
