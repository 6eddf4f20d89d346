"""From a proposal to a candidate in the archive: run the improver, admit or refuse its patch, try it once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from agent.base.errors import InfrastructureError, Refused, UserError
from agent.base.types import Candidate, Fate, Files, Purpose, Trial
from agent.kernel.decide.archive import Expand
from agent.kernel.decide.fingerprint import fingerprint
from agent.kernel.decide.flags import FlagFinder, flags_key, in_one_line
from agent.kernel.decide.parsing import Readings
from agent.kernel.git.messages import format_message
from agent.kernel.loop.briefing import Briefer
from agent.kernel.loop.drafts import Drafts
from agent.kernel.loop.lessons import lessons_of, take_lessons
from agent.kernel.loop.parts import Parts, Planned, StepKind
from agent.kernel.loop.proposer import Proposal
from agent.kernel.loop.shown import search_tasks
from agent.kernel.loop.state import HELD, patches_key
from agent.kernel.loop.threads import to_end
from agent.kernel.loop.tries import Tries
from agent.kernel.record.brought import brought_key
from agent.trials.evaluator import seed_of
from agent.trials.executor import Job
from agent.trials.preparing import PREPARE_FAILED, PrepareFailed

SMALL_BYTES = 16 << 10
"""Text that is looked through faster than a thread is woken up."""

_UP_TO = "up to comments and layout"


class Admission:
    """The search line's steps. `tasks` are the search tasks, in the order in which every candidate meets them.

    `later` queues a step of the campaign.
    """

    def __init__(self, parts: Parts, later: Callable[[Planned], None]) -> None:
        self._later = later
        self._parts, self._state, self._config = parts, parts.state, parts.config
        self.tasks = search_tasks(parts.config, parts.suite, parts.state.ledger)
        self._finder = FlagFinder(parts.suite.tasks)
        self._briefer = Briefer(parts, self.tasks)
        self._alone, self._drafts = asyncio.Lock(), Drafts()
        self._commits = dict[int, str]()
        """Candidates that were saved since the start: git need not be asked for their commits."""

    async def search_trial(self, candidate: Candidate, index: int, purpose: Purpose = Purpose.SEARCH) -> Trial:
        """The `index`-th search trial of a candidate: task order and answers are shared by all candidates.

        `purpose` is SEARCH, or SHOWN for a trial on a task that improvers may see.
        """
        task, turn = self.tasks.of(purpose, index)
        trial = await self._parts.evaluator.trial(
            Job(
                tree=candidate.tree or "",
                task=task,
                purpose=purpose,
                seed=seed_of(self._config.seed, "search", task.id, turn),
                answer_scope=f"search:{task.id}:{turn}",
            )
        )
        record = self._state.showed if purpose is Purpose.SHOWN else self._state.searched
        record(trial, candidate.id, index)
        return trial

    async def propose(self, step: Expand) -> None:
        """Run the scaffold of a candidate on itself; admit or refuse what it left."""
        state, parent = self._state, self._state.candidates[step.parent]
        try:
            source = None if step.bring is None else state.candidates[step.bring]
            with self._drafts.opened(parent.id, step.bring) as draft:
                given = lessons_of(state.ledger)
                briefing = await self._briefer.write(parent, self._left, source, draft.others)
                mutable = self.mutable(parent.tree or "")
                tools = Tries(self._parts, parent, mutable, self._briefer.tasks, draft)
                proposal = await self._parts.proposer.propose(
                    scaffold=await self._built(parent),
                    mutable=mutable,
                    context={**briefing.context, **tools.files},
                    beside=briefing.beside,
                    tools=tools,
                    seed=seed_of(self._config.seed, "propose", len(state.candidates)),
                    bring_over=source is not None,
                )
            if proposal.lessons is not None:
                take_lessons(state.ledger, given, proposal.lessons)
            candidate = await self.admit(proposal, parent, source=source)
            if candidate.fate is Fate.REFUSED:
                state.failed(candidate)
            else:
                await self.smoke_or_queue(candidate)
        finally:
            state.archive.end(step)

    async def _built(self, parent: Candidate) -> Files:
        """What runs of a parent. It was built for its first trial, so a build that fails now is not its fault."""
        try:
            return await self._parts.evaluator.scaffold(parent.tree or "")
        except PrepareFailed as fault:
            raise InfrastructureError(f"#{parent.id} does not build any more: {fault}") from fault

    async def admit(
        self,
        proposal: Proposal,
        parent: Candidate,
        patches: frozenset[int] | None = None,
        source: Candidate | None = None,
    ) -> Candidate:
        """Record what came of a proposal: a candidate under its own ref, or a refusal.

        `patches` are those of a candidate that was put together of others, `source` is the one whose patch an improver
        was asked to bring over onto `parent`.
        """
        flags = []
        if proposal.change is not None:
            flags = await self._find(self.mutable(parent.tree or ""), proposal.change.files, proposal.readings)
        async with self._alone:  # a candidate's number is taken with its row, and git has it before that
            print_, twin = self._twin(proposal)
            before = self.mutable(parent.tree or "") if proposal.left else {}
            number = len(self._state.candidates)
            save = partial(self._save, number, proposal, parent, before, keep=twin is None, source=source)
            tree, diff = await to_end(save)
            refusal = proposal.refusal if twin is None else _same(twin, source)
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
            ledger = self._state.ledger
            with ledger.together():
                if patches is not None:
                    ledger.remember(patches_key(number), sorted(patches))
                if source is not None:
                    ledger.remember(brought_key(number), source.id)
                ledger.add_candidate(candidate, fingerprint=print_, diff=diff, transcript=proposal.transcript)
                self._note(candidate, flags, source)
            self._state.know(candidate)
            if source is not None:
                self._state.archive.bringing.brought[source.id, parent.id] = number
        return candidate

    def _twin(self, proposal: Proposal) -> tuple[str | None, int | None]:
        """The fingerprint of a proposal, and the candidate that has the same."""
        if proposal.change is None:
            return None, None
        print_ = fingerprint(proposal.change.files, proposal.readings)
        return print_, self._state.ledger.known_fingerprint(print_)

    def _save(
        self, number: int, proposal: Proposal, parent: Candidate, before: Files, *, keep: bool, source: Candidate | None
    ) -> tuple[str | None, str]:
        """All that git has to do with a proposal: the tree of a candidate, under its ref, and the diff."""
        repository = self._parts.repository
        if proposal.change is None:
            return None, repository.compare(before, proposal.left) if proposal.left else ""
        tree = repository.write(parent.tree or "", proposal.change.files)
        diff = repository.diff(parent.tree or "", tree)
        if not keep:
            return None, diff
        text = format_message(proposal.subject, proposal.body, {"Ratchet-Campaign": self._config.name})
        also = None if source is None else self._commit_of(source.id)
        below = self._commit_of(parent.id)
        self._commits[number] = repository.save_candidate(number, tree, below, text, also)
        return tree, diff

    def _note(self, candidate: Candidate, flags: list[str], source: Candidate | None) -> None:
        ledger, what = self._state.ledger, f"refused: {candidate.reason}" if candidate.reason else "admitted"
        brings = "" if source is None else f", to bring #{source.id} over"
        ledger.note("proposal", f"#{candidate.id} from #{candidate.parent}{brings}: {candidate.subject} ({what})")
        if candidate.tree and flags:
            ledger.remember(flags_key(candidate.id), flags)
            ledger.note("flagged", f"#{candidate.id} {in_one_line(flags)}")

    def _commit_of(self, candidate: int) -> str:
        """The commit that holds a candidate: its own ref, or the base for the seed."""
        if (commit := self._commits.get(candidate)) is not None:
            return commit
        saved = self._parts.repository.candidate(candidate)
        return saved.commit if saved else self._parts.repository.base

    def first_trial(self, candidate: Candidate) -> Planned:
        """The smoke trial of a candidate as a step of its own."""
        return Planned(
            kind=StepKind.FIRST,
            label=f"trial of #{candidate.id}",
            boxes=1,
            work=partial(self.smoke, candidate),
            again=True,
        )

    async def smoke_or_queue(self, candidate: Candidate) -> None:
        """The first trial of a new candidate; if that is void, it is queued. Raises InfrastructureError."""
        try:
            await self.smoke(candidate)
        except (InfrastructureError, asyncio.CancelledError):
            self._later(self.first_trial(candidate))  # the proposal is paid for, so only the trial is retried
            raise

    async def smoke(self, candidate: Candidate) -> None:
        """The first search trial of a candidate, before it may take part: a crash at start ends it here."""
        trial = await self.search_trial(candidate, 0)
        if crashed(trial):
            reason = trial.reason if trial.reason.startswith(PREPARE_FAILED) else f"crashes at start: {trial.reason}"
            self._state.settle(candidate.id, Fate.REFUSED, reason)
            self._state.archive.fail(candidate.parent or 0)
        else:
            self._state.enter(self._state.candidates[candidate.id])

    def mutable(self, tree: str) -> Files:
        """The files of a tree that a patch may rewrite."""
        files = self._parts.scaffolds[tree]
        return {path: body for path, body in files.items() if self._parts.repository.is_mutable(path)}

    async def fingerprint_of_seed(self, files: Files) -> str:
        """The fingerprint of the mutable files that a campaign starts from.

        Raises:
            UserError: they cannot be read within the limits that hold for every patch.
        """
        try:
            return fingerprint(files, await self._parts.proposer.reader.read(files))
        except Refused as unread:
            fix = "Name fewer or smaller folders."
            raise UserError("scaffold.mutable", str(unread), fix) from unread

    async def flags(self, before: str, after: str) -> list[str]:
        """What a reviewer should look at first in what one tree adds to another."""
        trees = self.mutable(before), self.mutable(after)
        try:
            return await self._find(*trees, await self._parts.proposer.reader.read(*trees))
        except Refused as unread:
            return [f"not read: {unread}"]

    async def _find(self, before: Files, after: Files, readings: Readings) -> list[str]:
        # In a thread unless there is little of it: linear in hostile text, but not instant.
        if sum(map(len, before.values())) + sum(map(len, after.values())) <= SMALL_BYTES:
            return [str(flag) for flag in self._finder.find(before, after, readings)]
        return [str(flag) for flag in await asyncio.to_thread(self._finder.find, before, after, readings)]

    def _left(self) -> dict[str, int | None]:
        """What the campaign's limits leave for search and proposals.

        What gate and holdout use is left out: a box that reads their tasks could tell the improver through it.
        """
        limits, used = self._config.budget, self._state.ledger.spent("improver").fresh_tokens
        return {
            "trials_left": None if limits.trials is None else max(0, limits.trials - self._state.search_trials),
            "tokens_left": None if limits.tokens is None else max(0, limits.tokens - used),
        }


def _same(twin: int, source: Candidate | None) -> str:
    """Why a proposal is refused that reads the same as the candidate `twin`."""
    if source is not None and source.id == twin:
        return f"{HELD}: candidate {twin} needs no change to meet the champion"
    return f"reads the same as candidate {twin}, {_UP_TO}"


def crashed(trial: Trial) -> bool:
    """Whether a trial ended before the scaffold asked for anything: the program itself does not run, or not build."""
    return trial.score == 0 and trial.usage.calls == 0 and trial.reason.startswith(("no submission", PREPARE_FAILED))
