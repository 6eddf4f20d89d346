"""A match records what is known of a voided pair, and a test is judged by the rule that it was opened under."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from agent.base.errors import InfrastructureError, SandboxDown
from agent.base.types import Side, Split
from agent.kernel.decide.gate import GateSettings
from agent.kernel.decide.voids import VoidPair, VoidRule
from agent.kernel.loop.campaign import Campaign
from agent.kernel.loop.match import Match, Opening, opened_with, outcome_of, retest
from sandbox.fake import FakeRun
from tests.kernel.lab import MakeLab, skill_of, solve
from tests.kernel.records import candidate

OPENING = Opening(settings=GateSettings(), runs=10)


def candidate_fails(scene: FakeRun) -> object:
    """Boxes of skill 80 are lost; the others solve as usual."""
    if skill_of(scene) == 80:
        raise SandboxDown("the engine lost the box")
    return solve(scene)


@pytest.fixture
async def campaign(make_lab: MakeLab) -> AsyncIterator[Campaign]:
    async with make_lab(lambda _: None, solve=candidate_fails).campaign() as opened:
        yield opened


def match_of(campaign: Campaign, recorded: dict[str, object]) -> Match:
    """The seed against a candidate of skill 80."""
    state, repository = campaign.state, campaign.parts.repository
    base = repository.tree_of("main")
    trees = [base, repository.write(base, {"agent/scaffold/settings.py": b"SKILL = 80\n"})]
    seed, better = (replace(candidate(number), tree=tree) for number, tree in enumerate(trees))
    for one in (seed, better):
        state.ledger.add_candidate(one, fingerprint=f"f{one.id}", diff="", transcript="")
    row = state.ledger.open_test(candidate=1, champion=0, commits=0, policy="proven", settings=recorded)
    opening = opened_with(state.ledger, row.id)
    assert opening is not None
    tasks = campaign.parts.suite.split(Split.GATE)
    return Match(
        row=row, opening=opening, sides=(seed, better), tasks=tasks, seed=0, ledger=state.ledger,
        evaluator=campaign.parts.evaluator, seen=lambda _task, _pair: None,
    )  # fmt: skip


async def test_a_void_keeps_the_score_of_the_side_that_finished_and_counts_against_the_candidate(
    campaign: Campaign,
) -> None:
    match, ledger = match_of(campaign, OPENING.recorded()), campaign.state.ledger
    for index in range(4):
        with pytest.raises(InfrastructureError, match="lost the box"):
            await match.play(index)
    pairs = ledger.pairs(match.row.id)
    assert [(pair.void_side, pair.candidate) for pair in pairs] == [("candidate", None)] * 4
    assert all(outcome_of(pair) == VoidPair(Side.CANDIDATE, pair.champion) for pair in pairs)
    assert {pair.champion for pair in pairs} <= {0.0, 1.0}
    again = retest(match.row, ledger, OPENING)
    assert match.test is not None
    assert again.log_e == match.test.log_e
    assert (match.test.log_e < 0.0) == any(pair.champion for pair in pairs)


async def test_a_record_that_names_no_rule_for_voids_is_judged_by_the_old_one(campaign: Campaign) -> None:
    recorded = OPENING.recorded()
    assert recorded["voids"] == VoidRule.WORST_CASE
    older = {name: value for name, value in recorded.items() if name not in {"voids", "void_error"}}
    match = match_of(campaign, older)
    for index in range(4):
        with pytest.raises(InfrastructureError):
            await match.play(index)
    assert match.test is not None
    assert match.test.log_e == retest(match.row, campaign.state.ledger, OPENING).log_e == 0.0
