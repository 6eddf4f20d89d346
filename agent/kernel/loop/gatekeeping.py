"""The commit gate's steps: open a test, play its pairs, conclude it, measure the holdout, commit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from agent.base.errors import BudgetSpent, Refused
from agent.base.types import Candidate, Fate, Purpose, Split, Task
from agent.kernel.decide.evidence import NOT_MEASURED, commit_body, evidence_trailers, holdout_words
from agent.kernel.decide.flags import in_one_line
from agent.kernel.decide.gate import Decision, Verdict
from agent.kernel.decide.promotion import promising
from agent.kernel.git.repository import BranchMoved
from agent.kernel.loop.admission import Admission
from agent.kernel.loop.approval import Acceptance, Request, commit_of, outdated, refusal, turned_down
from agent.kernel.loop.match import Match, opened_with
from agent.kernel.loop.parts import Parts, Planned
from agent.kernel.loop.proposer import Proposal
from agent.kernel.loop.settings import opening_of
from agent.kernel.record.ledger import TestRow
from agent.trials.evaluator import Job, seed_of


class Gatekeeper:
    """One test at a time. `later` queues a step of the campaign; `end_pairs` cancels the pairs in flight."""

    def __init__(
        self,
        parts: Parts,
        admission: Admission,
        later: Callable[[Planned], None],
        end_pairs: Callable[[], Awaitable[None]],
    ) -> None:
        self.match: Match | None = None
        self._parts, self._state, self._config = parts, parts.state, parts.config
        self._admission = admission
        self._later, self._end_pairs = later, end_pairs
        self.concluding = False
        self._verdicts = {row.id for row in parts.state.ledger.tests() if row.verdict is not None}

    def open_match(self) -> None:
        """If a node is promising, spend the next index of the campaign's error on it."""
        state = self._state
        if self.match is not None or (node := promising(state.archive, self._gate_share())) is None:
            return
        state.archive.tried.add((node, state.champion))
        if node in state.champions:  # one that was champion before has nothing to bring
            return
        if (candidate := self.onto_champion(state.candidates[node])) is None:
            return
        row = state.ledger.open_test(
            candidate=candidate.id,
            champion=state.champion,
            commits=state.accepted,
            policy=self._config.gate,
            settings=opening_of(self._config, self._parts.suite).recorded(),
        )
        state.ledger.note("gate", f"#{candidate.id} meets the champion #{state.champion} (test {row.id})")
        self.match = self.meeting(row)

    def onto_champion(self, candidate: Candidate) -> Candidate | None:
        """The candidate itself, or, if the champion moved since it branched off, its patch merged onto the champion.

        A merged tree starts afresh in the archive; a conflict is a recorded refusal.
        """
        state, repository = self._state, self._parts.repository
        base = state.base_of(candidate.id)
        if base == state.champion:
            return candidate
        trees = [state.candidates[n].tree or "" for n in (base, state.champion, candidate.id)]
        champion = state.candidates[state.champion]
        try:
            tree = repository.merge(*trees)
            change = self._parts.proposer.boundary.admit(
                self._admission.mutable(champion.tree or ""),
                self._admission.mutable(tree),
            )
        except Refused as refusal:
            state.settle(candidate.id, Fate.REJECTED, f"could not be brought onto champion #{champion.id}: {refusal}")
            state.archive.retire(candidate.id)
            return None
        body = f"{candidate.body}\n\nCandidate {candidate.id}, merged onto champion {champion.id}.".strip()
        merged = self._admission.admit(
            Proposal(change=change, subject=candidate.subject, body=body, refusal="", transcript=""), champion
        )
        if merged.fate is Fate.OPEN:
            self._later(self._admission.first_trial(merged))
        return None

    def meeting(self, row: TestRow) -> Match:
        """The test that a row of the ledger stands for, as far as it was played."""
        candidates = self._state.candidates
        return Match(
            row=row,
            opening=opened_with(self._state.ledger, row.id) or opening_of(self._config, self._parts.suite),
            sides=(candidates[row.champion], candidates[row.candidate]),
            tasks=self._parts.suite.split(Split.GATE),
            seed=self._config.seed,
            ledger=self._state.ledger,
            evaluator=self._parts.evaluator,
        )

    def _gate_share(self) -> float:
        """Share of the campaign's trials that the gate has used; without a limit on trials, of those foreseen."""
        state, limit = self._state, self._config.budget.trials
        foreseen = limit or state.trials / max(self._parts.budget.fraction(), 1e-9)
        return state.gate_trials / max(foreseen, 1.0)

    async def pair(self, match: Match, index: int) -> None:
        """One pair of the open test; the pair that decides it also sees to what follows."""
        self._state.count_gate_pairs(await match.play(index))
        if match.decision is not None and self.match is match and not self.concluding:
            await self._conclude(match, match.decision)

    def verdict_step(self, match: Match, decision: Decision) -> Planned:
        """What follows a decision, as a step; asked for once at a time."""
        self.concluding = True
        return Planned(label="verdict", boxes=0, work=lambda: self._conclude(match, decision))

    async def _conclude(self, match: Match, decision: Decision) -> None:
        """Write the verdict down and see to what follows from it."""
        self.concluding = True
        try:
            await self._end_pairs()
            if match.row.id not in self._verdicts:
                match.conclude(decision)
                self._verdicts.add(match.row.id)
                self._state.ledger.note("verdict", f"#{match.candidate.id} {decision.sentence}")
            if decision.accepted:
                await self._accept(match, decision)
            elif decision.verdict is not Verdict.VOID:
                self._state.settle(match.candidate.id, Fate.REJECTED, decision.sentence)
            self.match = None
        finally:
            self.concluding = False

    async def _accept(self, match: Match, decision: Decision) -> None:
        """Measure the holdout; then the patch is committed, or waits for a person, or meets a newer champion."""
        state, flags = self._state, self._flags_of(match)
        accepted = self._acceptance(match, decision, flags, await self._holdout_in_words(match.candidate))
        if accepted.champion != state.champion:
            state.approvals.keep(replace(accepted, outcome="outdated"))
            self._test_afresh(accepted)
        elif self._config.approve == "human" or (self._config.approve == "flagged" and flags):
            state.approvals.keep(accepted)
            state.settle(match.candidate.id, Fate.WAITING, f"waits for approval; {decision.sentence}")
            text = f"#{match.candidate.id} waits for `ratchet approve {match.candidate.id}`: {match.candidate.subject}"
            state.ledger.note("waiting", text)
        else:
            state.ledger.note("approved", f"#{match.candidate.id} was approved by the gate (approve: auto)")
            commit_of(state.ledger, self._parts.repository, match.candidate.tree or "", accepted)
            state.crowned(match.candidate.id, decision.sentence)

    def _acceptance(self, match: Match, decision: Decision, flags: list[str], holdout: str) -> Acceptance:
        """Everything that the commit of an accepted patch will say."""
        candidate = match.candidate
        earlier = self._state.lineage(candidate.id)[:-1]
        trailers = {
            **evidence_trailers(self._config.name, candidate, earlier, decision, holdout),
            **({"Ratchet-Flags": in_one_line(flags)} if flags else {}),
            **self._parts.provenance,
            "Ratchet-Cost": _cost(self._parts),
        }
        return Acceptance(
            candidate=candidate.id,
            champion=match.row.champion,
            test=match.row.id,
            subject=candidate.subject,
            body=commit_body(candidate, earlier),
            trailers=trailers,
            sentence=decision.sentence,
        )

    def _flags_of(self, match: Match) -> list[str]:
        """What the whole patch adds to the champion that it met."""
        return self._admission.flags(match.champion.tree or "", match.candidate.tree or "")

    # ---------------------------------------------------------------------------- people

    def restore(self) -> None:
        """Finish what a killed run or another shell left half done about patches that wait."""
        state = self._state
        for entry in list(state.approvals):
            if entry.outcome in ("waiting", "outdated") and entry.candidate in state.champions:
                state.approvals.move(entry.candidate, "approved")
            elif entry.outcome == "outdated" or (entry.outcome == "waiting" and entry.champion != state.champion):
                self._test_afresh(entry)

    async def answer(self, request: Request) -> None:
        """Carry out what a person decided; what cannot be done is noted and changes nothing."""
        state = self._state
        entry = state.approvals.get(request.candidate)
        problem = refusal(entry, request, state.champion)
        if problem is None and entry is not None:
            try:
                await self._settle(request, entry)
            except BranchMoved as error:
                if any(row.candidate == entry.candidate for row in state.ledger.commits()):
                    raise
                problem = str(error)
        if problem is not None:
            word = "approval" if request.approve else "rejection"
            state.ledger.note("request", f"{word} of #{request.candidate} by {request.by} was not done: {problem}")

    async def _settle(self, request: Request, entry: Acceptance) -> None:
        state, candidate = self._state, self._state.candidates[request.candidate]
        if not request.approve:
            state.settle(candidate.id, Fate.REJECTED, turned_down(request))
            state.archive.retire(candidate.id)
            state.approvals.decided(request)
            return
        commit_of(state.ledger, self._parts.repository, candidate.tree or "", entry, request.by)
        state.crowned(candidate.id, entry.sentence)
        state.approvals.decided(request)
        await self._void_match()
        self.restore()

    async def _void_match(self) -> None:
        """The champion moved under an open test: its candidate meets the new one afresh."""
        match = self.match
        if match is None or match.decision is not None:
            return
        await self._end_pairs()
        self.match = None
        match.conclude(match.close(Verdict.VOID, f"#{self._state.champion} became champion in the middle of the test"))
        self._state.ledger.note("verdict", f"#{match.candidate.id} {outdated(self._state.champion)}")
        self.onto_champion(match.candidate)

    def _test_afresh(self, entry: Acceptance) -> None:
        """Bring a patch that passed the gate against an older champion onto the new one."""
        state, candidate = self._state, self._state.candidates[entry.candidate]
        state.settle(candidate.id, Fate.OPEN, outdated(state.champion))
        state.ledger.note("outdated", f"#{candidate.id} {outdated(state.champion)}")
        self.onto_champion(state.candidates[candidate.id])
        state.approvals.move(candidate.id, "merged")

    # ---------------------------------------------------------------------------- holdout

    async def _holdout_in_words(self, candidate: Candidate) -> str:
        try:
            return await self.holdout(candidate)
        except* BudgetSpent:
            pass
        return f"{NOT_MEASURED} to the end: the budget was spent"

    async def holdout(self, candidate: Candidate) -> str:
        """Fresh holdout trials of one candidate; the first one takes the seed along, answers shared, for comparison."""
        tasks, runs, ledger = self._parts.suite.split(Split.HOLDOUT), self._config.holdout_runs, self._state.ledger
        jobs = [(n, task, turn) for n, (turn, task) in enumerate((r, t) for r in range(runs) for t in tasks)]
        if not jobs:
            return holdout_words([])
        done = {(owner, index) for owner, index, _ in ledger.indices(Purpose.HOLDOUT)}
        sides = (self._state.candidates[0], candidate)
        missing = [(side, *job) for job in jobs for side in sides if (side.id, job[0]) not in done]
        if missing:
            ledger.note("holdout", f"#{candidate.id} is measured on {len(tasks)} held-out tasks x {runs}")
        async with asyncio.TaskGroup() as group:
            for side, index, task, turn in missing:
                group.create_task(self._holdout_trial(side, index, task, turn))
        scores = [score for owner, _, score in ledger.indices(Purpose.HOLDOUT) if owner == candidate.id]
        return holdout_words(scores)

    async def _holdout_trial(self, candidate: Candidate, index: int, task: Task, turn: int) -> None:
        job = Job(
            tree=candidate.tree or "",
            task=task,
            purpose=Purpose.HOLDOUT,
            seed=seed_of(self._config.seed, "holdout", task.id, turn),
            answer_scope=f"holdout:{task.id}:{turn}",
        )
        self._state.measured(await self._parts.evaluator.trial(job), candidate.id, index)


def _cost(parts: Parts) -> str:
    spent, trials = parts.budget.spent, parts.state.trials
    return f"${spent.dollars:.4f}, {spent.tokens} tokens, {trials} trials, {spent.seconds / 60:.1f} min so far"
