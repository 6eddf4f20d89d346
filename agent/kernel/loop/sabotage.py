"""Is it really the candidate that runs? Asked once, at the start, before a campaign spends money on what has no effect.

A harmless change to each mutable path must reach /scaffold in a box, and the seed with all its code broken must score 0
without a model call. Otherwise the image holds a copy of the agent, and that copy is what runs.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence

from agent.base.errors import CandidateFault, UserError
from agent.base.executable import Executable
from agent.base.trust import inside
from agent.base.types import Files, Purpose, Task, Trial
from agent.kernel.loop.parts import Parts, Planned, StepKind
from agent.trials.evaluator import seed_of
from agent.trials.executor import Job
from agent.trials.preparing import PrepareFailed

FACT = "sabotage"
BROKEN = b")( this file is broken on purpose: see `scaffold.sabotage` in campaign.yaml\n"
"""Not a program in any language that we know: a parenthesis is closed before one is open."""

_CODE = re.compile(
    r".*\.(bash|c|cc|cjs|clj|cpp|cs|dart|exs?|fish|go|h|hs|java|jl|jsx?|kt|lua|ml|mjs|m?ts|nim|php|pl|ps1|py|r|rb|rs"
    r"|scala|sh|swift|tsx|zig|zsh)",
    re.IGNORECASE | re.DOTALL,
)


class Sabotage:
    """Plans and makes the check. `mutable` gives the mutable files of a tree, `order` the search tasks in turn."""

    def __init__(self, parts: Parts, mutable: Callable[[str], Files], order: Sequence[Task]) -> None:
        self._parts, self._ledger, self._mutable, self._order = parts, parts.state.ledger, mutable, order

    def queue(self, later: Callable[[Planned], None]) -> None:
        """Plan the check unless it was passed, switched off, or the campaign is past it."""
        begun = len(self._parts.state.candidates) > 1
        if self._parts.config.scaffold.sabotage and not begun and self._ledger.recollect(FACT) is None:
            later(Planned(kind=StepKind.SABOTAGE, label="the broken seed", boxes=1, work=self.check, again=True))

    async def check(self) -> None:
        """Make the check and record it.

        Raises:
            UserError: what runs in the boxes is not the candidate, or the seed cannot be built.
        """
        tree = self._parts.state.candidates[0].tree or ""
        files = self._mutable(tree)
        await self._check_reach(tree, files)
        code = [path for path, body in files.items() if is_code(path, body)]
        if code:
            said = await self._check_broken(tree, {**files, **dict.fromkeys(code, BROKEN)})
        else:
            said = "no mutable file is code, so only their way to /scaffold was checked"
        self._ledger.remember(FACT, said)
        self._ledger.note(FACT, said)

    async def _check_reach(self, tree: str, files: Files) -> None:
        """Change one file of each mutable path by an empty line at its end, and look for it in a box."""
        marked = {path: _with_line(files[path]) for path in _one_of_each(files, self._parts.config.scaffold.mutable)}
        changed = self._parts.repository.write(tree, {**files, **marked})
        try:
            seen = await self._parts.evaluator.seen(changed)
        except PrepareFailed as fault:
            fix = "Fix the command, or commit what it needs; `ratchet doctor` runs it."
            raise UserError("scaffold.prepare", f"the seed cannot be built: {fault}", fix) from fault
        except CandidateFault as fault:
            raise UserError("scaffold.image", str(fault), "Let every user of the image read /scaffold.") from fault
        hidden = [path for path, body in marked.items() if seen.get(path) != hashlib.sha256(body).hexdigest()]
        if hidden and not self._parts.config.scaffold.prepare:  # a build may leave sources out
            problem = f"a change of `{hidden[0]}` does not reach /scaffold in a box: the image has such a folder"
            raise UserError("scaffold.image", problem, "Remove /scaffold from the image or from `scaffold.build`.")

    async def _check_broken(self, tree: str, broken: Files) -> str:
        task = self._order[0]
        trial = await self._parts.evaluator.trial(
            Job(
                tree=self._parts.repository.write(tree, broken),
                task=task,
                purpose=Purpose.CANARY,
                seed=seed_of(self._parts.config.seed, FACT),
                answer_scope=None,
            )
        )
        if (fault := _fault(trial)) is not None:
            problem = f"with every mutable code file broken on purpose, the agent still {fault}: what runs is not the"
            problem += " candidate, but a copy of the agent in the image, so that no patch could have an effect"
            fix = (
                "Let the command start the files below /scaffold (PYTHONPATH points there), or do not install the agent"
                " in the image. Set scaffold.sabotage: false if it can do without these files."
            )
            raise UserError("scaffold.command", problem, fix)
        return f"the seed with its code broken on purpose scored 0 on {task.id} without a model call ({trial.reason})"


def is_code(path: str, body: bytes) -> bool:
    """Whether a file looks like part of a program, by its name, its first two characters or its mode."""
    return bool(_CODE.fullmatch(path)) or body.startswith(b"#!") or isinstance(body, Executable)


def _fault(trial: Trial) -> str | None:
    if trial.score > 0:
        return f"scored {trial.score:g} on task {trial.task}"
    return f"made {trial.usage.calls} model calls" if trial.usage.calls else None


def _one_of_each(files: Files, mutable: Iterable[str]) -> list[str]:
    found = ([path for path in files if inside(path, (entry,))] for entry in mutable)
    return [min(paths) for paths in found if paths]  # none is left where `frozen` names all below an entry


def _with_line(body: bytes) -> bytes:
    return type(body)(body + b"\n")
