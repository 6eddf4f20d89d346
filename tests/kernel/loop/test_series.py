"""`commit.patches: each`: an acceptance of several patches becomes a commit a patch, and the branch moves once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.base.trust import DEFAULT_MUTABLE
from agent.base.types import Candidate
from agent.kernel.git.repository import Repository
from agent.kernel.loop.campaign import Campaign
from agent.kernel.loop.committing import Committer
from agent.kernel.loop.proposer import Proposal
from sandbox.fake import FakeRun
from tests.kernel.lab import SETTINGS, Lab, MakeLab, git, skill_of, solve
from tests.kernel.loop.test_attributing import accepted, composite, conclude, idle, trailer

SKILL, BONUS, IDLE = {SETTINGS: b"SKILL = 50\n"}, {"prompts/one.md": b"x\n"}, {"prompts/two.md": b"x\n"}
ONE_LINE = {SETTINGS: b"SKILL = 21\n"}
EACH = {"gate_options": {"not_worse": 0.2, "same_pairs": 0}, "commit": {"attribute": 0, "patches": "each"}}


def together(scene: FakeRun) -> str:
    """Two patches add up."""
    skill = skill_of(scene) + (30 if "prompts/one.md" in scene.scaffold else 0)
    return solve(replace(scene, areas={**scene.areas, "/scaffold": {SETTINGS: f"SKILL = {skill}".encode()}}))


def subjects(lab: Lab) -> list[str]:
    return git(lab.repo, "log", "--reverse", "--format=%s", "main..ratchet/night").splitlines()


async def proven(campaign: Campaign, *changes: dict[str, bytes]) -> Candidate:
    """A composite that the gate has accepted, before anything follows from it."""
    await campaign.resume()
    await accepted(campaign, whole := await composite(campaign, *changes))
    return whole


async def test_each_patch_is_a_commit_and_the_acceptance_counts_once(make_lab: MakeLab) -> None:
    lab = make_lab(idle, solve=together, options=EACH, trials=2000)
    async with lab.campaign() as campaign:
        whole = await proven(campaign, SKILL, BONUS)
        await conclude(campaign)
        assert (campaign.state.champion, campaign.state.accepted) == (whole.id, 1)
    tip, first = git(lab.repo, "rev-list", "main..ratchet/night").splitlines()
    assert subjects(lab) == ["Patch 0", "Patch 1"]
    assert git(lab.repo, "diff", "--name-only", "main", first) == SETTINGS
    assert git(lab.repo, "rev-parse", f"{tip}^{{tree}}") == whole.tree
    with lab.ledger() as ledger:
        assert [(row.sha, row.parent) for row in ledger.commits()] == [(tip, git(lab.repo, "rev-parse", "main"))]
        assert ledger.series(tip) == [(first, 1), (tip, 2)]
    assert trailer(lab, "Ratchet-Series").startswith("2 of 2 of #3; only #3 as a whole is proven")
    assert trailer(lab, "Ratchet-Candidate") == "3"
    said = git(lab.repo, "log", "-1", "--format=%(trailers)", first)
    assert "Ratchet-Patch: 1\nRatchet-Series: 1 of 2 of #3;" in said
    assert "Ratchet-Evidence" not in said


async def test_what_adds_nothing_is_left_out_before_the_rest_becomes_a_series(make_lab: MakeLab) -> None:
    options = {**EACH, "commit": {"attribute": 30, "patches": "each"}}
    lab = make_lab(idle, solve=together, options=options, trials=4000)
    async with lab.campaign() as campaign:
        await proven(campaign, SKILL, IDLE, BONUS)
        await conclude(campaign)
        assert campaign.state.archive.patches(campaign.state.champion) == {1, 3}
    assert subjects(lab) == ["Patch 0", "Patch 2"]


@pytest.mark.parametrize(("options", "changes"), [({}, (SKILL, BONUS)), (EACH, (SKILL,))])
async def test_one_commit_holds_all_by_default_and_where_there_is_one_patch(
    make_lab: MakeLab, options: dict[str, object], changes: tuple[dict[str, bytes], ...]
) -> None:
    given = options or {**EACH, "commit": {"attribute": 0}}
    lab = make_lab(idle, solve=together, options=given, trials=2000)
    async with lab.campaign() as campaign:
        await campaign.resume()
        whole = await composite(campaign, *changes, IDLE)
        await accepted(campaign, whole if len(changes) > 1 else campaign.state.candidates[1])
        await conclude(campaign)
    assert len(subjects(lab)) == 1
    assert trailer(lab, "Ratchet-Series") == ""


class Killed(BaseException):
    """The process is gone."""


class Dying(Repository):
    """A repository whose process is killed at its `last` step of a commit."""

    last = 0

    def prepare(self, tree: str, text: str, expected: str, below: str | None = None) -> str:
        made = super().prepare(tree, text, expected, below)
        self._step()
        return made

    def advance(self, commit: str, expected: str, why: str = "patch accepted") -> None:
        self._step()
        super().advance(commit, expected, why)

    def _step(self) -> None:
        self.last -= 1
        if self.last == 0:
            raise Killed


@pytest.mark.parametrize("last", [1, 2, 3])
async def test_a_campaign_killed_between_two_commits_of_a_series_ends_as_if_it_was_not(
    make_lab: MakeLab, last: int
) -> None:
    """After the first commit object, after the second, and with the ledger written but the branch not moved."""
    lab = make_lab(idle, solve=together, options=EACH, trials=2000)
    async with lab.campaign() as campaign:
        whole, state = await proven(campaign, SKILL, BONUS), campaign.state
        repository = Dying.open(lab.repo, lab.name, DEFAULT_MUTABLE, campaign.parts.repository.base)
        repository.last = last
        campaign.gate._committer = Committer(state.ledger, repository, state.approvals, state.decided)
        with pytest.raises(Killed):
            await conclude(campaign)
        assert subjects(lab) == [], "the branch never stands on a tree that is not proven"
        assert len(state.ledger.commits()) == (last == 3)
    async with lab.campaign() as campaign:
        await campaign.resume()
        if campaign.match is not None:
            await conclude(campaign)
        assert campaign.state.champion == whole.id
        assert campaign.state.accepted == 1
        [row] = campaign.state.ledger.commits()
        assert [sha for sha, _ in campaign.state.ledger.series(row.sha)] == git(
            lab.repo, "rev-list", "--reverse", "main..ratchet/night"
        ).splitlines()
    assert subjects(lab) == ["Patch 0", "Patch 1"]


async def test_a_series_that_waits_for_a_person_is_committed_by_their_approval(make_lab: MakeLab) -> None:
    lab = make_lab(idle, solve=together, options=EACH, trials=2000, approve="human")
    async with lab.campaign() as campaign:
        whole = await proven(campaign, SKILL, BONUS)
        await conclude(campaign)
    async with lab.campaign() as campaign:
        await campaign.resume()
        state = campaign.state
        entry = state.approvals.get(whole.id)
        assert entry is not None
        Committer(state.ledger, campaign.parts.repository, state.approvals, state.decided).commit(entry, "Ada")
    assert subjects(lab) == ["Patch 0", "Patch 1"]
    approved = git(lab.repo, "log", "--format=%(trailers:key=Ratchet-Approved-By,valueonly)", "main..ratchet/night")
    assert approved.split() == ["Ada", "Ada"]


async def test_patches_that_do_not_apply_apart_are_one_commit_and_it_says_so(make_lab: MakeLab) -> None:
    lab = make_lab(idle, solve=together, options=EACH, trials=2000)
    async with lab.campaign() as campaign:
        await campaign.resume()
        await composite(campaign, ONE_LINE, BONUS)
        state = campaign.state
        # A candidate that says to hold three patches, of which two change one line.
        third = await composite_of(campaign, {**SKILL, **BONUS}, frozenset({1, 2}))
        await accepted(campaign, third)
        await conclude(campaign)
        assert state.champion == third.id
        assert any(event.kind == "series" for event in state.ledger.events())
    assert len(subjects(lab)) == 1


async def composite_of(campaign: Campaign, change: dict[str, bytes], patches: frozenset[int]) -> Candidate:
    """A candidate of the seed that is said to hold some patches."""
    seed = campaign.state.candidates[0]
    before = campaign.admission.mutable(seed.tree or "")
    admitted, readings = await campaign.parts.proposer.admitted(before, {**before, **change})
    proposal = Proposal(change=admitted, readings=readings, subject="Odd", body="", refusal="", transcript="")
    made = await campaign.admission.admit(proposal, seed, patches)
    await campaign.admission.smoke(made)
    return made
