"""Trials beside a campaign, with a progress bar: what `eval`, `verify` and `revert` measure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress

from agent.base.types import Split, Trial
from agent.config.campaign import Config
from agent.models.gateway.record import Recording
from agent.review.audit.fresh import Comparison, compare
from agent.review.audit.replay import Replayed, replay
from agent.trials.measuring import measure
from agent.wiring import measuring_parts, replaying_parts


async def measure_commits(
    config: Config, revs: Sequence[str | None], split: Split, runs: int, console: Console
) -> list[list[Trial]]:
    """Fresh trials of each commit on a split, one list a commit; None is the champion."""
    async with measuring_parts(config, console) as parts:
        trees = [parts.repository.tree_of(rev or parts.repository.champion()) for rev in revs]
        tasks = parts.suite.split(split)
        with _progress(console, "measuring", runs * len(tasks) * len(trees)) as done:
            return await measure(parts.evaluator, trees, tasks, runs, done)


async def compare_trees(config: Config, trees: tuple[str, str], pairs: int) -> Comparison:
    """Fresh coupled pairs of two trees on the gate's tasks."""
    console = Console(stderr=True)
    async with measuring_parts(config, console) as parts:
        with _progress(console, "measuring", pairs) as done:
            return await compare(parts.evaluator, parts.suite.split(Split.GATE), trees, pairs, done)


async def replay_trials(config: Config, trials: Sequence[Trial], recording: Recording) -> list[Replayed]:
    """Recorded trials in new boxes, with the recorded answers."""
    console = Console(stderr=True)
    async with replaying_parts(config, recording, console) as parts:
        tasks = {task.id: task for task in parts.suite.tasks}
        with _progress(console, "replaying", len(trials)) as done:
            return await replay(parts.evaluator, tasks, trials, done)


@contextmanager
def _progress(console: Console, what: str, total: int) -> Iterator[Callable[[], None]]:
    """A bar on the terminal, and a function that advances it by one."""
    with Progress(console=console, transient=True) as bar:
        line = bar.add_task(what, total=total)
        yield lambda: bar.advance(line)
