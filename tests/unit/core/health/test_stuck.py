"""When pods end a health check early, and when they are waited for."""

import copy
from datetime import UTC, datetime
from typing import Any

import pytest

from penstock.core.health.stuck import hopeless, newest_pods

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
LONG_AGO, JUST_NOW = "2026-01-01T11:50:00Z", "2026-01-01T11:59:50Z"


def waiting(reason: str, **more: Any) -> dict[str, Any]:
    return {"name": "web", "state": {"waiting": {"reason": reason}}, **more}


def pod(*containers: Any, started: str = LONG_AGO, **status: Any) -> dict[str, Any]:
    metadata = {"name": "x", "namespace": "apps", "creationTimestamp": "2026-01-01T00:00:00Z"}
    parts = {"startTime": started, "containerStatuses": list(containers), **status}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "status": parts}


def ended(started: str, finished: str) -> dict[str, Any]:
    return {"lastState": {"terminated": {"startedAt": started, "finishedAt": finished, "exitCode": 1}}}


READY_SINCE = {"type": "Initialized", "status": "True", "lastTransitionTime": JUST_NOW}


@pytest.mark.parametrize(
    ("found", "lost"),
    [
        (pod(waiting("InvalidImageName"), started=JUST_NOW), True),
        (pod(waiting("ContainerCreating")), False),
        (pod({"name": "web", "state": {"running": {}}}), False),
        # tried twice, or not yet
        (pod(waiting("ErrImagePull")), True),
        (pod(waiting("ImagePullBackOff")), True),
        (pod(waiting("CreateContainerConfigError")), True),
        (pod(waiting("ImagePullBackOff"), started=JUST_NOW), False),
        (pod(waiting("CreateContainerConfigError"), started=JUST_NOW), False),
        (pod(waiting("ImagePullBackOff"), started=""), True),
        # an init container that took its time is not held against the others
        (pod(waiting("ImagePullBackOff"), conditions=[READY_SINCE]), False),
        (pod(initContainerStatuses=[waiting("ImagePullBackOff")], conditions=[READY_SINCE]), True),
        # a crash, and a loop
        (pod(waiting("CrashLoopBackOff", restartCount=1), started=JUST_NOW), False),
        (pod(waiting("CrashLoopBackOff", restartCount=3), started=JUST_NOW), True),
        (pod(waiting("CrashLoopBackOff", restartCount=1)), True),
        (pod(initContainerStatuses=[waiting("CrashLoopBackOff", restartCount=4)]), True),
        # what has run for long may run again
        (
            pod(waiting("CrashLoopBackOff", restartCount=9, **ended("2026-01-01T10:00:00Z", "2026-01-01T11:59:00Z"))),
            False,
        ),
        (
            pod(waiting("CrashLoopBackOff", restartCount=9, **ended("2026-01-01T11:58:59Z", "2026-01-01T11:59:00Z"))),
            True,
        ),
        (pod(waiting("CrashLoopBackOff", restartCount=9, **ended("soon", "later"))), True),
        (pod(containerStatuses="odd"), False),
    ],
)
def test_what_will_not_get_there_by_itself(found: dict[str, Any], lost: bool) -> None:
    assert (hopeless([found], NOW) == (found,)) is lost


def test_the_crashes_of_a_job_are_bounded_by_its_own_limit() -> None:
    crashing, unpullable = pod(waiting("CrashLoopBackOff", restartCount=5)), pod(waiting("ImagePullBackOff"))
    assert hopeless([crashing, unpullable], NOW, job=True) == (unpullable,)


def owned(by: str, **labels: str) -> dict[str, Any]:
    owner = {"uid": by, "controller": True}
    return {"metadata": {"name": f"of-{by}", "labels": labels, "ownerReferences": [{"uid": "other"}, owner]}}


def workload(kind: str, *, generation: int = 2, observed: int | None = 2, **more: Any) -> dict[str, Any]:
    group = "batch/v1" if kind == "Job" else "apps/v1"
    metadata = {"name": "w", "uid": "w", "generation": generation, **more.pop("metadata", {})}
    status = {"observedGeneration": observed} if observed is not None else {}
    return {
        "apiVersion": group,
        "kind": kind,
        "metadata": metadata,
        "status": {**status, **more.pop("status", {})},
        **more,
    }


TEMPLATE = {"metadata": {"labels": {"app": "w"}}, "spec": {"containers": [{"name": "c", "image": "c:2"}]}}


def replica_set(uid: str, image: str, by: str = "w") -> dict[str, Any]:
    template = copy.deepcopy(TEMPLATE)
    template["metadata"]["labels"]["pod-template-hash"] = uid
    template["spec"]["containers"][0]["image"] = image
    made = owned(by)
    made["metadata"]["uid"] = uid
    return {**made, "spec": {"template": template}}


def test_of_a_deployment_only_the_newest_template_counts() -> None:
    sets = [replica_set("old", "c:1"), replica_set("new", "c:2"), replica_set("foreign", "c:2", by="z")]
    pods = [owned("old"), owned("new"), owned("foreign"), {"metadata": {"name": "nobodys"}}]
    assert newest_pods(workload("Deployment", spec={"template": TEMPLATE}), pods, sets) == (pods[1],)


def test_what_its_controller_has_not_seen_yet_is_not_judged_by_its_pods() -> None:
    """The pods are those of the revision before, and this one may mend them."""
    late = workload("Deployment", generation=3, observed=2, spec={"template": TEMPLATE})
    assert newest_pods(late, [owned("new")], [replica_set("new", "c:2")]) == ()
    assert newest_pods(workload("Job", observed=None), [owned("w")], []) == (owned("w"),), "a Job does not say it"


@pytest.mark.parametrize(
    ("owner", "label"),
    [
        (workload("StatefulSet", status={"updateRevision": "w-7"}), {"controller-revision-hash": "w-7"}),
        (
            workload("DaemonSet", metadata={"annotations": {"deprecated.daemonset.template.generation": "4"}}),
            {"pod-template-generation": "4"},
        ),
    ],
)
def test_of_others_the_label_of_the_revision_counts(owner: dict[str, Any], label: dict[str, str]) -> None:
    newest = owned("w", **label)
    stale = owned("w", **dict.fromkeys(label, "1"))
    foreign = owned("z", **label)
    leaving = copy.deepcopy(newest)
    leaving["metadata"]["deletionTimestamp"] = LONG_AGO
    assert newest_pods(owner, [stale, newest, foreign, leaving, owned("w")], []) == (newest,)
    untold = {**owner, "metadata": {"name": "w", "uid": "w"}, "status": {}}
    assert newest_pods(untold, [stale, newest], []) == ()
