"""Two scaffolds as improvers: what each of them proposes from one parent, on one brief. Decides nothing.

The parent is candidate 0 of a record of its own. It is run on the tasks that improvers may see, and one briefing is
written from that; every proposal of either side gets it, with the same tools and limits. Nothing of a campaign is read
beside the trees, so the brief holds no patch that one of the improvers came from.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TypeVar

from agent.base.errors import BudgetSpent, CandidateFault, InfrastructureError, ProviderDown, UserError
from agent.base.types import Candidate, Fate, Purpose
from agent.base.usage import Usage
from agent.kernel.loop.admission import Admission
from agent.kernel.loop.briefing import Briefer, Briefing
from agent.kernel.loop.parts import Parts
from agent.kernel.loop.proposer import Proposal
from agent.kernel.loop.scheduling import SHOWN_FIRST
from agent.kernel.loop.shown import SHARE
from agent.kernel.loop.tries import Tries
from agent.trials.evaluator import seed_of
from agent.trials.measuring import ATTEMPTS
from agent.trials.preparing import PrepareFailed

Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """What came of a proposal: its side and its turn (each from 0), its candidate of the record, and what it used."""

    side: int
    turn: int
    candidate: Candidate
    used: Usage


class Improving:
    """Proposals in parallel, as many at a time as `boxes.proposals` says. The record's candidate 0 is the parent."""

    def __init__(self, parts: Parts) -> None:
        parts.state.ledger.remember(SHARE, parts.config.search.shown)
        self._parts, self._state = parts, parts.state
        self._admission = Admission(parts, lambda _: None)
        self._slots = asyncio.Semaphore(parts.config.boxes.proposals)
        self._briefing: Briefing | None = None
        self._numbers = 0

    @property
    def parent(self) -> Candidate:
        """What both sides build on."""
        return self._state.candidates[0]

    async def prepare(self, done: Callable[[], object]) -> None:
        """Run the parent on the tasks that improvers may see, and write the briefing of all proposals.

        Raises:
            InfrastructureError: a trial is void.
            UserError: the parent cannot be built.
        """
        if not self._state.archive.ids:
            self._state.restore()
        purpose = self._admission.tasks.purpose
        async with asyncio.TaskGroup() as group:
            for index in range(SHOWN_FIRST):
                group.create_task(self._trial(index, purpose, done))
        briefer = Briefer(self._parts, self._admission.tasks)
        self._briefing = await briefer.write(self.parent, lambda: {"trials_left": None, "tokens_left": None})

    async def _trial(self, index: int, purpose: Purpose, done: Callable[[], object]) -> None:
        await self._retried(lambda: self._admission.search_trial(self.parent, index, purpose))
        done()

    async def _retried(self, work: Callable[[], Coroutine[object, object, Result]]) -> Result:
        for _ in range(ATTEMPTS - 1):
            try:
                return await work()
            except (BudgetSpent, ProviderDown):
                raise
            except InfrastructureError:
                continue
        return await work()

    async def propose(self, side: int, improver: str, turn: int) -> Made:
        """The `turn`-th proposal of one side, by the scaffold in the tree `improver`; both sides share its seed.

        Raises:
            InfrastructureError: it stayed void when it was retried.
            UserError: the improver cannot be built.
        """
        async with self._slots:
            return await self._retried(lambda: self._proposed(side, improver, turn))

    async def _proposed(self, side: int, improver: str, turn: int) -> Made:
        if self._briefing is None:
            raise RuntimeError("there is no briefing yet")
        parts, parent = self._parts, self.parent
        mutable = self._admission.mutable(parent.tree or "")
        tools = Tries(parts, parent, mutable, self._admission.tasks.shown)
        try:
            scaffold = await parts.evaluator.scaffold(improver)
        except (PrepareFailed, CandidateFault) as fault:
            raise UserError("--improver", f"a scaffold does not build: {fault}", "Name another one.") from fault
        proposal = await parts.proposer.propose(
            scaffold=scaffold,
            mutable=mutable,
            context={**self._briefing.context, **tools.files},
            beside=self._briefing.beside,
            tools=tools,
            seed=seed_of(parts.config.seed, "improver", turn),
        )
        return self._kept(side, turn, proposal)

    def _kept(self, side: int, turn: int, proposal: Proposal) -> Made:
        """Write a proposal down as a candidate of the record; nothing of a campaign's own refs is touched."""
        parent, repository, tree, diff = self.parent.tree or "", self._parts.repository, None, ""
        if proposal.change is not None:
            tree = repository.write(parent, proposal.change.files)
            diff = repository.diff(parent, tree)
        self._numbers += 1
        candidate = Candidate(
            id=self._numbers,
            parent=0,
            tree=tree,
            subject=proposal.subject,
            body=proposal.body,
            fate=Fate.OPEN if tree else Fate.REFUSED,
            reason=proposal.refusal,
            size=sum(map(len, proposal.change.files.values())) if proposal.change else 0,
        )
        self._state.add(candidate, fingerprint=None, diff=diff, transcript=proposal.transcript)
        return Made(side=side, turn=turn, candidate=candidate, used=proposal.used)
