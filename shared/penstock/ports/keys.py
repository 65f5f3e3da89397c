"""The keys port: what unwraps the data key of a SOPS file, where its master key never leaves a service.

Which key is asked, and as whom, is the caller's decision (stages/reconcile/keys.py): an adapter does what it is told.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from penstock.core.secrets.master_keys import ServiceKey

if TYPE_CHECKING:
    from penstock.core.secrets.credentials import Credential
    from penstock.ports.identity import Account


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyRequest:
    """``who``: credentials of a decryption Secret, a ServiceAccount, or None for the plane's own identity.

    ``login_path``: where a ServiceAccount logs in at a Vault (``auth/kubernetes/login``), as the operator has it.
    """

    key: ServiceKey
    who: "Credential | Account | None"
    login_path: str = ""

    def __str__(self) -> str:
        """Who asks, for people."""
        return "the plane's own identity" if self.who is None else str(self.who)


class Keys(Protocol):
    """Safe to use from several threads. Nothing of what goes in or comes out stands in a repr, log or error."""

    def unwrap(self, request: KeyRequest) -> bytes:
        """The data key (or share of one) in ``request.key.enc``; at most 45 s.

        Raises Transient (no answer, busy, sealed), Refused (no right to it, or no such identity), NotFound (no such
        key), Terminal (wrapped with another key; a name that the service cannot have). Messages name the service's
        answer, who asked, and what to do; the key is for the caller to name. Each has the reason BuildFailed.
        """
