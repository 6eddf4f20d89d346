"""The commit gate's steps: open a test, play its pairs, conclude it, and see to what follows from the verdict."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from agent.base.errors import UserError
from agent.base.types import Candidate, Fate, Split
from agent.kernel.decide.attribution import Stage
from agent.kernel.decide.bets import Terms
from agent.kernel.decide.flags import in_one_line
from agent.kernel.decide.gate import Decision, Verdict
from agent.kernel.git.repository import BranchMoved
from agent.kernel.loop.acceptance import acceptance_of
from agent.kernel.loop.admission import Admission
from agent.kernel.loop.approval import Acceptance, Request, outdated
from agent.kernel.loop.attributing import Attributing
from agent.kernel.loop.committing import Committer
from agent.kernel.loop.contenders import Contenders
from agent.kernel.loop.holdout import Holdout
from agent.kernel.loop.load import Load
from agent.kernel.loop.match import NONDETERMINISTIC, Match, before_voids_counted, opened_with
from agent.kernel.loop.merging import Merger
from agent.kernel.loop.parts import Parts, Planned, StepKind
from agent.kernel.loop.settings import opening_of
from agent.kernel.loop.tripwires import Tripwires
from agent.kernel.record.ledger import TestRow

MOST_TESTS = 3
"""How often two candidates meet, at most, while their tests end as void: a patch may cause voids itself."""


class Gatekeeper:
    """One test at a time, which it alone opens and ends. `end_pairs` cancels the pairs in flight."""

    def __init__(
        self,
        parts: Parts,
        admission: Admission,
        merger: Merger,
        load: Load,
        end_pairs: Callable[[], Awaitable[None]],
        *,
        wires: Tripwires,
    ) -> None:
        self._parts, self._state, self._config = parts, parts.state, parts.config
        self._admission, self._merger, self._load, self._end_pairs = admission, merger, load, end_pairs
        self._wires, self._contenders, self._holdout = wires, Contenders(parts), Holdout(parts)
        self._committer = Committer(parts.state.ledger, parts.repository, parts.state.approvals, parts.state.decided)
        self._attributing = Attributing(
            parts,
            merger,
            open_test=self._begin,
            meeting=self._met,
            play=self.pair,
            conclude=self._write_verdict,
            ended=lambda: self._ending,
        )
        self._ending, self.concluding, self.stage, self._opening = False, False, Stage.HOLDOUT, asyncio.Lock()
        self._match: Match | None = None
        self._tried: Match | None = None
        self._verdicts = {row.id for row in parts.state.ledger.tests() if row.verdict is not None}

    @property
    def match(self) -> Match | None:
        """The open test, if there is one."""
        return self._match

    # ---------------------------------------------------------------------------- opening and playing

    async def resume(self) -> None:
        """Pick up the test that is open, and finish what a killed run or another shell left half done."""
        if (row := self._state.open_test()) is not None:
            self._match = self.meeting(row)
        elif tests := self._state.ledger.tests():
            self._test_again(tests[-1])
        await self._finish_approvals()

    async def open_match(self) -> None:
        """If a node is promising, spend the next index of the campaign's error on it."""
        async with self._opening:  # a merge takes a moment, in which another trial may end
            state = self._state
            if self._match is not None or (node := self._contenders.next()) is None:
                return
            state.archive.tried.add((node, state.champion))
            if node in state.champions:  # a former champion has nothing to add
                return
            if await self._merger.conflicts(state.candidates[node]) and self._contenders.brings(node):
                self._contenders.bring(node)
            elif (candidate := await self._merger.onto_champion(state.candidates[node])) is not None:
                self._open(candidate)

    def _open(self, candidate: Candidate) -> None:
        self._match = self._begin(candidate, self._contenders.terms(candidate.id))

    def _met(self, test: int) -> Match:
        """A test by its number, as far as it was played."""
        return self.meeting(next(row for row in self._state.ledger.tests() if row.id == test))

    def _begin(self, candidate: Candidate, terms: Terms | None = None) -> Match:
        """Spend the next index of the campaign's error on a candidate, in a test on such terms."""
        state = self._state
        opening = opening_of(self._config, self._parts.suite, self._nondeterministic(), terms)
        row = state.ledger.open_test(
            candidate=candidate.id,
            champion=state.champion,
            commits=state.proven,
            policy=self._config.gate,
            settings=opening.recorded(),
        )
        state.archive.tested.add((candidate.id, state.champion))
        state.ledger.note("gate", f"#{candidate.id} meets the champion #{state.champion} (test {row.id})")
        return self.meeting(row)

    def meeting(self, row: TestRow) -> Match:
        """The test that a row of the ledger is about, as far as it was played."""
        candidates = self._state.candidates
        return Match(
            row=row,
            opening=opened_with(self._state.ledger, row.id)
            or before_voids_counted(opening_of(self._config, self._parts.suite)),
            sides=(candidates[row.champion], candidates[row.candidate]),
            tasks=self._parts.suite.split(Split.GATE),
            seed=self._config.seed,
            ledger=self._state.ledger,
            evaluator=self._parts.evaluator,
            seen=self._load.see_pair,
        )

    async def pair(self, match: Match, index: int) -> None:
        """One pair of the open test."""
        try:
            self._state.count_gate_pairs(await match.play(index))
        finally:
            self._note_nondeterministic(match)

    # ---------------------------------------------------------------------------- nondeterminism

    def _nondeterministic(self) -> set[str]:
        return set(self._state.ledger.recollect(NONDETERMINISTIC) or ())

    def _note_nondeterministic(self, match: Match) -> None:
        """Tasks whose declaration turned out wrong are sampled in pairs from now on."""
        known = self._nondeterministic()
        if new := sorted(match.unsteady - known):
            self._state.ledger.remember(NONDETERMINISTIC, sorted(known | match.unsteady))
            text = f"two runs of one scaffold differ on {', '.join(new)}, declared deterministic: sampled from now on"
            self._state.ledger.note("nondeterministic", text)

    def _test_again(self, row: TestRow) -> None:
        """A test that said nothing about the patch is followed by a new one, with fresh data and an index of its own.

        It ended because a task is not deterministic, or because infrastructure errors voided too many pairs.
        """
        opening, candidate = opened_with(self._state.ledger, row.id), self._state.candidates[row.candidate]
        wrong = opening is not None and (
            opening.shares.keys() & self._nondeterministic() or _may_repeat(row, self._state.ledger.tests())
        )
        current = row.champion == self._state.champion and candidate.fate is Fate.OPEN
        if row.verdict == Verdict.VOID and wrong and current:
            self._open(candidate)

    # ---------------------------------------------------------------------------- concluding

    def verdict_step(self, *, ending: bool) -> Planned | None:
        """What follows from a decision, as a step, unless it is under way; when `ending`, it is tried once only."""
        self._ending, match = ending, self._match
        if match is None or self.concluding or (decision := match.decision) is None:
            return None
        if ending and self._tried is match:
            return None
        self._tried, self.concluding = match, True
        boxes = min(self._load.parallel, 2 * len(self._holdout.jobs())) if decision.accepted else 0
        work = lambda: self._conclude(match, decision)  # noqa: E731 (a step's work)
        return Planned(kind=StepKind.VERDICT, label="verdict", boxes=boxes, work=work)

    async def _conclude(self, match: Match, decision: Decision) -> None:
        """Write the verdict down and see to what follows from it."""
        try:
            await self._end_pairs()
            if match.row.id not in self._verdicts:
                self._write_verdict(match, decision, decision.sentence)
            if decision.accepted:
                await self._accept(match, decision)
            elif decision.verdict is not Verdict.VOID:
                self._state.settle(match.candidate.id, Fate.REJECTED, decision.sentence)
            self._match = None
            self._test_again(replace(match.row, verdict=decision.verdict))
        finally:
            self.concluding = False

    def _write_verdict(self, match: Match, decision: Decision, sentence: str) -> None:
        match.conclude(decision)
        self._verdicts.add(match.row.id)
        self._load.name_late_pairs(match.row.id, self._parts.suite.split(Split.GATE))
        self._state.ledger.note("verdict", f"#{match.candidate.id} {sentence}")

    def end_with_budget(self, ending: str) -> None:
        """An open test without a decision ends together with the campaign's budget."""
        if self._match is None or self._match.decision is not None:
            return
        decision = self._match.close(Verdict.OUT_OF_BUDGET, ending)
        self._write_verdict(self._match, decision, decision.sentence)
        self._state.settle(self._match.candidate.id, Fate.REJECTED, decision.sentence)
        self._match = None

    async def _accept(self, match: Match, decision: Decision) -> None:
        """Take it apart, measure the holdout; then it is committed, waits for a person, or meets a newer champion."""
        state, self.stage = self._state, Stage.PARTS
        match, decision = await self._attributing.smaller(match, decision) or (match, decision)
        self.stage = Stage.HOLDOUT
        flags = await self._admission.flags(match.champion.tree or "", match.candidate.tree or "")  # of the whole patch
        accepted = self.acceptance(match, decision, flags, await self._holdout.in_words(match.candidate))
        if accepted.champion != state.champion:
            state.approvals.keep(replace(accepted, outcome="outdated"))
            await self._bring_up_to_date(accepted)
        elif self._wires.patch_waits(match.champion, match.candidate, flags):
            state.approvals.keep(accepted)
            state.settle(match.candidate.id, Fate.WAITING, f"waits for approval; {decision.sentence}")
            text = f"#{match.candidate.id} waits for `ratchet approve {match.candidate.id}`: {match.candidate.subject}"
            state.ledger.note("waiting", text)
        else:
            state.ledger.note("approved", f"#{match.candidate.id} was approved by the gate (approve: auto)")
            self._committer.commit(accepted)
            await self._merger.find_conflicts()

    def acceptance(self, match: Match, decision: Decision, flags: list[str], holdout: str) -> Acceptance:
        """Everything that the commit of an accepted patch will say."""
        noted = {"flags": in_one_line(flags), "parts": self._attributing.words(match)}
        return acceptance_of(self._parts, match, decision, noted, holdout)

    # ---------------------------------------------------------------------------- people

    async def answer(self, request: Request) -> None:
        """Carry out what a person decided; what cannot be done is noted and changes nothing."""
        state, before = self._state, self._state.champion
        try:
            self._committer.decide(request)
        except UserError as error:
            self._decline(request, error.problem)
        except BranchMoved as error:
            if any(row.candidate == request.candidate for row in state.ledger.commits()):
                raise
            self._decline(request, str(error))
        if state.champion != before:
            await self._void_match()
            await self._finish_approvals()

    def _decline(self, request: Request, problem: str) -> None:
        word = "approval" if request.approve else "rejection"
        said = f"{word} of #{request.candidate} by {request.by} was not done: {problem}"
        self._state.ledger.note("request", said)

    async def _void_match(self) -> None:
        """The champion moved under an open test: its candidate meets the new one in a new test."""
        match = self._match
        if match is None or match.decision is not None:
            return
        await self._end_pairs()
        self._match = None
        decision = match.close(Verdict.VOID, f"#{self._state.champion} became champion in the middle of the test")
        self._write_verdict(match, decision, outdated(self._state.champion))
        await self._merger.onto_champion(match.candidate)

    async def _finish_approvals(self) -> None:
        """Bring what waits, and what is known of conflicts, in line with the champion."""
        state = self._state
        for entry in list(state.approvals):
            if entry.outcome in ("waiting", "outdated") and entry.candidate in state.champions:
                state.approvals.move(entry.candidate, "approved")
            elif entry.outcome == "outdated" or (entry.outcome == "waiting" and entry.champion != state.champion):
                await self._bring_up_to_date(entry)
        await self._merger.find_conflicts()

    async def _bring_up_to_date(self, entry: Acceptance) -> None:
        """Bring a patch that passed the gate against an older champion onto the new one."""
        state, candidate = self._state, self._state.candidates[entry.candidate]
        state.settle(candidate.id, Fate.OPEN, outdated(state.champion))
        state.ledger.note("outdated", f"#{candidate.id} {outdated(state.champion)}")
        await self._merger.onto_champion(state.candidates[candidate.id])
        state.approvals.move(candidate.id, "merged")


def _may_repeat(row: TestRow, tests: Sequence[TestRow]) -> bool:
    """Whether a void test of these two may be followed by another; its error is controlled as of any test (`voids`)."""
    met = sum((one.candidate, one.champion) == (row.candidate, row.champion) for one in tests)
    return row.policy == "proven" and met < MOST_TESTS
