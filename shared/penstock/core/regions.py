"""Which region keeps what, in a plane that has several: everything of a cluster in the cluster's own.

The home region keeps the Plane document, the plane's own source, and the index of Receivers (pointers: names, never
values). Keys: core.records, core.sources.index, core.notify.ledger.
"""

from penstock.core.messages import PLANE

CLUSTERS = {
    **dict.fromkeys(("adoption", "approval", "child", "copies", "delivery", "discovered", "hooked", "indexed"), 1),
    **dict.fromkeys(("lease", "object", "reads", "status", "waits"), 1),
}
"""Family of keys -> which segment names the cluster."""
MARKS = ("copies", "discovered", "hooked", "indexed")
"""Families with one record a cluster: the key ends with its name."""
HOME = frozenset({"plane", "receiver"})
"""Families of the home region, whoever writes them."""
ANSWERS = "request"
"""Family of answers that the api waits for: written where the work was, read from anywhere."""


def cluster_of(key: str) -> str | None:
    """The cluster that a record's key, or a prefix of keys, is about; None where it names none, or not all of it."""
    parts = key.split("/")
    at = CLUSTERS.get(parts[0])
    if at is None or len(parts) <= at or not parts[at]:
        return None
    whole = len(parts) > at + 1 or parts[0] in MARKS
    return parts[at] if whole else None


def of_plane(key: str) -> bool:
    """Whether the home region keeps it: the Plane, its own source, the index."""
    return key.split("/", 1)[0] in HOME or cluster_of(key) == PLANE
