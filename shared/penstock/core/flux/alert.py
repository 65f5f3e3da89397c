"""Alert (notification.toolkit.fluxcd.io): which events go to which Provider.

Spec: Flux's docs/spec/v1beta3/alerts.md. v1beta2 has the same fields.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from penstock.core.flux.fields import open_document
from penstock.core.flux.receiver import API_GROUP, ObjectSelector, check_api_version, object_selector
from penstock.core.resources import Manifest, ref_of

API_VERSION = f"{API_GROUP}/v1beta3"
KIND = "Alert"
_OLD_API_VERSIONS = (f"{API_GROUP}/v1beta1", f"{API_GROUP}/v1beta2")


@dataclass(frozen=True, kw_only=True, slots=True)
class Alert:
    """One Alert, defaults applied. ``provider``: name of a Provider in the same namespace.

    ``severity``: ``info`` lets every event pass, ``error`` only errors. ``inclusions`` and ``exclusions``: RE2,
    searched anywhere in the message. ``metadata``: added to events, ``summary`` included.
    """

    name: str
    namespace: str
    provider: str
    severity: str = "info"
    sources: tuple[ObjectSelector, ...] = ()
    inclusions: tuple[str, ...] = ()
    exclusions: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    suspend: bool = False
    warnings: tuple[str, ...] = ()


def parse_alert(manifest: Manifest, *, file: str = "") -> Alert:
    """The Alert of a manifest that has apiVersion, kind and metadata. Raises InvalidDocument."""
    spec, where = open_document(manifest, file=file)
    ref = ref_of(manifest)
    warnings = check_api_version(manifest, where, current=API_VERSION, older=_OLD_API_VERSIONS)
    summary = spec.string("summary", default="", longest=255)
    if summary:
        warnings += ("spec.summary is deprecated: write spec.eventMetadata.summary",)
    provider = spec.nested("providerRef")
    alert = Alert(
        name=ref.name,
        namespace=ref.namespace,
        provider=provider.name("name"),
        severity=spec.string("eventSeverity", default="info", one_of=("info", "error")),
        sources=spec.each("eventSources", lambda each: object_selector(each, ref.namespace)),
        inclusions=spec.strings("inclusionList"),
        exclusions=spec.strings("exclusionList"),
        metadata={**spec.string_map("eventMetadata"), **({"summary": summary} if summary else {})},
        suspend=spec.boolean("suspend", default=False),
        warnings=warnings,
    )
    if not alert.sources:
        raise spec.error("eventSources", "is required: at least one kind and name (or '*')")
    provider.done()
    spec.done()
    return alert
