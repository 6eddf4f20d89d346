"""The campaign: propose, admit, search, gate, commit. The loop is `Campaign.run`.

What the steps do stands in `admission` (search line) and `gatekeeping` (commit gate).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

import numpy as np

from agent.kernel.admission import Admission, crashed
from agent.kernel.errors import LaboratoryFault, UserError
from agent.kernel.evaluator import Job, Void, both, seed_of
from agent.kernel.gatekeeping import Gatekeeper
from agent.kernel.match import Match
from agent.kernel.parts import Parts, Planned, Work
from agent.kernel.search import Measure, fingerprint
from agent.kernel.types import Candidate, Fate, Purpose, Split

FIRST_WAIT, LONGEST_WAIT = 2.0, 120.0
"""Seconds of back-off after a fault of the laboratory: the first, and the most."""

PAIR_BOXES = 2
"""Boxes that a pair takes at a time: both sides run at once, so that load is the same for both."""


class Campaign:
    """One campaign. Steps run concurrently; each applies its own result when it ends."""

    def __init__(self, parts: Parts) -> None:
        self.parts, self.state, self.config = parts, parts.state, parts.config
        self.running: dict[asyncio.Task[None], Planned] = {}
        self.stopping: str | None = None
        self.trouble: str | None = None
        self._queue: deque[Planned] = deque()
        self._places: dict[int, set[int]] = {}
        self._rng = np.random.default_rng(seed_of(self.config.seed, "search", self.state.trials))
        self._woken = asyncio.Event()
        self._same_left = 0
        self._wait, self._waited = FIRST_WAIT, 0.0
        self.admission = Admission(parts)
        self.gate = Gatekeeper(parts, self.admission, self._queue.append, self._end_pairs)

    @property
    def match(self) -> Match | None:
        """The open test, if there is one."""
        return self.gate.match

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
        if limits.commits is not None and len(state.champions) > limits.commits:
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
        return Planned(label=f"pair {place + 1}", boxes=PAIR_BOXES, work=lambda: self.gate.pair(match, place))

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
        return Planned(label=f"proposal from #{step.parent}", boxes=0, work=lambda: self.admission.propose(step))

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
            await self.admission.search_trial(self.state.candidates[step.node], step.turn)
        finally:
            self.state.archive.end(step)
            self._places[step.node].discard(step.turn)
        self._check_baseline()
        self.gate.open_match()

    def _check_baseline(self) -> None:
        """A seed that crashes on every task would burn the budget for nothing."""
        seed = self.state.archive.node(0)
        if len(self.state.archive) == 1 and seed.trials >= self.state.archive.settings.enough and seed.successes == 0:
            trials = self.state.ledger.trials(purpose=Purpose.SEARCH, candidate=0)
            if all(crashed(trial) for trial in trials):
                last = trials[-1].transcript.strip().splitlines()[-1:] or ["it printed nothing"]
                problem = f"the seed scaffold crashes on every task before it asks a model ({last[0][:200]})"
                raise UserError("scaffold.command", problem, "Mend the scaffold, commit it, and use a new name.")

    # ---------------------------------------------------------------------------- start, pause, end

    def _resume(self) -> None:
        """Reconcile ledger and git, and pick up what was open when the campaign last ended."""
        state, repository, ledger = self.state, self.parts.repository, self.state.ledger
        if not state.candidates:
            tree = repository.tree_of(repository.base)
            seed = Candidate(
                id=0, parent=None, tree=tree, subject="seed", body="", fate=Fate.OPEN, reason="the scaffold as it was",
                size=sum(map(len, self.admission.mutable(tree).values())),
            )  # fmt: skip
            state.add(seed, fingerprint=fingerprint(self.admission.mutable(tree)), diff="", transcript="")
        repository.reconcile([(sha, parent) for sha, parent, _, _ in ledger.commits()])
        for waiting in state.restore():
            self._queue.append(self.admission.first_trial(waiting))
        self._queue_same()
        if (row := state.open_test()) is not None:
            self.gate.match = match = self.gate.meeting(row)
            if (decision := match.decision) is not None:
                self._start(Planned(label="verdict", boxes=0, work=lambda: self.gate.conclude(match, decision)))

    def _queue_same(self) -> None:
        """The A/A check: the seed against itself, with the same answers, at the concurrency that was asked for."""
        done = len(self.state.ledger.places(Purpose.SAME)) // 2
        pairs = range(done, min(self.config.gate_options.same_pairs, len(self.admission.order)))
        self._same_left = len(pairs)
        for place in pairs:
            self._queue.append(Planned(label=f"A/A pair {place}", boxes=PAIR_BOXES, work=partial(self._same, place)))

    async def _same(self, place: int) -> None:
        """One A/A pair. Both sides share all model answers, so only load or chance in the scaffold can part them."""
        seed, task = self.state.candidates[0], self.admission.order[place]
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

    async def _end_pairs(self) -> None:
        await self._cancel([task for task, step in self.running.items() if step.label.startswith("pair ")])

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
            self.gate.match = None
        self.state.ledger.note("end", ending)

    def _keep_time(self) -> None:
        self.state.ledger.remember("seconds", self.parts.budget.spent.seconds)

    async def _guarded(self, work: Work) -> None:
        """Unwrap the groups that concurrent trials raise: one fault of the laboratory stands for all."""
        try:
            await work()
        except* LaboratoryFault as group:
            raise _first(group) from group


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


def _first(group: BaseExceptionGroup[LaboratoryFault]) -> LaboratoryFault:
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner
