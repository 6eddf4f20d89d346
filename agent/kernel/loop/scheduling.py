"""What a campaign does next: the most urgent step that there is room for."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection

import numpy as np

from agent.base.errors import UserError
from agent.base.types import Purpose
from agent.kernel.decide.archive import Compose, Expand, Measure
from agent.kernel.loop.admission import Admission, crashed
from agent.kernel.loop.gatekeeping import Gatekeeper
from agent.kernel.loop.load import Load
from agent.kernel.loop.match import Match
from agent.kernel.loop.merging import Merger
from agent.kernel.loop.parts import PAIR_BOXES, Parts, Planned, StepKind
from agent.kernel.loop.same import SameCheck
from agent.trials.evaluator import seed_of
from agent.trials.preparing import PREPARE_FAILED

SHOWN_FIRST = 6
"""Trials on shown tasks that a candidate needs before a proposal builds on it."""
SHOWN_ROUNDS = 2
"""How often a candidate is run on every shown task at most."""


class Schedule:
    """Plans steps one by one; the campaign runs them. `queue` holds steps that others asked for."""

    def __init__(
        self,
        parts: Parts,
        queue: deque[Planned],
        *,
        admission: Admission,
        gate: Gatekeeper,
        same: SameCheck,
        load: Load,
        merger: Merger,
    ) -> None:
        self._parts, self._state, self.queue = parts, parts.state, queue
        self._admission, self._gate, self._same, self._load = admission, gate, same, load
        self._merger = merger
        self._taken: dict[tuple[int, Purpose], set[int]] = {}
        self._parent: Expand | None = None
        """The proposal that is due while its parent is still run on the tasks that improvers may see."""
        self._rng = np.random.default_rng(seed_of(parts.config.seed, "search", parts.state.trials))

    def next(self, running: Collection[Planned], *, ending: bool) -> Planned | None:
        """A verdict, then pairs of an open test, then what is queued, then search; only a verdict when `ending`.

        Proposals continue beside a test; the trials of the search line wait for its end. Both continue beside the
        holdout that follows an acceptance, in the boxes that it leaves.
        """
        if (verdict := self._gate.verdict_step(ending=ending)) is not None:
            return verdict
        if ending:
            return None
        busy = sum(step.boxes for step in running if step.kind is not StepKind.PROPOSAL)
        room = self._load.parallel - busy
        if room >= 1 and (canary := self._load.canary()) is not None:
            return canary
        if (match := self._gate.match) is not None and not self._gate.concluding:
            free = not (match.apart and any(step.kind is StepKind.PAIR for step in running))
            return self._pair(match) if free and (room >= PAIR_BOXES or not busy) else self._proposal(running)
        return self._without_test(running, room, idle=not busy)

    def _without_test(self, running: Collection[Planned], room: int, *, idle: bool) -> Planned | None:
        """What is queued, then search; beside a holdout that takes every box, a proposal."""
        if self.queue:
            return self.queue.popleft() if room >= self.queue[0].boxes or idle else None
        if room < 1:
            return self._proposal(running) if self._gate.concluding else None
        return self._search(running)

    def _pair(self, match: Match) -> Planned:
        index = match.next_index()
        return Planned(
            kind=StepKind.PAIR,
            label=f"pair {index + 1}",
            boxes=PAIR_BOXES,
            work=lambda: self._gate.pair(match, index),
        )

    def _search(self, running: Collection[Planned]) -> Planned | None:
        """The baseline of the seed first; then what the strategy says."""
        archive = self._state.archive
        seed = archive.node(0)
        if seed.trials + seed.pending < archive.settings.baseline:
            return self._measure(Measure(0, 0))
        step = self._due() or self._parts.strategy.next(archive, self._rng)
        if isinstance(step, Measure):
            return self._measure(step)
        if isinstance(step, Compose):
            return self._compose(step)
        if (shown := self._shown_trial(step.parent)) is not None:
            self._parent = step
            return shown
        if self._may_propose(running) and self._is_shown(step.parent):
            return self._expand(step)
        return self._meanwhile()

    def _due(self) -> Expand | None:
        """The proposal that waits for its parent's trials, unless the parent was retired meanwhile.

        Or one that the gate asked for: to bring a patch over onto the champion that there is now.
        """
        archive, due = self._state.archive, self._state.archive.bringing.due
        due[:] = [(node, champion) for node, champion in due if champion == archive.champion]
        waiting = self._parent
        outdated = waiting is not None and waiting.bring is not None and waiting.parent != archive.champion
        if waiting is not None and (outdated or not archive.node(waiting.parent).expandable):
            self._parent = None
        if self._parent is None and due:
            node, champion = due[0]
            self._parent = Expand(champion, bring=node)
        return self._parent

    def _meanwhile(self) -> Planned | None:
        """A trial while a proposal that is due may not start; none where trials are what the campaign is short of."""
        if self._parts.config.budget.trials is not None:
            return None
        archive = self._state.archive
        archive.measure_only = True
        try:
            step = self._parts.strategy.next(archive, self._rng)
        finally:
            archive.measure_only = False
        if isinstance(step, Compose):
            return self._compose(step)
        return self._measure(step) if isinstance(step, Measure) else None

    def _shown_wanted(self, parent: int) -> int:
        """Trials on shown tasks that a parent needs: a few to learn from, and one more for each of its proposals."""
        tasks = self._admission.tasks
        if tasks.purpose is Purpose.SEARCH:
            return 0
        node = self._state.archive.node(parent)
        return min(SHOWN_FIRST + node.children + node.failed_proposals, SHOWN_ROUNDS * len(tasks.shown))

    def _is_shown(self, parent: int) -> bool:
        return self._state.shown(parent) >= self._shown_wanted(parent)

    def _shown_trial(self, parent: int) -> Planned | None:
        """The next trial of a parent on a task that improvers may see, if it needs more than were begun."""
        taken = self._taken.setdefault((parent, Purpose.SHOWN), set())
        if self._state.shown(parent) + len(taken) >= self._shown_wanted(parent):
            return None
        index = self._state.free_index(parent, taken, Purpose.SHOWN)
        taken.add(index)
        return Planned(
            kind=StepKind.TRIAL,
            label=f"shown trial of #{parent}",
            boxes=1,
            work=lambda: self._run_shown(parent, index, taken),
        )

    async def _run_shown(self, parent: int, index: int, taken: set[int]) -> None:
        try:
            await self._admission.search_trial(self._state.candidates[parent], index, Purpose.SHOWN)
        finally:
            taken.discard(index)

    def _proposal(self, running: Collection[Planned]) -> Planned | None:
        """A proposal, if the strategy wants one now."""
        free = self._may_propose(running)
        step = (self._due() or self._parts.strategy.next(self._state.archive, self._rng)) if free else None
        return self._expand(step) if isinstance(step, Expand) and self._is_shown(step.parent) else None

    def _may_propose(self, running: Collection[Planned]) -> bool:
        """Whether another proposal may start; until the baseline is complete there is no failure to learn from."""
        archive = self._state.archive
        proposing = sum(step.kind is StepKind.PROPOSAL for step in running)
        ready = archive.node(0).trials >= archive.settings.baseline and not self._same.left
        return ready and proposing < self._parts.config.boxes.proposals

    def _expand(self, step: Expand) -> Planned:
        self._parent = None
        archive = self._state.archive
        archive.begin(step)
        archive.bringing.due[:] = [pair for pair in archive.bringing.due if pair != (step.bring, step.parent)]
        brings = "" if step.bring is None else f", to bring #{step.bring} over"
        return Planned(
            kind=StepKind.PROPOSAL,
            label=f"proposal from #{step.parent}{brings}",
            boxes=1,
            work=lambda: self._admission.propose(step),
        )

    def _compose(self, step: Compose) -> Planned:
        self._state.archive.begin(step)
        return Planned(
            kind=StepKind.COMPOSING,
            label=f"{len(step.patches)} patches together",
            boxes=1,
            work=lambda: self._put_together(step),
        )

    async def _put_together(self, step: Compose) -> None:
        try:
            await self._merger.compose(step.patches)
        finally:
            self._state.archive.end(step)

    def _measure(self, wanted: Measure) -> Planned:
        node = wanted.node
        taken = self._taken.setdefault((node, Purpose.SEARCH), set())
        index = self._state.free_index(node, taken, wanted=wanted.turn)
        taken.add(index)
        step = Measure(node, index)
        self._state.archive.begin(step)
        return Planned(
            kind=StepKind.TRIAL, label=f"search trial of #{node}", boxes=1, work=lambda: self._run_trial(step)
        )

    async def _run_trial(self, step: Measure) -> None:
        """One search trial; afterwards a candidate may be ready for the gate."""
        try:
            await self._admission.search_trial(self._state.candidates[step.node], step.turn)
        finally:
            self._state.archive.end(step)
            self._taken[step.node, Purpose.SEARCH].discard(step.turn)
        self._check_baseline()
        await self._gate.open_match()

    def _check_baseline(self) -> None:
        """A seed that crashes on every task would burn the budget for nothing."""
        seed = self._state.archive.node(0)
        if (
            len(self._state.archive) == 1
            and seed.trials >= self._state.archive.settings.baseline
            and not seed.successes
        ):
            trials = self._state.ledger.trials(purpose=Purpose.SEARCH, candidate=0)
            if all(crashed(trial) for trial in trials):
                last = trials[-1].transcript.strip().splitlines()[-1:] or ["it printed nothing"]
                unbuilt = trials[-1].reason.startswith(PREPARE_FAILED)
                field = "scaffold.prepare" if unbuilt else "scaffold.command"
                what = "cannot be built" if unbuilt else "crashes on every task before it asks a model"
                problem = f"the seed scaffold {what} ({last[0][:200]})"
                raise UserError(field, problem, "Fix the scaffold, commit it, and use a new name.")
