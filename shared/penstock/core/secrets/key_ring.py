"""From the master keys of a file to its data key: which keys are tried, in which order, and what is said of failures.

SOPS's order: in a group age first, then PGP, then the others as the file has them; of several groups, as many shares
as its threshold says are put together. Keys at hand go before those that a service must be asked for.
"""

from collections.abc import Callable, Iterator, Mapping

from penstock.core.errors import PenstockError, Transient
from penstock.core.secrets.age_keys import AgeKeys, age_keys
from penstock.core.secrets.errors import NoKey, SopsError
from penstock.core.secrets.master_keys import AgeKey, KeyGroup, LocalKey, MasterKey, PgpKey, ServiceKey, UnservedKey
from penstock.core.secrets.metadata import Metadata
from penstock.core.secrets.pgp_keys import PgpKeys, pgp_keys
from penstock.core.secrets.shamir import combine
from penstock.core.secrets.values import DATA_KEY_BYTES

Unwrap = Callable[[ServiceKey], bytes]
"""Asks a key's service for the data key inside. Raises Transient, or Terminal whose message says what to do."""

MOST_NAMED = 5
_Failure = tuple[MasterKey, PenstockError]


class KeyRing:
    """``age``, ``pgp``: keys at hand; ``unwrap``: how the others are asked, or None where nobody may be.

    Each data key is looked for once: a second file part, and the object that it becomes, get the same answer.
    ``repr`` shows nothing.
    """

    __slots__ = ("_age", "_found", "_pgp", "_unwrap")

    def __init__(self, *, age: AgeKeys | None = None, pgp: PgpKeys | None = None, unwrap: Unwrap | None = None) -> None:
        self._age, self._pgp, self._unwrap = age or AgeKeys(), pgp or PgpKeys(), unwrap
        self._found: dict[tuple[tuple[KeyGroup, ...], int], bytes | PenstockError] = {}

    def data_key(self, metadata: Metadata) -> bytes:
        """The file's data key (32 bytes).

        Raises Transient where a service that may have it cannot be asked now; NoKey naming each key and what is in its
        way; SopsError where what was found is no data key.
        """
        wanted = (metadata.groups, metadata.threshold)
        if wanted not in self._found:
            try:
                self._found[wanted] = self._look(metadata)
            except PenstockError as error:
                self._found[wanted] = error
        found = self._found[wanted]
        if isinstance(found, PenstockError):
            raise found
        return found

    def _look(self, metadata: Metadata) -> bytes:
        failures: list[_Failure] = []
        shares: dict[int, bytes] = {}
        for local in (True, False):
            for index, group in enumerate(metadata.groups):
                if index not in shares and len(shares) < metadata.threshold:
                    share = self._open(group, failures, local=local)
                    if share is not None:
                        shares[index] = share
        if not metadata.groups or len(shares) < metadata.threshold:
            raise _failed(metadata, len(shares), failures)
        key = combine(tuple(shares.values())) if len(metadata.groups) > 1 else shares[0]
        if len(key) != DATA_KEY_BYTES:
            raise SopsError(f"its data key does not have {DATA_KEY_BYTES} bytes")
        return key

    def _open(self, group: KeyGroup, failures: list[_Failure], *, local: bool) -> bytes | None:
        for key in _ordered(group):
            if isinstance(key, LocalKey) == local:
                try:
                    return self._try(key)
                except PenstockError as error:
                    failures.append((key, error))
        return None

    def _try(self, key: MasterKey) -> bytes:
        if isinstance(key, AgeKey):
            return self._age.unwrap(key)
        if isinstance(key, PgpKey):
            return self._pgp.unwrap(key)
        if isinstance(key, UnservedKey):
            raise NoKey("keys of this kind are not served: add another one with `sops updatekeys`")
        if self._unwrap is None:
            raise NoKey("key services are not asked here")
        return self._unwrap(key)


def key_ring(secret: Mapping[str, bytes], unwrap: Unwrap | None = None) -> KeyRing:
    """The ring of a decryption Secret's data. Raises SopsError naming an entry that cannot be used."""
    return KeyRing(age=age_keys(secret), pgp=pgp_keys(secret), unwrap=unwrap)


def _ordered(group: KeyGroup) -> Iterator[MasterKey]:
    for kind in (AgeKey, PgpKey):
        yield from (key for key in group if isinstance(key, kind))
    yield from (key for key in group if not isinstance(key, LocalKey))


def _failed(metadata: Metadata, shares: int, failures: list[_Failure]) -> PenstockError:
    """A Transient where waiting may help, else NoKey."""
    if not metadata.groups or not any(metadata.groups):
        return NoKey("it is encrypted to no key at all")
    named = [f"{key}: {error}" for key, error in failures[:MOST_NAMED]]
    named += [f"and {len(failures) - MOST_NAMED} more"] if len(failures) > MOST_NAMED else []
    start = "no key opens it"
    if len(metadata.groups) > 1:
        start = f"only {shares} of its {len(metadata.groups)} key groups can be opened, {metadata.threshold} are needed"
    text = f"{start}: {'; '.join(named)}"
    passing = [error for _, error in failures if isinstance(error, Transient)]
    if passing:
        return Transient(text, reason="BuildFailed", retry_after=passing[0].retry_after)
    return NoKey(text)
