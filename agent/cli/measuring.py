"""Trials beside a campaign, with progress: what `eval`, `verify` and `revert` measure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from rich.console import Console
from rich.text import Text

from agent.base.errors import UserError
from agent.base.text import clean_line
from agent.base.types import Files, Grade, Split, Suite, Task, Trial
from agent.cli.keeping import Kept, Tree
from agent.cli.progress import Counter, progress
from agent.config.campaign import Config
from agent.kernel.decide.cheaper import Aim
from agent.kernel.loop.opening import open_ledger, open_repository
from agent.models.gateway.record import Recording
from agent.review.audit.fresh import Comparison, compare
from agent.review.audit.replay import Replayed, replay
from agent.review.lookup import find_tree
from agent.review.terminal.measured import short
from agent.trials.measuring import Planned, measure, plan
from agent.wiring.beside import measuring_parts, replaying_parts

CHAMPION = "champion"


@dataclass
class Measurement:
    """What a measurement is for, and what of it is finished so far, as `results.jsonl` has it."""

    trees: Sequence[Tree]
    tasks: Sequence[Task]
    runs: int
    finished: list[dict[str, Any]] = field(default_factory=list)

    @property
    def planned(self) -> list[Planned]:
        """Every trial."""
        return plan([tree.tree for tree in self.trees], self.tasks, self.runs)

    def sides(self) -> list[tuple[str, list[dict[str, Any]]]]:
        """A tree's label and one list for each, all in the same order, of what every tree has finished."""
        by_index = {(one["task"], one["run"], one["side"]): one for one in self.finished}
        indices = [(task.id, run) for run in range(self.runs) for task in self.tasks]
        sides = range(len(self.trees))
        whole = [index for index in indices if all((*index, side) in by_index for side in sides)]
        return [(tree.label, [by_index[(*index, side)] for index in whole]) for side, tree in enumerate(self.trees)]


# ------------------------------------------------------------------------------------ what to measure


def find_trees(config: Config, names: Sequence[tuple[str, str]]) -> list[Tree]:
    """The scaffolds that (option, name) mean: a candidate of the campaign, `champion`, `seed`, or a commit.

    Raises:
        UserError: a name means none, or is a candidate's and the campaign has not begun.
    """
    if (config.folder / "ledger.sqlite").exists():
        with open_ledger(config) as ledger:
            repository = open_repository(config, ledger)
            found = [find_tree(name, ledger, repository, field) for field, name in names]
        return [Tree(tree=tree, label=label) for tree, label in found]
    return [_before_it_began(config, field, name) for field, name in names]


def _before_it_began(config: Config, field: str, name: str) -> Tree:
    repository = open_repository(config, None)
    if name.startswith("#"):
        problem = f"`{clean_line(name)}` is a candidate, and campaign {config.name} has not begun"
        raise UserError(field, problem, "Name a commit, or another campaign with --name.")
    rev = repository.base if name in {CHAMPION, "seed"} else name
    commit = repository.commit(rev, field)
    return Tree(tree=commit.tree, label=f"{commit.sha[:10]} {commit.subject}")


def find_tasks(suite: Suite, ids: Sequence[str], split: Split | None, field: str) -> list[Task]:
    """The tasks that were asked for: those named, from the split if one is given; without names a whole split.

    Raises:
        UserError: a task is not there; the error names `field`.
    """
    among = {task.id: task for task in suite.tasks if split is None or task.split is split}
    for name in ids:
        if name not in among:
            close = ", ".join(get_close_matches(name, among, n=3)) or ", ".join([*among][:3])
            where = f"split {split} of suite {suite.name}" if split else f"suite {suite.name}"
            more = f", or see all {len(among)} with `ratchet tasks list {suite.name}`"
            raise UserError(field, f"{where} has no task {clean_line(name)!r}", f"Name {close}{more}.")
    chosen = [among[name] for name in dict.fromkeys(ids)] if ids else [*suite.split(split or Split.HOLDOUT)]
    if not chosen:
        problem = f"split {split or Split.HOLDOUT} of suite {suite.name} has no tasks"
        raise UserError("--split", problem, "Name another split, or tasks with --task.")
    return chosen


# ------------------------------------------------------------------------------------ measuring


async def measure_trees(config: Config, measurement: Measurement, kept: Kept, console: Console) -> None:
    """Fresh trials of some trees; what is finished is kept, and stands in `measurement`, however this ends."""
    planned = measurement.planned
    async with (
        measuring_parts(config, console, keep=kept.ledger) as parts,
        progress(console, "measuring", len(planned)) as counter,
    ):

        def done(item: Planned, trial: Trial) -> None:
            measurement.finished.append(kept.trial(item, trial))
            scores = [row["score"] for row in measurement.finished]
            counter.advance()
            counter.note = f"mean score {sum(scores) / len(scores):.2f}"
            if not console.is_terminal:
                label = measurement.trees[item.side].label if len(measurement.trees) > 1 else ""
                console.print(Text(_line(measurement.finished[-1], label, counter)), soft_wrap=True)
                counter.said()

        def voided(item: Planned, reason: str) -> None:
            line = f"{item.job.task.id} was discarded for an infrastructure error, and is retried: {reason}"
            console.print(Text(clean_line(line), style="yellow"), soft_wrap=True)

        await measure(parts.evaluator, planned, done, lambda item: _Keeper(item, kept, voided))


def _line(row: Mapping[str, Any], label: str, counter: Counter) -> str:
    """One finished trial; `label` says of which scaffold, if there are two."""
    refused = f", {len(row['refused'])} refused" if row["refused"] else ""
    what = f"{row['task']} of {short(label)}" if label else row["task"]
    head = f"{counter.done} of {counter.total}: {what} scored {row['score']:.2f} in {row['seconds']:.1f} s"
    return f"{head}, {row['calls']} model calls{refused}; {clean_line(row['reason'])}"


@dataclass(frozen=True, slots=True)
class _Keeper:
    """A watcher that keeps what a trial hands in."""

    planned: Planned
    kept: Kept
    tell: Callable[[Planned, str], None]

    def voided(self, reason: str) -> None:
        """Say why, between the lines of progress."""
        self.tell(self.planned, reason)

    def started(self) -> None:
        """Nothing to keep yet."""

    def printed(self, chunk: bytes) -> None:
        """The transcript has it."""

    def graded(self, submission: Files, grade: Grade) -> None:
        """Keep both."""
        self.kept.handed_in(self.planned, submission, grade)


async def compare_trees(config: Config, trees: tuple[str, str], pairs: int, claim: Aim | None = None) -> Comparison:
    """Fresh coupled pairs of two trees on the gate's tasks; `claim`: the second is said to be as good and cheaper."""
    console = Console(stderr=True)
    async with (
        measuring_parts(config, console) as parts,
        progress(console, "measuring pairs", pairs) as counter,
    ):
        tasks = parts.suite.split(Split.GATE)
        return await compare(parts.evaluator, tasks, trees, pairs, counter.advance, claim=claim)


async def replay_trials(config: Config, trials: Sequence[Trial], recording: Recording) -> list[Replayed]:
    """Recorded trials in new boxes, with the recorded answers."""
    console = Console(stderr=True)
    async with (
        replaying_parts(config, recording, console) as parts,
        progress(console, "replaying", len(trials)) as counter,
    ):
        tasks = {task.id: task for task in parts.suite.tasks}
        return await replay(parts.evaluator, tasks, trials, counter.advance)
