"""``buildMetadata``: where each object came from and what changed it, as annotations of the output."""

import posixpath
from dataclasses import replace
from typing import Any

from penstock.core.kustomize.remote_paths import is_remote, names_artifact, without_login
from penstock.core.kustomize.resmap import ResMap
from penstock.core.kustomize.resource import Origin, Resource, set_metadata
from penstock.core.kustomize.yaml_out import dump_ordered

ORIGIN = "config.kubernetes.io/origin"
TRANSFORMATIONS = "alpha.config.kubernetes.io/transformations"


def below(origin: Origin, path: str) -> Origin:
    """The origin of what stands at ``path``, relative to where ``origin`` stands, or in a remote repository."""
    if is_remote(path):
        from penstock.core.kustomize.artifact_url import parse_artifact_url  # noqa: PLC0415 - rare

        if names_artifact(path):
            artifact = parse_artifact_url(path)
            return Origin(path=artifact.root or ".", repo=artifact.place, ref=artifact.digest or artifact.tag)
        from penstock.core.kustomize.repository_url import NotARepository, parse_repository_url  # noqa: PLC0415 - rare

        try:
            url = parse_repository_url(path)
        except NotARepository:
            pass
        else:
            # kustomize says so for the root of a repository: the name of a directory that never was
            return Origin(path=url.root or "notCloned", repo=without_login(url.clone_url), ref=url.ref)
    return replace(origin, path=posixpath.normpath(posixpath.join(origin.path, path)))


def built_by(origin: Origin, file: str, kind: str) -> Origin:
    """A built-in generator or transformer that a kustomization file configures."""
    configured = posixpath.normpath(posixpath.join(origin.path, posixpath.basename(file)))
    return Origin(
        repo=origin.repo,
        ref=origin.ref,
        configured_in=configured,
        configured_by={"apiVersion": "builtin", "kind": kind},
    )


def built_by_plugin(resource: Resource) -> Origin | None:
    """A generator or transformer that has a document of its own."""
    if resource.origin is None:
        return None
    known = resource.id
    fields = {
        "apiVersion": known.gvk.api_version,
        "kind": known.kind,
        "name": known.name,
        "namespace": known.namespace,
    }
    return Origin(
        repo=resource.origin.repo,
        ref=resource.origin.ref,
        configured_in=resource.origin.path,
        configured_by={key: value for key, value in fields.items() if value},
    )


def record(resources: ResMap, origin: Origin) -> None:
    """Note that a transformer went over all resources; one without an origin was made by it."""
    resources.replace_all(
        [
            replace(resource, origin=origin)
            if resource.origin is None
            else replace(resource, transformations=(*resource.transformations, origin))
            for resource in resources
        ]
    )


def annotated(resource: Resource, *, origin: bool, transformations: bool) -> Resource:
    """The resource with what ``buildMetadata`` asks for."""
    added: dict[str, str] = {}
    if origin and resource.origin is not None:
        added[ORIGIN] = dump_ordered(_fields(resource.origin))
    if transformations and resource.transformations:
        added[TRANSFORMATIONS] = dump_ordered([_fields(one) for one in resource.transformations])
    if not added:
        return resource
    return resource.with_manifest(set_metadata(resource.manifest, "annotations", {**resource.annotations, **added}))


def _fields(origin: Origin) -> dict[str, Any]:
    fields = {
        "path": origin.path,
        "repo": origin.repo,
        "ref": origin.ref,
        "configuredIn": origin.configured_in,
        "configuredBy": dict(origin.configured_by),
    }
    return {key: value for key, value in fields.items() if value}
