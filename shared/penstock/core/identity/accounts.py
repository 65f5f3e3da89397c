"""Annotations of a ServiceAccount -> the cloud identity that it stands for, in the words of the clouds and of Flux."""

import re
from collections.abc import Mapping
from typing import Any

from penstock.core.errors import InvalidDocument
from penstock.core.identity import aws, azure, gcp
from penstock.core.resources import Manifest

AWS_ROLE = "eks.amazonaws.com/role-arn"
GCP_PROVIDER = "gcp.auth.fluxcd.io/workload-identity-provider"
GCP_ACCOUNT = "iam.gke.io/gcp-service-account"
AZURE_CLIENT, AZURE_TENANT = "azure.workload.identity/client-id", "azure.workload.identity/tenant-id"

_EMAIL = re.compile(r"[a-zA-Z0-9-]{1,100}@[a-zA-Z0-9-]{1,100}\.iam\.gserviceaccount\.com")
_PROVIDER = re.compile(
    r"projects/[0-9]{1,30}/locations/global/workloadIdentityPools/[^/?#\s]{1,100}/providers/[^/?#\s]{1,100}"
)
_CLIENT = re.compile(r"[0-9a-fA-F-]{36}")


def aws_role(account: Manifest, region: str) -> aws.Role:
    """The role in ``eks.amazonaws.com/role-arn``. Raises InvalidDocument, as all of these."""
    arn = _annotation(account, AWS_ROLE, "the ARN of the role to assume")
    try:
        aws.partition_of_role(arn)
    except InvalidDocument as error:
        raise _wrong(account, AWS_ROLE, error.problem) from None
    metadata = account["metadata"]
    session = aws.session_name(str(metadata.get("namespace") or ""), str(metadata["name"]), region)
    return aws.Role(arn=arn, session=session, region=region)


def gcp_federation(account: Manifest, home: str) -> gcp.Federation:
    """The pool's provider and the Google service account in the annotations.

    Without a provider, the GKE cluster ``home`` (``projects/…/locations/…/clusters/…``) that the account lives in.
    """
    annotations = _annotations(account)
    provider, email = annotations.get(GCP_PROVIDER, ""), annotations.get(GCP_ACCOUNT, "")
    if email and not _EMAIL.fullmatch(email):
        raise _wrong(account, GCP_ACCOUNT, f"is {email!r}, must be NAME@PROJECT.iam.gserviceaccount.com")
    if provider:
        if not _PROVIDER.fullmatch(provider):
            shape = "projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER"
            raise _wrong(account, GCP_PROVIDER, f"is {provider!r}, must be {shape}")
        return gcp.pool_federation(provider, email)
    if home:
        return gcp.gke_federation(home, email)
    raise _wrong(
        account, GCP_PROVIDER, "is required where the cluster is not a GKE cluster that the Plane names as such"
    )


def azure_application(account: Manifest, cloud: azure.Cloud) -> azure.Application:
    """The client and tenant in the annotations of Azure's workload identity."""
    client = _annotation(account, AZURE_CLIENT, "the client id of an application or user-assigned identity")
    tenant = _annotation(account, AZURE_TENANT, "the tenant of that identity")
    if not _CLIENT.fullmatch(client):
        raise _wrong(account, AZURE_CLIENT, f"is {client!r}, must be a client id (36 characters)")
    if not azure.is_tenant(tenant):
        raise _wrong(account, AZURE_TENANT, f"is {tenant!r}, must be a tenant's id or domain")
    return azure.Application(tenant=tenant, client=client, cloud=cloud)


def _annotation(account: Manifest, key: str, meaning: str) -> str:
    value = _annotations(account).get(key)
    if not value:
        raise _wrong(account, key, f"is required: {meaning}")
    return value


def _annotations(account: Manifest) -> Mapping[str, str]:
    found: Mapping[str, Any] = account["metadata"].get("annotations") or {}
    return {str(key): str(value) for key, value in found.items()}


def _wrong(account: Manifest, key: str, problem: str) -> InvalidDocument:
    metadata = account["metadata"]
    document = f"ServiceAccount/{metadata.get('namespace', '')}/{metadata['name']}"
    found = InvalidDocument(problem, path=f"metadata.annotations[{key}]", document=document)
    found.reason = "ReconciliationFailed"
    return found
