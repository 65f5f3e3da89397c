"""Whatever goes wrong, and in whatever combination: the cluster ends as the head has it, and nothing is lost on the way.

1,024 schedules: each combination of ten kinds of faults once (faults/decisions.py), over runs that overlap, pushes,
moves, removals and suspensions; and 48 wider ones, which have some of eight further kinds, too. ``make chaos`` runs ten
times as many. A schedule that fails is shrunk and printed;
``python -m tests.chaos.faults --seed N`` runs it again.
"""

import pytest
from tests.chaos.faults.decisions import KINDS, WIDE, WIDER, kinds_of
from tests.chaos.faults.schedule import made
from tests.chaos.faults.shrink import outcome, run, shrunk

SCHEDULES = 1 << len(KINDS)
PARTS = 32
WIDE_SEEDS = [WIDE + 389 * number for number in range(48)]
WIDE_PARTS = 4


def test_the_schedules_are_every_combination_of_faults():
    assert len({kinds_of(seed) for seed in range(SCHEDULES)}) == SCHEDULES


@pytest.mark.parametrize("part", range(PARTS))
def test_whatever_goes_wrong_the_head_is_there_in_the_end(part):
    for seed in range(part, SCHEDULES, PARTS):
        failure = run(seed)
        if failure is not None:
            pytest.fail(str(shrunk(failure)), pytrace=False)


def test_the_wider_schedules_have_every_further_kind_often():
    for kind in WIDER:
        assert sum(kind in kinds_of(seed) for seed in WIDE_SEEDS) > len(WIDE_SEEDS) / 5
    assert not kinds_of(WIDE - 1) & set(WIDER)


@pytest.mark.parametrize("part", range(WIDE_PARTS))
def test_whatever_else_goes_wrong_the_head_is_there_in_the_end(part):
    for seed in WIDE_SEEDS[part::WIDE_PARTS]:
        failure = run(seed)
        if failure is not None:
            pytest.fail(str(shrunk(failure)), pytrace=False)


@pytest.mark.parametrize("seed", [1023, 510])
def test_what_happened_can_be_played_again(seed):
    from tests.chaos.faults.shrink import in_order
    from tests.chaos.faults.world import World

    def history(play=None):
        world = World(made(seed), play)
        try:
            with in_order():
                world.run()
        finally:
            world.close()
        return world.decisions.happened, [(round(c.at, 3), c.by, c.plane) for c in world.api.audit]

    faults, changes = history()
    assert faults
    assert history(faults) == (faults, changes)


def test_a_schedule_without_faults_is_quiet():
    assert outcome(made(0), play=()) is None
