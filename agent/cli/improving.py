"""Does one scaffold improve better than another? Proposals of both from one parent, judged by trials neither saw."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.text import Text

from agent.base.errors import UserError
from agent.base.text import clean_line
from agent.base.types import Task, Trial
from agent.cli.keeping import PROPOSALS, Kept, Tree
from agent.cli.progress import Counter, progress
from agent.config.campaign import Config
from agent.kernel.loop.improving import Improving, Made
from agent.kernel.loop.scheduling import SHOWN_FIRST
from agent.review.improvement import Improvement, Side, gain
from agent.trials.evaluator import Evaluator
from agent.trials.measuring import Planned, measure, plan
from agent.wiring import improving_parts


@dataclass
class Experiment:
    """What is compared, and what of it is finished so far. `parent` is what both sides build on."""

    parent: Tree
    improvers: tuple[Tree, Tree]
    tasks: Sequence[Task]
    proposals: int
    runs: int
    made: list[Made] = field(default_factory=list)
    scores: dict[int, dict[tuple[str, int], float]] = field(default_factory=dict)
    """Candidate -> (task, run) -> score."""

    @property
    def found(self) -> Improvement:
        """The figures of what is finished: proposals that were refused, and those with all their trials."""
        first, second = (self._side(number, tree) for number, tree in enumerate(self.improvers))
        return Improvement(sides=(first, second))

    def _side(self, number: int, tree: Tree) -> Side:
        ours = [one for one in self.made if one.side == number and self._judged(one)]
        parent = self.scores.get(0, {})
        return Side(
            label=tree.label,
            gains=tuple(gain(parent, self.scores.get(one.candidate.id, {})) for one in ours),
            admitted=sum(one.candidate.tree is not None for one in ours),
            tokens=sum(one.used.tokens_in + one.used.tokens_out for one in ours) / max(len(ours), 1),
        )

    def _judged(self, one: Made) -> bool:
        whole = len(self.tasks) * self.runs
        return one.candidate.tree is None or len(self.scores.get(one.candidate.id, {})) == whole


def check_improvers(config: Config) -> None:
    """Refuse a campaign whose patches are written by another program: its scaffolds improve nothing."""
    if config.improve.command or config.improve.recipe:
        fix = "Remove `improve` from the file for this measurement, or measure without --improver."
        raise UserError("--improver", "another program writes this campaign's patches, not the scaffold", fix)


async def compare_improvers(config: Config, experiment: Experiment, kept: Kept, console: Console) -> None:
    """Run an experiment; what is finished is kept, and stands in `experiment`, however this ends.

    Raises:
        InfrastructureError: a proposal or a trial stayed void when it was retried.
    """
    async with improving_parts(config, console, kept.ledger) as parts:
        improving = Improving(parts)
        async with progress(console, "the parent's trials for the brief", SHOWN_FIRST) as counter:
            await improving.prepare(counter.advance)
        async with progress(console, "proposals", 2 * experiment.proposals) as counter:
            await _propose(improving, experiment, kept, counter)
        await _judge(parts.evaluator, experiment, kept, console)


async def _propose(improving: Improving, experiment: Experiment, kept: Kept, counter: Counter) -> None:
    async def one(side: int, turn: int) -> None:
        made = await improving.propose(side, experiment.improvers[side].tree, turn)
        experiment.made.append(made)
        with (kept.folder / PROPOSALS).open("a", encoding="utf-8") as out:
            out.write(json.dumps(_row(made, turn)) + "\n")
        counter.advance()
        counter.note = f"{sum(one.candidate.tree is not None for one in experiment.made)} admitted"

    async with asyncio.TaskGroup() as group:
        for turn in range(experiment.proposals):
            for side in (0, 1):
                group.create_task(one(side, turn))


def _row(made: Made, turn: int) -> dict[str, object]:
    """One proposal for programs; its diff and transcript are in the record."""
    known = made.candidate
    said = {"subject": clean_line(known.subject), "fate": known.fate, "reason": clean_line(known.reason)}
    return {
        "side": made.side,
        "turn": turn,
        "candidate": known.id,
        **said,
        "tokens": made.used.tokens_in + made.used.tokens_out,
    }


async def _judge(evaluator: Evaluator, experiment: Experiment, kept: Kept, console: Console) -> None:
    """The parent and every admitted candidate on the tasks that decide, with shared answers."""
    sides = {0: experiment.parent.tree}
    sides |= {one.candidate.id: one.candidate.tree for one in experiment.made if one.candidate.tree is not None}
    numbers, planned = [*sides], plan([*sides.values()], experiment.tasks, experiment.runs)
    planned = [
        Planned(side=numbers[one.side], run=one.run, job=one.job, mark=_mark(numbers[one.side])) for one in planned
    ]
    async with progress(console, "judging", len(planned)) as counter:

        def done(item: Planned, trial: Trial) -> None:
            kept.trial(item, trial)
            experiment.scores.setdefault(item.side, {})[trial.task, item.run] = trial.score
            counter.advance()
            if not console.is_terminal:
                whose = f"{trial.task} of {_mark(item.side)[1:]}"
                console.print(
                    Text(f"{counter.done} of {counter.total}: {whose} scored {trial.score:.2f}"), soft_wrap=True
                )
                counter.said()

        await measure(evaluator, planned, done)


def _mark(candidate: int) -> str:
    return f"-proposal-{candidate}" if candidate else "-parent"
