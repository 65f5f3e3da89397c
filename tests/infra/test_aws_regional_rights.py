"""Least privilege between two regions on AWS, tried: every call of a whole story is allowed, and no right there is idle."""

import fnmatch

import pytest
from tests.infra import aws_regions, iam, terraform
from tests.infra.aws_calls import spied_on
from tests.infra.aws_regions import FAR, HOME
from tests.infra.regional_story import regional_story
from tests.infra.test_topology import ACCOUNT

from penstock.core.records import object_key
from penstock.wiring import lambda_functions

NO_CALL = {"ListArtifacts", "LetTheSchedulerPublish"}
"""Without the first a missing artifact reads as 403; a role, which is of no region, is passed within a call."""


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    far = {"region": FAR, "home_region": HOME}
    return {
        region: terraform.outputs("aws/model", tmp_path_factory.mktemp(region), **{**ACCOUNT, **more, "regions": [FAR]})
        for region, more in ((HOME, {}), (FAR, far))
    }


@pytest.fixture
def calls(monkeypatch):
    return spied_on(monkeypatch)


@pytest.fixture
def plane(models, calls, monkeypatch):
    monkeypatch.setattr(lambda_functions, "runtime", lambda_functions.runtime)
    with aws_regions.regional_plane(models, calls) as made:
        yield made


def policies(models):
    """By function, as calls name it."""
    return {
        f"{stage}{'' if region == HOME else f'@{region}'}": policy
        for region, model in models.items()
        for stage, policy in model["policies"].items()
    }


def refused(calls, policies):
    return sorted(
        {
            f"{who}: {act} on {resource} {context}"
            for who, act, resource, context in calls
            if not iam.allowed(policies[who], act, resource, context)
        }
    )


def crossing(policies):
    """Each statement on what is in another region than its function: (function, its name, actions, resource)."""
    return {
        (who, statement["Sid"], tuple(statement["Action"]), resource)
        for who, policy in policies.items()
        for statement in policy["Statement"]
        for resource in statement["Resource"]
        if statement["Sid"] not in NO_CALL and (FAR in resource) != who.endswith(FAR)
    }


def idle(calls, policies):
    """Of those, what no call needed."""
    made = {(who, act, resource) for who, act, resource, _ in calls}
    return sorted(
        f"{who}: {sid} on {resource}"
        for who, sid, acts, resource in crossing(policies)
        if not any(w == who and a in acts and fnmatch.fnmatchcase(r, resource) for w, a, r in made)
    )


def test_every_call_between_regions_is_allowed_and_no_right_there_is_idle(plane, calls, models):
    regional_story(plane, aws_regions)
    with calls.of("tick"):  # of a Kustomization whose turn comes soon after another's
        plane.runtimes[HOME].port("state").get(object_key("far", "Kustomization", "flux-system", "app"))
    rights = policies(models)
    assert not refused(calls.made, rights), "\n".join(refused(calls.made, rights))
    assert not idle(calls.made, rights), "\n".join(idle(calls.made, rights))
    poorer = {who: without_crossing(who, policy) for who, policy in rights.items()}
    assert {line.partition(":")[0] for line in refused(calls.made, poorer)} == {who for who, *_ in crossing(rights)}


def without_crossing(who, policy):
    """The same, in the function's own region alone."""
    statements = [
        {**each, "Resource": [one for one in each["Resource"] if (FAR in one) == who.endswith(FAR)]}
        for each in policy["Statement"]
    ]
    return {"Statement": statements}
