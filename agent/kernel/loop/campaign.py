"""The campaign: propose, admit, search, gate, commit. The loop is `Campaign.run`.

What comes next is decided in `scheduling`, what the steps do in `admission` (search line) and `gatekeeping` (commit
gate); `pausing` says how long to wait after an error, `resuming` what to pick up at the start.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from contextlib import suppress

from agent.base.errors import BudgetSpent, InfrastructureError, RecordBroken, Starved, UserError
from agent.kernel.loop.admission import Admission
from agent.kernel.loop.approval import requests
from agent.kernel.loop.gatekeeping import Gatekeeper
from agent.kernel.loop.load import Load
from agent.kernel.loop.match import Match
from agent.kernel.loop.merging import Merger
from agent.kernel.loop.parts import Parts, Planned, StepKind, Work
from agent.kernel.loop.pausing import LOAD_WAIT, LONGEST_WAIT, QUIETER, TICK, Pauses, cancel
from agent.kernel.loop.resuming import resume
from agent.kernel.loop.sabotage import Sabotage
from agent.kernel.loop.same import SameCheck
from agent.kernel.loop.scheduling import Schedule
from agent.kernel.loop.settings import limit_reached
from agent.kernel.loop.tripwires import Tripwires
from agent.kernel.loop.watchdog import Watchdog, longest_trial, stall_seconds

CANCEL_SECONDS = 60.0
"""How long a step that hangs may take to end after it was cancelled."""

EVERY = 1.0
"""Seconds between two records of the running time."""


class Campaign:
    """One campaign. Steps run concurrently; each applies its own result when it ends."""

    def __init__(self, parts: Parts) -> None:
        self.parts, self.state, self.config = parts, parts.state, parts.config
        self.running: dict[asyncio.Task[None], Planned] = {}
        self.stopping: str | None = None
        self._kept_seconds = -math.inf
        self._unaffordable: str | None = None
        self.pauses = Pauses(parts, self._say, self._tick)
        self.watchdog = Watchdog(stall_seconds(parts.config, parts.suite))
        queue = deque[Planned]()
        self.admission = Admission(parts, queue.append)
        self.merger = Merger(parts, self.admission, queue.append)
        self.load = Load(parts, self.admission.tasks.scored)
        self.wires = Tripwires(parts)
        self.gate = Gatekeeper(parts, self.admission, self.merger, self.load, self._end_pairs, wires=self.wires)
        self._sabotage = Sabotage(parts, self.admission.mutable, self.admission.tasks.scored)
        self._same = SameCheck(parts, self.admission.tasks.scored)
        self.schedule = Schedule(
            parts, queue, admission=self.admission, gate=self.gate, same=self._same, load=self.load, merger=self.merger
        )

    @property
    def match(self) -> Match | None:
        """The open test, if there is one."""
        return self.gate.match

    @property
    def trouble(self) -> str | None:
        """Why the campaign pauses, while it does."""
        return self.pauses.trouble

    # ---------------------------------------------------------------------------- the loop

    async def run(self) -> str:
        """Run until a limit is reached or `stop` is called; returns why it ended.

        Raises:
            InfrastructureError: it failed for longer than `boxes.patience_minutes`.
        """
        await self.resume()
        try:
            await self._attend()
            while True:
                ending = self._ending()
                while (step := self.schedule.next(self.running.values(), ending=ending is not None)) is not None:
                    self._start(step)
                if ending is not None and not self.running:
                    break
                await self._one_result()
        except BaseException as error:
            self._say("end", _unfinished(error))
            raise
        finally:
            await cancel(list(self.running))
            self._keep_time()
        self._finish(ending)
        return ending

    async def resume(self) -> None:
        """Reconcile ledger and git, and pick up what was open when the campaign last ended."""
        await resume(self.parts, self.admission, self.gate, (self._sabotage, self._same), self.schedule.queue.append)

    def stop(self, why: str) -> None:
        """Start nothing new, and end when what is in flight has landed."""
        if self.stopping is None:
            self.stopping = why
            self._say("stopping", f"{why}; {self.in_flight()}")
        self.pauses.wake()

    def in_flight(self) -> str:
        """What is still to land, and how long it may take at most by its own time limits."""
        if not self.running:
            return "nothing is in flight"
        proposing = any(step.kind is StepKind.PROPOSAL for step in self.running.values())
        longest = longest_trial(self.parts.suite)
        most = max(longest, self.config.boxes.propose_timeout + longest if proposing else 0.0)
        count = len(self.running)
        return f"finishing {count} step{'s' * (count > 1)} in flight, {math.ceil(most / 60)} min at most"

    def _ending(self) -> str | None:
        if reason := self.stopping or self.wires.tripped():
            return reason
        state, budget = self.state, self.parts.budget
        reached = limit_reached(self.config, budget, accepted=state.accepted, trials=state.trials)
        return reached or self._unaffordable

    def _start(self, step: Planned) -> None:
        self.running[asyncio.create_task(self._guarded(step.work), name=step.label)] = step

    async def _one_result(self) -> None:
        """Wait for a step to end; an infrastructure error pauses the campaign, a defect ends it."""
        if not self.running:
            raise RuntimeError("nothing is running and there is nothing to do")
        done, _ = await asyncio.wait(self.running, timeout=TICK, return_when=asyncio.FIRST_COMPLETED)
        errors = [error for task in done if (error := self._landed(task)) is not None]
        if errors:
            self.load.see_errors(errors)
            loaded = all(isinstance(error, Starved) for error in errors)
            await self._pause(QUIETER if loaded else str(errors[0]), LOAD_WAIT if loaded else LONGEST_WAIT)
        elif done:
            self.pauses.works_again()
        await self._attend()
        if self.watchdog.stalled(self._progress()):
            await self._end_stall()
        self._keep_time(EVERY)

    def _landed(self, task: asyncio.Task[None]) -> InfrastructureError | None:
        """Take a step that ended off the list; returns its infrastructure error, raises any other error."""
        step = self.running.pop(task)
        error = None if task.cancelled() else task.exception()
        if step.again and (error is not None or task.cancelled()):
            self.schedule.queue.append(step)
        if error is not None and not isinstance(error, InfrastructureError):
            raise error
        if isinstance(error, BudgetSpent):
            self._unaffordable = f"what is left of the budget does not pay for a trial: {error}"
        return error

    # ---------------------------------------------------------------------------- requests, pauses, stalls

    async def _attend(self) -> None:
        """Answer what people left in the campaign's folder, unless a verdict is being carried out just now."""
        for path, request in requests(self.config.folder) if not self.gate.concluding else ():
            if request is None:
                self.state.ledger.note("request", f"{path.name} is not a request; it was removed")
            else:
                await self.gate.answer(request)
            path.unlink(missing_ok=True)

    async def _tick(self) -> None:
        await self._attend()
        self._keep_time()

    async def _pause(self, reason: str, longest: float = LONGEST_WAIT) -> None:
        if self._ending() is None:
            await self.pauses.pause(reason, longest)
            self.watchdog.reset()

    def _progress(self) -> tuple[int, int, int]:
        return self.state.trials, len(self.state.candidates), self.parts.budget.spent.calls

    async def _end_stall(self) -> None:
        """Void what hangs. Every step has time limits of its own, so this is a defect, or an engine that hangs.

        Raises:
            InfrastructureError: a step does not even end when it is cancelled.
        """
        labels = ", ".join(sorted(step.label for step in self.running.values()))
        reason = f"nothing finished for {self.watchdog.limit / 60:.0f} minutes although in flight: {labels}"
        self._say("stalled", f"{reason}; it is void and retried")
        for task in self.running:
            task.cancel()
        _, stuck = await asyncio.wait(self.running, timeout=CANCEL_SECONDS)
        if stuck:
            raise InfrastructureError(f"{reason}; {len(stuck)} of them cannot be ended")
        for task in list(self.running):
            self._landed(task)
        await self._pause(reason)

    async def _end_pairs(self) -> None:
        await cancel([task for task, step in self.running.items() if step.kind is StepKind.PAIR])

    # ---------------------------------------------------------------------------- the end

    def _finish(self, ending: str) -> None:
        """An open test ends with the budget, not with a stop that the user asked for, nor at a tripwire."""
        if self.stopping is None and self.wires.tripped() is None:
            self.gate.end_with_budget(ending)
        self.state.ledger.note("end", ending)

    def _keep_time(self, every: float = 0.0) -> None:
        """Write the running time down, unless that was done less than `every` seconds ago."""
        seconds = self.parts.budget.spent.seconds
        if seconds - self._kept_seconds < every:
            return
        with suppress(RecordBroken):
            self.state.ledger.remember("seconds", seconds)
            self._kept_seconds = seconds

    def _say(self, kind: str, text: str) -> None:
        """Log an event; ignore write errors, so that nothing depends on it where the ledger itself failed."""
        with suppress(RecordBroken):
            self.state.ledger.note(kind, text)

    async def _guarded(self, work: Work) -> None:
        """Unwrap the groups that concurrent trials raise: one infrastructure error stands for all."""
        try:
            await work()
        except* InfrastructureError as group:
            raise _first(group) from group


def _unfinished(error: BaseException) -> str:
    """How a campaign ended before its end, in words."""
    if isinstance(error, asyncio.CancelledError):
        return "stopped at once; the next run repeats what was in flight"
    if isinstance(error, InfrastructureError):
        return f"infrastructure error: {error}"
    return str(error) if isinstance(error, UserError) else f"a defect: {type(error).__name__}: {error}"


def _first(group: BaseExceptionGroup[InfrastructureError]) -> InfrastructureError:
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner
