"""What a render may read beside its tree: ConfigMaps and Secrets, of the plan itself first, then of the cluster."""

import base64
from dataclasses import dataclass, field

from penstock.core.errors import NotFound
from penstock.core.resources import Gvk, Manifest, ObjectRef
from penstock.ports.cluster import Cluster, Clusters, RemoteCluster


@dataclass(kw_only=True)
class Settings:
    """``alone``: there is no cluster; ``guess``: what is missing has unknown variables, instead of being an error.

    ``planned``: rendered so far; ``encrypted``: of those, with ciphertext for values; ``missing``: asked for, and
    nowhere to be had.
    """

    alone: bool
    guess: bool = False
    planned: dict[ObjectRef, Manifest] = field(default_factory=dict)
    encrypted: set[ObjectRef] = field(default_factory=set)
    missing: set[ObjectRef] = field(default_factory=set)


class Unknown(dict[str, str]):
    """Variables of which some are unknown: ``${NAME}`` stays ``${NAME}``."""

    def get(self, key: str, default: object = None) -> str:
        """The value, or the variable itself; never a default."""
        del default
        return super().get(key, f"${{{key}}}")

    def __bool__(self) -> bool:
        """Even an empty one has something to replace."""
        return True


class SettingsClusters:
    """Clusters for renders."""

    def __init__(self, clusters: Clusters | None, settings: Settings) -> None:
        self._clusters, self._settings = clusters, settings

    def connect(self, cluster: str, *, impersonate: str = "") -> Cluster:
        """See Clusters."""
        behind = self._clusters.connect(cluster, impersonate=impersonate) if self._clusters else None
        return _SettingsCluster(behind, self._settings)  # type: ignore[return-value] # all that a render asks for

    def connect_kubeconfig(
        self, kubeconfig: bytes, *, name: str, impersonate: str = "", allowed_hosts: tuple[str, ...] = ()
    ) -> Cluster:
        """Raises NotFound: a render reads nothing of another cluster than its home."""
        del allowed_hosts
        raise NotFound(f"{name}: a render reads its home cluster only ({len(kubeconfig)}, {impersonate})")

    def connect_remote(self, remote: RemoteCluster, *, impersonate: str = "") -> Cluster:
        """Raises NotFound: see above."""
        raise NotFound(f"{remote.name}: a render reads its home cluster only ({impersonate})")


class _SettingsCluster:
    def __init__(self, behind: Cluster | None, settings: Settings) -> None:
        self._behind, self._settings = behind, settings

    def get(self, gvk: Gvk, namespace: str, name: str) -> Manifest | None:
        ref = ObjectRef(group=gvk.group, kind=gvk.kind, namespace=namespace, name=name)
        planned = self._settings.planned.get(ref)
        if planned is not None and ref not in self._settings.encrypted:
            return planned
        live = self._behind.get(gvk, namespace, name) if self._behind else None
        if live is not None:
            return live
        if planned is None and not self._settings.guess:
            return None
        self._settings.missing.add(ref)
        return _placeholders(planned or {"metadata": {"name": name}})

    def can_i(self, *_: object, **__: object) -> bool:
        return True  # rights are not checked: that would be a POST


def _placeholders(manifest: Manifest) -> Manifest:
    """An encrypted Secret whose values are their own variables: ``${NAME}`` stays ``${NAME}``."""
    keys = {**(manifest.get("data") or {}), **(manifest.get("stringData") or {})}
    return {**manifest, "data": {key: base64.b64encode(f"${{{key}}}".encode()).decode() for key in keys}}
