"""The JSON Schema of the Plane document (docs/plane.schema.json), for editors and Terraform.

Kept beside the parser and held to it by tests: the same fields at every level, and the same answer for each
document of the tests' table.
"""

from typing import Any

from penstock.core.clusters.access import LONGEST_AUTHORITY, MOST_AUDIENCES, PROVIDERS
from penstock.core.flux.plane import API_VERSION, CLUSTER_NAME, KIND, MOST_CLUSTERS

Schema = dict[str, Any]

DURATION = r"^(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$"
_NAME = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"


def plane_schema() -> Schema:
    """JSON Schema 2020-12 of a Plane."""
    metadata = _object({"name": _name("Any name."), "labels": _string_map(), "annotations": _string_map()}, "name")
    spec = _object(
        {
            "source": _source(),
            "clusters": {"type": "array", "items": _cluster(), "maxItems": MOST_CLUSTERS},
            "policy": _policy(),
        },
        "source",
    )
    top = _object(
        {"apiVersion": {"const": API_VERSION}, "kind": {"const": KIND}, "metadata": metadata, "spec": spec},
        "apiVersion",
        "kind",
        "metadata",
        "spec",
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Plane",
        "description": "Which repository, which clusters, which policy.",
        **top,
    }


def _source() -> Schema:
    reference = _object(
        {
            "branch": _string("Default: main."),
            "tag": _string("A tag."),
            "semver": _string("A range of tags."),
            "name": _string("A full reference, such as refs/pull/1/head."),
            "commit": _string("A commit's full hash."),
        }
    )
    return _object(
        {
            "url": {
                "type": "string",
                "pattern": r"^(https?://|ssh://([^@/:]+@)?)[^@/]+(/.*)?$",
                "maxLength": 2048,
                "description": "The Git repository with the clusters' manifests; no credentials in it.",
            },
            "ref": reference,
            "secretRef": _object({"name": _name("A secret of the plane's own store.")}, "name"),
            "interval": _string("How often to look without a webhook. Default: 5m.", pattern=DURATION),
        },
        "url",
    )


def _cluster() -> Schema:
    kube_config = _object(
        {
            "path": _string("A kubeconfig file, trusted."),
            "context": _string("Default: its current context."),
            "secretRef": _object(
                {"name": _name("A secret of the plane's own store."), "key": _string("Default: value.")}, "name"
            ),
            **_by_identity(),
        }
    )
    kube_config["allOf"] = _either_way()
    name = _string("A DNS label.", pattern=f"^{CLUSTER_NAME}$") | {"maxLength": 63}
    return _object(
        {
            "name": name,
            "path": _string("Inside the source.", pattern=r"^(?!/)(?!(.*/)?\.\.(/|$)).*$"),
            "kubeConfig": kube_config,
            "region": _string("Where the plane keeps what is this cluster's.") | {"maxLength": 63},
            "labels": _string_map(),
            "policy": _policy(),
        },
        "name",
        "path",
    )


def _by_identity() -> Schema:
    account = _object(
        {
            "cluster": _string("A cluster of this Plane, where the account's token is requested.") | {"maxLength": 63},
            "namespace": _name("Its namespace."),
            "name": _name("Its name."),
        },
        "cluster",
        "namespace",
        "name",
    )
    account["description"] = "Whose identity is taken. Default: the plane's own."
    certificates = _string("Certificates of the API server's authorities, in PEM. Default: as the cloud says.")
    return {
        "provider": {"enum": list(PROVIDERS), "description": "Reach the cluster by an identity, without a kubeconfig."},
        "cluster": _string("Its resource name in the cloud.") | {"maxLength": 1024},
        "address": _string("The URL of its API server. Default: as the cloud says.") | {"maxLength": 2048},
        "caData": certificates | {"maxLength": LONGEST_AUTHORITY},
        "audiences": {"type": "array", "items": {"type": "string"}, "maxItems": MOST_AUDIENCES},
        "serviceAccount": account,
        "tokenPath": _string("generic: a file with the token to present.") | {"maxLength": 4096},
    }


def _either_way() -> list[Schema]:
    """A kubeconfig or a provider, and what each provider needs."""

    def of(provider: str) -> Schema:
        return {"properties": {"provider": {"const": provider}}, "required": ["provider"]}

    identity = ("cluster", "address", "caData", "audiences", "serviceAccount", "tokenPath")
    apart = [["path", "secretRef"], ["serviceAccount", "tokenPath"]]
    apart += [["provider", name] for name in ("path", "context", "secretRef")]
    by_either = {"anyOf": [{"required": ["serviceAccount"]}, {"required": ["tokenPath"]}]}
    lookup = {"anyOf": [{"required": ["cluster"]}, {"required": ["address", "caData"]}]}
    return [
        *({"not": {"required": names}} for names in apart),
        {"dependentRequired": {name: ["provider"] for name in identity}},
        {
            "if": of("generic"),
            "then": {"required": ["address"], **by_either},
            "else": {"not": {"required": ["tokenPath"]}},
        },
        {"if": of("aws"), "then": {"required": ["cluster"]}},
        *({"if": of(provider), "then": lookup} for provider in ("azure", "gcp")),
    ]


def _policy() -> Schema:
    resource = {"type": "string", "maxLength": 1024, "pattern": r"^(arn:aws|/subscriptions/|projects/)[^\s*]*\*?$"}
    ref = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?/[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
    source = r"^(GitRepository|OCIRepository|Bucket)/" + ref[1:]
    hosts = {"type": "string", "maxLength": 253, "pattern": r"^[A-Za-z0-9*]([-A-Za-z0-9.:/*]*[A-Za-z0-9])?$"}
    limits = _object(
        {
            "objects": {"type": "integer", "minimum": 0, "maximum": 2**31, "default": 10},
            "percent": {"type": "integer", "minimum": 0, "maximum": 100, "default": 50},
        }
    )
    address = _string("https://vault.example.com:8200", pattern=r"^https?://[^/?#@]+/?$") | {"maxLength": 2048}
    login = _string("Where ServiceAccounts log in: auth/kubernetes/login.") | {"maxLength": 512}
    vaults = _object({"address": address, "loginPath": login}, "address")
    stage_kind = _string("group/Kind of what the rest needs.", pattern=r"^[a-z0-9.-]{0,253}/[A-Z][A-Za-z0-9]{0,62}$")
    limits["description"] = "More deletions than both need an approval."
    return _object(
        {
            "noCrossNamespaceRefs": {"type": "boolean", "default": False},
            "noRemoteBases": {"type": "boolean", "default": True},
            "defaultServiceAccount": _name("Impersonated where a Kustomization names no account."),
            "defaultKubeConfigServiceAccount": _name("Its identity is taken where a configMapRef names no account."),
            "ownIdentityClusters": {"type": "array", "items": resource},
            "defaultDecryptionServiceAccount": _name("Decrypts where spec.decryption names nobody."),
            "ownIdentityDecryption": {"type": "array", "items": {"type": "string", "maxLength": 317, "pattern": ref}},
            "ownIdentitySources": {"type": "array", "items": {"type": "string", "maxLength": 340, "pattern": source}},
            "allowedHosts": {"type": "array", "items": hosts},
            "prune": limits,
            "sopsMac": {"enum": ["enforce", "warn"], "default": "enforce"},
            "fieldValidation": {"enum": ["Strict", "Warn"], "default": "Strict"},
            "sopsVaults": {"type": "array", "items": vaults},
            "kubernetesEvents": {"type": "boolean", "default": True},
            "customApplyStageKinds": {"type": "array", "items": stage_kind},
            "overrideManagers": {"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": 128}},
            "receiverTokenGrace": _string("How long a replaced token is taken: 10m, at most 24h.", pattern=DURATION),
        }
    )


def _object(properties: Schema, *required: str) -> Schema:
    made: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return made | ({"required": list(required)} if required else {})


def _string(description: str, *, pattern: str = "") -> Schema:
    made: Schema = {"type": "string", "description": description}
    return made | ({"pattern": pattern} if pattern else {})


def _name(description: str) -> Schema:
    return _string(description, pattern=_NAME) | {"maxLength": 253}


def _string_map() -> Schema:
    return {"type": "object", "additionalProperties": {"type": "string"}}
