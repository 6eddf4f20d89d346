"""What a report shows, as plain data from a ledger. Nothing here is escaped: `page.py` does that.

Cheap at 100,000 trials: every trial is read once without its texts, and texts are read only for what is shown.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from agent.base.types import Candidate, Fate, Purpose, Split
from agent.kernel.decide.attribution import parts_words
from agent.kernel.decide.cheaper import SCORE
from agent.kernel.decide.evidence import base_of, lineage
from agent.kernel.decide.gate import Fixed, GateSettings
from agent.kernel.decide.voids import VoidRule
from agent.kernel.loop.match import fixed_of, opened_with
from agent.kernel.record.attributed import by_candidate
from agent.kernel.record.brought import brought_of
from agent.kernel.record.ledger import Ledger, Mark, SpendingRow, TestRow
from agent.models.dialects.transcript import middle_out, with_output
from agent.review.report.evidence import Meeting, recompute
from agent.review.report.improvers import Version, versions, worth_of
from agent.review.report.load import Load, load_of
from agent.review.report.models import ModelFacts, models_of
from agent.review.report.predicted import Predicted, predicted
from agent.review.report.reasons import group_of
from agent.review.summary import Estimate, Summary, summarise, wilson

SPEND_SLICES: Final = 120
"""Points of the curves of cost over time."""

DIFF_BUDGET, LONGEST_DIFF = 1_000_000, 24_000
"""Characters of patches in one report, and of one patch: keeps 200 candidates below 5 MB."""

TALK_BUDGET, LONGEST_TALK = 900_000, 6_000
"""Characters of transcripts in one report, and of one side of one task."""

SHOWN_CHANGES: Final = 4
"""Tasks of a candidate whose transcripts are shown before and after: those that changed most."""

MOST_CELLS, MOST_COLUMNS = 12_000, 40
"""Cells and columns of the heat map."""

SHOWN_EVENTS: Final = 300

SPLIT_OF: Final = {
    Purpose.SEARCH: Split.SEARCH,
    Purpose.SHOWN: Split.SEARCH,
    Purpose.GATE: Split.GATE,
    Purpose.HOLDOUT: Split.HOLDOUT,
}
"""Trials of the A/A check and of `ratchet eval` belong to no split."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Spot:
    """A candidate's score as it stood when `trials` trials of the campaign had finished."""

    candidate: int
    trials: int
    score: Estimate


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """The mean score of one candidate on one task."""

    mean: float
    trials: int


@dataclass(frozen=True, kw_only=True, slots=True)
class HeatRow:
    """One task; a cell is None where the candidate was not evaluated on it."""

    task: str
    split: Split
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Heat:
    """Task x candidate: the seed, the champions and the candidates that met one, without `left_out` columns."""

    columns: tuple[int, ...]
    rows: tuple[HeatRow, ...]
    left_out: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Excerpt:
    """One search trial with its transcript, cut in the middle where it is long."""

    score: float
    reason: str
    transcript: str


@dataclass(frozen=True, kw_only=True, slots=True)
class BeforeAfter:
    """The same search task with the same seed, before a patch (`base`) and after it."""

    task: str
    base: int
    before: Excerpt
    after: Excerpt


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One of the patches that a commit consists of; `cut` characters of the diff are not shown.

    `effect` is its share of the search score, by the trials of all candidates that hold it or do not. `commit` is the
    one of this patch alone, where the acceptance became a commit a patch.
    """

    candidate: int
    subject: str
    effect: Estimate | None
    diff: str
    cut: int
    commit: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Patch:
    """One candidate. `steps` lead from the champion that it descends from to it, oldest first.

    `search` is the score that promotes it, on tasks that its makers did not see; `shown` is the one on tasks that they
    saw, None where improvers see every search task. `reverts` is the candidate that this one reverts; a person made
    it, nobody proposed it. `parts` says what each patch of an accepted one is worth at the gate, "" where not measured.
    `brings` is the candidate whose patch this one brings over onto its parent.
    """

    candidate: Candidate
    group: str
    base: int
    commit: str | None
    reverts: int | None
    search: Estimate | None
    base_search: Estimate | None
    shown: Estimate | None
    wins: int
    losses: int
    ties: int
    steps: tuple[Step, ...]
    changes: tuple[BeforeAfter, ...]
    meetings: tuple[Meeting, ...]
    parts: str = ""
    brings: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Spending:
    """What was used until `seconds` after the first trial; tokens and dollars of fresh calls alone."""

    seconds: float
    trials: int
    tokens: int
    dollars: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportFacts:
    """Everything that the report shows, with texts as they were written. `champions` begins with the seed (0)."""

    name: str
    summary: Summary
    champions: tuple[int, ...]
    search: tuple[Spot, ...]
    shown: tuple[Spot, ...]
    holdout: tuple[Spot, ...]
    meetings: tuple[Meeting, ...]
    heat: Heat
    patches: tuple[Patch, ...]
    predicted: Predicted
    spending: tuple[Spending, ...]
    roles: tuple[SpendingRow, ...]
    models: ModelFacts
    improvers: tuple[Version, ...]
    load: Load
    events: tuple[tuple[int, float, str, str], ...]
    earlier_events: int


def collect(ledger: Ledger, gate: GateSettings | None = None, *, name: str | None = None) -> ReportFacts:
    """Read a campaign, finished or not. The campaign's `gate` settings check verdicts of older ledgers too.

    Raises:
        RecordBroken: the ledger cannot be read, or a text in it was changed.
    """
    marks, candidates = ledger.marks(), ledger.candidates()
    reader = _Reader(ledger, candidates, marks)
    meetings = tuple(reader.meeting(row, gate) for row in ledger.tests())
    events = ledger.events()
    return ReportFacts(
        name=name or ledger.path.resolve().parent.name,
        summary=summarise(ledger),
        champions=reader.champions,
        search=reader.spots(Purpose.SEARCH),
        shown=reader.spots(Purpose.SHOWN),
        holdout=reader.spots(Purpose.HOLDOUT),
        meetings=meetings,
        heat=_heat(reader, [m.candidate for m in meetings]),
        patches=reader.patches(meetings),
        predicted=predicted(ledger, candidates, marks),
        spending=_spending(ledger.spending(SPEND_SLICES), reader.times),
        roles=tuple(sorted(ledger.spending(1), key=lambda spent: (spent.role, spent.model))),
        models=models_of(ledger),
        improvers=tuple(versions(ledger, reader.candidates, set(reader.champions), reader.worth)),
        load=load_of(ledger, events),
        events=tuple(events[-SHOWN_EVENTS:]),
        earlier_events=max(0, len(events) - SHOWN_EVENTS),
    )


class _Reader:
    """A ledger's trials, grouped once by purpose and candidate."""

    def __init__(self, ledger: Ledger, candidates: Sequence[Candidate], marks: Sequence[Mark]) -> None:
        self.ledger, self.candidates = ledger, {c.id: c for c in candidates}
        commits = ledger.commits()
        self.commits, self.reverts = {row.candidate: row.sha for row in commits}, ledger.reverts()
        self.series = {(row.candidate, patch): sha for row in commits for sha, patch in ledger.series(row.sha)}
        self.champions = (0, *(row.candidate for row in commits)) if candidates else ()
        self.worth = worth_of(ledger, candidates)
        self.parts = {one: parts_words(known["parts"]) for one, known in by_candidate(ledger).items()}
        self.times = [mark.at for mark in marks]
        self.groups: dict[tuple[Purpose, int], list[tuple[int, Mark]]] = defaultdict(list)
        for number, mark in enumerate(marks, 1):
            self.groups[mark.purpose, mark.candidate].append((number, mark))

    def spots(self, purpose: Purpose) -> tuple[Spot, ...]:
        """The score of every candidate with trials of one purpose, in the order of their last one."""
        found = [
            Spot(candidate=candidate, trials=marks[-1][0], score=score)
            for (kind, candidate), marks in self.groups.items()
            if kind is purpose and (score := wilson([mark.score for _, mark in marks])) is not None
        ]
        return tuple(sorted(found, key=lambda spot: spot.trials))

    def estimate(self, candidate: int, purpose: Purpose = Purpose.SEARCH) -> Estimate | None:
        """The score of a candidate in its trials of one purpose."""
        return wilson([mark.score for _, mark in self.groups.get((purpose, candidate), [])])

    def meeting(self, row: TestRow, gate: GateSettings | None) -> Meeting:
        """One test, with the settings that it was opened with or, in an older ledger, the given ones."""
        known = opened_with(self.ledger, row.id)
        older = replace(gate, voids=VoidRule.DISCARDED) if gate else None
        settings = known.settings if known else older
        fixed = fixed_of(row, self.ledger, known) if known else None
        aim = known.aim if known else SCORE
        pairs = self.ledger.pairs(row.id)
        return recompute(row, pairs, settings, fixed or Fixed(), lambda at: bisect_right(self.times, at), aim=aim)

    def patches(self, meetings: Sequence[Meeting]) -> tuple[Patch, ...]:
        """Every candidate but the seed."""
        met = defaultdict(list)
        for meeting in meetings:
            met[meeting.candidate].append(meeting)
        made = [one for one in self.candidates.values() if one.parent is not None]
        shown = sum(1 for one in made if one.id in met)
        diff = min(LONGEST_DIFF, DIFF_BUDGET // max(len(made), 1))
        talk = min(LONGEST_TALK, TALK_BUDGET // (2 * SHOWN_CHANGES * max(shown, 1)))
        return tuple(self._patch(one, tuple(met[one.id]), diff, talk) for one in made)

    def _patch(self, candidate: Candidate, meetings: tuple[Meeting, ...], diff: int, talk: int) -> Patch:
        base = base_of(self.candidates, self.champions, candidate.parent or 0)
        # Only a commit holds all the steps; the earlier steps of other candidates have entries of their own.
        whole = candidate.fate in {Fate.CHAMPION, Fate.WAITING}
        steps = self._steps(candidate, base) if whole else [candidate]
        pairs = self._same_indices(base, candidate.id)
        differ = [after.score - before.score for before, after in pairs]
        return Patch(
            candidate=candidate,
            group=group_of(candidate, tried=self.estimate(candidate.id) is not None),
            base=base,
            commit=self.commits.get(candidate.id),
            reverts=self.reverts.get(candidate.id),
            search=self.estimate(candidate.id),
            base_search=self.estimate(base),
            shown=self.estimate(candidate.id, Purpose.SHOWN),
            wins=sum(d > 0 for d in differ),
            losses=sum(d < 0 for d in differ),
            ties=sum(d == 0 for d in differ),
            steps=tuple(self._step(step, diff // len(steps), candidate.id) for step in steps),
            changes=tuple(self._changes(pairs, base, talk)) if meetings else (),
            meetings=meetings,
            parts=self.parts.get(candidate.id, ""),
            brings=brought_of(self.ledger, candidate.id),
        )

    def _steps(self, candidate: Candidate, base: int) -> list[Candidate]:
        """The patches that a commit holds beside the champion's; those of a composite are other candidates'."""
        steps = lineage(self.candidates, self.champions, candidate.id)
        held = self.worth.held.get(candidate.id, frozenset()) - self.worth.held.get(base, frozenset())
        together = steps == [candidate] and candidate.id not in held
        return [self.candidates[one] for one in sorted(held)] or [candidate] if together else steps

    def _step(self, candidate: Candidate, limit: int, whole: int) -> Step:
        diff, _ = self.ledger.candidate_texts(candidate.id)
        cut = max(0, len(diff) - limit)
        return Step(
            candidate=candidate.id,
            subject=candidate.subject,
            effect=self.worth.effects.get(candidate.id),
            diff=diff[:limit],
            cut=cut,
            commit=self.series.get((whole, candidate.id)),
        )

    def _same_indices(self, base: int, candidate: int) -> list[tuple[Mark, Mark]]:
        """Search trials of both sides on the same task with the same seed and answers."""
        before = {mark.trial_index: mark for _, mark in self.groups.get((Purpose.SEARCH, base), [])}
        after = sorted((mark.trial_index, mark) for _, mark in self.groups.get((Purpose.SEARCH, candidate), []))
        return [(before[index], mark) for index, mark in after if index in before]

    def _changes(self, pairs: Sequence[tuple[Mark, Mark]], base: int, limit: int) -> Iterable[BeforeAfter]:
        """What changed most, gains and losses in turn; one index a task."""
        ranked = sorted((p for p in pairs if p[0].score != p[1].score), key=lambda p: p[0].score - p[1].score)
        ends = [pair for both in zip(ranked, reversed(ranked), strict=True) for pair in both][: len(ranked)]
        for before, after in list({pair[0].task: pair for pair in reversed(ends)}.values())[::-1][:SHOWN_CHANGES]:
            yield BeforeAfter(
                task=before.task, base=base, before=self._side(before, limit), after=self._side(after, limit)
            )

    def _side(self, mark: Mark, limit: int) -> Excerpt:
        trial = self.ledger.trial(mark.id)
        if trial is None:
            raise KeyError(mark.id)
        calls, refusals = self.ledger.calls(trial.id), self.ledger.refusals(trial.id)
        transcript = middle_out(with_output(calls, refusals, trial.transcript), limit)
        return Excerpt(score=trial.score, reason=trial.reason, transcript=transcript)


def _heat(reader: _Reader, gated: Sequence[int]) -> Heat:
    wanted = [*dict.fromkeys([*reader.champions, *gated])]
    scores: dict[tuple[Split, str], dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for purpose, split in SPLIT_OF.items():
        for candidate in wanted:
            for _, mark in reader.groups.get((purpose, candidate), []):
                scores[split, mark.task][candidate].append(mark.score)
    room = max(2, min(MOST_COLUMNS, MOST_CELLS // max(len(scores), 1)))
    crowned = set(reader.champions)
    # The seed, the last champions, then the last challengers.
    ranked = sorted(wanted, key=lambda c: (c != 0, c not in crowned, -c))[:room]
    columns = tuple(sorted(ranked))
    order = list(Split)
    rows = [
        HeatRow(task=task, split=split, cells=tuple(_cell(found.get(c)) for c in columns))
        for (split, task), found in sorted(scores.items(), key=lambda i: (order.index(i[0][0]), _natural(i[0][1])))
    ]
    return Heat(columns=columns, rows=tuple(rows), left_out=len(wanted) - len(columns))


def _natural(name: str) -> list[tuple[int, str]]:
    """A key that puts task-2 before task-10."""
    return [
        (int(part), "") if part.isascii() and part.isdigit() else (-1, part) for part in re.split(r"(\d{1,9})", name)
    ]


def _cell(scores: Sequence[float] | None) -> Cell | None:
    return Cell(mean=sum(scores) / len(scores), trials=len(scores)) if scores else None


def _spending(spent: Sequence[SpendingRow], times: Sequence[float]) -> tuple[Spending, ...]:
    """Cumulative use at the end of each slice of time."""
    if not spent:
        return ()
    start = min(times[0] if times else spent[0].until, spent[0].until)
    points, tokens, dollars = [Spending(seconds=0.0, trials=0, tokens=0, dollars=0.0)], 0, 0.0
    for row in spent:
        tokens, dollars = tokens + row.tokens, dollars + row.dollars
        seconds = row.until - start
        points.append(Spending(seconds=seconds, trials=bisect_right(times, row.until), tokens=tokens, dollars=dollars))
    return tuple(points)
