"""Pods in trouble are named, with what the kubelet or the scheduler says."""

import pytest

from penstock.core.health.trouble import pod_selector, pod_trouble


def pod(**status):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web-x", "namespace": "apps"}, "status": status}


def waiting(reason, message="", **more):
    return {"name": "web", "state": {"waiting": {"reason": reason, "message": message}}, **more}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({}, ""),
        ({"containerStatuses": [waiting("ContainerCreating")]}, ""),
        ({"containerStatuses": [{"state": {"running": {}}}]}, ""),
        (
            {"containerStatuses": [waiting("ImagePullBackOff", 'Back-off pulling image "web:2"')]},
            'Pod/apps/web-x: ImagePullBackOff: Back-off pulling image "web:2"',
        ),
        (
            {"containerStatuses": [waiting("CrashLoopBackOff", "back-off", lastState={"terminated": {"exitCode": 3}})]},
            "Pod/apps/web-x: CrashLoopBackOff: back-off (exit code 3)",
        ),
        ({"initContainerStatuses": [waiting("InvalidImageName")]}, "Pod/apps/web-x: InvalidImageName"),
        (
            {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3"}]},
            "Pod/apps/web-x: Unschedulable: 0/3",
        ),
        ({"conditions": [{"type": "PodScheduled", "status": "True"}], "containerStatuses": "odd"}, ""),
    ],
)
def test_what_a_pod_says(status, expected):
    assert pod_trouble([pod(), pod(**status)]) == expected


@pytest.mark.parametrize(
    ("api_version", "kind", "spec", "expected"),
    [
        ("apps/v1", "Deployment", {"selector": {"matchLabels": {"b": "2", "a": "1"}}}, "a=1,b=2"),
        ("batch/v1", "Job", {}, "batch.kubernetes.io/job-name=x"),
        ("apps/v1", "Deployment", {"selector": {}}, ""),
        ("v1", "Service", {"selector": {"matchLabels": {"a": "1"}}}, ""),
        ("v1", "ReplicationController", {"selector": {"a": "1"}}, "a=1"),
        (
            "apps/v1",
            "StatefulSet",
            {
                "selector": {
                    "matchLabels": {"a": "1"},
                    "matchExpressions": [
                        {"key": "b", "operator": "In", "values": ["x", "y"]},
                        {"key": "c", "operator": "NotIn", "values": ["z"]},
                        {"key": "d", "operator": "Exists"},
                        {"key": "e", "operator": "DoesNotExist"},
                    ],
                }
            },
            "a=1,b in (x,y),c notin (z),d,!e",
        ),
    ],
)
def test_where_the_pods_of_a_workload_are(api_version, kind, spec, expected):
    assert pod_selector({"apiVersion": api_version, "kind": kind, "metadata": {"name": "x"}, "spec": spec}) == expected
