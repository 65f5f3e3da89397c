"""A plane on a real API server and a real Git server, through faults, kills and people; see tests/chaos/soak."""

from contextlib import ExitStack

import pytest
from tests.chaos.soak import audit
from tests.chaos.soak.fleet import Fleet
from tests.chaos.soak.rounds import Soak
from tests.controlplane.build import tool

pytestmark = pytest.mark.real
MINUTE = (
    *("weather", "commit: new member, move, add", "commit: remove, rename", "kill", "commit: move, remove member"),
    *("by hand", "commit: break, new parent", "kill", "commit: remove, move"),
)
ON_GOOGLE = (
    *(
        "weather",
        "commit: new member, move, add",
        "kill",
        "commit: remove, rename",
        "frozen",
        "commit: move, remove member",
    ),
    *("take away", "by hand", "commit: break, new parent", "stage away", "kill all", "commit: remove, move"),
)
ON_AWS = tuple(each for each in ON_GOOGLE if each not in ("frozen", "take away"))
LONG = 12
"""Rounds."""


@pytest.fixture
def soak(tmp_path, request):
    if tool("controlplane") is None:
        pytest.skip("no Kubernetes control plane is built here: run `make tools`")
    with ExitStack() as stack:
        seed, on = request.param if isinstance(request.param, tuple) else (request.param, "serve")
        yield Soak(tmp_path, stack, seed, on)


@pytest.mark.parametrize("soak", [5], indirect=True)
def test_a_plane_under_fire_ends_at_the_head_and_its_audit_log_is_clean(soak):
    soak.begin()
    soak.play(MINUTE)
    assert soak.world.api_proxy.happened, "there were faults"
    everything = Fleet(
        members={name: each for _, fleet in soak.heads for name, each in fleet.members.items()},
        objects={key: each for _, fleet in soak.heads for key, each in fleet.objects.items()},
    )
    assert audit.judge(soak.log, [(0.0, everything)]), "had nothing left Git, what was deleted would have been noticed"


@pytest.mark.slow
@pytest.mark.parametrize("soak", [101, 102], indirect=True)
def test_and_so_it_is_in_the_long_run(soak):
    soak.begin()
    for _ in range(LONG):
        soak.round(15)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("soak", "minute"), [((6, "google"), ON_GOOGLE), ((6, "aws"), ON_AWS)], indirect=["soak"], ids=["google", "aws"]
)
def test_so_do_deployed_functions(soak, minute):
    soak.begin()
    soak.play(minute)
    assert soak.plane.faults(), "there were faults"
