"""The campaign: propose, admit, search, gate, commit. The loop is `Campaign.run`; the rest are its steps."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np

from agent.kernel.boundary import inside
from agent.kernel.budget import Budget
from agent.kernel.config import Config
from agent.kernel.errors import BudgetSpent, LaboratoryFault, Refused, UserError
from agent.kernel.evaluator import Evaluator, Job, Void, both, seed_of
from agent.kernel.evidence import NOT_MEASURED, commit_body, evidence_trailers, holdout_words
from agent.kernel.gate import Control, Decision, GateSettings, Verdict
from agent.kernel.ledger import TestRow
from agent.kernel.match import Match, opened_with
from agent.kernel.proposer import Proposal, Proposer
from agent.kernel.repository import Repository, format_message
from agent.kernel.search import Expand, Measure, Strategy, fingerprint, promising
from agent.kernel.state import Scaffolds, State
from agent.kernel.types import Candidate, Fate, Files, Purpose, Split, Suite, Task, Trial

FIRST_WAIT, LONGEST_WAIT = 2.0, 120.0
"""Seconds of back-off after a fault of the laboratory: the first, and the most."""

PAIR_BOXES = 2
"""Boxes that a pair takes at a time: both sides run at once, so that load is the same for both."""


Work = Callable[[], Coroutine[object, object, object]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """What `agent.wiring` puts together. `provenance` holds the commit trailers that are fixed for a campaign."""

    config: Config
    suite: Suite
    state: State
    repository: Repository
    scaffolds: Scaffolds
    evaluator: Evaluator
    proposer: Proposer
    strategy: Strategy
    budget: Budget
    provenance: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Planned:
    """One step that can be started: what it is called, how many boxes it takes at a time, and the work."""

    label: str
    boxes: int
    work: Work


class Campaign:
    """One campaign. Steps run concurrently; each applies its own result when it ends."""

    def __init__(self, parts: Parts) -> None:
        self.parts, self.state, self.config = parts, parts.state, parts.config
        self.match: Match | None = None
        self.running: dict[asyncio.Task[None], Planned] = {}
        self.stopping: str | None = None
        self.trouble: str | None = None
        self._queue: deque[Planned] = deque()
        self._places: dict[int, set[int]] = {}
        self._rng = np.random.default_rng(seed_of(self.config.seed, "search", self.state.trials))
        self._woken = asyncio.Event()
        self._concluding = False
        self._same_left = 0
        self._wait, self._waited = FIRST_WAIT, 0.0
        self._tasks = {split: parts.suite.split(split) for split in Split}
        shuffler = random.Random(self.config.seed)  # noqa: S311 (reproducible, not secret)
        self._order = shuffler.sample(self._tasks[Split.SEARCH], len(self._tasks[Split.SEARCH]))

    # ---------------------------------------------------------------------------- the loop

    async def run(self) -> str:
        """Run until a limit is reached or `stop` is called; returns why it ended.

        Raises:
            LaboratoryFault: the laboratory stayed down for longer than `boxes.patience_minutes`.
        """
        self._resume()
        try:
            while (ending := self._ending()) is None:
                while (step := self._next_step()) is not None:
                    self._start(step)
                await self._one_result()
            while self.running:
                await self._one_result()
        finally:
            await self._cancel(list(self.running))
            self._keep_time()
        self._finish(ending)
        return ending

    def stop(self, why: str) -> None:
        """Start nothing new, and end when what is in flight has landed."""
        self.stopping = self.stopping or why
        self._woken.set()

    def _ending(self) -> str | None:
        limits, state = self.config.budget, self.state
        if reason := self.stopping or self.parts.budget.exhausted():
            return reason
        if limits.commits is not None and state.accepted >= limits.commits:
            return f"{limits.commits} accepted, as many as asked for (budget.commits)"
        if limits.trials is not None and state.trials >= limits.trials:
            return f"the campaign's trials are used up ({state.trials} of {limits.trials})"
        return None

    def _next_step(self) -> Planned | None:
        """The most urgent step that there is room for: pairs of an open test, then what is queued, then search."""
        room = self.config.boxes.parallel - sum(step.boxes for step in self.running.values())
        if self.match is not None:
            fits = room >= PAIR_BOXES or not self.running
            return self._plan_pair(self.match) if fits and self.match.decision is None else None
        if room < 1:
            return None
        return self._queue.popleft() if self._queue else self._plan_search()

    def _start(self, step: Planned) -> None:
        self.running[asyncio.create_task(self._guarded(step.work), name=step.label)] = step

    async def _one_result(self) -> None:
        """Wait for a step to end; a fault of the laboratory pauses the campaign, a defect ends it."""
        if not self.running:
            raise RuntimeError("nothing is running and there is nothing to do")
        done, _ = await asyncio.wait(self.running, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            self.running.pop(task, None)
        errors = [error for task in done if not task.cancelled() and (error := task.exception())]
        for error in errors:
            if not isinstance(error, LaboratoryFault):
                raise error
        if errors:
            await self._pause(str(errors[0]))
        elif self.trouble is not None:
            self.trouble, self._wait, self._waited = None, FIRST_WAIT, 0.0
            self.state.ledger.note("resumed", "the laboratory works again")
        self._keep_time()

    # ---------------------------------------------------------------------------- planning

    def _plan_pair(self, match: Match) -> Planned:
        place = match.next_place()
        return Planned(label=f"pair {place + 1}", boxes=PAIR_BOXES, work=lambda: self._pair(match, place))

    def _plan_search(self) -> Planned | None:
        """The baseline of the seed first; then what the strategy says."""
        archive = self.state.archive
        seed = archive.node(0)
        if seed.trials + seed.pending < archive.settings.enough:
            return self._plan_measure(0)
        step = self.parts.strategy.next(archive, self._rng)
        if isinstance(step, Measure):
            return self._plan_measure(step.node)
        flying = sum(planned.boxes == 0 for planned in self.running.values())
        # Until the baseline has landed there is no failure to learn from.
        ready = seed.trials >= archive.settings.enough and not self._same_left
        if flying >= self.config.boxes.proposals or not ready:
            return None
        archive.begin(step)
        return Planned(label=f"proposal from #{step.parent}", boxes=0, work=lambda: self._propose(step))

    def _plan_measure(self, node: int) -> Planned:
        taken = self._places.setdefault(node, set())
        place = self.state.free_place(node, taken)
        taken.add(place)
        step = Measure(node, place)
        self.state.archive.begin(step)
        return Planned(label=f"search trial of #{node}", boxes=1, work=lambda: self._measure(step))

    # ---------------------------------------------------------------------------- search

    async def _measure(self, step: Measure) -> None:
        """One search trial; afterwards somebody may be ready for the gate."""
        try:
            await self._search_trial(self.state.candidates[step.node], step.turn)
        finally:
            self.state.archive.end(step)
            self._places[step.node].discard(step.turn)
        self._check_baseline()
        self._open_match()

    async def _search_trial(self, candidate: Candidate, place: int) -> Trial:
        """The `place`-th search trial of a candidate: task order and answers are shared by all candidates."""
        turn, index = divmod(place, len(self._order))
        task = self._order[index]
        trial = await self.parts.evaluator.trial(
            Job(
                tree=candidate.tree or "",
                task=task,
                purpose=Purpose.SEARCH,
                seed=seed_of(self.config.seed, "search", task.id, turn),
                memo=f"search:{task.id}:{turn}",
            )
        )
        self.state.searched(trial, candidate.id, place)
        return trial

    def _check_baseline(self) -> None:
        """A seed that crashes on every task would burn the budget for nothing."""
        seed = self.state.archive.node(0)
        if len(self.state.archive) == 1 and seed.trials >= self.state.archive.settings.enough and seed.successes == 0:
            trials = self.state.ledger.trials(purpose=Purpose.SEARCH, candidate=0)
            if all(crashed(trial) for trial in trials):
                last = trials[-1].transcript.strip().splitlines()[-1:] or ["it printed nothing"]
                problem = f"the seed scaffold crashes on every task before it asks a model ({last[0][:200]})"
                raise UserError("scaffold.command", problem, "Mend the scaffold, commit it, and use a new name.")

    async def _propose(self, step: Expand) -> None:
        """Run the scaffold of a candidate on itself; admit or refuse what it left."""
        state, parent = self.state, self.state.candidates[step.parent]
        scaffold = self.parts.scaffolds[parent.tree or ""]
        try:
            proposal = await self.parts.proposer.propose(
                scaffold=scaffold,
                mutable=self._mutable(parent.tree or ""),
                brief=state.brief(self.config.name, parent.id, self._left()),
                failures=state.failures(parent.id),
                seed=seed_of(self.config.seed, "propose", len(state.candidates)),
            )
            candidate = self._admit(proposal, parent)
            if candidate.fate is Fate.REFUSED:
                state.archive.fail(parent.id)
            else:
                await self._smoke(candidate)
        finally:
            state.archive.end(step)

    def _admit(self, proposal: Proposal, parent: Candidate) -> Candidate:
        """Record what came of a proposal: a candidate under its own ref, or a refusal."""
        ledger, repository = self.state.ledger, self.parts.repository
        number, tree, print_, refusal, diff = len(self.state.candidates), None, None, proposal.refusal, ""
        if proposal.change is not None:
            tree = repository.write(parent.tree or "", proposal.change.files)
            diff = repository.diff(parent.tree or "", tree)
            print_ = fingerprint(proposal.change.files)
            if (twin := ledger.known_fingerprint(print_)) is not None:
                tree, refusal = None, f"reads the same as candidate {twin}, up to comments and layout"
        candidate = Candidate(
            id=number,
            parent=parent.id,
            tree=tree,
            subject=proposal.subject,
            body=proposal.body,
            fate=Fate.OPEN if tree else Fate.REFUSED,
            reason=refusal,
            size=sum(map(len, proposal.change.files.values())) if proposal.change else 0,
        )
        if tree:
            text = format_message(proposal.subject, proposal.body, {"Ratchet-Campaign": self.config.name})
            repository.save_candidate(number, tree, self._commit_of(parent.id), text)
        self.state.add(candidate, fingerprint=print_, diff=diff, transcript=proposal.transcript)
        what = f"refused: {refusal}" if refusal else "admitted"
        ledger.note("proposal", f"#{number} from #{parent.id}: {proposal.subject} ({what})")
        return candidate

    def _commit_of(self, candidate: int) -> str:
        """The commit that holds a candidate: its own ref, or the base for the seed."""
        saved = self.parts.repository.candidates().get(candidate)
        return saved.commit if saved else self.parts.repository.base

    async def _smoke(self, candidate: Candidate) -> None:
        """The first search trial of a candidate, before it may take part: a crash at start ends it here."""
        trial = await self._search_trial(candidate, 0)
        if crashed(trial):
            self.state.settle(candidate.id, Fate.REFUSED, f"crashes at start: {trial.reason}")
            self.state.archive.fail(candidate.parent or 0)
        else:
            self.state.enter(self.state.candidates[candidate.id])

    # ---------------------------------------------------------------------------- gate and commit

    def _open_match(self) -> None:
        """If a node is promising, spend the next index of the campaign's error on it."""
        state = self.state
        if self.match is not None or (node := promising(state.archive, self._gate_share())) is None:
            return
        state.archive.tried.add((node, state.champion))
        if node in state.champions:  # one that was champion before has nothing to bring
            return
        if (candidate := self._onto_champion(state.candidates[node])) is None:
            return
        row = state.ledger.open_test(
            candidate=candidate.id,
            champion=state.champion,
            commits=state.accepted,
            policy=self.config.gate,
            settings={**asdict(gate_settings(self.config)), "runs": self.config.gate_options.runs},
        )
        state.ledger.note("gate", f"#{candidate.id} meets the champion #{state.champion} (test {row.id})")
        self.match = self._meeting(row)

    def _onto_champion(self, candidate: Candidate) -> Candidate | None:
        """The candidate itself, or, if the champion moved since it branched off, its patch merged onto the champion.

        A merged tree starts afresh in the archive; a conflict is a recorded refusal.
        """
        state, repository = self.state, self.parts.repository
        base = state.base_of(candidate.id)
        if base == state.champion:
            return candidate
        trees = [state.candidates[n].tree or "" for n in (base, state.champion, candidate.id)]
        champion = state.candidates[state.champion]
        try:
            tree = repository.merge(*trees)
            change = self.parts.proposer.boundary.admit(
                self._mutable(champion.tree or ""),
                self._mutable(tree),
            )
        except Refused as refusal:
            state.settle(candidate.id, Fate.REJECTED, f"could not be brought onto champion #{champion.id}: {refusal}")
            state.archive.retire(candidate.id)
            return None
        body = f"{candidate.body}\n\nCandidate {candidate.id}, merged onto champion {champion.id}.".strip()
        merged = self._admit(
            Proposal(change=change, subject=candidate.subject, body=body, refusal="", transcript=""), champion
        )
        if merged.fate is Fate.OPEN:
            self._queue.append(Planned(label=f"trial of #{merged.id}", boxes=1, work=lambda: self._smoke(merged)))
        return None

    def _meeting(self, row: TestRow) -> Match:
        candidates, configured = self.state.candidates, (gate_settings(self.config), self.config.gate_options.runs)
        settings, runs = opened_with(self.state.ledger, row.id) or configured
        return Match(
            row=row,
            settings=settings,
            runs=runs,
            sides=(candidates[row.champion], candidates[row.candidate]),
            tasks=self._tasks[Split.GATE],
            seed=self.config.seed,
            ledger=self.state.ledger,
            evaluator=self.parts.evaluator,
        )

    def _gate_share(self) -> float:
        """Share of the campaign's trials that the gate has used; without a limit on trials, of those foreseen."""
        state, limit = self.state, self.config.budget.trials
        foreseen = limit or state.trials / max(self.parts.budget.fraction(), 1e-9)
        return state.gate_trials / max(foreseen, 1.0)

    async def _pair(self, match: Match, place: int) -> None:
        """One pair of the open test; the pair that decides it also sees to what follows."""
        await match.play(place)
        self.state.count_gate_pair()
        if match.decision is not None and self.match is match and not self._concluding:
            await self._conclude(match, match.decision)

    async def _conclude(self, match: Match, decision: Decision) -> None:
        """Write the verdict down; an accepted candidate is measured on the holdout and committed."""
        self._concluding = True
        try:
            await self._cancel([task for task, step in self.running.items() if step.label.startswith("pair ")])
            match.conclude(decision)
            self.state.ledger.note("verdict", f"#{match.candidate.id} {decision.sentence}")
            if decision.accepted:
                await self._commit(match, decision)
            elif decision.verdict is not Verdict.VOID:
                self.state.settle(match.candidate.id, Fate.REJECTED, decision.sentence)
            self.match = None
        finally:
            self._concluding = False

    async def _commit(self, match: Match, decision: Decision) -> None:
        """Move the champion by one commit. The ledger knows of it before the ref moves."""
        state, repository, candidate = self.state, self.parts.repository, match.candidate
        try:
            holdout = await self._holdout(candidate)
        except* BudgetSpent:
            holdout = f"{NOT_MEASURED} to the end: the budget was spent"
        parent = repository.champion()
        earlier = state.lineage(candidate.id)[:-1]
        trailers = {
            **evidence_trailers(self.config.name, candidate, earlier, decision, holdout),
            **self.parts.provenance,
            "Ratchet-Cost": self._cost(),
        }
        message = format_message(candidate.subject, commit_body(candidate, earlier), trailers)
        sha = repository.prepare(candidate.tree or "", message, parent)
        state.ledger.add_commit(sha=sha, parent=parent, candidate=candidate.id, test=match.row.id)
        repository.advance(sha, parent)
        state.crowned(candidate.id, decision.sentence)
        state.ledger.note("commit", f"#{candidate.id} is champion: {candidate.subject} ({sha[:10]})")

    async def _holdout(self, candidate: Candidate) -> str:
        """Fresh holdout trials of one candidate; the first one takes the seed along, answers shared, for comparison."""
        tasks, runs, ledger = self._tasks[Split.HOLDOUT], self.config.holdout_runs, self.state.ledger
        jobs = [(n, task, turn) for n, (turn, task) in enumerate((r, t) for r in range(runs) for t in tasks)]
        if not jobs:
            return holdout_words([])
        done = {(owner, place) for owner, place, _ in ledger.places(Purpose.HOLDOUT)}
        sides = (self.state.candidates[0], candidate)
        missing = [(side, *job) for job in jobs for side in sides if (side.id, job[0]) not in done]
        if missing:
            ledger.note("holdout", f"#{candidate.id} is measured on {len(tasks)} held-out tasks x {runs}")
        async with asyncio.TaskGroup() as group:
            for side, place, task, turn in missing:
                group.create_task(self._holdout_trial(side, place, task, turn))
        scores = [score for owner, _, score in ledger.places(Purpose.HOLDOUT) if owner == candidate.id]
        return holdout_words(scores)

    async def _holdout_trial(self, candidate: Candidate, place: int, task: Task, turn: int) -> None:
        job = Job(
            tree=candidate.tree or "",
            task=task,
            purpose=Purpose.HOLDOUT,
            seed=seed_of(self.config.seed, "holdout", task.id, turn),
            memo=f"holdout:{task.id}:{turn}",
        )
        self.state.measured(await self.parts.evaluator.trial(job), candidate.id, place)

    # ---------------------------------------------------------------------------- start, pause, end

    def _resume(self) -> None:
        """Reconcile ledger and git, and pick up what was open when the campaign last ended."""
        state, repository, ledger = self.state, self.parts.repository, self.state.ledger
        if not state.candidates:
            tree = repository.tree_of(repository.base)
            seed = Candidate(
                id=0, parent=None, tree=tree, subject="seed", body="", fate=Fate.OPEN, reason="the scaffold as it was",
                size=sum(map(len, self._mutable(tree).values())),
            )  # fmt: skip
            state.add(seed, fingerprint=fingerprint(self._mutable(tree)), diff="", transcript="")
        repository.reconcile([(sha, parent) for sha, parent, _, _ in ledger.commits()])
        for waiting in state.restore():
            self._queue.append(Planned(label=f"trial of #{waiting.id}", boxes=1, work=partial(self._smoke, waiting)))
        self._queue_same()
        if (row := state.open_test()) is not None:
            self.match = match = self._meeting(row)
            if (decision := match.decision) is not None:
                self._start(Planned(label="verdict", boxes=0, work=lambda: self._conclude(match, decision)))

    def _queue_same(self) -> None:
        """The A/A check: the seed against itself, with the same answers, at the concurrency that was asked for."""
        done = len(self.state.ledger.places(Purpose.SAME)) // 2
        pairs = range(done, min(self.config.gate_options.same_pairs, len(self._order)))
        self._same_left = len(pairs)
        for place in pairs:
            self._queue.append(Planned(label=f"A/A pair {place}", boxes=PAIR_BOXES, work=partial(self._same, place)))

    async def _same(self, place: int) -> None:
        """One A/A pair. Both sides share all model answers, so only load or chance in the scaffold can part them."""
        seed, task = self.state.candidates[0], self._order[place]
        number, memo = seed_of(self.config.seed, "search", task.id, 0), f"search:{task.id}:0"
        job = Job(tree=seed.tree or "", task=task, purpose=Purpose.SAME, seed=number, memo=memo)
        try:
            outcome = await both(self.parts.evaluator, job, job, number)
        finally:
            self._same_left -= 1
        if isinstance(outcome, Void):
            raise LaboratoryFault(outcome.reason)
        for side, trial in enumerate(outcome):
            self.state.measured(trial, seed.id, 2 * place + side)
        if self._same_left == 0:
            self.state.ledger.note("same", same_sentence([s for _, _, s in self.state.ledger.places(Purpose.SAME)]))

    async def _pause(self, reason: str) -> None:
        """Back off after a fault of the laboratory.

        Raises:
            LaboratoryFault: patience is at an end; the campaign can be resumed.
        """
        if self.stopping or self.parts.budget.exhausted():
            return
        if self._waited > self.config.boxes.patience_minutes * 60:
            raise LaboratoryFault(f"gave up after {self._waited / 60:.0f} minutes: {reason}")
        self.trouble = reason
        self.state.ledger.note("paused", f"{reason} (next try in {self._wait:.0f} s)")
        with suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), self._wait)
        self._waited += self._wait
        self._wait = min(2 * self._wait, LONGEST_WAIT)

    async def _cancel(self, tasks: list[asyncio.Task[None]]) -> None:
        others = [task for task in tasks if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _finish(self, ending: str) -> None:
        """An open test ends with the budget, not with a stop that the user asked for."""
        if self.match is not None and self.stopping is None and self.match.decision is None:
            decision = self.match.close(ending)
            self.match.conclude(decision)
            self.state.settle(self.match.candidate.id, Fate.REJECTED, decision.sentence)
            self.match = None
        self.state.ledger.note("end", ending)

    def _keep_time(self) -> None:
        self.state.ledger.remember("seconds", self.parts.budget.spent.seconds)

    async def _guarded(self, work: Work) -> None:
        """Unwrap the groups that concurrent trials raise: one fault of the laboratory stands for all."""
        try:
            await work()
        except* LaboratoryFault as group:
            raise _first(group) from group

    def _mutable(self, tree: str) -> Files:
        paths = self.config.scaffold.mutable
        return {path: body for path, body in self.parts.scaffolds[tree].items() if inside(path, paths)}

    def _left(self) -> dict[str, int | None]:
        limits, spent = self.config.budget, self.parts.budget.spent
        return {
            "trials_left": None if limits.trials is None else max(0, limits.trials - self.state.trials),
            "tokens_left": None if limits.tokens is None else max(0, limits.tokens - spent.tokens),
        }

    def _cost(self) -> str:
        spent, trials = self.parts.budget.spent, self.state.trials
        return f"${spent.dollars:.4f}, {spent.tokens} tokens, {trials} trials, {spent.seconds / 60:.1f} min so far"


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


def same_sentence(scores: Sequence[float]) -> str:
    """What the A/A check showed; `scores` hold the two sides of each pair one after the other."""
    pairs = list(zip(scores[::2], scores[1::2], strict=False))
    differ = sum(a != b for a, b in pairs)
    if not differ:
        return f"the seed against itself: all {len(pairs)} pairs agree"
    return (
        f"the seed against itself: {differ} of {len(pairs)} pairs differ with the same answers. Time limits bite at "
        "this load (lower boxes.parallel), or the scaffold or a task draws lots; tests will need more pairs"
    )


def crashed(trial: Trial) -> bool:
    """Whether a trial ended before the scaffold asked for anything: the program itself does not run."""
    return trial.score == 0 and trial.usage.calls == 0 and trial.reason.startswith("no submission")


def _first(group: BaseExceptionGroup[LaboratoryFault]) -> LaboratoryFault:
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner
