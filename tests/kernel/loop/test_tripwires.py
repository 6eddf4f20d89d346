"""Limits at which a campaign stops until a person has looked, and patches that wait for one."""

from __future__ import annotations

import re

import pytest

from agent.base.errors import UserError
from agent.kernel.loop.approval import Approvals
from agent.kernel.loop.tripwires import check_tripwire, pass_tripwire
from agent.kernel.record.ledger import Ledger
from sandbox.fake import FakeRun
from tests.kernel.lab import SETTINGS, MakeLab, git, luck_of, skill_of


def better(scene: FakeRun) -> None:
    scene.workspace[SETTINGS] = b"SKILL = 80\n"
    scene.workspace["PATCH.md"] = b"Raise SKILL to 80\n"


def overfitted(scene: FakeRun) -> str:
    """Better on every task but the held-out ones, where the seed is perfect."""
    held_out = re.search(rb"holdout", scene.task["instruction.md"]) is not None
    skill = skill_of(scene)
    right = skill < 50 if held_out else luck_of(scene) < skill
    scene.workspace["solution.py"] = b"right" if right else b"wrong"
    return ""


async def test_a_large_patch_waits_for_a_person(make_lab: MakeLab) -> None:
    def large(scene: FakeRun) -> None:
        better(scene)
        scene.workspace["prompts/solve.md"] = b"do it\n" * 500

    lab = make_lab(large, trials=300, tripwires={"patch_kb": 1.0})
    await lab.run()
    with lab.ledger() as ledger:
        assert len(Approvals(ledger).waiting(0)) == 1


async def test_a_patch_with_a_flag_that_is_named_waits_and_another_one_does_not(make_lab: MakeLab) -> None:
    def fetches(scene: FakeRun) -> None:
        better(scene)
        scene.workspace["prompts/solve.md"] = b"do it with curl\n"

    lab = make_lab(fetches, trials=300, tripwires={"flags": ["network"]})
    await lab.run()
    with lab.ledger() as ledger:
        assert len(Approvals(ledger).waiting(0)) == 1
        assert not ledger.commits()


async def test_a_campaign_without_wires_commits_the_same_patch(make_lab: MakeLab) -> None:
    lab = make_lab(better, trials=300, tripwires={"flags": ["network"], "patch_kb": 64})
    await lab.run()
    with lab.ledger() as ledger:
        assert ledger.commits()


async def test_a_fall_of_the_held_out_score_stops_the_campaign_until_a_person_has_looked(make_lab: MakeLab) -> None:
    lab = make_lab(better, trials=900, solve=overfitted, tripwires={"holdout_drop": 0.3})
    ending = await lab.run()
    assert ending.startswith("a tripwire: the held-out score of #")
    with Ledger(lab.folder / "ledger.sqlite") as ledger:
        assert len(ledger.commits()) == 1
        assert [event.kind for event in ledger.events()].count("tripwire") == 1
        with pytest.raises(UserError, match="--past-tripwire"):
            check_tripwire(ledger)
        pass_tripwire(ledger, "alice")
        check_tripwire(ledger)
        assert ledger.events()[-1].text.startswith("alice continued past a tripwire")
    assert "trials are used up" in await lab.run()
    assert git(lab.repo, "rev-parse", "ratchet/night") != git(lab.repo, "rev-parse", "main")


async def test_a_cost_per_proven_point_beyond_its_limit_stops_the_campaign(make_lab: MakeLab) -> None:
    lab = make_lab(better, trials=900, tripwires={"dollars_per_point": 0.5})
    async with lab.campaign() as campaign:
        reservation = await campaign.parts.budget.reserve(1, 0.6)
        assert reservation is not None
        reservation.settle(1, 0.6)
        assert (await campaign.run()).startswith("a tripwire: $0.60 were spent for each proven point")
