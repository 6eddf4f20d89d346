"""What the box of a proposal may ask of the kernel: a trial of its workspace, and whether its patch would be admitted.

The box sends what differs from its parent. A trial runs in real boxes on a search task that improvers may see, and is
graded from outside. It is recorded with the purpose `dry`; gate and search never look at it, and its model answers are
shared with nobody.

Covered: a box that sends anything; the number of trials and their tokens; one request at a time. The box's clock
stands still while its trial waits for others, and runs while the trial runs.
Not covered: what a box sends need not be its workspace. It gets a trial of what it sends.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from agent.base.errors import CandidateFault, from_candidate
from agent.base.executable import Executable
from agent.base.tools import Clock
from agent.base.types import Candidate, Caps, Files, Purpose, Task, Trial
from agent.kernel.decide.fingerprint import fingerprint
from agent.kernel.decide.predictions import predictions
from agent.kernel.loop.drafts import Draft, Drafts
from agent.kernel.loop.pages import MOST_TRANSCRIPT, clipped
from agent.kernel.loop.parts import Parts
from agent.models.gateway.intake import MAX_VALUES, values
from agent.trials.evaluator import seed_of
from agent.trials.executor import Job

PROGRAM = Path(__file__).with_name("in_box_tools.py")


@dataclass(frozen=True, kw_only=True, slots=True)
class Sent:
    """What a box sent: all mutable files as they would be, paths that are not regular files, and its notes."""

    task: str
    files: Files
    odd: Sequence[str]
    notes: Mapping[str, str]


class Tries:
    """The tools of one proposal that builds on `parent`, whose mutable files are `before`.

    `draft` is what others may know of it; None: it is made apart from others.
    """

    def __init__(
        self, parts: Parts, parent: Candidate, before: Files, tasks: Sequence[Task], draft: Draft | None = None
    ) -> None:
        self._parts, self._state, self._config = parts, parts.state, parts.config
        self._parent, self._before = parent, before
        self._draft = draft or Drafts().new(parent.id)
        self._tasks = {task.id: task for task in tasks}
        self._made, self._tokens = 0, 0
        self._name, self._alone = uuid.uuid4().hex[:12], asyncio.Lock()

    @property
    def files(self) -> Files:
        """The two programs, and what they need to know, below `/task`."""
        hashes = {path: hashlib.sha256(body).hexdigest() for path, body in self._before.items()}
        without = list(self._parts.proposer.wanted(self._before).without)
        known = {"mutable": list(self._config.scaffold.mutable), "without": without, "files": hashes}
        return {
            "bin/ratchet-try": _program(),
            "bin/ratchet-check": _program(),
            "context/tools.json": json.dumps(known).encode(),
        }

    async def use(self, name: str, body: bytes, clock: Clock) -> Mapping[str, object]:
        """Answer one request of the box.

        Raises:
            CandidateFault: it asks in a wrong way, or for more than it may have.
            InfrastructureError: the trial is void; it does not count.
        """
        if name not in {"try", "check"}:
            raise CandidateFault(f"there is no `{name[:40]}` here; use ratchet-try or ratchet-check")
        if self._alone.locked():
            raise CandidateFault("another request of this box is under way; ask for one thing at a time")
        async with self._alone:
            sent = await asyncio.to_thread(read, body, self._before)
            self._draft.says(sent.notes.get("PATCH.md", ""))
            return await (self._try(sent, clock) if name == "try" else self._check(sent))

    # ---------------------------------------------------------------------------- check

    async def _check(self, sent: Sent) -> Mapping[str, object]:
        odd = [f"`{path}` is not a regular file" for path in sent.odd]
        faults, change, readings = await self._parts.proposer.faults(self._before, sent.files)
        twin = None if faults else self._state.ledger.known_fingerprint(fingerprint(change.files, readings))
        notes = self._notes(sent.notes)
        if twin is not None and twin == self._draft.brings:
            notes.append(f"it is candidate {twin}; leave it so if nothing is to be added, {twin} can meet the champion")
        elif twin is not None:
            faults.append(f"it reads the same as candidate {twin}, up to comments and layout")
        others = [one for one in self._draft.others if one.subject]
        notes += [f"under way from #{one.parent}, by another improver: {one.subject}" for one in others]
        return {"faults": odd + faults, "notes": notes}

    def _notes(self, notes: Mapping[str, str]) -> list[str]:
        """What the kernel reads in PATCH.md."""
        if "PATCH.md" not in notes:
            return ["there is no PATCH.md: the commit would be named by the files that change"]
        made, wrong = predictions(notes["PATCH.md"], self._tasks.keys())
        return [f"predicts {one}" for one in made] + [f"in the predictions of PATCH.md, {fault}" for fault in wrong]

    # ---------------------------------------------------------------------------- try

    async def _try(self, sent: Sent, clock: Clock) -> Mapping[str, object]:
        task, caps = self._task(sent.task), self._caps()
        tree = await self._tree(sent)
        with delayed(clock) as begins:
            trial = await self._parts.evaluator.trial(self._job(tree, task, caps), begins)
        self._made += 1
        self._tokens += trial.usage.tokens_in + trial.usage.tokens_out
        index = len(self._state.ledger.scores(Purpose.DRY, self._parent.id))
        self._state.measured(trial, self._parent.id, index)
        self._state.ledger.note("dry", f"a proposal from #{self._parent.id} tried {task.id}: score {trial.score:g}")
        return self._told(trial)

    def _task(self, name: str) -> Task:
        if name not in self._tasks:
            raise CandidateFault(f"no search task `{name[:100]}`; there are {', '.join(self._tasks)}")
        return self._tasks[name]

    def _caps(self) -> Caps:
        """What the next trial may use, which is less than others where the proposal's own budget ends."""
        budget, usual = self._config.proposals, self._config.boxes.trial_caps()
        if self._made >= budget.tries:
            raise CandidateFault(f"no try is left: {self._made} of {budget.tries} were made (proposals.tries)")
        if (left := self._tokens_left()) is None:
            return usual
        if left <= 0:
            raise CandidateFault(f"no tokens are left for tries: {self._tokens} were used (proposals.try_tokens)")
        return Caps(calls=usual.calls, tokens=left if usual.tokens is None else min(left, usual.tokens))

    def _tokens_left(self) -> int | None:
        limit = self._config.proposals.try_tokens
        return None if limit is None else max(0, limit - self._tokens)

    async def _tree(self, sent: Sent) -> str:
        """The tree to try. Raises CandidateFault: it would not be admitted."""
        if sent.files == self._before and not sent.odd:
            return self._parent.tree or ""  # the parent itself, to compare with
        odd = [f"`{path}` is not a regular file" for path in sent.odd]
        faults, change, _ = await self._parts.proposer.faults(self._before, sent.files)
        if odd or faults:
            raise CandidateFault(f"the patch would be refused: {'; '.join(odd + faults)}")
        return self._parts.repository.write(self._parent.tree or "", change.files)

    def _job(self, tree: str, task: Task, caps: Caps) -> Job:
        seed = seed_of(self._config.seed, "dry", self._name, self._made)
        return Job(tree=tree, task=task, purpose=Purpose.DRY, seed=seed, answer_scope=None, caps=caps)

    def _told(self, trial: Trial) -> Mapping[str, object]:
        return {
            "number": self._made,
            "task": trial.task,
            "score": trial.score,
            "reason": trial.reason,
            "seconds": trial.seconds,
            "calls": trial.usage.calls,
            "tokens": trial.usage.tokens_in + trial.usage.tokens_out,
            "tries_left": self._config.proposals.tries - self._made,
            "tokens_left": self._tokens_left(),
            "transcript": clipped(self._state.told(trial).transcript, MOST_TRANSCRIPT),
        }


@cache
def _program() -> bytes:
    """What both tools are in a box."""
    return b"#!/usr/bin/env python3\n" + PROGRAM.read_bytes()


@contextmanager
def delayed(clock: Clock) -> Iterator[Callable[[], None]]:
    """The clock stands from now on, until what this yields is called."""
    standing = True
    clock.stand()

    def runs() -> None:
        nonlocal standing
        if standing:
            standing = False
            clock.run()

    try:
        yield runs
    finally:
        runs()


def read(body: bytes, before: Files) -> Sent:
    """A request of a box whose parent's mutable files are `before`. Raises CandidateFault."""
    if values(body) > MAX_VALUES:
        raise CandidateFault(f"the request has more than {MAX_VALUES} JSON values")
    with from_candidate("the request (use the programs in /task/bin)"):
        asked: dict[str, Any] = json.loads(body)
        fresh = {str(path): base64.b64decode(text, validate=True) for path, text in dict(asked["files"]).items()}
        fresh |= {path: Executable(fresh[path]) for path in map(str, asked.get("executable", ())) if path in fresh}
        removed, odd = ({str(path) for path in asked[name]} for name in ("removed", "odd"))
        notes = {str(name): str(text) for name, text in dict(asked["notes"]).items()}
        task = str(asked.get("task", ""))
    files = {path: data for path, data in {**before, **fresh}.items() if path not in removed}
    return Sent(task=task, files=files, odd=sorted(odd), notes=notes)
