"""Decisions that people make from another shell, with and without a process that runs the campaign."""

from __future__ import annotations

import asyncio

import pytest

from agent.base.errors import UserError
from agent.base.types import Fate
from agent.config.campaign import Config
from agent.kernel.loop.approval import Request
from agent.kernel.record.lock import held
from agent.live.control import decide
from sandbox.fake import FakeRun
from tests.kernel.lab import SETTINGS, Lab, MakeLab, git


def better(scene: FakeRun) -> None:
    scene.workspace[SETTINGS] = b"SKILL = 80\n"
    scene.workspace["PATCH.md"] = b"Raise SKILL to 80\n"


async def waiting(make_lab: MakeLab) -> tuple[Lab, Config, int]:
    """A campaign that has ended with one patch that waits, as `ratchet approve` finds it on disk."""
    lab = make_lab(better, approve="human", trials=120)
    (lab.folder / "runs").mkdir()
    (lab.folder / "runs" / lab.name).symlink_to(lab.folder)
    async with lab.campaign() as campaign:
        await campaign.run()
        config = campaign.config
    scaffold = config.scaffold.model_copy(update={"repo": lab.repo})
    with lab.ledger() as ledger:
        (number,) = [one.id for one in ledger.candidates() if one.fate is Fate.WAITING]
    return lab, config.model_copy(update={"scaffold": scaffold}), number


def branch(lab: Lab) -> list[str]:
    return git(lab.repo, "log", "--format=%s", "main..ratchet/night").splitlines()


async def test_an_approval_commits_the_patch_when_nothing_runs(make_lab: MakeLab) -> None:
    lab, config, number = await waiting(make_lab)
    assert branch(lab) == []
    assert decide(config, Request(approve=True, candidate=number, by="alice")).startswith(f"#{number} is champion (")
    assert branch(lab) == ["Raise SKILL to 80"]
    with pytest.raises(UserError, match="approved already by alice"):
        decide(config, Request(approve=False, candidate=number, by="bob"))


async def test_a_rejection_leaves_the_branch_alone_and_keeps_the_reason(make_lab: MakeLab) -> None:
    lab, config, number = await waiting(make_lab)
    said = decide(config, Request(approve=False, candidate=number, by="alice", why="reads the clock"))
    assert said == f"#{number} is rejected"
    assert branch(lab) == []
    with lab.ledger() as ledger:
        found = ledger.candidates()[number]
    assert found.fate is Fate.REJECTED
    assert found.reason.endswith("by alice: reads the clock")


async def test_what_does_not_wait_is_one_line_that_lists_what_does(make_lab: MakeLab) -> None:
    _, config, number = await waiting(make_lab)
    with pytest.raises(UserError, match=f"#99 does not wait for approval. Waiting now: #{number}"):
        decide(config, Request(approve=True, candidate=99, by="alice"))


async def test_a_decision_is_left_for_the_process_that_runs_the_campaign(make_lab: MakeLab) -> None:
    lab, config, number = await waiting(make_lab)
    request = Request(approve=True, candidate=number, by="alice")
    with held(config.folder):
        said = await asyncio.to_thread(decide, config, request, patience=0.1)
    assert said.startswith("left for process ")
    assert len(list((config.folder / "requests").glob("*.json"))) == 1
    assert branch(lab) == []
