"""The campaign: propose, admit, search, gate, commit. The loop is `Campaign.run`.

What the steps do stands in `admission` (search line) and `gatekeeping` (commit gate).
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np

from agent.base.errors import InfrastructureError, RecordBroken, UserError
from agent.base.types import Candidate, Fate, Purpose
from agent.kernel.decide.archive import Expand, Measure
from agent.kernel.decide.fingerprint import fingerprint
from agent.kernel.decide.gate import Verdict
from agent.kernel.loop.admission import Admission, crashed
from agent.kernel.loop.approval import requests
from agent.kernel.loop.gatekeeping import Gatekeeper
from agent.kernel.loop.match import Match
from agent.kernel.loop.parts import Parts, Planned, Work
from agent.kernel.loop.watchdog import Watchdog, longest_trial, stall_seconds
from agent.trials.evaluator import Job, Void, both, seed_of

FIRST_WAIT, LONGEST_WAIT = 2.0, 120.0
"""Seconds of back-off after a fault of the laboratory: the first, and the most."""

TICK = 1.0
"""Seconds between two looks at requests, providers and the watchdog while nothing ends by itself."""

CANCEL_SECONDS = 60.0
"""How long a step that hangs may take to let itself be ended."""

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
        self._taken: dict[int, set[int]] = {}
        self._rng = np.random.default_rng(seed_of(self.config.seed, "search", self.state.trials))
        self._woken = asyncio.Event()
        self._same_left = 0
        self._first_wait = FIRST_WAIT
        self._wait, self._waited = FIRST_WAIT, 0.0
        self._watchdog = Watchdog(stall_seconds(parts.config, parts.suite))
        self.admission = Admission(parts, self._queue.append)
        self.gate = Gatekeeper(parts, self.admission, self._queue.append, self._end_pairs)

    @property
    def match(self) -> Match | None:
        """The open test, if there is one."""
        return self.gate.match

    # ---------------------------------------------------------------------------- the loop

    async def run(self) -> str:
        """Run until a limit is reached or `stop` is called; returns why it ended.

        Raises:
            InfrastructureError: the laboratory stayed down for longer than `boxes.patience_minutes`.
        """
        self._resume()
        try:
            await self._attend()
            while (ending := self._ending()) is None:
                while (step := self._next_step()) is not None:
                    self._start(step)
                await self._one_result()
            while self.running:
                await self._one_result()
        except BaseException as error:
            self._say("end", _unfinished(error))
            raise
        finally:
            await self._cancel(list(self.running))
            self._keep_time()
        self._finish(ending)
        return ending

    def stop(self, why: str) -> None:
        """Start nothing new, and end when what is in flight has landed."""
        if self.stopping is None:
            self.stopping = why
            self._say("stopping", f"{why}; {self.in_flight()}")
        self._woken.set()

    def in_flight(self) -> str:
        """What is still to land, and how long it may take at most by its own time limits."""
        if not self.running:
            return "nothing is in flight"
        proposing = any(step.label.startswith("proposal") for step in self.running.values())
        longest = longest_trial(self.parts.suite)
        most = max(longest, self.config.boxes.propose_timeout + longest if proposing else 0.0)
        count = len(self.running)
        return f"finishing {count} step{'s' * (count > 1)} in flight, {math.ceil(most / 60)} min at most"

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
        """The most urgent step that there is room for: pairs of an open test, then what is queued, then search.

        Proposals go on beside a test; the trials of the search line wait for its end.
        """
        room = self.config.boxes.parallel - sum(step.boxes for step in self.running.values())
        if self.match is not None:
            if (decision := self.match.decision) is not None:
                return None if self.gate.concluding else self.gate.verdict_step(self.match, decision)
            fits = room >= PAIR_BOXES or not self.running
            return self._plan_pair(self.match) if fits else self._plan_proposal()
        if room < 1:
            return None
        return self._queue.popleft() if self._queue else self._plan_search()

    def _start(self, step: Planned) -> None:
        self.running[asyncio.create_task(self._guarded(step.work), name=step.label)] = step

    async def _one_result(self) -> None:
        """Wait for a step to end; a fault of the laboratory pauses the campaign, a defect ends it."""
        if not self.running:
            raise RuntimeError("nothing is running and there is nothing to do")
        done, _ = await asyncio.wait(self.running, timeout=TICK, return_when=asyncio.FIRST_COMPLETED)
        errors = [error for task in done if (error := self._landed(task)) is not None]
        if errors:
            await self._pause(str(errors[0]))
        elif done and self.trouble is not None:
            self.trouble, self._wait, self._waited = None, self._first_wait, 0.0
            self._say("resumed", "the laboratory works again")
        await self._attend()
        if self._watchdog.stalled(self._progress()):
            await self._end_stall()
        self._keep_time()

    def _landed(self, task: asyncio.Task[None]) -> InfrastructureError | None:
        """Take a step that ended off the list; returns its fault of the laboratory, raises any other error."""
        step = self.running.pop(task)
        error = None if task.cancelled() else task.exception()
        if step.again and (error is not None or task.cancelled()):
            self._queue.append(step)
        if error is not None and not isinstance(error, InfrastructureError):
            raise error
        return error

    async def _attend(self) -> None:
        """Answer what people left in the campaign's folder, unless a verdict is being carried out just now."""
        for path, request in requests(self.config.folder) if not self.gate.concluding else ():
            if request is None:
                self.state.ledger.note("request", f"{path.name} is no request; it was removed")
            else:
                await self.gate.answer(request)
            path.unlink(missing_ok=True)

    def _progress(self) -> tuple[int, int, int]:
        return self.state.trials, len(self.state.candidates), self.parts.budget.spent.calls

    async def _end_stall(self) -> None:
        """Void what hangs. Every step has time limits of its own, so this is a defect, or an engine that hangs.

        Raises:
            InfrastructureError: it does not even let itself be ended.
        """
        labels = ", ".join(sorted(step.label for step in self.running.values()))
        reason = f"nothing finished for {self._watchdog.limit / 60:.0f} minutes although in flight: {labels}"
        self._say("stalled", f"{reason}; it is void and made again")
        for task in self.running:
            task.cancel()
        _, stuck = await asyncio.wait(self.running, timeout=CANCEL_SECONDS)
        if stuck:
            raise InfrastructureError(f"{reason}; {len(stuck)} of them cannot be ended")
        for task in list(self.running):
            self._landed(task)
        await self._pause(reason)

    # ---------------------------------------------------------------------------- planning

    def _plan_pair(self, match: Match) -> Planned:
        index = match.next_index()
        return Planned(label=f"pair {index + 1}", boxes=PAIR_BOXES, work=lambda: self.gate.pair(match, index))

    def _plan_search(self) -> Planned | None:
        """The baseline of the seed first; then what the strategy says."""
        archive = self.state.archive
        seed = archive.node(0)
        if seed.trials + seed.pending < archive.settings.enough:
            return self._plan_measure(0)
        step = self.parts.strategy.next(archive, self._rng)
        if isinstance(step, Measure):
            return self._plan_measure(step.node)
        # Where a proposal is due but may not start, nothing does: trials are paid for, and waiting is free.
        return self._plan_expand(step) if self._may_propose() else None

    def _plan_proposal(self) -> Planned | None:
        """A proposal, if the strategy wants one now."""
        step = self.parts.strategy.next(self.state.archive, self._rng) if self._may_propose() else None
        return self._plan_expand(step) if isinstance(step, Expand) else None

    def _may_propose(self) -> bool:
        """Whether another proposal may start; until the baseline has landed there is no failure to learn from."""
        archive = self.state.archive
        flying = sum(planned.boxes == 0 for planned in self.running.values())
        ready = archive.node(0).trials >= archive.settings.enough and not self._same_left
        return ready and flying < self.config.boxes.proposals

    def _plan_expand(self, step: Expand) -> Planned:
        self.state.archive.begin(step)
        return Planned(label=f"proposal from #{step.parent}", boxes=0, work=lambda: self.admission.propose(step))

    def _plan_measure(self, node: int) -> Planned:
        taken = self._taken.setdefault(node, set())
        index = self.state.free_index(node, taken)
        taken.add(index)
        step = Measure(node, index)
        self.state.archive.begin(step)
        return Planned(label=f"search trial of #{node}", boxes=1, work=lambda: self._measure(step))

    async def _measure(self, step: Measure) -> None:
        """One search trial; afterwards somebody may be ready for the gate."""
        try:
            await self.admission.search_trial(self.state.candidates[step.node], step.turn)
        finally:
            self.state.archive.end(step)
            self._taken[step.node].discard(step.turn)
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
                raise UserError("scaffold.command", problem, "Fix the scaffold, commit it, and use a new name.")

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
        repository.reconcile([row.move for row in ledger.commits()], len(state.candidates))
        for waiting in state.restore():
            self._queue.append(self.admission.first_trial(waiting))
        self._queue_same()
        if (row := state.open_test()) is not None:
            self.gate.match = match = self.gate.meeting(row)
            if (decision := match.decision) is not None:
                self._start(self.gate.verdict_step(match, decision))
        self.gate.restore()

    def _queue_same(self) -> None:
        """The A/A check: the seed against itself, with the same answers, at the concurrency that was asked for."""
        done = len(self.state.ledger.indices(Purpose.SAME)) // 2
        pairs = range(done, min(self.config.gate_options.same_pairs, len(self.admission.order)))
        self._same_left = len(pairs)
        for index in pairs:
            work = partial(self._same, index)
            self._queue.append(Planned(label=f"A/A pair {index}", boxes=PAIR_BOXES, work=work, again=True))

    async def _same(self, index: int) -> None:
        """One A/A pair. Both sides share all model answers, so only load or chance in the scaffold can part them."""
        seed, task = self.state.candidates[0], self.admission.order[index]
        number, answer_scope = seed_of(self.config.seed, "search", task.id, 0), f"search:{task.id}:0"
        job = Job(tree=seed.tree or "", task=task, purpose=Purpose.SAME, seed=number, answer_scope=answer_scope)
        outcome = await both(self.parts.evaluator, job, job, number)
        if isinstance(outcome, Void):
            raise InfrastructureError(outcome.reason)
        self._same_left -= 1
        for side, trial in enumerate(outcome):
            self.state.measured(trial, seed.id, 2 * index + side)
        if self._same_left == 0:
            self.state.ledger.note("same", same_sentence([s for _, _, s in self.state.ledger.indices(Purpose.SAME)]))

    async def _pause(self, reason: str) -> None:
        """Back off after a fault of the laboratory; after an outage of a provider, until it is back.

        Raises:
            InfrastructureError: patience is at an end, or waiting cannot help; the campaign can be resumed.
        """
        if self.stopping or self.parts.budget.exhausted():
            return
        patience = self.config.boxes.patience_minutes * 60
        if self._waited > patience:
            raise InfrastructureError(f"gave up after {self._waited / 60:.0f} minutes: {reason}")
        self.trouble = reason
        down = self.parts.gateway.trouble() is not None
        wait = max(patience - self._waited, FIRST_WAIT) if down else self._wait
        when = "goes on when the provider answers again" if down else f"next try in {wait:.0f} s"
        self._say("paused", f"{reason} ({when})")
        started = time.monotonic()
        await self._rest(wait)
        self._waited += time.monotonic() - started
        self._wait = min(2 * self._wait, LONGEST_WAIT)
        self._watchdog.reset()

    async def _rest(self, seconds: float) -> None:
        """Wait, but no longer than until somebody stops the campaign or the providers that are down are back."""
        end = time.monotonic() + seconds
        wakers: set[asyncio.Task[Any]] = {asyncio.create_task(self._woken.wait())}
        if self.parts.gateway.trouble() is not None:
            wakers.add(asyncio.create_task(self.parts.gateway.ready()))
        try:
            awake: set[asyncio.Task[Any]] = set()
            while not awake and (left := end - time.monotonic()) > 0:
                await self._attend()
                self._keep_time()
                awake, _ = await asyncio.wait(wakers, timeout=min(TICK, left), return_when=asyncio.FIRST_COMPLETED)
            for task in awake:
                task.result()
        finally:
            await self._cancel(list(wakers))

    async def _end_pairs(self) -> None:
        await self._cancel([task for task, step in self.running.items() if step.label.startswith("pair ")])

    async def _cancel(self, tasks: Sequence[asyncio.Task[Any]]) -> None:
        others = [task for task in tasks if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _finish(self, ending: str) -> None:
        """An open test ends with the budget, not with a stop that the user asked for."""
        if self.match is not None and self.stopping is None and self.match.decision is None:
            decision = self.match.close(Verdict.OUT_OF_BUDGET, ending)
            self.match.conclude(decision)
            self.state.settle(self.match.candidate.id, Fate.REJECTED, decision.sentence)
            self.gate.match = None
        self.state.ledger.note("end", ending)

    def _keep_time(self) -> None:
        with suppress(RecordBroken):
            self.state.ledger.remember("seconds", self.parts.budget.spent.seconds)

    def _say(self, kind: str, text: str) -> None:
        """An event that is only told: where the ledger itself failed, nothing may hang on it."""
        with suppress(RecordBroken):
            self.state.ledger.note(kind, text)

    async def _guarded(self, work: Work) -> None:
        """Unwrap the groups that concurrent trials raise: one fault of the laboratory stands for all."""
        try:
            await work()
        except* InfrastructureError as group:
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


def _unfinished(error: BaseException) -> str:
    """How a campaign ended that did not come to its end, in words."""
    if isinstance(error, asyncio.CancelledError):
        return "stopped at once; what was in flight is made again by the next run"
    if isinstance(error, InfrastructureError):
        return f"laboratory: {error}"
    return str(error) if isinstance(error, UserError) else f"a defect: {type(error).__name__}: {error}"


def _first(group: BaseExceptionGroup[InfrastructureError]) -> InfrastructureError:
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner
