"""What the API server's own log says of the planes' deeds."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.chaos.soak.fleet import FLUX, Fleet, Key, resource
from tests.chaos.soak.world import SECOND, USER, WRITES

QUESTIONS = {"selfsubjectaccessreviews", "subjectaccessreviews", "selfsubjectrulesreviews", "tokenreviews"}
"""Created, and nothing is."""
KEEPERS = "penstock-system"
Head = tuple[float, Fleet]
"""When its push began, and what it says."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """One request. ``key``: plural, namespace, name; ``version``: resourceVersion of the answer, of a plane's write."""

    at: float
    user: str
    verb: str
    uri: str
    key: Key
    code: int
    version: str

    def __str__(self) -> str:
        return f"{datetime.fromtimestamp(self.at).astimezone():%H:%M:%S.%f} {self.verb} {self.uri} {self.code}"

    @property
    def writes(self) -> bool:
        """Whether it took place, and could change something."""
        dry = "dryRun" in parse_qs(urlsplit(self.uri).query)
        return self.verb in WRITES and not dry and self.key[0] not in QUESTIONS and self.code < 300


class Log:
    """``records``: everything that was written since it was last looked at is added by ``read``."""

    def __init__(self, file: Path) -> None:
        self.file, self.records = file, list[Record]()
        self._at = 0

    def read(self) -> int:
        """How many there are now."""
        with self.file.open("rb") as log:
            log.seek(self._at)
            for line in log:
                if not line.endswith(b"\n"):
                    break
                self._at += len(line)
                self.records.append(_record(json.loads(line)))
        return len(self.records)

    def since(self, number: int, user: str = USER) -> list[Record]:
        return [each for each in self.records[number:] if each.user == user]


def _record(line: dict[str, Any]) -> Record:
    about = line.get("objectRef", {})
    answer = line.get("responseObject") or {}
    name = about.get("name") or (answer.get("metadata") or {}).get("name", "")
    plural = "/".join(filter(None, (about.get("resource", ""), about.get("subresource", ""))))
    return Record(
        at=datetime.fromisoformat(line["requestReceivedTimestamp"]).timestamp(),
        user=line.get("impersonatedUser", line["user"]).get("username", ""),
        verb=line["verb"],
        uri=line["requestURI"],
        key=(plural, about.get("namespace", "") if plural != "namespaces" else "", name),
        code=line.get("responseStatus", {}).get("code", 0),
        version=str((answer.get("metadata") or {}).get("resourceVersion", "")),
    )


def judge(log: Log, heads: Sequence[Head], begin: int = 0) -> list[str]:
    """What should not have been done. ``heads``: every commit that was ever the head, in order."""
    found = [f"the second plane wrote: {each}" for each in log.since(begin, SECOND) if each.writes]
    found += _wrong_deletions(log, heads, begin)
    return found


def _wrong_deletions(log: Log, heads: Sequence[Head], begin: int) -> Iterator[str]:
    """An object may go only where a commit that was the head at some time of its life does not have it."""
    born: dict[Key, float] = {}
    for number, each in enumerate(log.records):
        if each.code == 201:
            born[each.key] = each.at
        if not (each.writes and each.user == USER and each.verb.startswith("delete")):
            continue
        life = born.pop(each.key, 0.0)
        before = [fleet for at, fleet in heads if at <= life]
        alive = [*before[-1:], *(fleet for at, fleet in heads if life < at <= each.at)]
        if number >= begin and not _may_go(each, alive):
            yield f"wrong deletion: {each}"


def _may_go(record: Record, heads: Sequence[Fleet]) -> bool:
    plural, namespace, name = record.key
    if record.verb == "deletecollection":
        return False
    if namespace == KEEPERS:
        owner = name.removeprefix(f"kustomization.{FLUX}.")
        return plural == "leases" or any(owner not in fleet.members and owner != FLUX for fleet in heads)
    return any(record.key not in resources(fleet) for fleet in heads)


def resources(fleet: Fleet) -> set[Key]:
    return {resource(key) for key in fleet.declared()}


def needless(log: Log, begin: int = 0) -> Counter[str]:
    """Writes of the plane that changed nothing, by verb and kind: the answer is what it had got before."""
    found: Counter[str] = Counter()
    versions: dict[Key, str] = {}
    for number, each in enumerate(log.records):
        if not each.writes or not each.version:
            continue
        if versions.get(each.key) == each.version and number >= begin and not each.verb.startswith("delete"):
            found[f"{each.verb} {each.key[0]}"] += 1
        versions[each.key] = each.version
    return found
