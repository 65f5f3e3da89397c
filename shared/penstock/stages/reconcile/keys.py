"""Whom the key services of SOPS are asked as, for one run.

Flux's precedence: the decryption Secret, else ``decryption.serviceAccountName`` or the policy's default for it, else
the plane's own identity. The last is not for everybody: whoever writes the files could have any file decrypted with it
that he can read, another tenant's or another cluster's, and applied where he can read it. So it is for Kustomizations
that the plane applies as itself, and for those that the operator lists (``policy.ownIdentityDecryption``). Vaults are
asked only where the operator lists them: who writes a SOPS file writes its address, and would be sent the token.
"""

from penstock.core.errors import NotFound, PenstockError, Refused, Terminal, Transient
from penstock.core.flux.plane import SopsVault
from penstock.core.messages import ReconcileDue
from penstock.core.secrets.credentials import Credential, Credentials, ManagedIdentity
from penstock.core.secrets.key_ring import Unwrap
from penstock.core.secrets.master_keys import ServiceKey, VaultKey
from penstock.core.secrets.services.vault import origin_of
from penstock.ports.identity import Account
from penstock.ports.keys import KeyRequest
from penstock.stages.reconcile.attempt import Attempt, open_attempt

SECONDS = 120.0
"""For all key services of one run: what is not opened by then is tried again later."""


def unwrapper(attempt: Attempt, held: Credentials) -> Unwrap:
    """Asks a key's service; ``held``: the credentials in the decryption Secret.

    A service that gave no answer is not asked again in this run.
    """
    clock = attempt.deps.clock
    until = clock.monotonic() + SECONDS
    silent: dict[str, Transient] = {}

    def unwrap(key: ServiceKey) -> bytes:
        service = origin_of(key.address) if isinstance(key, VaultKey) else type(key).__name__
        if service in silent:
            raise silent[service]
        if clock.monotonic() > until:
            raise Transient(f"key services took longer than {SECONDS:g} s", reason="BuildFailed")
        login_path = _vault(attempt, key).login_path if isinstance(key, VaultKey) else ""
        try:
            return attempt.deps.keys.unwrap(KeyRequest(key=key, who=_who(attempt, held, key), login_path=login_path))
        except Transient as error:
            silent[service] = error
            raise

    return unwrap


def _who(attempt: Attempt, held: Credentials, key: ServiceKey) -> Credential | Account | None:
    found = held.of(key)
    if found is not None and not isinstance(found, ManagedIdentity):
        return found
    name = _service_account(attempt)
    if found is None and name:
        return Account(
            home=attempt.home,
            cluster=attempt.cluster,
            namespace=attempt.kustomization.namespace,
            name=name,
            gke=attempt.plane.cluster(attempt.cluster).kube_config.gke,
            audiences=(key.address,) if isinstance(key, VaultKey) else (),
        )
    trusted = attempt.ref in attempt.policy.own_identity_decryption
    tenant = "" if trusted else attempt.account or _written_by(attempt)
    if tenant:
        raise Refused(
            f"{tenant} may not decrypt as the plane itself: name credentials in decryption.secretRef, or "
            "decryption.serviceAccountName; or the operator lists the Kustomization in policy.ownIdentityDecryption",
            reason="BuildFailed",
        )
    return found


def _service_account(attempt: Attempt) -> str:
    decryption = attempt.kustomization.decryption
    named = decryption.service_account if decryption is not None else ""
    return named or attempt.policy.default_decryption_service_account


def _written_by(attempt: Attempt) -> str:
    """The account of the tenant whose render made this Kustomization; "" where that was the platform's own.

    One that is applied as Flux's own account has no tenant's account of its own, and may still be a tenant's child.
    """
    if not attempt.record.parent:
        return ""
    namespace, _, name = attempt.record.parent.partition("/")
    message = ReconcileDue(cluster=attempt.cluster, namespace=namespace, name=name, why="request")
    try:
        parent = open_attempt(message, attempt.deps)
    except PenstockError:
        parent = None
    if parent is None:
        raise NotFound(
            f"Kustomization {attempt.record.parent} made this one and cannot be read: whether it may decrypt as the "
            "plane itself is not known",
            reason="BuildFailed",
        )
    return parent.account


def _vault(attempt: Attempt, key: VaultKey) -> SopsVault:
    origin = origin_of(key.address)
    for each in attempt.policy.sops_vaults:
        if origin and each.origin == origin:
            return each
    shown = origin or "its vault_address"
    raise Terminal(f"{shown} is not in policy.sopsVaults: the operator lists the Vaults that may be sent a token there")
