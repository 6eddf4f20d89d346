"""What carries an accepted composite: idle patches are left out if the rest passes a test of its own."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace

import pytest

from agent.base.trust import DEFAULT_MUTABLE
from agent.base.types import Candidate, Fate, Purpose
from agent.kernel.decide.attribution import Standing
from agent.kernel.git.repository import Repository
from agent.kernel.loop.campaign import Campaign
from agent.kernel.loop.match import opened_with
from agent.kernel.loop.proposer import Proposal
from agent.kernel.record.attributed import parts_of
from agent.review.audit.verify import Evidence, verify
from agent.review.report.facts import collect
from sandbox.fake import FakeRun
from tests.kernel.lab import SETTINGS, Lab, MakeLab, git, skill_of, solve, suite

GOOD, ONE, TWO = {SETTINGS: b"SKILL = 80\n"}, {"prompts/one.md": b"x\n"}, {"prompts/two.md": b"x\n"}
OPTIONS = {"gate_options": {"not_worse": 0.2, "same_pairs": 0}, "commit": {"attribute": 30}}


def idle(scene: FakeRun) -> str:
    """An improver that has no idea."""
    del scene
    return "nothing"


async def composite(campaign: Campaign, *changes: dict[str, bytes]) -> Candidate:
    """A candidate of several patches of the seed."""
    seed, parts = campaign.state.candidates[0], list[Candidate]()
    for number, change in enumerate(changes):
        before = campaign.admission.mutable(seed.tree or "")
        admitted, readings = await campaign.parts.proposer.admitted(before, {**before, **change})
        proposal = Proposal(
            change=admitted, readings=readings, subject=f"Patch {number}", body="", refusal="", transcript=""
        )
        parts.append(await campaign.admission.admit(proposal, seed))
        await campaign.admission.smoke(parts[-1])
    await campaign.merger.compose(frozenset(one.id for one in parts))
    return campaign.state.candidates[len(changes) + 1]


async def accepted(campaign: Campaign, candidate: Candidate) -> None:
    """Bring a candidate to the gate, and play its test to the end."""
    campaign.gate._open(candidate)
    match = campaign.match
    assert match is not None
    while match.decision is None:
        await campaign.gate.pair(match, match.next_index())
    assert match.decision.accepted


async def conclude(campaign: Campaign) -> None:
    step = campaign.gate.verdict_step(ending=False)
    assert step is not None
    await step.work()


def trailer(lab: Lab, name: str) -> str:
    return git(lab.repo, "log", "-1", f"--format=%(trailers:key={name},valueonly)", "ratchet/night")


async def test_idle_patches_are_left_out_of_the_commit(make_lab: MakeLab) -> None:
    lab = make_lab(idle, options=OPTIONS, trials=2000)
    async with lab.campaign() as campaign:
        await campaign.resume()
        await accepted(campaign, whole := await composite(campaign, GOOD, ONE, TWO))
        await conclude(campaign)
        state = campaign.state
        assert state.archive.patches(state.champion) == {1}
        assert state.candidates[whole.id].fate is Fate.REJECTED
        assert "without its patches that add nothing" in state.candidates[whole.id].reason
        known = parts_of(state.ledger, 1)
        assert known["left_out"] == [2, 3]
        assert {patch: one["standing"] for patch, one in known["parts"].items()} == {
            "1": Standing.NEEDED, "2": Standing.IDLE, "3": Standing.IDLE,
        }  # fmt: skip
        assert state.open_test() is None, "the whole does not wait for a commit"
        assert [row.verdict for row in state.ledger.tests()] == ["accepted", "accepted"]
        assert [row.test for row in state.ledger.commits()] == [2]
    with lab.ledger() as ledger:
        repository = Repository.open(lab.repo, "night", DEFAULT_MUTABLE, ledger.recollect("base"))
        opening = opened_with(ledger, 2)
        assert opening is not None
        evidence = Evidence(ledger=ledger, repository=repository, opening=opening, seed=0, suite=suite())
        checks = verify(repository.commit("ratchet/night"), evidence)
        assert [one for one in checks if one.ok is False] == []
        shown = {patch.candidate.id: patch.parts for patch in collect(ledger).patches}
        assert shown[1] == shown[whole.id] == trailer(lab, "Ratchet-Parts")
    assert git(lab.repo, "diff", "--name-only", "main", "ratchet/night") == SETTINGS
    assert trailer(lab, "Ratchet-Parts").startswith("#1 +0.")
    assert "#2 +0.000 (idle), #3 +0.000 (idle)" in trailer(lab, "Ratchet-Parts")


def either(scene: FakeRun) -> str:
    """Each of two patches is enough, so that neither is missed alone."""
    files = {"prompts/one.md", "prompts/two.md"} & scene.scaffold.keys()
    skill = 80 if files else skill_of(scene)
    return solve(replace(scene, areas={**scene.areas, "/scaffold": {SETTINGS: f"SKILL = {skill}".encode()}}))


async def test_a_smaller_set_that_does_not_pass_leaves_the_whole_to_be_committed(make_lab: MakeLab) -> None:
    lab = make_lab(idle, solve=either, options=OPTIONS, trials=4000)
    async with lab.campaign() as campaign:
        await campaign.resume()
        third = {"prompts/three.md": b"x\n"}
        await accepted(campaign, whole := await composite(campaign, third, ONE, TWO))
        await conclude(campaign)
        assert campaign.state.champion == whole.id
        known = parts_of(campaign.state.ledger, 1)
        assert len(known["left_out"]) < 3 or "test" not in known
        rows = campaign.state.ledger.tests()
        assert [row.verdict for row in rows if row.id == known.get("test")] in ([], ["futile"], ["rejected"])
    assert "three.md" in git(lab.repo, "diff", "--name-only", "main", "ratchet/night")


@pytest.mark.parametrize("after", [0, 7, 75])
async def test_a_killed_attribution_resumes(make_lab: MakeLab, after: int) -> None:
    lab = make_lab(idle, options=OPTIONS, trials=2000)
    async with lab.campaign() as campaign:
        await campaign.resume()
        await accepted(campaign, await composite(campaign, GOOD, ONE, TWO))
        before = campaign.state.trials
        concluding = asyncio.create_task(conclude(campaign))
        while campaign.state.trials < before + after and not concluding.done():  # noqa: ASYNC110 (plain state)
            await asyncio.sleep(0)
        concluding.cancel()
        await asyncio.gather(concluding, return_exceptions=True)
        begun = campaign.state.ledger.recollect("attribution:1:begun")
    async with lab.campaign() as campaign:
        await campaign.resume()
        if campaign.match is not None:
            await conclude(campaign)
        state = campaign.state
        assert state.archive.patches(state.champion) == {1}
        kept = state.ledger.recollect("attribution:1:begun")
        assert begun in (None, kept), "a kill gives it no second part of the budget"
        indices = [index for _, index, _ in state.ledger.indices(Purpose.PARTS)]
        assert len(indices) == len(set(indices))
        assert len(state.ledger.commits()) == 1
    assert len(git(lab.repo, "log", "--format=%s", "main..ratchet/night").splitlines()) == 1


async def test_taking_apart_uses_a_part_of_the_time_that_is_left(make_lab: MakeLab) -> None:
    """So the holdout is measured to its end. Each run of the scaffold takes a second here."""
    runs, stages = 0, list[str]()

    def counted(scene: FakeRun) -> str:
        nonlocal runs
        runs += 1
        stages.append(campaign.gate.stage)
        return solve(scene)

    options = {"gate_options": {"not_worse": 0.01, "same_pairs": 0}, "commit": {"attribute": 4096}}
    lab = make_lab(idle, solve=counted, options=options, trials=100_000)
    lab.clock, lab.seconds = lambda: float(runs), 600.0
    async with lab.campaign() as campaign:
        await campaign.resume()
        await accepted(campaign, await composite(campaign, GOOD, ONE, TWO))
        left = lab.seconds - runs
        stages.clear()
        await conclude(campaign)
        assert [stage for stage, _ in itertools.groupby(stages)] == ["parts", "holdout"]
        measured = len(campaign.state.ledger.indices(Purpose.PARTS))
        assert 0.2 * left <= measured <= 0.2 * left + 8, "no more than the trials in flight above that part"
        assert "(open)" in trailer(lab, "Ratchet-Parts")
        assert len(campaign.state.ledger.indices(Purpose.HOLDOUT)) == 8


async def test_the_smaller_sets_test_ends_at_its_part_of_the_time_that_was_left(make_lab: MakeLab) -> None:
    runs, gone = 0, 0.0

    def counted(scene: FakeRun) -> str:
        nonlocal runs
        runs += 1
        return solve(scene)

    options = OPTIONS | {"gate_options": {"not_worse": 0.4, "same_pairs": 0}}
    lab = make_lab(idle, solve=counted, options=options, trials=100_000)
    lab.clock, lab.seconds = lambda: runs + gone, 10_000.0
    async with lab.campaign() as campaign:
        await campaign.resume()
        await accepted(campaign, whole := await composite(campaign, {SETTINGS: b"SKILL = 45\n"}, ONE, TWO))
        gone, before = lab.seconds - runs - 200, runs
        await conclude(campaign)
        ledger, state = campaign.state.ledger, campaign.state
        assert [row.verdict for row in ledger.tests()] == ["accepted", "out of budget"]
        assert state.champion == whole.id, "what was proven is committed"
        used = runs - before - len(ledger.indices(Purpose.HOLDOUT))
        assert 60 <= used <= 68, "no more than the pairs in flight above three tenths"


async def test_one_patch_is_committed_as_it_is(make_lab: MakeLab) -> None:
    lab = make_lab(idle, options=OPTIONS, trials=2000)
    async with lab.campaign() as campaign:
        await campaign.resume()
        await composite(campaign, GOOD, ONE)
        await accepted(campaign, campaign.state.candidates[1])
        await conclude(campaign)
        assert campaign.state.champion == 1
        assert not campaign.state.ledger.indices(Purpose.PARTS)
