"""What a render needs beside its tree: variables and keys, read from the home cluster."""

import base64
import binascii
import threading
from collections.abc import Mapping

from penstock.core.errors import NotFound, Terminal
from penstock.core.flux.kustomization import Kustomization, SubstituteFrom
from penstock.core.flux.substitute import variables
from penstock.core.kustomize.objects import ParseCache
from penstock.core.reconcile.render import Context
from penstock.core.resources import Gvk, Manifest
from penstock.core.secrets.credentials import credentials
from penstock.core.secrets.key_ring import key_ring
from penstock.core.secrets.objects import Decryptor
from penstock.ports.cluster import Cluster
from penstock.ports.deps import Deps
from penstock.stages.reconcile.attempt import Attempt
from penstock.stages.reconcile.keys import unwrapper
from penstock.stages.reconcile.remotes import AnonymousRemotes, Checkouts

CONFIG_MAP, SECRET = Gvk(version="v1", kind="ConfigMap"), Gvk(version="v1", kind="Secret")
_local = threading.local()
_checkouts = Checkouts()


def gather(attempt: Attempt) -> Context:
    """Everything that the render uses. Raises NotFound or Refused where a ConfigMap or Secret cannot be read."""
    kustomization, policy = attempt.kustomization, attempt.policy
    secret = _decryption_keys(attempt)
    decryptor = Decryptor(
        key_ring(secret, unwrapper(attempt, credentials(secret))),
        configured=kustomization.decryption is not None,
        verify_mac=policy.sops_mac == "enforce",
    )
    values, from_secrets = _variables(attempt)
    return Context(
        cache=_parse_cache(),
        decrypt=decryptor.open_object,
        sources=decryptor.sources,
        verify=decryptor.verify_sources,
        warnings=lambda: decryptor.warnings,
        variables=values,
        secret_values=from_secrets,
        remotes=None if policy.no_remote_bases else remotes_of(attempt.deps, policy.allowed_hosts),
    )


def remotes_of(deps: Deps, allowed_hosts: tuple[str, ...] | None) -> AnonymousRemotes:
    """Who fetches the remote bases of one build (see AnonymousRemotes)."""
    return AnonymousRemotes((deps.git, deps.registry, deps.downloads, deps.clock), _checkouts, allowed_hosts)


def _parse_cache() -> ParseCache:
    """Parsed files by blob id, kept from run to run: one for each worker thread."""
    if not hasattr(_local, "cache"):
        _local.cache = ParseCache()
    cache: ParseCache = _local.cache
    return cache


def secret_data(cluster: Cluster, namespace: str, name: str) -> dict[str, bytes] | None:
    """The data of a Secret; None where there is none. Raises Refused where we may not read it."""
    found = cluster.get(SECRET, namespace, name)
    return None if found is None else decoded(found)


def decoded(secret: Manifest) -> dict[str, bytes]:
    """``data`` of a Secret, decoded. Raises Terminal where it isn't base64."""
    try:
        return {key: base64.b64decode(value) for key, value in (secret.get("data") or {}).items()}
    except binascii.Error as error:
        raise Terminal(f"Secret {secret['metadata']['name']}: its data is not base64") from error


def _decryption_keys(attempt: Attempt) -> Mapping[str, bytes]:
    decryption = attempt.kustomization.decryption
    if decryption is None or not decryption.secret:
        return {}
    namespace = attempt.kustomization.namespace
    data = secret_data(attempt.home(), namespace, decryption.secret)
    if data is None:
        raise NotFound(f"decryption Secret '{namespace}/{decryption.secret}' not found", reason="BuildFailed")
    return data


def _variables(attempt: Attempt) -> tuple[Mapping[str, str] | None, frozenset[str]]:
    """The variables of postBuild, None where it has none at all; and which of their values stand in Secrets."""
    post_build = attempt.kustomization.post_build
    if post_build is None:
        return None, frozenset()
    account = attempt.account
    reader = attempt.deps.clusters.connect(attempt.cluster, impersonate=account) if account else attempt.home()
    sources = [_read(reader, attempt.kustomization, each) for each in post_build.substitute_from]
    secret = [source for each, source in zip(post_build.substitute_from, sources, strict=True) if each.kind == "Secret"]
    return variables(sources, post_build.substitute), frozenset(variables(secret, {}).values())


def _read(cluster: Cluster, kustomization: Kustomization, each: SubstituteFrom) -> Mapping[str, str]:
    namespace = kustomization.namespace
    if each.kind == "Secret":
        data = secret_data(cluster, namespace, each.name)
        values = None if data is None else {k: v.decode("utf-8", "replace") for k, v in data.items()}
    else:
        found = cluster.get(CONFIG_MAP, namespace, each.name)
        values = None if found is None else dict(found.get("data") or {})
    if values is None:
        if each.optional:
            return {}
        raise NotFound(f"substitute from '{each.kind}/{each.name}' error: not found", reason="BuildFailed")
    return values
