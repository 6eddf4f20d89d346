"""Search tasks that improvers may see, and those that only score."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.base.errors import UserError
from agent.base.types import Purpose, Split
from agent.kernel.decide.archive import Archive, Expand, Measure, Step
from agent.kernel.decide.pooled import Pooled
from agent.kernel.loop.opening import check_unchanged
from agent.kernel.loop.shown import SHARE, SearchTasks, divided, search_tasks
from sandbox.fake import FakeRun
from tests.kernel.lab import SETTINGS, MakeLab, solve, suite

ORDER = suite().split(Split.SEARCH)


@given(st.integers(1, 10), st.floats(0, 1))
def test_every_task_is_shown_or_scored_and_at_least_one_is_scored(count: int, share: float) -> None:
    tasks = divided(ORDER[:count], share)
    scored = {task.id for task in tasks.scored}
    assert tasks.ids | scored == {task.id for task in ORDER[:count]}
    assert scored
    if tasks.purpose is Purpose.SHOWN:
        assert not tasks.ids & scored
        assert bool(tasks.shown) == (share > 0)
    else:
        assert tasks.shown == tasks.scored == ORDER[:count]


def test_half_of_the_tasks_is_shown_and_every_index_names_a_task() -> None:
    tasks = divided(ORDER, 0.5)
    assert (len(tasks.shown), len(tasks.scored)) == (5, 5)
    assert tasks.of(Purpose.SHOWN, 7) == (tasks.shown[2], 1)
    assert tasks.of(Purpose.SEARCH, 4) == (tasks.scored[4], 0)


async def test_improvers_see_shown_tasks_alone_and_candidates_are_judged_by_the_others(make_lab: MakeLab) -> None:
    seen: list[bytes] = []

    def improve(scene: FakeRun) -> None:
        seen.extend(scene.task.values())
        assert len(json.loads(scene.task["context/brief.json"])["failures"]) >= 3
        scene.workspace[SETTINGS] = b"SKILL = 20\n" + b"# %d\nN = %d\n" % (len(seen), len(seen))

    lab = make_lab(improve, trials=90, shown=0.5)
    tasks = await division(lab)
    with lab.ledger() as ledger:
        places = {p: {t.task for t in ledger.trials(purpose=p)} for p in (Purpose.SEARCH, Purpose.SHOWN)}
        assert places == {Purpose.SEARCH: {t.id for t in tasks.scored}, Purpose.SHOWN: tasks.ids}
        assert len(ledger.candidates()) > 1
    everything = b"\n".join(seen)
    for task in tasks.scored:
        assert f"solve {task.id} of".encode() not in everything
        assert f"Task {task.id}:".encode() not in everything


async def test_a_patch_that_knows_the_shown_tasks_by_heart_never_meets_the_champion(make_lab: MakeLab) -> None:
    def cheat(scene: FakeRun) -> None:
        known = [one["task"] for one in json.loads(scene.task["context/brief.json"])["failures"]]
        old = scene.workspace[SETTINGS].partition(b"KNOWN")[0]
        scene.workspace[SETTINGS] = old + b"KNOWN = " + json.dumps(sorted(known)).encode() + b"\n"

    def solving(scene: FakeRun) -> object:
        words = scene.task["instruction.md"].split()
        if b'"' + words[1] + b'"' in scene.scaffold[SETTINGS]:
            scene.workspace["solution.py"] = b"right"
            return "known by heart"
        return solve(scene)

    lab = make_lab(cheat, trials=250, shown=0.5, solve=solving)
    await lab.run()
    with lab.ledger() as ledger:
        assert len(ledger.candidates()) > 1
        assert not ledger.tests()
        shown = [t.score for t in ledger.trials(purpose=Purpose.SHOWN) if "known by heart" in t.transcript]
        assert len(shown) > 3
        assert all(score == 1.0 for score in shown)


async def test_the_division_outlives_a_restart_and_a_change_of_it_is_refused(make_lab: MakeLab) -> None:
    lab = make_lab(lambda _: None, trials=20, shown=0.5)
    before = await division(lab)
    lab.trials, lab.shown = 30, 1.0
    assert await division(lab) == before
    async with lab.campaign() as campaign:
        ledger = campaign.state.ledger
        with pytest.raises(UserError, match="when campaign night started"):
            check_unchanged(campaign.config, ledger, suite())
        ledger.remember(SHARE, None)  # as a ledger of an older version
        older = search_tasks(campaign.config, suite(), ledger)
        assert older.shown == older.scored


async def division(lab: object) -> SearchTasks:
    """Run a campaign; how its search tasks were divided."""
    async with lab.campaign() as campaign:  # type: ignore[attr-defined]
        await campaign.run()
        tasks: SearchTasks = campaign.admission.tasks
        return tasks


async def test_the_default_search_commits_what_is_better_and_resumes(make_lab: MakeLab) -> None:
    skills = itertools.count(40, 5)

    def improve(scene: FakeRun) -> None:
        scene.workspace[SETTINGS] = b"SKILL = %d\n" % next(skills)

    lab = make_lab(improve, trials=150, shown=0.5, strategy=Pooled())
    await lab.run()
    with lab.ledger() as ledger:
        search = ledger.count_trials(Purpose.SEARCH)
    lab.trials, lab.strategy = 2000, Pooled()
    await lab.run()
    with lab.ledger() as ledger:
        assert ledger.count_trials(Purpose.SEARCH) > search
        assert ledger.commits()
        assert ledger.count_trials() <= 2000 + 60, "the holdout may follow the last verdict"


async def test_a_proposal_is_not_made_of_a_parent_that_was_retired_while_it_was_measured(make_lab: MakeLab) -> None:
    lab = make_lab(lambda _: None, shown=0.5, strategy=Eager())
    async with lab.campaign() as campaign:
        await campaign.resume()
        schedule, archive = campaign.schedule, campaign.state.archive
        schedule.queue.clear()
        campaign._same.left = 0
        for index in range(archive.settings.baseline):
            archive.record(0, 0.0, index)
        first = schedule.next([], ending=False)
        assert first is not None
        assert first.label == "shown trial of #0"
        archive.retire(0)
        second = schedule.next([], ending=False)
        assert second is not None
        assert second.label == "search trial of #0"


class Eager:
    """Wants a proposal of the seed while it may have one, then trials of it."""

    def next(self, archive: Archive, rng: np.random.Generator) -> Step:  # noqa: ARG002
        return Expand(0) if archive.node(0).expandable else Measure(0, archive.node(0).trials)
