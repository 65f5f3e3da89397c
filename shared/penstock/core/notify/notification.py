"""An event as a Provider tells it: Flux's event, with the metadata of the object, the Alert and the event merged."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from penstock.core.flux.alert import Alert
from penstock.core.messages import Event

ANNOTATION_PREFIX = "event.toolkit.fluxcd.io/"
_INTERNAL = ("checksum", "digest", "token")
_CONTROLLERS = {
    "kustomize-controller": ("Kustomization",),
    "source-controller": ("GitRepository", "OCIRepository", "Bucket", "HelmRepository", "HelmChart"),
    "source-watcher": ("ArtifactGenerator", "ExternalArtifact"),
    "helm-controller": ("HelmRelease",),
    "notification-controller": ("Receiver", "Alert", "Provider"),
    "image-reflector-controller": ("ImageRepository", "ImagePolicy"),
    "image-automation-controller": ("ImageUpdateAutomation",),
}
_CONTROLLER_OF = {kind: controller for controller, kinds in _CONTROLLERS.items() for kind in kinds}
INSTANCE = "penstock"


@dataclass(frozen=True, kw_only=True, slots=True)
class Notification:
    """What a type's module turns into requests. ``metadata``: short keys, merged; ``uid``: see ``object_uid``.

    ``controller``: the Flux controller whose work it reports, so that what people built on Flux's payloads goes on.
    """

    event: Event
    metadata: Mapping[str, str]
    controller: str
    uid: str

    @property
    def label(self) -> str:
        """``kustomization/apps.flux-system``: how Flux names the object in chats."""
        return f"{self.event.kind.lower()}/{self.event.name}.{self.event.namespace}"


def notification(event: Event, alert: Alert, annotations: Mapping[str, str], plane: str) -> Notification:
    """``annotations``: of the event's object; ``plane``: the plane's uid.

    Precedence as in Flux, lowest first: the object's ``event.toolkit.fluxcd.io/…`` annotations, the Alert's
    eventMetadata and summary, what the event says itself.
    """
    merged = {**_prefixed(annotations), **_prefixed(event.metadata), **alert.metadata}
    own = {key: value for key, value in event.metadata.items() if not key.startswith(ANNOTATION_PREFIX)}
    merged |= {key: value for key, value in own.items() if key not in _INTERNAL}
    return Notification(
        event=event,
        metadata=dict(sorted(merged.items())),
        controller=reporting_controller(event.kind),
        uid=object_uid(event, plane),
    )


def reporting_controller(kind: str) -> str:
    """The Flux controller that reports on this kind; ``penstock`` for what Flux doesn't have."""
    return _CONTROLLER_OF.get(kind, INSTANCE)


def object_uid(event: Event, plane: str) -> str:
    """A UUID (version 8) that is the same for the same object of the same cluster and plane, and no other's.

    The object itself stands in no cluster and so has no uid of an API server's.
    """
    identity = f"{plane}/{event.cluster}/{event.kind}/{event.namespace}/{event.name}"
    digits = hashlib.sha256(identity.encode(errors="replace")).hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-8{digits[13:16]}-8{digits[17:20]}-{digits[20:32]}"


def event_json(notification: Notification) -> dict[str, Any]:
    """Flux's event as its controllers write it (flux pkg apis/event/v1beta1), keys in its order."""
    event = notification.event
    involved = {
        "kind": event.kind,
        "namespace": event.namespace,
        "name": event.name,
        "uid": notification.uid,
        "apiVersion": event.api_version,
    }
    return {
        "involvedObject": {key: value for key, value in involved.items() if value},
        "severity": event.severity,
        "timestamp": event.timestamp,
        "message": event.message,
        "reason": event.reason,
        **({"metadata": dict(notification.metadata)} if notification.metadata else {}),
        "reportingController": notification.controller,
        "reportingInstance": INSTANCE,
    }


def repeat_key(event: Event) -> str:
    """Events with equal keys within five minutes are one: hex digest over what Flux compares, and the cluster."""
    parts = [
        f"cluster={event.cluster}",
        f"name={event.name}",
        f"namespace={event.namespace}",
        f"kind={event.kind}",
        f"message={event.message}",
    ]
    parts += [
        f"{key}={event.metadata[key]}" for key in ("originRevision", "revision", "token") if key in event.metadata
    ]
    return hashlib.sha256("/".join(parts).encode(errors="replace")).hexdigest()


def _prefixed(metadata: Mapping[str, str]) -> dict[str, str]:
    return {
        key.removeprefix(ANNOTATION_PREFIX): value
        for key, value in metadata.items()
        if key.startswith(ANNOTATION_PREFIX)
    }
