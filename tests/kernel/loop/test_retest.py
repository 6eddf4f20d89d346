"""A test that infrastructure errors ended as void does not end its candidate: it is tested again, within bounds."""

from __future__ import annotations

import pytest

from agent.base.errors import BudgetSpent, SandboxDown
from agent.base.types import Fate
from agent.kernel.loop.gatekeeping import MOST_TESTS
from sandbox.fake import FakeRun
from tests.kernel.lab import SETTINGS, Lab, MakeLab, skill_of, solve


def better(scene: FakeRun) -> None:
    scene.workspace[SETTINGS] = b"SKILL = 80\n"


async def run(lab: Lab) -> None:
    async with lab.campaign() as campaign:
        campaign.config.boxes.__dict__["patience_minutes"] = 60.0
        campaign.pauses.wait = campaign.pauses.first_wait = 0.001
        await campaign.run()


@pytest.mark.parametrize("outage", [8, 10**9])
async def test_a_candidate_whose_pairs_an_outage_voided_is_tested_afresh(make_lab: MakeLab, outage: int) -> None:
    """An outage that takes the boxes in flight of one side: a short one, and one without end."""
    lost = 0

    def flaky(scene: FakeRun) -> object:
        nonlocal lost
        if b"of gate" in scene.task["instruction.md"] and skill_of(scene) == 80 and lost < outage:
            lost += 1
            raise SandboxDown("the engine lost the box")
        return solve(scene)

    lab = make_lab(better, solve=flaky, trials=700)
    await run(lab)
    with lab.ledger() as ledger:
        tests, fate = ledger.tests(), ledger.candidates()[1].fate
        first = [test for test in tests if test.candidate == 1]
        said = [str(test.verdict) for test in first]
        assert [test.id for test in tests] == [*range(1, len(tests) + 1)], "each test spends an index of its own"
    if outage > 8:
        assert said == ["void"] * MOST_TESTS
        assert fate is Fate.OPEN
    else:
        assert said[0] == "void"
        assert "accepted" in said
        assert fate is Fate.CHAMPION


async def test_a_budget_that_cannot_pay_for_a_trial_ends_the_campaign_and_voids_no_pair(make_lab: MakeLab) -> None:
    def spends(scene: FakeRun) -> object:
        if b"of gate" in scene.task["instruction.md"]:
            raise BudgetSpent("no probe can be paid for")
        return solve(scene)

    lab = make_lab(better, solve=spends, trials=700)
    async with lab.campaign() as campaign:
        ending = await campaign.run()
    assert "no probe can be paid for" in ending
    with lab.ledger() as ledger:
        [row] = ledger.tests()
        assert (row.verdict, ledger.pairs(row.id)) == ("out of budget", [])
