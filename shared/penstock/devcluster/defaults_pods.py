"""What the API server fills in within a pod's spec, in Pods and pod templates alike."""

from collections.abc import Iterator
from typing import Any

POD_DEFAULTS: dict[str, Any] = {
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "dnsPolicy": "ClusterFirst",
    "schedulerName": "default-scheduler",
}
PROBE_DEFAULTS = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
MODED_VOLUMES = ("secret", "configMap", "downwardAPI", "projected")
READ_WRITE_MODE = 0o644


def fill(target: dict[str, Any], defaults: dict[str, Any]) -> None:
    """Set the keys that are missing."""
    for key, value in defaults.items():
        target.setdefault(key, value)


def set_pod_spec(spec: dict[str, Any]) -> None:
    """Defaults of a PodSpec, in place."""
    fill(spec, POD_DEFAULTS)
    spec.setdefault("securityContext", {})
    if spec.get("serviceAccountName"):
        spec["serviceAccount"] = spec["serviceAccountName"]
    elif spec.get("serviceAccount"):
        spec["serviceAccountName"] = spec["serviceAccount"]
    for container in containers(spec):
        _set_container(container)
    for volume in spec.get("volumes") or ():
        _set_volume(volume)


def containers(spec: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Init, ephemeral and plain containers."""
    for key in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(key) or ()


def _set_container(container: dict[str, Any]) -> None:
    fill(container, {"terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"})
    container.setdefault("imagePullPolicy", _pull_policy(container.get("image", "")))
    for env in container.get("env") or ():
        _set_references(env.get("valueFrom") or {})
    for name in PROBES:
        if name in container:
            fill(container[name], PROBE_DEFAULTS)
            _set_handler(container[name])
    for hook in (container.get("lifecycle") or {}).values():
        if isinstance(hook, dict):
            _set_handler(hook)


def _set_references(source: dict[str, Any]) -> None:
    if "fieldRef" in source:
        source["fieldRef"].setdefault("apiVersion", "v1")
    if "resourceFieldRef" in source:
        source["resourceFieldRef"].setdefault("divisor", "0")


def _set_handler(handler: dict[str, Any]) -> None:
    if "httpGet" in handler:
        fill(handler["httpGet"], {"path": "/", "scheme": "HTTP"})
    if "grpc" in handler:
        fill(handler["grpc"], {"service": ""})


def _pull_policy(image: str) -> str:
    name = image.rpartition("/")[2]
    if "@" in name:
        return "IfNotPresent" if ":" not in name.partition("@")[0] or not _latest(name) else "Always"
    return "Always" if ":" not in name or _latest(name) else "IfNotPresent"


def _latest(name: str) -> bool:
    return name.partition("@")[0].rpartition(":")[2] == "latest"


def _set_volume(volume: dict[str, Any]) -> None:
    if not volume.keys() - {"name"}:
        volume["emptyDir"] = {}
    for kind in MODED_VOLUMES:
        if kind in volume:
            volume[kind].setdefault("defaultMode", READ_WRITE_MODE)
    if "hostPath" in volume:
        volume["hostPath"].setdefault("type", "")
    for source in [volume.get("downwardAPI") or {}, *_projected(volume, "downwardAPI")]:
        for item in source.get("items") or ():
            _set_references(item)
    for token in _projected(volume, "serviceAccountToken"):
        token.setdefault("expirationSeconds", 3600)


def _projected(volume: dict[str, Any], kind: str) -> Iterator[dict[str, Any]]:
    for source in (volume.get("projected") or {}).get("sources") or ():
        if kind in source:
            yield source[kind]
