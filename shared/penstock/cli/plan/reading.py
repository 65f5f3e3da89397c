"""What a render reads beside its tree, as the stage gathers it; what cannot be read here stays as it stands."""

from dataclasses import dataclass, field, replace

from penstock.cli.plan.settings import Settings, Unknown
from penstock.cli.plan.sources import CLUSTER
from penstock.core.errors import PenstockError
from penstock.core.reconcile.render import Context, Decrypt
from penstock.core.resources import Manifest, ObjectRef, ref_of
from penstock.core.secrets.errors import NoKey
from penstock.core.secrets.key_ring import KeyRing
from penstock.core.secrets.objects import Decryptor
from penstock.ports.cluster import Clusters
from penstock.stages.reconcile.attempt import Attempt
from penstock.stages.reconcile.context import SECRET, gather


@dataclass(frozen=True, kw_only=True, slots=True)
class Read:
    """``notes`` and ``encrypted`` (objects left as ciphertext) fill while the context is used."""

    context: Context
    notes: set[str] = field(default_factory=set)
    encrypted: set[ObjectRef] = field(default_factory=set)


class Reading:
    """``clusters``: where the keys are, or None; ``settings``: what ``gather`` finds."""

    def __init__(self, clusters: Clusters | None, settings: Settings) -> None:
        self._clusters, self._settings = clusters, settings

    def context(self, attempt: Attempt) -> Read:
        """Raises NotFound or Refused where a render cannot do without what is missing."""
        self._settings.missing.clear()
        read = self._gathered(attempt)
        if not self._settings.missing:
            return read
        read.notes.update(
            f"{ref} is not readable here: its variables stay as they are" for ref in self._settings.missing
        )
        return replace(read, context=replace(read.context, variables=Unknown(read.context.variables or {})))

    def _gathered(self, attempt: Attempt) -> Read:
        decryption = attempt.kustomization.decryption
        if decryption is None:
            return Read(context=gather(attempt))
        if decryption.secret and self._has_key(attempt, decryption.secret):
            found = gather(attempt)
            why = "The key of a SOPS file is with a service, which plan does not ask, or is missing"
            return self._kept(found, found.decrypt, why, NoKey)
        without = replace(attempt, kustomization=replace(attempt.kustomization, decryption=None))
        closed = Decryptor(KeyRing(), configured=True, verify_mac=False)
        name = f"Secret {attempt.kustomization.namespace}/{decryption.secret}"
        why = f"{name} with the SOPS key is not readable here" if decryption.secret else "Key services are not asked"
        context = replace(gather(without), verify=lambda _tree, _inputs: None)
        return self._kept(context, closed.open_object, why, PenstockError)

    @staticmethod
    def _kept(context: Context, decrypt: Decrypt, why: str, missing: type[PenstockError]) -> Read:
        """What cannot be decrypted stays as it is; ``missing``: errors that mean so."""
        notes: set[str] = set()
        encrypted: set[ObjectRef] = set()

        def kept(manifest: Manifest) -> Manifest:
            try:
                return decrypt(manifest)
            except missing:
                notes.add(f"{why}: what is encrypted stays encrypted")
                encrypted.add(ref_of(manifest))
                return manifest

        return Read(context=replace(context, decrypt=kept), notes=notes, encrypted=encrypted)

    def _has_key(self, attempt: Attempt, name: str) -> bool:
        if self._clusters is None:
            return False
        try:
            found = self._clusters.connect(CLUSTER).get(SECRET, attempt.kustomization.namespace, name)
        except PenstockError:
            return False
        return found is not None
