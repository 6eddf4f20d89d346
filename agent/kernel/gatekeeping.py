"""The commit gate's steps: open a test, play its pairs, conclude it, measure the holdout, commit."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable

from agent.kernel.admission import Admission
from agent.kernel.config import Config
from agent.kernel.errors import BudgetSpent, Refused
from agent.kernel.evaluator import Job, seed_of
from agent.kernel.gate import Control, Decision, GateSettings, Verdict
from agent.kernel.ledger import TestRow
from agent.kernel.match import Match
from agent.kernel.parts import Parts, Planned
from agent.kernel.proposer import Proposal
from agent.kernel.repository import format_message
from agent.kernel.search import promising
from agent.kernel.types import Candidate, Fate, Purpose, Split, Task


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
        self._concluding = False

    def open_match(self) -> None:
        """If a node is promising, spend the next index of the campaign's error on it."""
        state = self._state
        if self.match is not None or (node := promising(state.archive, self._gate_share())) is None:
            return
        state.archive.tried.add((node, state.champion))
        if (candidate := self.onto_champion(state.candidates[node])) is None:
            return
        row = state.ledger.open_test(
            candidate=candidate.id,
            champion=state.champion,
            commits=len(state.champions) - 1,
            policy=self._config.gate,
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
            settings=gate_settings(self._config),
            runs=self._config.gate_options.runs,
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

    async def pair(self, match: Match, place: int) -> None:
        """One pair of the open test; the pair that decides it also sees to what follows."""
        await match.play(place)
        self._state.count_gate_pair()
        if match.decision is not None and self.match is match and not self._concluding:
            await self.conclude(match, match.decision)

    async def conclude(self, match: Match, decision: Decision) -> None:
        """Write the verdict down; an accepted candidate is measured on the holdout and committed."""
        self._concluding = True
        try:
            await self._end_pairs()
            match.conclude(decision)
            self._state.ledger.note("verdict", f"#{match.candidate.id} {decision.sentence}")
            if decision.accepted:
                await self.commit(match, decision)
            elif decision.verdict is not Verdict.VOID:
                self._state.settle(match.candidate.id, Fate.REJECTED, decision.sentence)
            self.match = None
        finally:
            self._concluding = False

    async def commit(self, match: Match, decision: Decision) -> None:
        """Move the champion by one commit. The ledger knows of it before the ref moves."""
        state, repository, candidate = self._state, self._parts.repository, match.candidate
        try:
            holdout = await self.holdout(candidate)
        except* BudgetSpent:
            holdout = "not measured to the end: the budget was spent"
        parent = repository.champion()
        trailers = {
            "Ratchet-Campaign": self._config.name,
            "Ratchet-Candidate": str(candidate.id),
            "Ratchet-Derived-From": ", ".join(f"#{c.id}" for c in state.lineage(candidate.id)[:-1]) or "champion",
            "Ratchet-Score": f"{decision.champion_mean:.3f} -> {decision.candidate_mean:.3f} ({decision.pairs} pairs)",
            "Ratchet-Evidence": _evidence(decision),
            "Ratchet-Holdout": holdout,
            **self._parts.provenance,
            "Ratchet-Cost": _cost(self._parts),
        }
        earlier = [f"- {c.subject}" for c in state.lineage(candidate.id)[:-1]]
        story = "Together with:\n" + "\n".join(earlier) if earlier else ""
        body = "\n\n".join(part for part in (candidate.body, story) if part)
        message = format_message(candidate.subject, body, trailers)
        sha = repository.prepare(candidate.tree or "", message, parent)
        state.ledger.add_commit(sha=sha, parent=parent, candidate=candidate.id, test=match.row.id)
        repository.advance(sha, parent)
        state.crowned(candidate.id, decision.sentence)
        state.ledger.note("commit", f"#{candidate.id} is champion: {candidate.subject} ({sha[:10]})")

    async def holdout(self, candidate: Candidate) -> str:
        """Fresh holdout trials of one candidate; the first one takes the seed along, answers shared, for comparison."""
        tasks, runs, ledger = self._parts.suite.split(Split.HOLDOUT), self._config.holdout_runs, self._state.ledger
        jobs = [(n, task, turn) for n, (turn, task) in enumerate((r, t) for r in range(runs) for t in tasks)]
        if not jobs:
            return "not measured"
        done = {(owner, place) for owner, place, _ in ledger.places(Purpose.HOLDOUT)}
        sides = (self._state.candidates[0], candidate)
        missing = [(side, *job) for job in jobs for side in sides if (side.id, job[0]) not in done]
        if missing:
            ledger.note("holdout", f"#{candidate.id} is measured on {len(tasks)} held-out tasks x {runs}")
        async with asyncio.TaskGroup() as group:
            for side, place, task, turn in missing:
                group.create_task(self._holdout_trial(side, place, task, turn))
        scores = [score for owner, _, score in ledger.places(Purpose.HOLDOUT) if owner == candidate.id]
        return f"{sum(scores) / len(scores):.3f} ({len(scores)} trials, used for no decision)"

    async def _holdout_trial(self, candidate: Candidate, place: int, task: Task, turn: int) -> None:
        job = Job(
            tree=candidate.tree or "",
            task=task,
            purpose=Purpose.HOLDOUT,
            seed=seed_of(self._config.seed, "holdout", task.id, turn),
            memo=f"holdout:{task.id}:{turn}",
        )
        self._state.measured(await self._parts.evaluator.trial(job), candidate.id, place)


def gate_settings(config: Config) -> GateSettings:
    """The numbers of the gate, as the configuration sets them."""
    options = config.gate_options
    return GateSettings(
        control=Control(options.error),
        alpha=options.alpha,
        smallest_effect=options.effect,
        spending=options.spending,
        max_pairs=options.max_pairs,
    )


def _evidence(decision: Decision) -> str:
    if decision.log_e is None or decision.log_threshold is None:
        return decision.sentence
    return f"e-value {math.exp(min(decision.log_e, 700)):.4g}, threshold {math.exp(decision.log_threshold):.4g}"


def _cost(parts: Parts) -> str:
    spent, trials = parts.budget.spent, parts.state.trials
    return f"${spent.dollars:.4f}, {spent.tokens} tokens, {trials} trials, {spent.seconds / 60:.1f} min so far"
