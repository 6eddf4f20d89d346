"""Load is seen: canaries, pairs at their time limit, and a parallelism that follows."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from agent.base.errors import Starved
from agent.base.types import Purpose, Split
from agent.kernel.loop.campaign import Campaign
from agent.kernel.loop.load import CANARIES, LEAST, binomial_tail, hit_limit
from agent.kernel.loop.parts import StepKind
from sandbox.fake import FakeRun
from tests.kernel.lab import SETTINGS, Lab, MakeLab, solve, steadily
from tests.kernel.lab import task as a_task


def better(scene: FakeRun) -> None:
    scene.workspace[SETTINGS] = b"SKILL = 80\n"


def nothing(scene: FakeRun) -> None:
    """An improver that leaves no patch."""


def told(lab: Lab) -> list[str]:
    with lab.ledger() as ledger:
        return [text for _, _, kind, text in ledger.events() if kind == "load"]


def with_canaries(campaign: Campaign, every: int) -> None:
    campaign.config.boxes.__dict__["canary"] = every


async def test_the_seed_is_measured_again_and_nothing_is_said_of_a_calm_machine(make_lab: MakeLab) -> None:
    lab = make_lab(better, solve=steadily, trials=200)
    async with lab.campaign() as campaign:
        with_canaries(campaign, 30)
        await campaign.run()
        assert campaign.load.parallel == campaign.config.boxes.parallel
    with lab.ledger() as ledger:
        canaries = ledger.trials(purpose=Purpose.CANARY)
        first = ledger.by_index(Purpose.SEARCH, 0)
        assert len(canaries) >= CANARIES
        assert {index for _, index, _ in ledger.indices(Purpose.CANARY)} == set(range(len(canaries)))
        baseline = {trial.task: trial for trial in first.values() if trial.seed in {one.seed for one in canaries}}
        assert all(baseline[one.task].score == one.score for one in canaries)
        assert {one.tree for one in canaries} == {ledger.candidates()[0].tree}
    assert told(lab) == []


async def test_without_canaries_the_seed_is_left_alone(make_lab: MakeLab) -> None:
    lab = make_lab(better, trials=150)
    async with lab.campaign() as campaign:
        with_canaries(campaign, 0)
        await campaign.run()
    with lab.ledger() as ledger:
        assert ledger.count_trials(Purpose.CANARY) == 0


async def test_a_seed_that_does_worse_than_at_the_start_lowers_the_parallelism(make_lab: MakeLab) -> None:
    starved = False

    def solving(scene: FakeRun) -> object:
        scene.workspace["solution.py"] = b"wrong" if starved else b"right"
        return "a program with a clock inside"

    lab = make_lab(nothing, solve=solving, trials=200)
    async with lab.campaign() as campaign:
        with_canaries(campaign, 10)
        running = asyncio.create_task(campaign.run())
        while campaign.state.trials < 60:  # noqa: ASYNC110 (what is watched is plain state)
            await asyncio.sleep(0.001)
        starved = True
        await running
        assert campaign.load.parallel == campaign.parts.evaluator.slots.limit == LEAST
    assert "the seed does worse than at the start in 5 of its last" in told(lab)[0]
    assert "3 trials at a time" in told(lab)[0]


async def test_the_parallelism_comes_back_when_the_machine_is_calm(make_lab: MakeLab) -> None:
    lab = make_lab(nothing, solve=steadily, trials=150)
    async with lab.campaign() as campaign:
        with_canaries(campaign, 10)
        campaign.load._lower("a test")
        assert campaign.load.parallel == 3
        await campaign.run()
        assert campaign.load.parallel == campaign.config.boxes.parallel == 4
    assert told(lab)[1:] == ["calm: 4 trials at a time from now on"]


async def test_chance_in_a_scaffold_is_not_taken_for_load(make_lab: MakeLab) -> None:
    lab = make_lab(nothing, trials=150)
    async with lab.campaign() as campaign:
        for sign in [1, -1] * 12:
            campaign.load._signs.append(sign)
        assert not campaign.load._judge()
        for _ in range(9):
            campaign.load._signs.append(-1)
        assert campaign.load._judge()
    assert len(told(lab)) == 1


async def test_pairs_that_hit_the_limit_on_both_sides_lower_the_parallelism_and_are_named(make_lab: MakeLab) -> None:
    lab = make_lab(better, gate="better", trials=150)
    async with lab.campaign() as campaign:
        # Boxes of the lab take no time, so the limit is put below what any trial takes, in gate tasks alone.
        tasks = tuple(
            replace(one, solve_timeout=1e-9 if one.split is Split.GATE else 60.0) for one in campaign.parts.suite.tasks
        )
        object.__setattr__(campaign.parts, "suite", replace(campaign.parts.suite, tasks=tasks))
        await campaign.run()
        assert campaign.load.parallel < campaign.config.boxes.parallel
    assert any("hit the time limit on both sides; 3 trials at a time" in text for text in told(lab))
    assert any("10 of 10 pairs of test 1 hit the time limit on both sides: pairs 1, 2, 3" in text for text in told(lab))


async def test_a_trial_that_was_starved_lowers_the_parallelism_at_once(make_lab: MakeLab) -> None:
    count = itertools.count()

    def starving(scene: FakeRun) -> object:
        if next(count) == 30:
            raise Starved("other programs took the processors for 9 of the 10 s of a run")
        return solve(scene)

    lab = make_lab(nothing, solve=starving, trials=60)
    async with lab.campaign() as campaign:
        with_canaries(campaign, 0)
        campaign.pauses.wait = 0.001
        campaign.config.boxes.__dict__["patience_minutes"] = 60.0
        await campaign.run()
        assert campaign.load.parallel == 3
    assert told(lab) == [
        "other programs took the processors for 9 of the 10 s of a run; 3 trials at a time from now on"
    ]
    with lab.ledger() as ledger:
        voided = [event.text for event in ledger.events() if event.kind == "void"]
    assert voided == ["discarded, to be retried: other programs took the processors for 9 of the 10 s of a run"]


async def test_a_starved_machine_is_named_once_with_the_key_to_set_until_something_succeeds(make_lab: MakeLab) -> None:
    count = itertools.count()

    def starving(scene: FakeRun) -> object:
        if 30 <= next(count) < 34:
            raise Starved("other programs took the processors for 9 of the 10 s of a run (boxes.starved: 0.5)")
        return solve(scene)

    lab = make_lab(nothing, solve=starving, trials=60)
    async with lab.campaign() as campaign:
        with_canaries(campaign, 0)
        campaign.load._set(1)
        campaign.pauses.first_wait = campaign.pauses.wait = 0.001
        campaign.config.boxes.__dict__["patience_minutes"] = 60.0
        await campaign.run()
    with lab.ledger() as ledger:
        told = [event for event in ledger.events() if event.kind in ("paused", "resumed")]
        voided = [event.text for event in ledger.events() if event.kind == "void"]
    assert len(voided) == 4
    assert all(one.kind != other.kind for one, other in itertools.pairwise(told)), "once until a step ends well"
    assert "raise `boxes.starved`" in told[0].text


async def test_a_canary_that_could_not_be_run_is_made_up_for(make_lab: MakeLab) -> None:
    lab = make_lab(nothing, solve=steadily, trials=100)
    async with lab.campaign() as campaign:
        with_canaries(campaign, 1)
        while campaign.state.trials < 12:
            if campaign.state.candidates:
                await campaign.admission.search_trial(campaign.state.candidates[0], campaign.state.trials)
            else:
                await campaign.resume()
        step = campaign.load.canary()
        assert step is not None
        assert (step.kind, step.boxes) == (StepKind.CANARY, 1)
        lab.sandbox.break_down("no engine")
        with pytest.raises(Exception, match="no engine"):
            await step.work()
        lab.sandbox.break_down(None)
        again = campaign.load.canary()
        assert again is not None
        await again.work()
        with lab.ledger() as ledger:
            assert [index for _, index, _ in ledger.indices(Purpose.CANARY)] == [0]


@given(hits=st.integers(0, 30), more=st.integers(0, 30), chance=st.floats(0.01, 0.99))
def test_the_tail_of_a_binomial_is_exact(hits: int, more: int, chance: float) -> None:
    due = stats.binom.sf(hits - 1, hits + more, chance)
    assert binomial_tail(hits, hits + more, chance) == pytest.approx(due, abs=1e-12)


def test_a_trial_that_took_all_its_time_hit_the_limit() -> None:
    one = replace(a_task("t", Split.GATE), solve_timeout=10.0)
    assert hit_limit(10.0, one)
    assert not hit_limit(9.9, one)
