"""What the report says, compared with what the ledger holds."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from pathlib import Path

import pytest

from agent.base.types import Candidate, Fate, Purpose, Split
from agent.config.campaign import Config
from agent.kernel.decide.gate import GateSettings, PairedTest, threshold
from agent.kernel.loop.settings import gate_settings
from agent.kernel.record.ledger import Ledger
from agent.models.dialects.transcript import with_output
from agent.review.report.facts import MOST_COLUMNS, ReportFacts, collect
from agent.review.report.page import render
from agent.review.report.reasons import group_of
from bench.review.synthetic import write
from sandbox.fake import FakeRun
from tests.kernel.lab import SETTINGS, Lab, solve
from tests.kernel.tamper import tampering


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("facts") / "night" / "ledger.sqlite"
    write(file, candidates=40, trials=4000, tests=12)
    return file


@pytest.fixture(scope="module")
def facts(path: Path) -> ReportFacts:
    with Ledger(path, read_only=True) as ledger:
        return collect(ledger, GateSettings())


def test_every_score_is_the_mean_of_the_ledgers_trials(path: Path, facts: ReportFacts) -> None:
    assert len(facts.search) > 20
    with Ledger(path, read_only=True) as ledger:
        for purpose, spots in ((Purpose.SEARCH, facts.search), (Purpose.HOLDOUT, facts.holdout)):
            for spot in spots:
                scores = [t.score for t in ledger.trials(purpose=purpose, candidate=spot.candidate)]
                assert spot.score.n == len(scores)
                assert spot.score.mean == pytest.approx(sum(scores) / len(scores))
                assert spot.score.low < spot.score.high


def test_a_spot_is_where_its_last_trial_finished(path: Path, facts: ReportFacts) -> None:
    with Ledger(path, read_only=True) as ledger:
        marks = ledger.marks()
        order = [trial.id for trial in ledger.trials()]
    assert [mark.id for mark in marks] == order
    for spot in facts.search:
        last = max(n for n, m in enumerate(marks, 1) if (m.candidate, m.purpose) == (spot.candidate, Purpose.SEARCH))
        assert spot.trials == last


def test_the_heat_map_tells_failed_from_not_evaluated(path: Path, facts: ReportFacts) -> None:
    heat, seen = facts.heat, Counter()
    assert {row.split for row in heat.rows} == set(Split)
    assert set(facts.champions) <= set(heat.columns)
    with Ledger(path, read_only=True) as ledger:
        marks = ledger.marks()
    for row in heat.rows:
        for candidate, cell in zip(heat.columns, row.cells, strict=True):
            scores = [m.score for m in marks if (m.candidate, m.purpose, m.task) == (candidate, row.split, row.task)]
            if cell is None:
                assert not scores
            else:
                assert (cell.trials, cell.mean) == (len(scores), pytest.approx(sum(scores) / len(scores)))
            seen["none" if cell is None else "failed" if cell.mean == 0 else "other"] += 1
    assert min(seen["none"], seen["failed"], seen["other"]) > 10


def test_tasks_stand_in_the_order_in_which_people_count(facts: ReportFacts) -> None:
    names = [row.task for row in facts.heat.rows if row.split is Split.SEARCH]
    assert names[:3] == ["search-task-0", "search-task-1", "search-task-2"]


def test_evidence_is_recomputed_from_the_pairs(path: Path, facts: ReportFacts) -> None:
    with Ledger(path, read_only=True) as ledger:
        rows = ledger.tests()
        assert len(rows) == len(facts.meetings) > 8
        for row, meeting in zip(rows, facts.meetings, strict=True):
            test = PairedTest(GateSettings(), row.id, row.commits)
            for pair in ledger.pairs(row.id):
                if pair.champion is not None and pair.candidate is not None:
                    test.add(pair.champion, pair.candidate)
            assert meeting.path[-1] == pytest.approx(test.log_e)
            assert row.decision is not None
            assert (meeting.pairs, meeting.agrees) == (row.decision["pairs"], True)
            assert meeting.log_threshold == threshold(row.id, row.commits, GateSettings())
    assert {m.verdict for m in facts.meetings} >= {"accepted", "out of budget"}


def test_without_the_settings_the_evidence_is_the_same(path: Path, facts: ReportFacts) -> None:
    with Ledger(path, read_only=True) as ledger:
        bare = collect(ledger)
    assert bare.name == "night"
    assert [m.path for m in bare.meetings] == [m.path for m in facts.meetings]
    assert all(m.agrees for m in bare.meetings)


@pytest.mark.parametrize(
    "tamper",
    [
        "UPDATE trials SET score = 0 WHERE id IN (SELECT candidate_trial FROM pairs WHERE test = 1)",
        "UPDATE verdicts SET decision = json_set(decision, '$.log_e', 9.0) WHERE test = 1",
        "UPDATE verdicts SET decision = json_set(decision, '$.log_threshold', 0.1) WHERE test = 1",
        "UPDATE verdicts SET verdict = 'accepted' WHERE test = 1",
        "DELETE FROM pairs WHERE test = 1 AND pair_index > 3",
    ],
)
def test_a_ledger_that_was_tampered_with_is_found(path: Path, tmp_path: Path, tamper: str) -> None:
    copy = tmp_path / "ledger.sqlite"
    with sqlite3.connect(path) as source, sqlite3.connect(copy) as target:
        source.backup(target)
    with tampering(copy) as db:
        db.execute(tamper)
    with Ledger(copy, read_only=True) as ledger:
        first, *others = collect(ledger, GateSettings()).meetings
    assert first.agrees is False
    assert all(other.agrees for other in others)


def test_before_and_after_are_the_same_search_task_and_seed(path: Path, facts: ReportFacts) -> None:
    shown = [patch for patch in facts.patches if patch.changes]
    assert shown
    with Ledger(path, read_only=True) as ledger:
        trials = ledger.trials(purpose=Purpose.SEARCH)
        search = {with_output(ledger.calls(t.id), ledger.refusals(t.id), t.transcript): t for t in trials}
        for patch in shown:
            assert patch.wins + patch.losses + patch.ties > 0
            for change in patch.changes:
                before, after = search[change.before.transcript], search[change.after.transcript]
                assert before.task == after.task == change.task
                assert (before.score, after.score) == (change.before.score, change.after.score)
                assert change.before.score != change.after.score
        for change in shown[0].changes:
            assert "search-task" in change.task


def test_a_commit_shows_every_patch_that_it_is_made_of(path: Path, facts: ReportFacts) -> None:
    composite = [p for p in facts.patches if p.commit and len(p.steps) > 1]
    assert composite
    with Ledger(path, read_only=True) as ledger:
        parents = {c.id: c.parent for c in ledger.candidates()}
        for patch in composite:
            chain = [step.candidate for step in patch.steps]
            assert chain[-1] == patch.candidate.id
            assert [parents[c] for c in chain] == [patch.base, *chain[:-1]]
            for step in patch.steps:
                assert step.diff
                assert ledger.candidate_texts(step.candidate)[0].startswith(step.diff)


def test_cost_adds_up(path: Path, facts: ReportFacts) -> None:
    with Ledger(path, read_only=True) as ledger:
        spent = ledger.spent()
    assert facts.spending[-1].tokens == sum(r.tokens for r in facts.roles) == spent.fresh_tokens
    assert facts.spending[-1].dollars == pytest.approx(spent.dollars)
    assert sum(r.calls for r in facts.roles) == spent.calls
    assert [p.seconds for p in facts.spending] == sorted(p.seconds for p in facts.spending)


def test_a_campaign_that_has_just_begun_has_facts(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        facts = collect(ledger)
        assert (facts.patches, facts.meetings, facts.spending, facts.heat.rows) == ((), (), (), ())


def test_the_heat_map_keeps_the_seed_and_the_last_champions_when_there_are_too_many(tmp_path: Path) -> None:
    file = tmp_path / "ledger.sqlite"
    write(file, candidates=160, trials=3000, tests=80)
    with Ledger(file, read_only=True) as ledger:
        heat = collect(ledger).heat
    assert (len(heat.columns), heat.columns[0]) == (MOST_COLUMNS, 0)
    assert heat.left_out > 0


@pytest.mark.parametrize(
    ("fate", "reason", "group"),
    [
        (Fate.CHAMPION, "accepted: x", "Accepted"),
        (Fate.OPEN, "", "Not at the gate: too few trials so far, or too small a lead"),
        (Fate.OPEN, "passed the gate against an older champion", "Passed against an older champion, tested again"),
        (Fate.WAITING, "waits for approval; x", "Passed the gate, waiting for approval"),
        (Fate.REJECTED, "turned down by eve: no", "Rejected by a person"),
        (Fate.REJECTED, "futile: an improvement", "Futile: an improvement of the wanted size became unlikely"),
        (Fate.REJECTED, "out of budget: time", "Undecided when the budget was used up"),
        (Fate.REJECTED, "could not be brought onto champion #3: conflict", "In conflict with a newer champion"),
        (Fate.REFUSED, "reads the same as candidate 3", "Refused: a duplicate of an earlier candidate"),
        (Fate.REFUSED, "a.py is not valid Python 3.11: bad", "Refused: not valid source text"),
        (Fate.REFUSED, "whatever", "Refused: other reasons"),
    ],
)
def test_reasons_fall_into_a_few_groups(fate: Fate, reason: str, group: str) -> None:
    one = Candidate(id=1, parent=0, tree=None, subject="s", body="", fate=fate, reason=reason)
    assert group_of(one) == group


def test_a_candidate_without_a_search_trial_has_a_group_of_its_own() -> None:
    one = Candidate(id=1, parent=0, tree=None, subject="s", body="", fate=Fate.OPEN, reason="")
    assert group_of(one, tried=False) == "Not at the gate: no search trial yet"


def better(scene: FakeRun) -> None:
    scene.workspace[SETTINGS] = b"SKILL = 80\n"
    scene.workspace["PATCH.md"] = b"Raise SKILL to 80\n\nBecause more is better.\n"


@pytest.mark.parametrize("policy", ["proven", "better"])
async def test_the_facts_of_a_real_campaign_match_its_ledger(tmp_path: Path, policy: str) -> None:
    lab = Lab(tmp_path, better, gate=policy, solve=solve)
    async with lab.campaign() as campaign:
        await campaign.run()
        settings = gate_settings(campaign.config)
        assert isinstance(campaign.config, Config)
    with lab.ledger() as ledger:
        facts = collect(ledger, settings)
        (commit,) = ledger.commits()
        gate = {t.transcript for t in ledger.trials(purpose=Purpose.GATE)}
    (patch,) = [p for p in facts.patches if p.commit]
    assert (patch.commit, patch.candidate.subject) == (commit.sha, "Raise SKILL to 80")
    assert "+SKILL = 80" in patch.steps[-1].diff
    assert patch.wins > patch.losses
    (meeting,) = patch.meetings
    assert meeting.verdict == "accepted"
    assert meeting.agrees is (True if policy == "proven" else None)
    assert bool(meeting.path) == (policy == "proven")
    assert [spot.candidate for spot in facts.holdout] == [0, patch.candidate.id]
    assert patch.changes
    shown = {side.transcript for change in patch.changes for side in (change.before, change.after)}
    assert not shown & gate or all(change.task.startswith("search-") for change in patch.changes)
    assert json.dumps([m.sentence for m in facts.meetings])


def test_a_test_is_judged_by_the_numbers_that_it_was_opened_with(path: Path, facts: ReportFacts) -> None:
    with Ledger(path, read_only=True) as ledger:
        later = collect(ledger, GateSettings(alpha=0.001))
    assert later.meetings == facts.meetings


def test_in_an_older_ledger_the_numbers_are_those_of_the_file(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "ledger.sqlite"
    with sqlite3.connect(path) as source, sqlite3.connect(copy) as target:
        source.backup(target)
    with tampering(copy) as db:
        db.execute("DELETE FROM meta WHERE key LIKE 'gate of test %'")
    with Ledger(copy, read_only=True) as ledger:
        assert all(m.agrees for m in collect(ledger, GateSettings()).meetings)
        assert all(m.agrees for m in collect(ledger).meetings)
        assert not any(m.agrees for m in collect(ledger, GateSettings(alpha=0.001)).meetings)


def test_a_revert_is_shown_and_does_not_count_as_a_proposal(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "ledger.sqlite"
    with sqlite3.connect(path) as source, sqlite3.connect(copy) as target:
        source.backup(target)
    with Ledger(copy) as ledger:
        last = ledger.commits()[-1]
        sha, champion = last.parent, last.candidate
        back = Candidate(id=41, parent=champion, tree="t", subject="Revert", body="", fate=Fate.CHAMPION, reason="r")
        ledger.add_revert(back, diff="-x", sha="f" * 40, parent=sha, reverts=champion)
        facts = collect(ledger)
    assert (facts.champions[-1], facts.patches[-1].reverts, facts.patches[-1].meetings) == (41, champion, ())
    kept = sum(patch.commit is not None for patch in facts.patches) - 1
    assert f"{kept} of 40 proposed patches" in render(facts)
    assert "1 reverted" in render(facts)
