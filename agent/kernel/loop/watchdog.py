"""Notices that nothing finishes although something is in flight."""

from __future__ import annotations

import time
from collections.abc import Callable

from agent.base.types import Suite
from agent.config.campaign import Config

GRACE = 120.0
"""Seconds that opening boxes, grading and cleaning up may add to a step's own time limits."""


class Watchdog:
    """`limit` is in seconds without progress. The clock does not jump when somebody sets the time."""

    def __init__(self, limit: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit, self._clock = limit, clock
        self._seen: object = None
        self._since = clock()

    def reset(self) -> None:
        """Count from now on, after a pause."""
        self._since = self._clock()

    def stalled(self, progress: object) -> bool:
        """Whether `progress` has been the same for too long; if so, it counts from now on."""
        if progress != self._seen or self._clock() - self._since > self.limit:
            late = progress == self._seen
            self._seen, self._since = progress, self._clock()
            return late
        return False


def longest_trial(suite: Suite) -> float:
    """Seconds that the slowest task may take to be solved and checked."""
    return max((task.solve_timeout + task.check_timeout for task in suite.tasks), default=0.0)


def stall_seconds(config: Config, suite: Suite) -> float:
    """`boxes.stall_minutes`, but never less than what a step may take by its own limits without any call."""
    longest = max(config.boxes.propose_timeout, longest_trial(suite))
    return max(config.boxes.stall_minutes * 60, longest + GRACE)
