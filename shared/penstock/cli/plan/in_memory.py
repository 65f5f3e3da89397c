"""A plane that exists in memory only, for as long as a command runs."""

from penstock.adapters.buckets.memory import MemoryBuckets
from penstock.adapters.clock.system import SystemClock
from penstock.adapters.downloads.http import HttpDownloads
from penstock.adapters.downloads.memory import MemoryDownloads
from penstock.adapters.git.dulwich import DulwichGit
from penstock.adapters.git.memory import MemoryGit
from penstock.adapters.keys.memory import MemoryKeys
from penstock.adapters.notifier.memory import MemoryNotifier
from penstock.adapters.registry.distribution import DistributionRegistry
from penstock.adapters.registry.memory import MemoryRegistry
from penstock.adapters.secrets.memory import MemorySecrets
from penstock.adapters.state.memory import MemoryState
from penstock.adapters.storage.memory import MemoryStorage
from penstock.adapters.telemetry.memory import MemoryTelemetry
from penstock.ports.cluster import Clusters
from penstock.ports.deps import Deps


def memory_deps(clusters: Clusters, *, remote_bases: bool = False) -> Deps:
    """Everything that the reconcile stage uses; only ``clusters`` and, where asked for, remote bases lead anywhere."""
    return Deps(
        buckets=MemoryBuckets(),
        clock=SystemClock(),
        clusters=clusters,
        downloads=HttpDownloads() if remote_bases else MemoryDownloads(),
        git=DulwichGit() if remote_bases else MemoryGit(),
        keys=MemoryKeys(),
        notifier=MemoryNotifier(),
        registry=DistributionRegistry() if remote_bases else MemoryRegistry(),
        secrets=MemorySecrets(),
        state=MemoryState(),
        storage=MemoryStorage(),
        telemetry=MemoryTelemetry(most=0),
    )
