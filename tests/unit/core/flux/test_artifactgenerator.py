import pytest

from penstock.core.errors import InvalidDocument
from penstock.core.flux.artifactgenerator import (
    ArtifactGenerator,
    Copy,
    GeneratorSource,
    OutputArtifact,
    parse_artifact_generator,
    unserved,
)

COPY = {"from": "@repo/apps/**", "to": "@artifact/"}
ARTIFACT = {"name": "apps", "copy": [COPY]}
SOURCE = {"alias": "repo", "kind": "GitRepository", "name": "flux-system"}


def document(api_version="source.extensions.fluxcd.io/v1beta1", annotations=None, **spec):
    return {
        "apiVersion": api_version,
        "kind": "ArtifactGenerator",
        "metadata": {"namespace": "flux-system", "name": "split", "annotations": annotations},
        "spec": {"sources": [SOURCE], "artifacts": [ARTIFACT], **spec},
    }


def test_a_generator():
    artifact = {
        "name": "apps",
        "revision": "@repo",
        "originRevision": "@repo",
        "copy": [{**COPY, "exclude": ["*.md"], "strategy": "Overwrite"}],
    }
    parsed = parse_artifact_generator(document(artifacts=[artifact], commonMetadata={"labels": {"a": "b"}}))
    copy = Copy(alias="repo", source="apps/**", to="", exclude=("*.md",))
    assert parsed == ArtifactGenerator(
        namespace="flux-system",
        name="split",
        sources=(GeneratorSource(alias="repo", kind="GitRepository", namespace="flux-system", name="flux-system"),),
        artifacts=(OutputArtifact(name="apps", copies=(copy,), revision="repo", origin_revision="repo"),),
    )
    assert unserved(parsed) == ()
    assert str(parsed.sources[0]) == "GitRepository/flux-system/flux-system"


@pytest.mark.parametrize(("value", "expected"), [("Disabled", True), ("enabled", False)])
def test_the_switch(value, expected):
    parsed = parse_artifact_generator(document(annotations={"source.extensions.fluxcd.io/reconcile": value}))
    assert parsed.disabled is expected


@pytest.mark.parametrize(
    ("spec", "fields"),
    [
        ({"pathPattern": "@repo/{app}", "artifacts": [{"name": "{app}", "copy": [COPY]}]}, ("spec.pathPattern",)),
        ({"sources": [{**SOURCE, "kind": "HelmChart"}]}, ("spec.sources[0].kind",)),
        ({"sources": [{**SOURCE, "kind": "OCIRepository"}]}, ()),
        (
            {"artifacts": [{"name": "a", "copy": [COPY, {**COPY, "strategy": "Merge"}]}]},
            ("spec.artifacts[0].copy[1].strategy",),
        ),
    ],
)
def test_what_nothing_acts_on_yet_is_named(spec, fields):
    assert unserved(parse_artifact_generator(document(**spec))) == fields


@pytest.mark.parametrize(
    ("wrong", "path"),
    [
        ({"api_version": "source.extensions.fluxcd.io/v1"}, "apiVersion"),
        ({"sources": []}, "spec.sources"),
        ({"artifacts": []}, "spec.artifacts"),
        ({"sources": [SOURCE, SOURCE]}, "spec.sources[1]"),
        ({"artifacts": [ARTIFACT, ARTIFACT]}, "spec.artifacts[1]"),
        ({"sources": [{**SOURCE, "alias": "Repo"}]}, "spec.sources[0].alias"),
        ({"sources": [{**SOURCE, "kind": "Secret"}]}, "spec.sources[0].kind"),
        ({"artifacts": [{"name": "a"}]}, "spec.artifacts[0].copy"),
        ({"artifacts": [{**ARTIFACT, "name": "A"}]}, "spec.artifacts[0].name"),
        ({"artifacts": [{**ARTIFACT, "revision": "@other"}]}, "spec.artifacts[0].revision"),
        ({"artifacts": [{"name": "a", "copy": [{**COPY, "from": "@other/a"}]}]}, "spec.artifacts[0].copy[0].from"),
        (
            {"artifacts": [{"name": "a", "copy": [{**COPY, "from": "@repo/a/../../b"}]}]},
            "spec.artifacts[0].copy[0].from",
        ),
        ({"artifacts": [{"name": "a", "copy": [{**COPY, "to": "@artifact/../a"}]}]}, "spec.artifacts[0].copy[0].to"),
        ({"artifacts": [{"name": "a", "copy": [{**COPY, "to": "@artifact//etc"}]}]}, "spec.artifacts[0].copy[0].to"),
        ({"artifacts": [{"name": "a", "copy": [{**COPY, "to": "a"}]}]}, "spec.artifacts[0].copy[0].to"),
        ({"artifact": []}, "spec.artifact"),
        ({"commonMetadata": {"label": {}}}, "spec.commonMetadata.label"),
    ],
)
def test_what_is_wrong_is_named_by_its_path(wrong, path):
    with pytest.raises(InvalidDocument) as error:
        parse_artifact_generator(document(**wrong))
    assert error.value.path == path
