"""Looking at an OCIRepository: which digest its ref means now, and the files of its layer."""

from collections.abc import Mapping
from dataclasses import replace

from penstock.core.errors import InvalidDocument, PenstockError, Terminal
from penstock.core.flux.ocirepository import EXTRACT, OciRepository
from penstock.core.flux.source_fields import GENERIC
from penstock.core.secrets.names import FETCH, pull_secrets_name, secret_name
from penstock.core.sources.ignore import apply_ignore
from penstock.core.sources.oci import newest_tag
from penstock.core.sources.outcome import oci_words
from penstock.core.sources.patterns import Matcher, compiled
from penstock.ports.deps import Deps
from penstock.ports.registry import PullLimits, RemoteImage
from penstock.stages.fetch.identity import identity_of
from penstock.stages.fetch.oci_verify import verify
from penstock.stages.fetch.remote import policy_of
from penstock.stages.fetch.visit import Found, Visit, failure, is_stored, keep, proxy_of, secret_of, unchanged

_DETERMINE, _PULL = "failed to determine artifact digest", "failed to pull artifact from '{url}'"


def look(visit: Visit, repository: OciRepository) -> Found:
    """Ask the registry; pull and store the layer's tree unless the very same is stored already.

    Raises InvalidDocument where ``ref.semver`` or its filter cannot be read.
    """
    deps = visit.deps
    try:
        image = _image(visit, repository)
    except Terminal as error:
        return failure(visit, error)
    try:
        tag, digest = _resolved(image, repository, deps)
    except InvalidDocument:
        raise  # no retry mends the document
    except PenstockError as error:
        return failure(visit, error, doing=_DETERMINE)
    revision = f"{tag}@{digest}" if tag else digest
    if is_stored(visit, revision, verified=repository.verification is not None):
        return unchanged(visit, revision, oci_words(revision, repository.url, visit.held.status.metadata))
    try:
        verified = verify(visit, repository, image, digest)
    except InvalidDocument:
        raise
    except PenstockError as error:
        return failure(visit, error)
    try:
        pulled = deps.registry.pull(image, digest, media_type=repository.layer.media_type, limits=PullLimits())
    except PenstockError as error:
        return failure(visit, error, doing=_PULL.format(url=repository.url))
    extracted = repository.layer.operation == EXTRACT
    tree = apply_ignore(pulled.tree, repository.ignore) if extracted else pulled.tree
    words = oci_words(revision, repository.url, pulled.annotations)
    if verified:
        words = replace(words, verified=f"verified signature of revision {revision}")
    kept = keep(visit, revision, tree, words)
    status = replace(kept.outcome.status, metadata=dict(pulled.annotations))
    return Found(outcome=replace(kept.outcome, status=status), tree=tree)


def _image(visit: Visit, repository: OciRepository) -> RemoteImage:
    login = _login(visit, repository)
    return RemoteImage(
        name=repository.image,
        login=login,
        identity=identity_of(visit, repository) if repository.provider != GENERIC and not login else None,
        certificates=secret_of(visit, repository.namespace, repository.cert_secret),
        insecure=repository.insecure,
        proxy=proxy_of(visit, repository),
        allowed_hosts=policy_of(visit.message.cluster, visit.deps).allowed_hosts,
        timeout=repository.timeout.total_seconds(),
    )


def _login(visit: Visit, repository: OciRepository) -> Mapping[str, bytes]:
    """The Secret that the document names, else the pull secrets of its ServiceAccount, which `reconcile` has copied."""
    if repository.secret or not repository.service_account:
        return secret_of(visit, repository.namespace, repository.secret)
    name = pull_secrets_name(repository.service_account)
    return visit.deps.secrets.get(secret_name(FETCH, visit.message.cluster, repository.namespace, name)) or {}


def _resolved(image: RemoteImage, repository: OciRepository, deps: Deps) -> tuple[str, str]:
    """Tag ("" for a digest of the document's own) and digest. Precedence as Flux: digest, semver, tag, latest."""
    reference = repository.reference
    if reference.digest:
        return "", reference.digest
    tag = reference.tag or "latest"
    if reference.semver:
        tag = newest_tag(deps.registry.tags(image), reference.semver, _filter(reference.semver_filter))
    return tag, deps.registry.digest(image, tag)


def _filter(pattern: str) -> Matcher | None:
    return compiled(pattern, "spec.ref.semverFilter") if pattern else None
