from datetime import timedelta
from typing import Any

import pytest

from penstock.core.flux.kustomization import Kustomization, parse_kustomization
from penstock.core.health.facts import Health, Status
from penstock.core.health.gate import (
    failure_message,
    format_duration,
    jobs_with_ttl,
    judge,
    success_message,
    to_wait_for,
    unsupported_among,
)
from penstock.core.resources import ObjectRef

WEB = ObjectRef(group="apps", kind="Deployment", namespace="prod", name="web")
JOB = ObjectRef(group="batch", kind="Job", namespace="prod", name="migrate")
OWN = ObjectRef(group="kustomize.toolkit.fluxcd.io", kind="Kustomization", namespace="flux-system", name="apps")


def kustomization(**spec: Any) -> Kustomization:
    source = {"kind": "GitRepository", "name": "x"}
    return parse_kustomization(
        {
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
            "kind": "Kustomization",
            "metadata": {"name": "apps", "namespace": "flux-system"},
            "spec": {"interval": "1m", "prune": True, "sourceRef": source, **spec},
        }
    )


CHECK_WEB = [{"kind": "Deployment", "name": "web", "namespace": "prod"}]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, ()),
        ({"wait": True}, (JOB, WEB)),
        ({"healthChecks": [*CHECK_WEB, *CHECK_WEB]}, (WEB,)),
        ({"wait": True, "healthChecks": CHECK_WEB}, (JOB, WEB)),
    ],
)
def test_what_is_waited_for(spec: dict[str, Any], expected: tuple[ObjectRef, ...]) -> None:
    assert to_wait_for(kustomization(**spec), [JOB, OWN, WEB]) == expected


def health(status: str, message: str = "why") -> Health:
    return Health(status=Status(status), message=message)


@pytest.mark.parametrize(
    ("web", "job", "expired", "done", "passed", "problem"),
    [
        (health("Current"), health("Current"), False, True, True, ""),
        (health("Current"), health("Current"), True, True, True, ""),
        (health("InProgress"), health("Current"), False, False, False, ""),
        (
            health("InProgress"),
            health("Current"),
            True,
            True,
            False,
            "timeout waiting for: [Deployment/prod/web status: 'InProgress']",
        ),
        (
            health("InProgress"),
            health("Failed", "Job Failed. failed: 1/1"),
            False,
            True,
            False,
            "failed early due to stalled resources: [Job/prod/migrate status: 'Failed': Job Failed. failed: 1/1]",
        ),
        (
            health("InProgress"),
            health("Failed", ""),
            True,
            True,
            False,
            "timeout waiting for: [Deployment/prod/web status: 'InProgress', Job/prod/migrate status: 'Failed']",
        ),
        (health("NotFound"), health("Current"), False, False, False, ""),
        (
            health("NotFound"),
            health("Current"),
            True,
            True,
            False,
            "timeout waiting for: [Deployment/prod/web status: 'NotFound']",
        ),
        (None, health("Current"), False, False, False, ""),
        (
            None,
            health("Current"),
            True,
            True,
            False,
            "timeout waiting for: [can't determine status for Deployment/prod/web]",
        ),
        (health("Terminating"), health("Current"), False, False, False, ""),
    ],
)
def test_the_verdict(
    *, web: Health | None, job: Health | None, expired: bool, done: bool, passed: bool, problem: str
) -> None:
    found = judge({WEB: web, JOB: job}, expired=expired)
    assert (found.done, found.passed, found.problem) == (done, passed, problem)
    assert (WEB in found.waiting) == (web is None or web.status != "Current")


@pytest.mark.parametrize("absent", [None, health("NotFound")])
def test_a_job_that_removes_itself_counts_as_done(absent: Health | None) -> None:
    assert judge({JOB: absent}, expired=False, ttl_jobs={JOB}).passed
    assert not judge({JOB: absent}, expired=False).done


def test_without_fail_fast_a_failure_ends_the_wait_only_when_all_have_settled() -> None:
    going = {WEB: health("InProgress"), JOB: health("Failed")}
    assert not judge(going, expired=False, fail_fast=False).done
    settled = judge({WEB: health("Current"), JOB: health("Failed")}, expired=False, fail_fast=False)
    assert (settled.done, settled.passed) == (True, False)
    assert not judge({WEB: None, JOB: health("Failed")}, expired=False, fail_fast=False).done


def test_nothing_to_wait_for_passes() -> None:
    assert judge({}, expired=False).passed


def test_unsupported_objects_among_those_waited_for() -> None:
    release = {"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease", "metadata": {"name": "a"}}
    ref = ObjectRef(group="helm.toolkit.fluxcd.io", kind="HelmRelease", name="a")
    assert unsupported_among([WEB, ref], [release]) == (ref,)
    assert unsupported_among([WEB], [release]) == ()


def test_jobs_with_a_time_to_live() -> None:
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "migrate", "namespace": "prod"}}
    assert jobs_with_ttl([{**job, "spec": {"ttlSecondsAfterFinished": 0}}]) == {JOB}
    assert jobs_with_ttl([{**job, "spec": {}}, {**job, "kind": "CronJob"}]) == frozenset()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.15, "150ms"),
        (2.0344, "2.034s"),
        (30, "30s"),
        (61.5, "1m1.5s"),
        (3600, "1h0m0s"),
        (3723.25, "1h2m3.25s"),
    ],
)
def test_durations_read_as_go_prints_them(seconds: float, text: str) -> None:
    assert format_duration(timedelta(seconds=seconds)) == text


def test_messages() -> None:
    elapsed = timedelta(seconds=30)
    assert (
        failure_message("timeout waiting for: [x]", elapsed)
        == "health check failed after 30s: timeout waiting for: [x]"
    )
    assert success_message(elapsed) == "Health check passed in 30s"
