"""A patch that does not merge onto the champion is brought over by an improver; what comes of it has two parents."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace

import pytest

from agent.base.types import Candidate, Fate
from agent.kernel.decide.archive import Archive, Expand
from agent.kernel.decide.pooled import Pooled, Spend
from agent.kernel.loop.campaign import Campaign
from agent.kernel.loop.parts import StepKind
from agent.kernel.record.brought import brought_of
from agent.review.terminal.show import collect
from sandbox.fake import FakeRun
from tests.kernel.lab import SETTINGS, MakeLab, git, skill_of, solve
from tests.kernel.loop.test_campaign import _candidate
from tests.review.terminal.test_log import shown

CHAMPION, RIVAL, BOTH = b"SKILL = 45\n", b'SKILL = 20, "BONUS = 40"\n', b'SKILL = 45, "BONUS = 40"\n'


def adding_up(scene: FakeRun) -> str:
    """Skill and bonus, which stand in one line, add up."""
    bonus = re.search(rb"BONUS = (\d+)", scene.scaffold.get(SETTINGS, b""))
    skill = skill_of(scene) + (int(bonus[1]) if bonus else 0)
    return solve(replace(scene, areas={**scene.areas, "/scaffold": {SETTINGS: f"SKILL = {skill}".encode()}}))


class Improver:
    """Brings over what it is asked to; keeps what it was told."""

    def __init__(self, answer: bytes | None = BOTH) -> None:
        self.answer = answer
        self.told: list[dict[str, bytes]] = []

    def __call__(self, scene: FakeRun) -> str:
        if "bring_over" in json.loads(scene.task["context/brief.json"]):
            self.told.append(dict(scene.task))
            if self.answer is not None:
                scene.workspace[SETTINGS] = self.answer
                scene.workspace["PATCH.md"] = b"Add the bonus\n\nBoth are kept.\n"
        return "done"


async def conflicting(campaign: Campaign) -> tuple[Candidate, Candidate]:
    """The champion, and a patch of the seed that conflicts with it."""
    await campaign.resume()
    champion, rival = [await _candidate(campaign, {SETTINGS: body}) for body in (CHAMPION, RIVAL)]
    for one in (champion, rival):
        await campaign.admission.smoke(one)
    campaign.state.crowned(champion.id, "better")
    assert await campaign.merger.conflicts(rival)
    return champion, rival


async def brought(campaign: Campaign) -> Candidate:
    """What an improver makes of the conflicting patch."""
    champion, rival = await conflicting(campaign)
    step = Expand(champion.id, bring=rival.id)
    campaign.state.archive.begin(step)
    await campaign.admission.propose(step)
    return [*campaign.state.candidates.values()][-1]


async def test_what_is_brought_over_is_a_candidate_of_both_parents(make_lab: MakeLab) -> None:
    improver = Improver()
    lab = make_lab(improver, solve=adding_up)
    async with lab.campaign() as campaign:
        made, state = await brought(campaign), campaign.state
        assert (made.parent, made.fate, brought_of(state.ledger, made.id)) == (1, Fate.OPEN, 2)
        assert campaign.parts.scaffolds[made.tree or ""][SETTINGS] == BOTH
        assert state.archive.patches(made.id) == {1, 3}
        saved = {number: one.commit for number, one in campaign.parts.repository.candidates().items()}
        parents = git(lab.repo, "log", "-1", "--format=%P", saved[3]).split()
        assert parents == [saved[1], saved[2]]
        assert state.archive.bringing.brought == {(2, 1): 3}
        dossier = collect(made, state.ledger, campaign.parts.repository)
        assert "made from #1 and #2, whose patch it brings over" in shown(dossier)
    [told] = improver.told
    assert told["instruction.md"] == b"improve and bring it over"
    brief = json.loads(told["context/brief.json"])["bring_over"]
    assert (brief["candidate"], list(brief["conflicts"])) == (2, [SETTINGS])
    assert "<<<<<<<" in brief["conflicts"][SETTINGS]
    page = told["context/bring-over/README.md"].decode()
    assert "branch `candidate/2`" in page
    assert b"+" + RIVAL in told["context/bring-over/patch.diff"]
    marked = told[f"context/bring-over/conflicts/{SETTINGS}"]
    assert CHAMPION in marked
    assert RIVAL in marked


async def test_other_proposals_are_asked_for_as_before(make_lab: MakeLab) -> None:
    told: list[bytes] = []
    lab = make_lab(lambda scene: told.append(scene.task["instruction.md"]))
    async with lab.campaign() as campaign:
        await campaign.resume()
        campaign.state.archive.begin(Expand(0))
        await campaign.admission.propose(Expand(0))
    assert told == [b"improve"]


@pytest.mark.parametrize("answer", [None, b"SKILL = ("])
async def test_a_patch_that_nobody_could_bring_over_still_meets_the_champion_itself(
    make_lab: MakeLab, answer: bytes | None
) -> None:
    lab = make_lab(Improver(answer), solve=adding_up)
    async with lab.campaign() as campaign:
        made, bringing = await brought(campaign), campaign.state.archive.bringing
        assert made.fate is Fate.REFUSED
        assert not bringing.open(2, 1)
        assert not bringing.busy(2, 1)
        assert campaign.state.archive.node(2).alive
    async with lab.campaign() as campaign:
        await campaign.resume()
        assert campaign.state.archive.bringing.brought == {(2, 1): 3}, "a resumed campaign does not ask again"


async def test_a_patch_that_needs_no_change_is_nobodys_failure_and_meets_the_champion(make_lab: MakeLab) -> None:
    lab = make_lab(Improver(RIVAL), solve=adding_up)
    for resumed in (False, True):
        async with lab.campaign() as campaign:
            if resumed:
                await campaign.resume()
                made = campaign.state.candidates[3]
            else:
                made = await brought(campaign)
            archive = campaign.state.archive
            assert made.fate is Fate.REFUSED
            assert made.reason == "nothing to bring over: candidate 2 needs no change to meet the champion"
            assert archive.node(1).failed_proposals == 0
            assert not archive.bringing.open(2, 1)
            assert archive.node(2).alive


async def test_the_gate_hands_a_contender_to_an_improver_where_that_should_give_more(make_lab: MakeLab) -> None:
    lab = make_lab(Improver(), solve=adding_up, strategy=Pooled(), trials=100_000)
    async with lab.campaign() as campaign:
        champion, rival = await conflicting(campaign)
        archive, campaign.state.accepted = campaign.state.archive, 0  # no test made it champion
        await campaign.admission.search_trial(campaign.state.candidates[0], 0)
        for node in (0, champion.id, rival.id):
            for index in range(1, 60):
                await campaign.admission.search_trial(campaign.state.candidates[node], index)
        archive.bringing.conflicts.clear()
        await campaign.gate.open_match()
        assert campaign.match is None
        assert archive.bringing.due == [(rival.id, champion.id)]
        step = campaign.schedule.next([], ending=False)
        while step is not None and step.kind is not StepKind.PROPOSAL:
            await step.work()
            step = campaign.schedule.next([], ending=False)
        assert step is not None
        assert step.label == "proposal from #1, to bring #2 over"
        await step.work()
        assert not archive.bringing.busy(rival.id, champion.id)
        assert brought_of(campaign.state.ledger, 3) == rival.id


class InTurn(Pooled):
    """Sends each candidate to the gate that never met the champion, and has none brought over."""

    def contender(self, archive: Archive, spend: Spend) -> int | None:
        del spend
        return next((one for one in archive.ids[2:] if (one, archive.champion) not in archive.tried), None)

    def brings(self, archive: Archive, node: int, spend: Spend) -> bool:
        del archive, node, spend
        return False


async def test_two_trials_that_end_at_once_open_one_test_and_lose_no_contender(make_lab: MakeLab) -> None:
    lab = make_lab(Improver(), solve=adding_up, strategy=InTurn())
    async with lab.campaign() as campaign:
        champion, _ = await conflicting(campaign)
        another = await _candidate(campaign, {SETTINGS: b"SKILL = 90\n"})
        await campaign.admission.smoke(another)
        campaign.state.accepted = 0
        await asyncio.gather(campaign.gate.open_match(), campaign.gate.open_match())
        assert len(campaign.state.ledger.tests()) == 1
        assert (another.id, champion.id) not in campaign.state.archive.tried


async def test_a_whole_campaign_commits_what_was_brought_over(make_lab: MakeLab) -> None:
    lab = make_lab(Whole(), solve=adding_up, strategy=Pooled(), trials=3000)
    await lab.run()
    with lab.ledger() as ledger:
        made = [one.id for one in ledger.candidates() if brought_of(ledger, one.id) is not None]
        assert made
        assert ledger.champion() in made
    assert git(lab.repo, "show", f"ratchet/night:{SETTINGS}") == BOTH.decode().strip()
    drawn = git(lab.repo, "log", "--graph", "--format=%s", f"refs/ratchet/night/candidates/{made[0]}")
    assert "|\\" in drawn, "git draws both parents"


class Whole(Improver):
    """Besides, it has two ideas, which conflict; both build on the seed."""

    def __call__(self, scene: FakeRun) -> str:
        said = super().__call__(scene)
        ideas = [CHAMPION, RIVAL]
        tried = json.loads(scene.task["context/brief.json"])["attempts"]
        if scene.workspace[SETTINGS] == b"SKILL = 20\n" and len(tried) < len(ideas):
            scene.workspace[SETTINGS] = ideas[len(tried)]
        return said
