"""Which patches of an accepted composite carry it: leave-one-out in coupled groups. Pure, no I/O.

A group is the whole W and, for each patch that is still open, W without it, on one task with shared answers: model
calls are paid only from where a side begins to differ. Two processes are kept for each patch, with x the score of W
without it minus that of W:

- *idle*: bets on x + m, with m the loss that is accepted. Under "leaving it out costs m or more" its mean is at most 0.
- *needed*: bets on -x. Under "leaving it out costs nothing" its mean is at most 0.

The first to reach 1 / ERROR settles the patch; a patch that is not settled after all groups is kept. So a patch worth m
or more is left out with chance at most ERROR (Ville). Where sides differ by chance in both directions, as without
shared answers, more groups than there are would be needed: such a patch is kept without further trials.

None of this proves anything about the smaller set S. It is a new candidate, and goes to the gate as any other: fresh
pairs against the champion that W met, under an index of its own that is written down before the first pair. S is
committed in place of W if that test accepts it, and W if it does not. Either way the commit rests on an e-value of its
own that reached 1 / alpha_i, with alpha_i = alpha gamma_i (R + 1) and R the commits before; how S was chosen does not
matter, since the pairs that choose it are not those that prove it. Of the two acceptances at most one is a commit, so

    E[false commits / commits] <= sum over i of E[1{i is committed} 1{i is false} / (R_i + 1)] <= alpha sum gamma_i,

and the same for the chance of any false commit. `bench/gate/parts.py` simulates it with sets that are chosen badly.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from agent.kernel.decide.bets import BETS
from agent.kernel.decide.cheaper import Process

ERROR: Final = 0.1
"""Chance with which a patch that is worth the margin may be left out, or an idle one be called needed."""


LARGE: Final = (0.48, 0.9)
"""Bets on idleness: where a patch does nothing, every group wins the same little."""
NOISE, NOISE_LEAST = 0.15, 4
"""The part of the groups in which a patch wins, and that in which it loses, from which on idleness cannot be shown.

A difference in each direction in a part p of the groups costs a bet b on x + m about p b^2, a group without one wins
b m: at the margin of .05 and the smaller bet of .48 they cancel at p = .1. The larger part, and the least number of
both, leave alone what differs by chance on one task in ten.
"""


class Stage(StrEnum):
    """What is measured of an accepted candidate before its commit."""

    PARTS = "parts"
    HOLDOUT = "holdout"


class Standing(StrEnum):
    """What the groups say of one patch."""

    OPEN = "open"
    IDLE = "idle"
    NEEDED = "needed"
    INSEPARABLE = "inseparable"
    NOISY = "noisy"


@dataclass(slots=True)
class Part:
    """One patch: its share is the mean loss of score when it is left out, over `groups`."""

    margin: float
    standing: Standing = Standing.OPEN
    groups: int = 0
    lost: float = 0.0
    _better: int = 0
    _worse: int = 0
    _idle: Process = field(init=False)
    _needed: Process = field(default_factory=lambda: Process(BETS, 1.0))

    def __post_init__(self) -> None:
        self._idle = Process(LARGE, 1.0 - self.margin)

    @property
    def share(self) -> float | None:
        """The mean loss; None before the first group."""
        return self.lost / self.groups if self.groups else None

    def add(self, whole: float, without: float) -> None:
        """Count one group; ignored once the patch is settled."""
        if self.standing is not Standing.OPEN:
            return
        self.groups, self.lost = self.groups + 1, self.lost + whole - without
        self._better, self._worse = self._better + (without > whole), self._worse + (without < whole)
        self._idle.weigh(without - whole + self.margin)
        self._needed.weigh(whole - without)
        bar = -math.log(ERROR)
        if self._needed.log_e >= bar:
            self.standing = Standing.NEEDED
        elif self._idle.log_e >= bar:
            self.standing = Standing.IDLE
        elif min(self._better, self._worse) >= max(NOISE_LEAST, NOISE * self.groups):
            self.standing = Standing.NOISY


class Attribution:
    """The patches of one accepted candidate. Groups are added in their order."""

    def __init__(self, separable: Iterable[int], inseparable: Iterable[int], margin: float) -> None:
        stuck = {patch: Part(margin, Standing.INSEPARABLE) for patch in inseparable}
        self.parts = dict(sorted({**stuck, **{patch: Part(margin) for patch in separable}}.items()))

    def add(self, whole: float, without: Mapping[int, float]) -> None:
        """Count one group: the whole's score, and that without each patch that was run."""
        for patch, score in without.items():
            self.parts[patch].add(whole, score)

    @property
    def open(self) -> list[int]:
        """The patches that more groups may settle."""
        return [patch for patch, part in self.parts.items() if part.standing is Standing.OPEN]

    @property
    def idle(self) -> frozenset[int]:
        """The patches that may be left out; none where all are, since something carries the whole."""
        found = frozenset(patch for patch, part in self.parts.items() if part.standing is Standing.IDLE)
        return found if len(found) < len(self.parts) else frozenset()

    def recorded(self) -> dict[str, dict[str, object]]:
        """Patch -> share, groups and standing, as the ledger keeps them."""
        return {
            str(patch): {"share": part.share, "groups": part.groups, "standing": part.standing}
            for patch, part in self.parts.items()
        }


def parts_words(recorded: Mapping[str, Mapping[str, object]]) -> str:
    """Each patch's share in one line, for the commit and the report."""
    return ", ".join(f"#{patch} {_share(known['share'])} ({known['standing']})" for patch, known in recorded.items())


def _share(share: object) -> str:
    return f"{share:+.3f}" if isinstance(share, float) else "not separable"
