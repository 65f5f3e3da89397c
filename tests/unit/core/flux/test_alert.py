"""Alert documents: what parses, and where a wrong one is wrong."""

import pytest

from penstock.core.errors import InvalidDocument
from penstock.core.flux.alert import parse_alert

GROUP = "notification.toolkit.fluxcd.io"


def document(api_version=f"{GROUP}/v1beta3", **spec):
    base = {"providerRef": {"name": "slack"}, "eventSources": [{"kind": "Kustomization", "name": "*"}]}
    return {
        "apiVersion": api_version,
        "kind": "Alert",
        "metadata": {"name": "on-call", "namespace": "flux-system"},
        "spec": {key: value for key, value in (base | spec).items() if value is not None},
    }


def test_every_field_is_read():
    alert = parse_alert(
        document(
            eventSeverity="error",
            eventSources=[
                {"kind": "FluxInstance", "name": "*"},
                {"kind": "GitRepository", "name": "web", "namespace": "apps", "matchLabels": {"team": "a"}},
            ],
            inclusionList=["failed"],
            exclusionList=["waiting.*socket"],
            eventMetadata={"env": "production"},
            summary="ring Ann",
            suspend=True,
        )
    )
    assert alert.provider == "slack"
    assert alert.severity == "error"
    assert [(s.kind, s.namespace, s.name, dict(s.labels)) for s in alert.sources] == [
        ("FluxInstance", "flux-system", "*", {}),
        ("GitRepository", "apps", "web", {"team": "a"}),
    ]
    assert (alert.inclusions, alert.exclusions) == (("failed",), ("waiting.*socket",))
    assert alert.metadata == {"env": "production", "summary": "ring Ann"}
    assert alert.suspend
    assert alert.warnings == ("spec.summary is deprecated: write spec.eventMetadata.summary",)


def test_everything_passes_by_default():
    alert = parse_alert(document())
    assert (alert.severity, alert.inclusions, alert.suspend, alert.warnings) == ("info", (), False, ())


def test_an_older_version_is_noted():
    assert parse_alert(document(api_version=f"{GROUP}/v1beta2")).warnings == (
        f"{GROUP}/v1beta2 is deprecated: write {GROUP}/v1beta3",
    )


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"providerRef": None}, "spec.providerRef"),
        ({"providerRef": {"name": "slack", "namespace": "other"}}, "spec.providerRef.namespace"),
        ({"eventSeverity": "warning"}, "spec.eventSeverity"),
        ({"eventSources": []}, "spec.eventSources"),
        ({"eventSources": [{"kind": "Kustomization"}]}, "spec.eventSources[0].name"),
        ({"eventSources": [{"kind": "*", "name": "*"}]}, "spec.eventSources[0].kind"),
        ({"eventMetadata": {"a": 1}}, "spec.eventMetadata.a"),
        ({"summary": "x" * 256}, "spec.summary"),
        ({"severity": "info"}, "spec.severity"),
    ],
)
def test_a_wrong_field_is_named_by_its_path(spec, path):
    with pytest.raises(InvalidDocument) as caught:
        parse_alert(document(**spec))
    assert caught.value.path == path
