"""Where a cluster can be reached, and which of its addresses is meant."""

import base64
from collections.abc import Iterable
from dataclasses import dataclass, field

from penstock.core.clusters.access import ClusterAccess, canonical
from penstock.core.errors import InvalidDocument, Refused
from penstock.core.identity.answers import malformed


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """``address``: canonical; ``authority``: PEM, or "" where the system's authorities vouch for it."""

    address: str
    authority: str = field(default="", repr=False)


def endpoint(address: str, authority: str = "") -> Endpoint | None:
    """An endpoint as a cloud names it (its authorities in PEM); None where there is none."""
    if not address:
        return None
    try:
        return Endpoint(address=canonical(address), authority=authority)
    except ValueError:
        return None


def pem(data: object, what: str) -> str:
    """Authorities as clouds give them (base64 of PEM); "" where there are none. ``what``: was asked, for messages."""
    try:
        return base64.b64decode(str(data or ""), validate=True).decode()
    except ValueError:
        raise malformed(what) from None


def chosen(access: ClusterAccess, known: Iterable[Endpoint | None], name: str) -> Endpoint:
    """The endpoint that ``access`` means: the one at its address, or the first. ``name``: for messages.

    Its own authorities win. Raises InvalidDocument where the cluster has no such address, or none.
    """
    found = [each for each in known if each is not None]
    meant = [each for each in found if not access.address or each.address == access.address]
    if not meant:
        addresses = ", ".join(each.address for each in found) or "none"
        problem = f"is {access.address}, which {access.cluster} does not have" if access.address else "must be given"
        raise wrong(f"{problem} (its addresses: {addresses})", name)
    return Endpoint(address=meant[0].address, authority=access.authority or meant[0].authority)


def only_its_own(access: ClusterAccess, found: Endpoint, known: Iterable[Endpoint | None], name: str) -> Endpoint:
    """The endpoint with the authorities that the cloud names. Raises Refused where ``ca.crt`` has others.

    The plane's own token goes to the cluster's API server, and to nobody who says to be it.
    """
    theirs = next(each for each in known if each is not None and each.address == found.address)
    if access.authority and access.authority.split() != theirs.authority.split():
        raise Refused(
            f"{name}: data.ca.crt is not what the cloud says of {access.cluster}: leave it out, or name a"
            " serviceAccountName"
        )
    return theirs


def wrong(problem: str, name: str) -> InvalidDocument:
    """The error for an address."""
    found = InvalidDocument(problem, path="data.address", document=name)
    found.reason = "ReconciliationFailed"
    return found
