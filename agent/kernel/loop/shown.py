"""Which search tasks an improver may see, and which ones only score.

A patch that fits the tasks that its makers looked at says little. So a part of the search tasks is shown: an improver
gets their instructions, transcripts and outcomes. The rest is scored and never shown; expansion and promotion count
nothing else. Trials on shown tasks have a purpose of their own, so the two scores of a candidate never mix.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from agent.base.types import Purpose, Split, Suite, Task
from agent.config.campaign import Config
from agent.kernel.record.ledger import Ledger

SHARE = "search.shown"
"""The named value of the ledger that holds the part of the search tasks that is shown; it never changes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchTasks:
    """The search tasks in the order that the indices of trials go round.

    `scored` are those that candidates are judged by, `shown` those that improvers may see: disjoint, but equal where
    all are shown.
    """

    scored: tuple[Task, ...]
    shown: tuple[Task, ...]

    @property
    def purpose(self) -> Purpose:
        """The purpose of the trials that an improver may see."""
        return Purpose.SEARCH if self.shown == self.scored else Purpose.SHOWN

    @property
    def ids(self) -> frozenset[str]:
        """The tasks that an improver may see."""
        return frozenset(task.id for task in self.shown)

    def of(self, purpose: Purpose, index: int) -> tuple[Task, int]:
        """The task of the `index`-th trial of one purpose (search or shown), and how often it was met before."""
        tasks = self.shown if purpose is Purpose.SHOWN else self.scored
        turn, number = divmod(index, len(tasks))
        return tasks[number], turn


def search_tasks(config: Config, suite: Suite, ledger: Ledger) -> SearchTasks:
    """The division that a campaign began with, or begins with now."""
    tasks = suite.split(Split.SEARCH)
    shuffler = random.Random(config.seed)  # noqa: S311 (reproducible, not secret)
    return divided(shuffler.sample(tasks, len(tasks)), share_of(ledger, config.search.shown))


def share_of(ledger: Ledger, configured: float) -> float:
    """The part that is shown; a campaign that an older Ratchet began shows all of its search tasks."""
    known = ledger.recollect(SHARE)
    if known is not None:
        return float(known)
    return 1.0 if ledger.candidates() else configured


def divided(order: Sequence[Task], share: float) -> SearchTasks:
    """The first `share` of the tasks is shown, the rest is scored; no part is empty unless `share` is 0 or 1."""
    count = shown_count(len(order), share)
    if count == len(order):
        return SearchTasks(scored=tuple(order), shown=tuple(order))
    return SearchTasks(scored=tuple(order[count:]), shown=tuple(order[:count]))


def shown_count(tasks: int, share: float) -> int:
    """How many of so many search tasks are shown. A single task is shown, as is everything at a share of 1."""
    if share in {0.0, 1.0}:
        return int(share * tasks)
    return min(max(round(share * tasks), 1), max(tasks - 1, 1))
