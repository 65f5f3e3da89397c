from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from penstock.core.errors import InvalidDocument, Refused, Transient
from penstock.core.records import SourceStatus
from penstock.core.sources.outcome import Look, bucket_words, commit_words, failed, oci_words, revision_words, stored

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LOOK = Look(key="status/c/GitRepository/a/b", generation=3, now=NOW, interval=timedelta(seconds=100))
LOST = Refused("no entry", reason="AuthenticationFailed")


def later(seconds):
    return replace(LOOK, now=NOW + timedelta(seconds=seconds))


def conditions(status):
    return {c.type: (c.status, c.reason) for c in status.conditions}


def first():
    return stored(SourceStatus(), LOOK, "main@sha1:1", "sha256:1", commit_words("main@sha1:1", "hello"))


def test_a_first_artifact():
    outcome = first()
    status = outcome.status
    assert (status.revision, status.artifact, status.observation, status.generation) == (
        "main@sha1:1",
        "sha256:1",
        1,
        3,
    )
    assert conditions(status) == {"Ready": ("True", "Succeeded"), "ArtifactInStorage": ("True", "Succeeded")}
    assert status.conditions[0].message == "stored artifact for revision 'main@sha1:1'"
    assert status.last_checked == status.conditions[0].since == "2026-01-02T03:04:05Z"
    assert (outcome.announcement.severity, outcome.announcement.reason, outcome.announcement.message) == (
        "info",
        "NewArtifact",
        "stored artifact for commit 'hello'",
    )
    assert outcome.changed


def test_the_next_look_is_an_interval_away_give_or_take_five_percent():
    waits = {
        stored(SourceStatus(), replace(LOOK, key=str(n)), "r", "a", revision_words("r")).due - NOW.timestamp()
        for n in range(50)
    }
    assert len(waits) > 40
    assert 95 <= min(waits) < 97
    assert 103 < max(waits) <= 105


@pytest.mark.parametrize(
    ("revision", "artifact", "observation", "reason"),
    [
        ("main@sha1:1", "sha256:1", 1, None),
        ("main@sha1:2", "sha256:1", 2, None),
        ("main@sha1:1", "sha256:2", 2, "NewArtifact"),
    ],
)
def test_an_observation_is_a_new_head_or_a_new_artifact(revision, artifact, observation, reason):
    outcome = stored(first().status, later(60), revision, artifact, revision_words(revision))
    assert outcome.status.observation == observation
    assert outcome.changed is (observation == 2)
    assert (outcome.announcement.reason if outcome.announcement else None) == reason
    assert outcome.status.conditions[0].since == "2026-01-02T03:04:05Z"


def test_a_failure_keeps_what_was_stored_and_is_told_once():
    one = failed(first().status, later(60), LOST, stalled=False)
    assert (one.status.artifact, one.status.observation, one.status.error) == ("sha256:1", 1, "AuthenticationFailed")
    assert conditions(one.status) == {
        "Ready": ("False", "AuthenticationFailed"),
        "ArtifactInStorage": ("True", "Succeeded"),
        "FetchFailed": ("True", "AuthenticationFailed"),
        "Reconciling": ("True", "ProgressingWithRetry"),
    }
    assert (one.announcement.severity, one.announcement.message) == ("error", "no entry")
    two = failed(one.status, later(61), Transient("gone", reason="GitOperationFailed"), stalled=False)
    assert (two.announcement, two.status.error) == (None, "GitOperationFailed")


def test_the_wait_doubles_up_to_the_interval():
    status, elapsed, waits = first().status, 0.0, []
    for _ in range(10):
        outcome = failed(status, later(elapsed), LOST, stalled=False)
        waits.append(outcome.due - NOW.timestamp() - elapsed)
        status, elapsed = outcome.status, elapsed + waits[-1]
    assert [round(wait, 2) for wait in waits] == [0.75, 0.75, 1.5, 3, 6, 12, 24, 48, 96, 100]


def test_a_stalled_source_waits_for_its_document():
    outcome = failed(SourceStatus(), LOOK, InvalidDocument("no"), stalled=True)
    assert (outcome.due, outcome.status.generation) == (None, 3)
    assert conditions(outcome.status) == {
        "Ready": ("False", "BuildFailed"), "FetchFailed": ("True", "BuildFailed"), "Stalled": ("True", "BuildFailed"),
    }  # fmt: skip


@pytest.mark.parametrize(("artifact", "reason"), [("sha256:1", "Succeeded"), ("sha256:2", "NewArtifact")])
def test_a_recovery_is_told_once(artifact, reason):
    broken = failed(first().status, later(60), LOST, stalled=False).status
    healed = stored(broken, later(90), "main@sha1:1", artifact, revision_words("main@sha1:1"))
    assert healed.announcement.reason == reason
    assert set(conditions(healed.status)) == {"Ready", "ArtifactInStorage"}
    assert healed.status.conditions[0].since == "2026-01-02T03:05:35Z"
    assert stored(healed.status, later(99), "main@sha1:1", artifact, revision_words("main@sha1:1")).announcement is None


def test_each_announcement_has_an_id_of_its_own():
    broken = failed(first().status, later(60), LOST, stalled=False)
    again = failed(
        stored(broken.status, later(70), "r", "a", revision_words("r")).status, later(80), LOST, stalled=False
    )
    assert len({first().announcement.id, broken.announcement.id, again.announcement.id}) == 3
    assert first().announcement.id == first().announcement.id


@pytest.mark.parametrize(("subject", "shown"), [("Fix", "Fix"), ("é" * 50, "é" * 50), ("é" * 51, "é" * 50 + "...")])
def test_the_text_of_a_new_artifact(subject, shown):
    words = commit_words("main@sha1:1", subject)
    assert words.event == f"stored artifact for commit '{shown}'"
    assert words.status == "stored artifact for revision 'main@sha1:1'"


def test_the_texts_of_other_sources():
    origin = {"org.opencontainers.image.source": "https://git.example.com", "org.opencontainers.image.revision": "v1"}
    words = oci_words("1.0@sha256:1", "oci://ghcr.io/a/b", origin)
    assert words.status == "stored artifact for digest '1.0@sha256:1'"
    assert words.event == (
        "stored artifact with revision '1.0@sha256:1' from 'oci://ghcr.io/a/b', "
        "origin source 'https://git.example.com', origin revision 'v1'"
    )
    assert oci_words("r", "u", {}).event == "stored artifact with revision 'r' from 'u'"
    assert bucket_words("sha256:1").status == "stored artifact: revision 'sha256:1'"


def test_a_remote_that_asks_for_patience_gets_it():
    error = Transient("slow down", reason="GitOperationFailed", retry_after=30)
    assert failed(SourceStatus(), LOOK, error, stalled=False).due - NOW.timestamp() == 30
