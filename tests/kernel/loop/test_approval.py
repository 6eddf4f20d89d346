"""A person decides: accepted patches wait, are approved or rejected beside the campaign, and meet a newer champion."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.base.errors import UserError
from agent.base.trust import DEFAULT_MUTABLE
from agent.base.types import Fate
from agent.kernel.git.repository import Repository
from agent.kernel.loop.approval import Approvals, Request, leave, requests
from agent.kernel.loop.campaign import Campaign
from agent.kernel.loop.committing import Committer
from agent.kernel.loop.settings import opening_of
from agent.kernel.record.ledger import Ledger
from sandbox.fake import FakeRun
from tests.kernel.lab import SETTINGS, Lab, MakeLab, git


def better(scene: FakeRun) -> None:
    scene.workspace[SETTINGS] = b"SKILL = 80\n"
    scene.workspace["PATCH.md"] = b"Raise SKILL to 80\n"


def two_gains(scene: FakeRun) -> None:
    """First one file is made better, then, from the same parent, a second patch in another file."""
    attempts = json.loads(scene.task["context/brief.json"])["attempts"]
    if not attempts:
        scene.workspace[SETTINGS] = b"SKILL = 75\n"
    else:
        scene.workspace["prompts/solve.md"] = b"BONUS %d\n" % len(attempts)


def tip(lab: Lab) -> str:
    return git(lab.repo, "rev-parse", "ratchet/night")


def request(candidate: int, *, approve: bool = True, why: str = "") -> Request:
    return Request(approve=approve, candidate=candidate, by="alice", why=why)


async def until(campaign: Campaign, ready: Callable[[], bool]) -> None:
    """Let a running campaign continue until something holds."""
    while not ready():  # noqa: ASYNC110 (what is watched is plain state)
        await asyncio.sleep(0.005)
    del campaign


async def test_an_accepted_patch_waits_and_the_campaign_goes_on(make_lab: MakeLab) -> None:
    lab = make_lab(better, approve="human", trials=300)
    assert "trials are used up" in await lab.run()
    assert tip(lab) == git(lab.repo, "rev-parse", "main")
    with lab.ledger() as ledger:
        (entry,) = Approvals(ledger).waiting(0)
        assert ledger.candidates()[entry.candidate].fate is Fate.WAITING
        assert [kind for _, _, kind, _ in ledger.events()].count("waiting") == 1
        assert "Ratchet-Holdout" in entry.trailers


async def test_a_stopped_campaign_is_approved_from_the_shell_and_goes_on_with_the_new_champion(
    make_lab: MakeLab,
) -> None:
    lab = make_lab(better, approve="human", trials=260)
    await lab.run()
    with Ledger(lab.folder / "ledger.sqlite") as ledger:
        (entry,) = Approvals(ledger).waiting(0)
        repository = Repository.open(lab.repo, lab.name, DEFAULT_MUTABLE, ledger.recollect("base"))
        committer = Committer(ledger, repository, Approvals(ledger), ledger.set_fate)
        committer.decide(request(entry.candidate))
        with pytest.raises(UserError, match="was approved already by alice"):
            committer.decide(request(entry.candidate))
    assert git(lab.repo, "log", "--format=%s", "main..ratchet/night") == "Raise SKILL to 80"
    assert git(lab.repo, "log", "-1", "--format=%(trailers:key=Ratchet-Approved-By,valueonly)", tip(lab)) == "alice"
    lab.trials = 300
    async with lab.campaign() as campaign:
        await campaign.run()
        assert campaign.state.champion == entry.candidate
    with lab.ledger() as ledger:
        assert [kind for _, _, kind, text in ledger.events() if "alice" in text] == ["approved"]


async def test_a_running_campaign_takes_up_a_request_that_somebody_left(make_lab: MakeLab) -> None:
    lab = make_lab(better, approve="human", trials=400)
    async with lab.campaign() as campaign:
        campaign.config.folder.mkdir(parents=True)
        running = asyncio.create_task(campaign.run())
        await until(campaign, lambda: bool(campaign.state.approvals.waiting(0)))
        (entry,) = campaign.state.approvals.waiting(0)
        file = leave(campaign.config.folder, request(entry.candidate))
        await until(campaign, lambda: not file.exists())
        assert campaign.state.champion == entry.candidate
        await running
    assert git(lab.repo, "log", "--format=%s", "main..ratchet/night") == "Raise SKILL to 80"


async def test_a_rejected_patch_is_not_committed_and_nothing_is_built_on_it(make_lab: MakeLab) -> None:
    lab = make_lab(better, approve="human", trials=300)
    async with lab.campaign() as campaign:
        campaign.config.folder.mkdir(parents=True)
        running = asyncio.create_task(campaign.run())
        await until(campaign, lambda: bool(campaign.state.approvals.waiting(0)))
        (entry,) = campaign.state.approvals.waiting(0)
        leave(campaign.config.folder, request(entry.candidate, approve=False, why="too clever"))
        await until(campaign, lambda: campaign.state.candidates[entry.candidate].fate is Fate.REJECTED)
        assert not campaign.state.archive.node(entry.candidate).expandable
        await running
    async with lab.campaign() as campaign:
        await campaign.resume()
        assert campaign.state.candidates[entry.candidate].reason == "rejected by alice: too clever"
        assert not campaign.state.archive.node(entry.candidate).expandable
    assert tip(lab) == git(lab.repo, "rev-parse", "main")


async def test_a_patch_that_waited_while_the_champion_moved_is_tested_afresh(make_lab: MakeLab) -> None:
    lab = make_lab(better, approve="human")
    async with lab.campaign() as campaign:
        await _two_that_wait(campaign, lab)
        first, second = campaign.state.approvals.waiting(0)
        await campaign.gate.answer(request(first.candidate))
        assert campaign.state.champion == first.candidate
        assert campaign.state.candidates[second.candidate].fate is Fate.OPEN
        merged = campaign.state.candidates[max(campaign.state.candidates)]
        assert (merged.parent, merged.fate) == (first.candidate, Fate.OPEN)
        assert campaign.schedule.queue[-1].label == f"trial of #{merged.id}"
        await campaign.gate.answer(request(second.candidate))
        assert campaign.state.champion == first.candidate
        said = [text for _, _, kind, text in campaign.state.ledger.events() if kind == "request"]
        assert "does not wait" in said[-1]


def _numbers(campaign: Campaign) -> dict[str, Any]:
    return opening_of(campaign.config, campaign.parts.suite).recorded()


async def _two_that_wait(campaign: Campaign, lab: Lab) -> None:
    """Two patches of the seed in two files, both accepted by the gate's word and waiting."""
    from tests.kernel.loop.test_campaign import _candidate  # noqa: PLC0415 (a helper of the neighbour)

    await campaign.resume()
    for files in ({SETTINGS: b"SKILL = 70\n"}, {"prompts/solve.md": b"BONUS\n"}):
        one = await _candidate(campaign, files)
        await campaign.admission.smoke(one)
        row = campaign.state.ledger.open_test(
            candidate=one.id, champion=0, commits=0, policy="better", settings=_numbers(campaign)
        )
        match = campaign.gate.meeting(row)
        while match.decision is None:
            await match.play(match.next_index())
        match.conclude(match.decision)
        accepted = campaign.gate.acceptance(match, match.decision, [], "not measured")
        campaign.state.approvals.keep(accepted)
        campaign.state.settle(one.id, Fate.WAITING, "waits")
    assert lab.name == campaign.config.name


async def test_an_open_test_is_void_when_the_champion_moves_under_it(make_lab: MakeLab) -> None:
    lab = make_lab(better, approve="human")
    async with lab.campaign() as campaign:
        await _two_that_wait(campaign, lab)
        first, second = campaign.state.approvals.waiting(0)
        campaign.state.approvals.move(second.candidate, "rejected")
        row = campaign.state.ledger.open_test(
            candidate=second.candidate, champion=0, commits=0, policy="proven", settings=_numbers(campaign)
        )
        await campaign.gate.resume()
        assert campaign.match is not None
        assert campaign.match.row.id == row.id
        await campaign.gate.answer(request(first.candidate))
        assert campaign.match is None
        assert campaign.state.ledger.tests()[-1].verdict == "void"
        assert campaign.state.candidates[max(campaign.state.candidates)].parent == first.candidate


async def test_an_approval_that_git_does_not_allow_changes_nothing_and_is_said(make_lab: MakeLab) -> None:
    lab = make_lab(better, approve="human")
    await lab.run()
    async with lab.campaign() as campaign:
        git(lab.repo, "worktree", "add", "-q", str(lab.folder / "review"), "ratchet/night")
        (entry,) = campaign.state.approvals.waiting(0)
        await campaign.gate.answer(request(entry.candidate))
        assert campaign.state.champion == 0
        assert campaign.state.approvals.waiting(0)
        said = [text for _, _, kind, text in campaign.state.ledger.events() if kind == "request"]
        assert "checked out" in said[-1]


def test_a_file_that_is_no_request_is_none(tmp_path: Path) -> None:
    file = leave(tmp_path, request(3, why="a\x1b[31mb"))
    (tmp_path / "requests" / "zz.json").write_text("[1")
    found = dict(requests(tmp_path))
    assert found[file] == Request(approve=True, candidate=3, by="alice", why="ab")
    assert found[tmp_path / "requests" / "zz.json"] is None
