"""The loop end to end, without containers or a model (see lab.py): what is kept, refused, voided, resumed."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from agent.base.errors import InfrastructureError, SandboxDown, UserError
from agent.base.types import Candidate, Fate, Files, Purpose, Side
from agent.kernel.decide.archive import Archive, Compose, Expand, Measure, Step
from agent.kernel.decide.gate import GateSettings
from agent.kernel.decide.pooled import Pooled
from agent.kernel.git.repository import BranchMoved
from agent.kernel.loop.campaign import Campaign
from agent.kernel.loop.match import Opening, opened_with
from agent.kernel.loop.proposer import Proposal
from agent.trials.executor import Job
from agent.trials.pairs import Void, both
from agent.trials.preparing import Prepared, PrepareFailed
from sandbox.fake import FakeRun
from tests.kernel.lab import SETTINGS, Lab, MakeLab, git, solve


def better(scene: FakeRun) -> None:
    """An improver that knows its business."""
    scene.workspace[SETTINGS] = b"SKILL = 80\n"
    scene.workspace["PATCH.md"] = b"Raise SKILL to 80\n\nBecause more is better.\n"


def numbered(skill: int) -> object:
    """An improver whose patches never repeat and all have the same skill."""
    count = itertools.count()

    def improve(scene: FakeRun) -> None:
        scene.workspace[SETTINGS] = f"SKILL = {skill}\nN = {next(count)}\n".encode()

    return improve


async def test_a_better_scaffold_becomes_one_commit_with_its_evidence(make_lab: MakeLab) -> None:
    lab = make_lab(better)
    before = {name: git(lab.repo, *command.split()) for name, command in _FOOTPRINT.items()}
    await lab.run()
    assert {name: git(lab.repo, *command.split()) for name, command in _FOOTPRINT.items()} == before
    log = git(lab.repo, "log", "--format=%s", "main..ratchet/night").splitlines()
    assert log == ["Raise SKILL to 80"]
    assert git(lab.repo, "show", f"ratchet/night:{SETTINGS}") == "SKILL = 80"
    assert git(lab.repo, "diff", "--name-only", "main", "ratchet/night") == SETTINGS
    trailers = git(lab.repo, "log", "-1", "--format=%(trailers:keyonly)", "ratchet/night").split()
    assert trailers == [
        "Ratchet-Campaign", "Ratchet-Candidate", "Ratchet-Derived-From", "Ratchet-Score", "Ratchet-Evidence",
        "Ratchet-Holdout", "Ratchet-Suite", "Ratchet-Models", "Ratchet-Kernel", "Ratchet-Cost", "Ratchet-Ledger",
    ]  # fmt: skip


_FOOTPRINT = {"head": "rev-parse HEAD", "branch": "symbolic-ref HEAD", "status": "status --porcelain"}


async def test_patches_without_effect_are_never_committed(make_lab: MakeLab) -> None:
    lab = make_lab(numbered(20), trials=600)
    await lab.run()
    assert git(lab.repo, "rev-parse", "ratchet/night") == git(lab.repo, "rev-parse", "main")
    with lab.ledger() as ledger:
        assert len(ledger.candidates()) > 3
        assert not ledger.commits()


async def test_the_default_search_runs_trials_where_they_tell_most(make_lab: MakeLab) -> None:
    lab = make_lab(numbered(20), trials=200, strategy=Pooled())
    await lab.run()
    with lab.ledger() as ledger:
        known = [sorted(ledger.scores(Purpose.SEARCH, one.id)) for one in ledger.candidates()]
    assert any(indices != list(range(len(indices))) for indices in known), "not one after the other"


async def test_whose_test_began_is_known_while_a_campaign_runs_and_when_it_is_resumed(make_lab: MakeLab) -> None:
    lab = make_lab(better)
    async with lab.campaign() as campaign:
        await campaign.run()
        began = campaign.state.archive.tested
    with lab.ledger() as ledger:
        assert began == {(row.candidate, row.champion) for row in ledger.tests()} != set()
    async with lab.campaign() as campaign:
        await campaign.resume()
        assert campaign.state.archive.tested == began


class Eager:
    """A strategy that wants a proposal as soon as the newest candidate has been measured."""

    def next(self, archive: Archive, rng: np.random.Generator) -> Step:  # noqa: ARG002
        newest = archive.node(archive.ids[-1])
        measured = newest.trials >= archive.settings.enough
        return Expand(archive.champion) if measured else Measure(newest.id, newest.trials + newest.pending)


def kinds_of(lab: Lab) -> list[str]:
    with lab.ledger() as ledger:
        return [event.kind for event in ledger.events()]


async def within(holds: Callable[[], bool], seconds: float = 20) -> None:
    """Wait until something holds, but not for ever: the test says then what is wrong."""
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:  # noqa: ASYNC110 (what is watched is plain state)
        await asyncio.sleep(0.01)


async def test_proposals_go_on_beside_a_test(make_lab: MakeLab) -> None:
    async def slowly(scene: FakeRun) -> object:
        if b"of gate" in scene.task["instruction.md"]:
            await within(lambda: "gate" not in kinds_of(lab) or kinds_of(lab).count("proposal") > 1)
        return solve(scene)

    lab = make_lab(numbered(80), solve=slowly, strategy=Eager())
    await lab.run()
    with lab.ledger() as ledger:
        kinds = [kind for _, _, kind, _ in ledger.events()]
        assert "proposal" in kinds[kinds.index("gate") : kinds.index("verdict")]
        assert ledger.commits()


async def test_proposals_go_on_beside_the_holdout(make_lab: MakeLab) -> None:
    """A proposal that is under way ends with a trial, for which the holdout leaves a slot here."""
    during = 0
    count = itertools.count()

    async def slowly(scene: FakeRun) -> object:
        if b"of holdout" in scene.task["instruction.md"]:
            await within(lambda: during > 0)
        return solve(scene)

    async def improve(scene: FakeRun) -> str:
        nonlocal during
        kinds = kinds_of(lab)
        during += "holdout" in kinds and "commit" not in kinds
        scene.workspace[SETTINGS] = f"SKILL = 80\nN = {next(count)}\n".encode()
        return ""

    class Proposing:
        """Measures the first candidate, then wants nothing but proposals."""

        def next(self, archive: Archive, rng: np.random.Generator) -> Step:  # noqa: ARG002
            first = archive.node(archive.ids[1]) if len(archive) > 1 else None
            begun = 0 if first is None else first.trials + first.pending
            return Expand(0) if first is None or begun >= archive.settings.enough else Measure(first.id, begun)

    lab = make_lab(improve, solve=slowly, strategy=Proposing(), slots=9, trials=100)
    await lab.run()
    with lab.ledger() as ledger:
        assert ledger.commits()
    assert during, "nothing was proposed while the holdout was measured"


async def test_an_improver_that_hard_codes_the_search_tasks_is_not_committed(make_lab: MakeLab) -> None:
    def cheat(scene: FakeRun) -> None:
        scene.workspace[SETTINGS] = b"SKILL = 20\nCHEAT = 1\n"

    def solving(scene: FakeRun) -> object:
        if b"CHEAT" in scene.scaffold[SETTINGS] and b"of search" in scene.task["instruction.md"]:
            scene.workspace["solution.py"] = b"right"
            return "known by heart"
        return solve(scene)

    lab = make_lab(cheat, solve=solving)
    await lab.run()
    with lab.ledger() as ledger:
        (planted,) = [c for c in ledger.candidates() if c.id and c.tree]
        scores = [t.score for t in ledger.trials(purpose=Purpose.SEARCH, candidate=planted.id)]
        assert sum(scores) / len(scores) == 1.0
        assert planted.fate is Fate.REJECTED
        assert "futile" in planted.reason or "rejected" in planted.reason or "out of budget" in planted.reason
        assert not ledger.commits()


async def test_no_byte_of_a_gate_or_holdout_task_reaches_a_box_that_improves(make_lab: MakeLab) -> None:
    seen: list[bytes] = []

    def improve(scene: FakeRun) -> None:
        seen.extend(scene.task.values())
        better(scene)

    lab = make_lab(improve, trials=300)
    await lab.run()
    with lab.ledger() as ledger:
        assert ledger.indices(Purpose.GATE)
        assert ledger.indices(Purpose.HOLDOUT)
    everything = b"\n".join(seen)
    assert b"search-" in everything
    for word in (b"gate-", b"of gate", b"holdout-", b"of holdout", b"secret check"):
        assert word not in everything


async def test_the_improver_is_told_of_failures_and_of_the_fate_of_earlier_attempts(make_lab: MakeLab) -> None:
    briefs: list[dict[str, object]] = []

    def improve(scene: FakeRun) -> None:
        briefs.append(json.loads(scene.task["context/brief.json"]))
        assert any(path.startswith("context/transcripts/") for path in scene.task)
        scene.workspace["outside.txt"] = b"not mutable"

    lab = make_lab(improve, trials=60)
    await lab.run()
    attempts = briefs[-1]["attempts"]
    assert attempts[0]["fate"] == "refused"
    assert "outside the mutable paths" in attempts[0]["reason"]
    assert briefs[-1]["failures"]


async def test_a_candidate_that_crashes_at_start_costs_one_trial_and_stops_nothing(make_lab: MakeLab) -> None:
    def broken(scene: FakeRun) -> None:
        scene.workspace[SETTINGS] = b"import nothing_that_exists\n"

    lab = make_lab(broken, trials=80)
    assert "trials are used up" in await lab.run()
    with lab.ledger() as ledger:
        first, *rest = ledger.candidates()[1:]
        assert (first.fate, len(ledger.trials(candidate=first.id))) == (Fate.REFUSED, 1)
        assert "crashes at start" in first.reason
        assert {c.reason for c in rest} == {"reads the same as candidate 1, up to comments and layout"}


async def test_a_scaffold_that_deletes_itself_scores_zero_with_the_reason_kept(make_lab: MakeLab) -> None:
    def delete(scene: FakeRun) -> None:
        del scene.workspace[SETTINGS]

    lab = make_lab(delete, trials=60)
    await lab.run()
    with lab.ledger() as ledger:
        assert "crashed" in ledger.candidates()[1].reason


async def test_a_comment_is_no_new_candidate(make_lab: MakeLab) -> None:
    def comment(scene: FakeRun) -> None:
        scene.workspace[SETTINGS] = b"# a remark\nSKILL  =  20\n"

    lab = make_lab(comment, trials=40)
    await lab.run()
    with lab.ledger() as ledger:
        assert ledger.candidates()[1].reason == "reads the same as candidate 0, up to comments and layout"


async def test_a_laboratory_fault_is_never_scored(make_lab: MakeLab) -> None:
    count = itertools.count()

    def flaky(scene: FakeRun) -> object:
        if next(count) % 17 == 3:
            raise SandboxDown("the engine hiccuped")
        return solve(scene)

    lab = make_lab(better, solve=flaky, trials=200)
    async with lab.campaign() as campaign:
        campaign.config.boxes.__dict__["patience_minutes"] = 60.0
        campaign.pauses.wait = campaign.pauses.first_wait = 0.001
        await campaign.run()
        pairs = [pair for test in campaign.state.ledger.tests() for pair in campaign.state.ledger.pairs(test.id)]
    with lab.ledger() as ledger:
        assert any(kind == "paused" for _, _, kind, _ in ledger.events())
        assert all("engine" not in trial.reason for trial in ledger.trials())
    assert all((None in (pair.champion, pair.candidate)) == (pair.void_side is not None) for pair in pairs)


async def test_an_outage_of_both_sides_is_no_lopsided_void(make_lab: MakeLab) -> None:
    down = False

    def outage(scene: FakeRun) -> object:
        if down:
            raise SandboxDown("no engine")
        return solve(scene)

    lab = make_lab(better, solve=outage)
    async with lab.campaign() as campaign:
        jobs = [
            Job(tree=campaign.parts.repository.tree_of("main"), task=t, purpose=Purpose.EVAL, seed=1, answer_scope=None)
            for t in campaign.parts.suite.tasks[:2]
        ]
        down = True
        outcome = await both(campaign.parts.evaluator, *jobs, 0)
    assert outcome == Void(side=Side.BOTH, reason="no engine")


async def test_a_laboratory_that_stays_down_ends_the_campaign_and_it_can_be_resumed(make_lab: MakeLab) -> None:
    down = True

    def outage(scene: FakeRun) -> object:
        if down:
            raise SandboxDown("no engine")
        return solve(scene)

    lab = make_lab(better, solve=outage)
    async with lab.campaign() as campaign:
        campaign.pauses.wait = 0.05
        with pytest.raises(InfrastructureError, match="gave up"):
            await campaign.run()
    with lab.ledger() as ledger:
        assert ledger.count_trials() == 0
    down = False
    await lab.run()
    with lab.ledger() as ledger:
        assert len(ledger.commits()) == 1


async def test_a_stopped_campaign_goes_on_where_it_was(make_lab: MakeLab) -> None:
    lab = make_lab(better)
    for stop_at in (5, 20, 40, 70):
        async with lab.campaign() as campaign:
            watcher = asyncio.create_task(_stop_at(campaign, stop_at))
            assert await campaign.run() == "enough"
            watcher.cancel()
    await lab.run()
    with lab.ledger() as ledger:
        taken = Counter((c, p) for c, p, _ in ledger.indices(Purpose.SEARCH))
        assert max(taken.values()) == 1
        assert len(ledger.commits()) == 1
        assert [test.verdict for test in ledger.tests()].count("accepted") == 1


async def test_a_test_keeps_the_numbers_that_it_was_opened_with(make_lab: MakeLab) -> None:
    lab = make_lab(better)
    async with lab.campaign() as campaign:
        watcher = asyncio.create_task(_stop_in_a_test(campaign))
        await campaign.run()
        watcher.cancel()
    with lab.ledger() as ledger:
        [row] = ledger.tests()
        opened = opened_with(ledger, row.id)
    assert opened == Opening(settings=GateSettings(), runs=10)
    assert row.verdict is None
    async with lab.campaign() as campaign:
        stricter = campaign.config.gate_options.model_copy(update={"alpha": 1e-9})
        campaign.config = campaign.config.model_copy(update={"gate_options": stricter})
        await campaign.run()
    with lab.ledger() as ledger:
        assert len(ledger.commits()) == 1


async def test_a_test_is_opened_with_what_the_search_expects_of_its_lead(make_lab: MakeLab) -> None:
    lab = make_lab(better, strategy=Pooled(), trials=1500)
    async with lab.campaign() as campaign:
        watcher = asyncio.create_task(_stop_in_a_test(campaign))
        await campaign.run()
        watcher.cancel()
    with lab.ledger() as ledger:
        opened = opened_with(ledger, ledger.tests()[0].id)
    assert opened is not None
    assert 20 < opened.settings.max_pairs < 150
    assert len(opened.settings.bets) == 3
    assert replace(opened.settings, max_pairs=1500, bets=()) == GateSettings(), "nothing else of the gate changes"


async def _stop_in_a_test(campaign: Campaign) -> None:
    while campaign.match is None or campaign.match.pairs < 3:  # noqa: ASYNC110 (what is watched is plain state)
        await asyncio.sleep(0.001)
    campaign.stop("enough")


async def _stop_at(campaign: Campaign, trials: int) -> None:
    while campaign.state.trials < trials:  # noqa: ASYNC110 (what is watched is plain state)
        await asyncio.sleep(0.001)
    campaign.stop("enough")


async def test_a_verdict_without_its_commit_is_committed_on_resume(make_lab: MakeLab) -> None:
    lab = make_lab(better)

    async with lab.campaign() as campaign:
        campaign.parts.repository.prepare = _killed
        with pytest.raises(_KilledError):
            await campaign.run()
    assert git(lab.repo, "rev-parse", "ratchet/night") == git(lab.repo, "rev-parse", "main")
    await lab.run()
    assert git(lab.repo, "log", "--format=%s", "main..ratchet/night") == "Raise SKILL to 80"


async def test_a_commit_whose_ref_did_not_move_is_finished_on_resume(make_lab: MakeLab) -> None:
    lab = make_lab(better)
    async with lab.campaign() as campaign:
        campaign.parts.repository.advance = _killed
        with pytest.raises(_KilledError):
            await campaign.run()
    with lab.ledger() as ledger:
        assert len(ledger.commits()) == 1
    assert git(lab.repo, "rev-parse", "ratchet/night") == git(lab.repo, "rev-parse", "main")
    await lab.run()
    assert git(lab.repo, "log", "--format=%s", "main..ratchet/night") == "Raise SKILL to 80"
    with lab.ledger() as ledger:
        assert len(ledger.commits()) == 1


async def test_a_candidate_that_was_kept_in_git_and_not_in_the_ledger_is_forgotten_on_resume(make_lab: MakeLab) -> None:
    lab = make_lab(better)
    async with lab.campaign() as campaign:
        repository = campaign.parts.repository
        save, seed = repository.save_candidate, repository.tree_of(repository.base)

        def killed(number: int, tree: str, parent: str | None, text: str, also: str | None = None) -> str:
            del also
            save(number, seed, parent, f"Not {tree}: {text}")
            raise _KilledError

        repository.save_candidate = killed
        with pytest.raises(_KilledError):
            await campaign.run()
        assert [one.tree for one in repository.candidates().values()] == [seed]
    await lab.run()
    with lab.ledger() as ledger:
        trees = {one.id: one.tree for one in ledger.candidates() if one.id and one.tree}
    async with lab.campaign() as campaign:
        assert {one.id: one.tree for one in campaign.parts.repository.candidates().values()} == trees
    assert git(lab.repo, "log", "--format=%s", "main..ratchet/night") == "Raise SKILL to 80"


async def test_proposals_that_end_at_once_get_numbers_and_trees_of_their_own(make_lab: MakeLab) -> None:
    turn = iter(range(1000))

    def improve(scene: FakeRun) -> None:
        scene.workspace[f"agent/scaffold/patch_{next(turn)}.py"] = b"x = 1\n"

    lab = make_lab(improve, options={"boxes": {"parallel": 8, "proposals": 8, "patience_minutes": 0.001}})
    lab.trials = 60
    await lab.run()
    with lab.ledger() as ledger:
        rows = {one.id: one.tree for one in ledger.candidates() if one.id and one.tree}
    async with lab.campaign() as campaign:
        saved = {one.id: one.tree for one in campaign.parts.repository.candidates().values()}
    assert len(rows) > 2
    assert (saved, list(rows), len({*rows.values()})) == (rows, sorted(rows), len(rows))


class _KilledError(Exception):
    pass


def _killed(*_: object) -> None:
    raise _KilledError


async def test_a_branch_that_somebody_moved_is_said_and_not_overwritten(make_lab: MakeLab) -> None:
    lab = make_lab(better)
    await lab.run()
    git(lab.repo, "update-ref", "refs/heads/ratchet/night", "main")
    lab.trials = 500
    async with lab.campaign() as campaign:
        stranger = git(lab.repo, "commit-tree", "main^{tree}", "-m", "x")
        git(lab.repo, "update-ref", "refs/heads/ratchet/night", stranger)
        with pytest.raises(BranchMoved):
            await campaign.run()
    assert git(lab.repo, "rev-parse", "ratchet/night") == stranger


async def test_a_seed_that_crashes_everywhere_is_said_before_the_budget_burns(make_lab: MakeLab) -> None:
    lab = make_lab(better)
    (lab.repo / SETTINGS).write_text("nothing\n")
    git(lab.repo, "commit", "-qam", "broken")
    with pytest.raises(UserError, match="crashes on every task"):
        await lab.run()


async def test_a_seed_that_cannot_be_built_is_said_with_its_key(make_lab: MakeLab) -> None:
    async def unbuilt(_: Files) -> Files:
        raise PrepareFailed("exit code 1", "no such module")

    lab = make_lab(better)
    async with lab.campaign() as campaign:
        parts = campaign.parts
        prepared = Prepared(unbuilt, parts.scaffolds, "key", lab.repo.parent / "prepared")
        parts.evaluator._prepared = prepared
        with pytest.raises(UserError, match=r"scaffold.prepare: the seed scaffold cannot be built \(no such module\)"):
            await campaign.run()


async def test_the_better_policy_says_that_it_proves_nothing(make_lab: MakeLab) -> None:
    lab = make_lab(better, gate="better", trials=150)
    await lab.run()
    evidence = git(lab.repo, "log", "-1", "--format=%(trailers:key=Ratchet-Evidence,valueonly)", "ratchet/night")
    assert "not proven" in evidence


async def _candidate(campaign: Campaign, files: dict[str, bytes]) -> Candidate:
    """A patch of the seed, admitted as a proposal would be."""
    seed = campaign.state.candidates[0]
    before = campaign.parts.scaffolds[seed.tree or ""]
    change, readings = await campaign.parts.proposer.admitted(before, {**before, **files})
    proposal = Proposal(change=change, readings=readings, subject="s", body="", refusal="", transcript="")
    return await campaign.admission.admit(proposal, seed)


async def test_a_patch_made_from_an_old_champion_is_merged_and_starts_afresh(make_lab: MakeLab) -> None:
    lab = make_lab(better)
    async with lab.campaign() as campaign:
        await campaign.resume()
        crowned = await _candidate(campaign, {SETTINGS: b"SKILL = 55\n"})
        stale = await _candidate(campaign, {"prompts/solve.md": b"BONUS\n"})
        for one in (crowned, stale):
            await campaign.admission.smoke(one)
        campaign.state.crowned(crowned.id, "better")
        assert await campaign.merger.onto_champion(stale) is None
        merged = campaign.state.candidates[stale.id + 1]
        assert merged.parent == crowned.id
        files = campaign.parts.scaffolds[merged.tree or ""]
        assert (files[SETTINGS], files["prompts/solve.md"]) == (b"SKILL = 55\n", b"BONUS\n")
        assert campaign.schedule.queue[-1].label == f"trial of #{merged.id}"
        assert await campaign.merger.onto_champion(merged) is merged


async def test_a_patch_that_conflicts_with_the_new_champion_meets_it_as_its_own_tree(make_lab: MakeLab) -> None:
    lab = make_lab(better)
    async with lab.campaign() as campaign:
        await campaign.resume()
        crowned, stale = [await _candidate(campaign, {SETTINGS: b"SKILL = %d\n" % n}) for n in (55, 70)]
        for one in (crowned, stale):
            await campaign.admission.smoke(one)
        campaign.state.crowned(crowned.id, "better")
        assert await campaign.merger.onto_champion(stale) is stale
        assert campaign.state.candidates[stale.id].fate is Fate.OPEN
        assert campaign.state.archive.node(stale.id).expandable
        said = [text for _, _, kind, text in campaign.state.ledger.events() if kind == "merge"]
        assert len(said) == 1
        assert "as its own tree" in said[0]
        assert "conflict" in said[0]


async def test_a_candidate_that_conflicts_with_the_champion_is_committed_as_the_difference_of_the_trees(
    make_lab: MakeLab,
) -> None:
    lab = make_lab(lambda _: None, trials=400)
    async with lab.campaign() as campaign:
        await campaign.resume()
        first, second = [await _candidate(campaign, {SETTINGS: b"SKILL = %d\n" % n}) for n in (40, 95)]
        for one in (first, second):
            await campaign.admission.smoke(one)
        await _commit(campaign, first)
        await _commit(campaign, second)
        assert git(lab.repo, "show", f"ratchet/night:{SETTINGS}") == "SKILL = 95"
        diff = git(lab.repo, "show", "--format=", "ratchet/night")
        assert "-SKILL = 40" in diff
        assert "+SKILL = 95" in diff


async def _commit(campaign: Campaign, candidate: Candidate) -> None:
    """Play a candidate's test against the champion to its end."""
    assert await campaign.merger.onto_champion(candidate) is candidate
    campaign.gate._open(candidate)
    match = campaign.gate.match
    assert match is not None
    while match.decision is None:
        await campaign.gate.pair(match, match.next_index())
    verdict = campaign.gate.verdict_step(ending=False)
    assert verdict is not None
    await verdict.work()
    assert campaign.state.champion == candidate.id


async def test_patches_of_several_candidates_are_put_together_and_taken_out_again(make_lab: MakeLab) -> None:
    lab = make_lab(better)
    async with lab.campaign() as campaign:
        await campaign.resume()
        parts = [await _candidate(campaign, {f"prompts/{name}.md": b"x\n"}) for name in ("one", "two", "three")]
        for one in parts:
            await campaign.admission.smoke(one)
        whole = frozenset(one.id for one in parts)
        await campaign.merger.compose(whole)
        made = campaign.state.candidates[4]
        assert (made.parent, campaign.state.archive.patches(4)) == (0, whole)
        names = {path for path in campaign.admission.mutable(made.tree or "") if path.startswith("prompts/")}
        assert names == {"prompts/one.md", "prompts/two.md", "prompts/three.md", "prompts/solve.md"}
        assert all(f"#{one.id} {one.subject}" in made.body for one in parts)
        await campaign.merger.compose(whole)
        assert len(campaign.state.candidates) == 5, "it is there already"
        fewer = whole - {parts[1].id}
        await campaign.merger.compose(fewer)
        left = campaign.admission.mutable(campaign.state.candidates[5].tree or "")
        assert "prompts/two.md" not in left
        assert "prompts/three.md" in left
    async with lab.campaign() as campaign:
        await campaign.resume()
        assert campaign.state.archive.patches(5) == fewer
        assert fewer in campaign.state.archive.composed


async def test_a_set_of_patches_that_conflict_is_made_of_those_that_merge(make_lab: MakeLab) -> None:
    lab = make_lab(better)
    async with lab.campaign() as campaign:
        await campaign.resume()
        changes = [{SETTINGS: b"SKILL = 55\n"}, {SETTINGS: b"SKILL = 70\n"}, {"prompts/one.md": b"x\n"}]
        parts = [await _candidate(campaign, change) for change in changes]
        for one in parts:
            await campaign.admission.smoke(one)
        whole, archive = frozenset(one.id for one in parts), campaign.state.archive
        planned = campaign.schedule._compose(Compose(whole))
        assert not archive.unmade(whole), "it is being made"
        await planned.work()
        assert archive.unmade(whole)
        made = campaign.state.candidates[4]
        assert archive.patches(4) == {parts[0].id, parts[2].id}
        assert not archive.unmade(archive.patches(4))
        assert campaign.admission.mutable(made.tree or "")[SETTINGS] == b"SKILL = 55\n"


async def test_what_is_left_for_the_improver_tells_nothing_of_gate_and_holdout(make_lab: MakeLab) -> None:
    briefs: list[dict[str, object]] = []
    counted: list[tuple[int, int]] = []
    count = itertools.count(60)

    def improve(scene: FakeRun) -> None:
        briefs.append(json.loads(scene.task["context/brief.json"]))
        with lab.ledger() as ledger:
            counted.append((ledger.count_trials(Purpose.SEARCH), ledger.count_trials()))
        scene.workspace[SETTINGS] = f"SKILL = {next(count)}\n".encode()

    lab = make_lab(improve, trials=500)
    await lab.run()
    assert any(every - search > 40 for search, every in counted), "no gate trial before the last proposal"
    used = [500 - int(brief["trials_left"]) for brief in briefs]
    # Search trials may land between the last look, the brief and the look; no other trial counts.
    before = [0, *(search for search, _ in counted)]
    assert all(last <= one <= search for last, one, (search, _) in zip(before, used, counted, strict=False))
    with lab.ledger() as ledger:
        figures = [str(row.decision["sentence"]) for row in ledger.tests() if row.decision]
    assert figures
    said = json.dumps(briefs)
    assert not any(word in said for figure in figures for word in (figure, "e-value", "fresh pair"))
