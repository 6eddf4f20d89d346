"""A campaign begins with the lessons and the best candidates of an earlier one, and measures them again."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import pytest

from agent.base.errors import UserError
from agent.base.types import Fate, Purpose, Split
from agent.kernel.loop.warm import check_warm_start
from agent.kernel.record.ledger import Ledger
from sandbox.fake import FakeRun
from tests.kernel.lab import SETTINGS, Lab, MakeLab, git, skill_of, suite


def improve(scene: FakeRun) -> str:
    scene.workspace[SETTINGS] = b"SKILL = %d\n" % (skill_of(scene) + 30)
    scene.workspace["PATCH.md"] = b"Raise SKILL\n\nIt was low.\n"
    scene.workspace["LESSONS.md"] = b"SKILL is what counts\n"
    return "said"


async def nights(make_lab: MakeLab, change: str = "") -> tuple[Path, Lab]:
    """A campaign that ended, and another one of the same repository, where `change` was committed in between."""
    first = make_lab(improve, trials=60)
    await first.run()
    folder = first.folder / "runs" / first.name
    folder.mkdir(parents=True)
    (first.folder / "ledger.sqlite").rename(folder / "ledger.sqlite")
    if change:
        (first.repo / SETTINGS).write_text(change)
        git(first.repo, "commit", "-qam", "change")
    second = copy.copy(first)
    second.name, second.options, second.trials = "second", {"warm_start": folder}, 30
    return folder, second


async def test_lessons_and_candidates_come_over_without_their_trials(make_lab: MakeLab) -> None:
    folder, second = await nights(make_lab)
    async with second.campaign() as campaign:
        await campaign.resume()
        brought = campaign.state.candidates[1]
        assert (brought.parent, brought.subject) == (0, "Raise SKILL")
        assert brought.body.startswith("It was low.\n\nFrom campaign night, candidate ")
        assert campaign.state.search_trials == 0
        assert campaign.state.ledger.recollect("lessons") == "SKILL is what counts\n"
        count = len(campaign.state.candidates)
    with Ledger(folder / "ledger.sqlite", read_only=True) as earlier:
        assert brought.tree in {one.tree for one in earlier.candidates()}
    async with second.campaign() as campaign:  # a second start brings nothing twice
        await campaign.resume()
        assert len(campaign.state.candidates) == count
    await second.run()
    with second.ledger() as ledger:
        assert any(trial.tree == brought.tree for trial in ledger.trials(purpose=Purpose.SEARCH))


async def test_what_conflicts_with_the_new_seed_stays_behind(make_lab: MakeLab) -> None:
    _, second = await nights(make_lab, change="SKILL = 33\n")
    async with second.campaign() as campaign:
        await campaign.resume()
        assert list(campaign.state.candidates) == [0]
        assert campaign.state.candidates[0].fate is Fate.OPEN
        said = campaign.state.ledger.latest("warm start")
        assert said is not None
        assert "stays behind: conflict" in said.text


async def test_a_warm_start_that_cannot_be_is_an_error_of_the_user(make_lab: MakeLab, tmp_path: Path) -> None:
    folder, second = await nights(make_lab)
    async with second.campaign() as campaign:
        repository, tasks = campaign.parts.repository, suite()
        check_warm_start(folder, tasks, repository)
        with pytest.raises(UserError, match="no campaign in"):
            check_warm_start(tmp_path, tasks, repository)
        moved = [replace(one, split=Split.GATE) if one.id == "search-3" else one for one in tasks.tasks]
        with pytest.raises(UserError, match="saw task `search-3`, which is a gate task"):
            check_warm_start(folder, replace(tasks, tasks=tuple(moved)), repository)
        with pytest.raises(UserError, match="is not in"):
            check_warm_start(folder.rename(folder.with_name("other")), tasks, repository)
