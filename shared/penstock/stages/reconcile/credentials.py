"""Copies for the lean stages: what Receivers, Providers and sources refer to, in the plane's own store.

``webhook``, ``fetch`` and ``notify`` read only that store, each what stands there for it, and hold no cluster
credential: a Secret that several of them need is copied once for each. Values come from the Secrets that this very run
applied, else from the home cluster.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from penstock.core.errors import PenstockError
from penstock.core.messages import Outgoing
from penstock.core.resources import Manifest
from penstock.core.secrets.names import secret_name
from penstock.core.sources.kinds import FETCHED
from penstock.stages.reconcile.attempt import LOOKS_AFRESH, Attempt
from penstock.stages.reconcile.context import decoded, secret_data
from penstock.stages.reconcile.copied import remember
from penstock.stages.reconcile.copies import put_copy
from penstock.stages.reconcile.pull_secrets import copy_pull_secrets, pulls_as
from penstock.stages.reconcile.referring import READERS, Referring, copies_of, referring, refers_to_secrets
from penstock.stages.reconcile.source_identity import copy_token, logs_in_as

MOST_LOOKS = 3
"""At a Secret that somebody replaces while it is copied."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Copied:
    """``messages``: sources whose credentials changed; ``look_again``: for when the run's children are stored.

    ``unreferred``: nobody will refer to some of the copies then.
    """

    messages: list[Outgoing] = field(default_factory=list)
    look_again: Callable[[], list[Outgoing]] = list
    unreferred: bool = False


def copy_credentials(attempt: Attempt, applied: Mapping[str, Manifest], coming: Sequence[Manifest] = ()) -> Copied:
    """Bring the store's copies up to date.

    ``applied``: the v1 Secrets of this run by ``namespace/name``; ``coming``: Flux objects that are about to be
    stored: whoever finds a Provider must find its Secret. Where a source's credentials changed, that source
    is published. One unreadable Secret stops nothing; whoever needs it says so.

    A run that applies a Secret brings it for the objects that are stored. So what only new objects refer to is read
    whatever the store has, and once more when they are stored: another run may have applied it in between.
    """
    attempt.opening.copied = True
    refers = refers_to_secrets(attempt, coming)
    if not refers and not applied:
        return Copied()
    reread = refers and attempt.message.why in LOOKS_AFRESH
    found = referring(attempt, coming)
    fresh = [each for each in found if each.is_new]
    copies = _Copies(attempt=attempt, applied=applied, reread=reread)
    messages = copies.bring_for([*fresh, *(each for each in found if not each.is_new)])
    unreferred = attempt.opening.copies - copies_of(attempt, (each for each in found if not each.leaves))
    return Copied(
        messages=messages,
        look_again=lambda: bring_again(attempt, fresh) if fresh else [],
        unreferred=bool(unreferred),
    )


def bring_again(attempt: Attempt, objects: Sequence[Referring]) -> list[Outgoing]:
    """What objects refer to that are stored now, whatever has become of the copies; sources with other credentials."""
    remember(attempt, copies_of(attempt, objects), afresh=True)
    return _Copies(attempt=attempt, reread=True).bring_for(objects)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Copies:
    """Brings Secrets (``namespace/name``) into the store.

    ``known``: what has been brought in this run, and whether it changed: all who share it hear the same. ``read``: what
    was found in the home cluster; ``written``: (copy, Secret) of those copies that were changed to that.
    """

    attempt: Attempt
    applied: Mapping[str, Manifest] = field(default_factory=dict)
    reread: bool = False
    known: dict[Hashable, bool] = field(default_factory=dict)
    read: dict[str, Mapping[str, bytes] | None] = field(default_factory=dict, repr=False)
    written: set[tuple[str, str]] = field(default_factory=set)

    def bring_for(self, objects: Iterable[Referring]) -> list[Outgoing]:
        """Copy all that these refer to, new ones first; those of them that are sources whose credentials changed."""
        objects = list(objects)
        copies = copies_of(self.attempt, objects)
        remember(self.attempt, copies)
        changed = [each for each in objects if any(list(self._brought(each)))]
        self._look_again()
        if changed:  # somebody may have forgotten them meanwhile
            remember(self.attempt, copies, afresh=True)
        return [each.published(self.attempt.cluster) for each in changed if each.kind in FETCHED]

    def _look_again(self) -> None:
        """Another run may apply a Secret, and copy it, between our look and our copy: who changed one looks again."""
        for _ in range(MOST_LOOKS):
            written = sorted(self.written)
            self.read.clear()
            self.written.clear()
            for stored_as, secret in written:
                self._try(secret, stored_as)

    def _brought(self, one: Referring) -> Iterator[bool]:
        """Of each that an object refers to, whether its copy changed."""
        namespace, reread = one.namespace, self.reread or one.is_new
        for secret in one.secrets():
            reader = READERS[one.kind]
            yield self._once((reader, secret), partial(self._bring, reader, secret, reread=reread))
        account = pulls_as(one.record.document)
        if account:
            pulls = partial(copy_pull_secrets, self.attempt, namespace, account, reread=reread)
            yield self._once(("pull secrets", namespace, account), pulls)
        provider, account = logs_in_as(one.record.document) if one.kind in FETCHED else ("", "")
        if provider:
            token = partial(copy_token, self.attempt, namespace, provider, account, reread=reread)
            yield self._once(("token", namespace, provider, account), token)

    def _once(self, key: Hashable, bring: Callable[[], bool]) -> bool:
        """What ``bring`` says, which is called for the first who asks."""
        if key not in self.known:
            self.known[key] = bring()
        return self.known[key]

    def _bring(self, reader: str, secret: str, *, reread: bool) -> bool:
        """Copy one Secret for a stage; whether its copy changed. ``reread``: look at one that is there, too."""
        stored_as = secret_name(reader, self.attempt.cluster, *secret.split("/"))
        fresh = self.applied.get(secret)
        if fresh is not None:
            return put_copy(self.attempt, stored_as, decoded(fresh))
        if not reread and self.attempt.deps.secrets.get(stored_as) is not None:
            return False
        return self._try(secret, stored_as)

    def _try(self, secret: str, stored_as: str) -> bool:
        try:
            return self._from_home(secret, stored_as)
        except PenstockError as error:
            namespace, _, name = secret.partition("/")
            self.attempt.deps.telemetry.record(
                "secret not copied", cluster=self.attempt.cluster, namespace=namespace, name=name, reason=error.reason
            )
            return False

    def _from_home(self, secret: str, stored_as: str) -> bool:
        """Copy what the home cluster has; whether the copy is another one now."""
        attempt, data = self.attempt, self._at_home(secret)
        if data is not None:
            changed = put_copy(attempt, stored_as, data)
        else:
            changed = attempt.deps.secrets.get(stored_as) is not None
            if changed:
                attempt.deps.secrets.delete(stored_as, owner=attempt.uid)
        if changed:
            self.written.add((stored_as, secret))
        return changed and data is not None

    def _at_home(self, secret: str) -> Mapping[str, bytes] | None:
        """Its data in the home cluster, read once for all stages; None where there is none."""
        if secret not in self.read:
            namespace, _, name = secret.partition("/")
            self.read[secret] = secret_data(self.attempt.home(), namespace, name)
        return self.read[secret]
