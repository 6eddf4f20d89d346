"""Runs of a scaffold that say how hard tasks are; each one is kept as soon as it is done, so that nothing is run twice.

The notebook is a file of JSON lines, one a run. A run counts again for the same scaffold, settings, models, task
content and number; a change of any of them makes new runs.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from agent.base.errors import RecordBroken, UserError
from agent.base.types import Purpose, Task
from agent.suites.check import together
from agent.suites.loader import content_hash
from agent.trials.evaluator import seed_of
from agent.trials.executor import Executor, Job
from agent.trials.measuring import retried


@dataclass(frozen=True, kw_only=True, slots=True)
class Who:
    """What is measured: a scaffold's tree, how it is started, and the models that answer it.

    `settings` is a hash of everything else in the configuration that decides how it runs and who answers. Runs of
    versions that did not note it have none, and are those of no configuration.
    """

    tree: str
    command: str
    models: str
    settings: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ran:
    """One run. `content` is the hash of the task; time in seconds, money in US dollars (None: no price is known)."""

    who: Who
    task: str
    content: str
    run: int
    score: float
    reason: str
    seconds: float
    tokens: int
    dollars: float | None

    @property
    def key(self) -> tuple[Who, str, str, int]:
        """What it is a run of."""
        return self.who, self.task, self.content, self.run


class Notebook:
    """The runs in a file, and what is added to them. Raises UserError if the file cannot be read or added to."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._runs: dict[tuple[Who, str, str, int], Ran] = {}
        for number, line in enumerate(_whole_lines(file), 1):
            ran = _read(line, f"{file} line {number}")
            self._runs.setdefault(ran.key, ran)

    def find(self, who: Who, task: Task, run: int) -> Ran | None:
        """A run that was made before."""
        return self._runs.get((who, task.id, content_hash((task,)), run))

    def keep(self, ran: Ran) -> None:
        """Write a run to the disk. Raises RecordBroken if that fails; the runs before it are there still."""
        size = self.file.stat().st_size if self.file.exists() else 0
        try:
            with self.file.open("a", encoding="utf-8") as out:
                out.write(json.dumps(asdict(ran)) + "\n")
                out.flush()
                os.fsync(out.fileno())
        except OSError as error:
            with suppress(OSError):  # the next run would be added to the part of this one
                os.truncate(self.file, size)
            fix = "Make room and run the same command again: the runs before this one are kept"
            raise RecordBroken(f"{self.file}: a run cannot be written ({error.strerror}). {fix}") from error
        self._runs[ran.key] = ran


def _whole_lines(file: Path) -> list[str]:
    """The lines of a notebook that can be added to; one that was cut short when the machine stopped is removed."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a+b") as notebook:
            notebook.seek(0)
            said = notebook.read()
            whole = said[: said.rfind(b"\n") + 1]
            # Cut in place: nothing of the whole lines is ever written again, so nothing of them can be lost.
            notebook.truncate(len(whole))
    except OSError as error:
        raise UserError(str(file), f"cannot be written ({error.strerror})", "Make the folder writable.") from error
    return whole.decode(errors="replace").splitlines()


def _read(line: str, where: str) -> Ran:
    try:
        said = json.loads(line)
        return Ran(**{**said, "who": Who(**said["who"])})
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(where, "is not a run of `ratchet tasks calibrate`", "Remove the line or the file.") from error


async def calibrate(
    evaluator: Executor, who: Who, tasks: Sequence[Task], runs: int, *, notebook: Notebook, done: Callable[[], object]
) -> Mapping[str, list[Ran]]:
    """`runs` runs of every task, by task; those in the notebook are not repeated. `done` is called for each.

    Raises:
        InfrastructureError: a run stayed void when it was retried, or could not be kept; what was done is in the
            notebook.
    """

    async def one(task: Task, run: int) -> Ran:
        found = notebook.find(who, task, run)
        if found is None:
            found = await _run(evaluator, who, task, run)
            notebook.keep(found)
        done()
        return found

    made = await together(one(task, run) for run in range(runs) for task in tasks)
    return {task.id: [ran for ran in made if ran.task == task.id] for task in tasks}


async def _run(evaluator: Executor, who: Who, task: Task, run: int) -> Ran:
    # Answers are never shared: what is measured is how much fresh runs differ.
    seed = seed_of("calibrate", task.id, run)
    trial = await retried(evaluator, Job(tree=who.tree, task=task, purpose=Purpose.EVAL, seed=seed, answer_scope=None))
    usage = trial.usage
    return Ran(
        who=who,
        task=task.id,
        content=content_hash((task,)),
        run=run,
        score=trial.score,
        reason=trial.reason,
        seconds=round(trial.seconds, 3),
        tokens=usage.tokens_in + usage.tokens_out,
        dollars=None if usage.unpriced else usage.dollars,
    )
