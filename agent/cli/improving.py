"""Does one scaffold improve better than another? Proposals of both from one parent, judged by trials neither saw."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import count

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
from agent.trials.executor import Executor
from agent.trials.measuring import Planned, measure, plan
from agent.wiring.beside import improving_parts


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
    parents: dict[int, dict[tuple[str, int], float]] = field(default_factory=dict)
    """The same of the parent, in the trials that share their answers with the candidate's."""

    @property
    def found(self) -> Improvement:
        """The figures of the first turns of which both proposals are finished: refused, or with all their trials.

        A refused proposal is finished at once, so whatever else is finished would be a choice by outcome.
        """
        done = {(one.side, one.turn) for one in self.made if self._judged(one)}
        whole = next(turn for turn in count() if not {(0, turn), (1, turn)} <= done)
        first, second = (self._side(number, tree, whole) for number, tree in enumerate(self.improvers))
        return Improvement(sides=(first, second))

    def _side(self, number: int, tree: Tree, turns: int) -> Side:
        ours = [one for one in self.made if one.side == number and one.turn < turns]
        return Side(
            label=tree.label,
            gains=tuple(self._gain(one.candidate.id) for one in ours),
            admitted=sum(one.candidate.tree is not None for one in ours),
            tokens=sum(one.used.tokens_in + one.used.tokens_out for one in ours) / max(len(ours), 1),
        )

    def _gain(self, candidate: int) -> float:
        return gain(self.parents.get(candidate, {}), self.scores.get(candidate, {}))

    def _judged(self, one: Made) -> bool:
        whole = len(self.tasks) * self.runs
        known = (scores.get(one.candidate.id, {}) for scores in (self.scores, self.parents))
        return one.candidate.tree is None or all(len(scores) == whole for scores in known)


def check_improvers(config: Config) -> None:
    """Refuse a campaign whose patches are written by another program: its scaffolds improve nothing."""
    if config.improve.command or config.improve.recipe:
        fix = "Remove `improve` from the file for this measurement, or measure without --improver."
        raise UserError("--improver", "another program writes this campaign's patches, not the scaffold", fix)


async def compare_improvers(config: Config, experiment: Experiment, kept: Kept, console: Console) -> None:
    """Run an experiment; what is finished is kept, and is in `experiment`, however this ends.

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
            out.write(json.dumps(_row(made)) + "\n")
        counter.advance()
        counter.note = f"{sum(one.candidate.tree is not None for one in experiment.made)} admitted"

    async with asyncio.TaskGroup() as group:
        for turn in range(experiment.proposals):
            for side in (0, 1):
                group.create_task(one(side, turn))


def _row(made: Made) -> dict[str, object]:
    """One proposal for programs; its diff and transcript are in the record."""
    known = made.candidate
    said = {"subject": clean_line(known.subject), "fate": known.fate, "reason": clean_line(known.reason)}
    return {
        "side": made.side,
        "turn": made.turn,
        "candidate": known.id,
        **said,
        "tokens": made.used.tokens_in + made.used.tokens_out,
    }


async def _judge(evaluator: Executor, experiment: Experiment, kept: Kept, console: Console) -> None:
    """Every admitted candidate beside the parent, on the tasks that decide; each with answers of its own."""
    parent, planned = experiment.parent.tree, list[Planned]()
    for made in experiment.made:
        number, tree = made.candidate.id, made.candidate.tree
        if tree is not None:
            both = plan([parent, tree], experiment.tasks, experiment.runs, about=f"proposal-{number}")
            planned += [replace(one, side=one.side * number, mark=_mark(one.side, number)) for one in both]
    async with progress(console, "judging", len(planned)) as counter:

        def done(item: Planned, trial: Trial) -> None:
            kept.trial(item, trial)
            scores = experiment.scores if item.side else experiment.parents
            scores.setdefault(int(item.mark.rpartition("-")[2]), {})[trial.task, item.run] = trial.score
            counter.advance()
            if not console.is_terminal:
                whose = f"proposal {item.side}" if item.side else "the parent"
                said = f"{trial.task} of {whose} scored {trial.score:.2f}"
                console.print(Text(f"{counter.done} of {counter.total}: {said}"), soft_wrap=True)
                counter.said()

        await measure(evaluator, planned, done)


def _mark(side: int, candidate: int) -> str:
    """How the files of a trial end: of a candidate, or of the parent beside it."""
    return f"-proposal-{candidate}" if side else f"-parent-of-{candidate}"
