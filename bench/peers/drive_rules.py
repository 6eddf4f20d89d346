"""Rules of published systems, RE-IMPLEMENTED here in a few lines each: not their packages.

python -m bench.peers.drive_rules RESULTS.jsonl RULE --world add --seeds 1-20 --budget 2000
"""

from __future__ import annotations

import math
import random
import sys
from dataclasses import dataclass
from typing import Final

from bench.peers.driving import Pick, Run, Search, drive
from bench.peers.world import TASKS

# ------------------------------------------------------------------------------------ hill climbing


def climb(run: Run, *, ties: bool) -> Pick:
    """Child of the best; all tasks once; kept if it scores more than the record says (`ties`: or as much)."""
    ids, score, kept = list[int](), run.all_tasks([]), 0
    while run.left(TASKS):
        child = run.deal(ids)
        scored = run.all_tasks(child)
        if scored > score or (ties and scored == score):
            ids, score, kept = child, scored, kept + 1
    return Pick(ids, score, kept)


# ------------------------------------------------------------------------------------ DGM

DGM_STEEPNESS, DGM_MIDDLE = 10.0, 0.5
DGM_FIRST, DGM_GOES_ON = 10, 0.4
"""Tasks of the first stage, and the share of the parent's score on it that the second stage takes."""


@dataclass
class Node:
    """A program of an archive, with what was counted for it."""

    ids: list[int]
    parent: int | None = None
    won: int = 0
    tried: int = 0
    children: int = 0

    @property
    def score(self) -> float:
        return self.won / self.tried if self.tried else 0.0


def dgm(run: Run) -> Pick:
    """Every child joins the archive; parents by sigmoid of score and few children; two stages; the best score wins."""
    rng = random.Random(f"dgm{run.world.seed}")
    archive = [_tried(run, Node([]), range(TASKS))]
    while run.left(TASKS):
        weights = [1 / (1 + math.exp(-DGM_STEEPNESS * (n.score - DGM_MIDDLE))) / (1 + n.children) for n in archive]
        [parent] = rng.choices(archive, weights)
        parent.children += 1
        child = _tried(run, Node(run.deal(parent.ids)), rng.sample(range(TASKS), DGM_FIRST))
        if child.score >= DGM_GOES_ON * parent.score:
            _tried(run, child, range(TASKS - DGM_FIRST))
            archive.append(child)
    best = max(archive, key=lambda n: n.score)
    return Pick(best.ids, best.score, len(archive) - 1)


def _tried(run: Run, node: Node, tasks: range | list[int]) -> Node:
    for task in tasks:
        node.won += run.trial(node.ids, task)
        node.tried += 1
    return node


# ------------------------------------------------------------------------------------ HGM

HGM_GROWTH: Final = 0.6
HGM_CAUTION: Final = 0.05
"""The quantile of the posterior by which the final program is picked."""


def hgm(run: Run) -> Pick:
    """Clade Thompson sampling: expand by the posterior of a node and all of its descendants, try by a node's own."""
    rng, nodes = random.Random(f"hgm{run.world.seed}"), [Node([])]
    while run.left():
        if run.used**HGM_GROWTH >= len(nodes) and run.used:
            clades = _clades(nodes)
            parent = max(range(len(nodes)), key=lambda n: _draw(rng, *clades[n]))
            nodes.append(Node(run.deal(nodes[parent].ids), parent))
        else:
            node = max(nodes, key=lambda n: _draw(rng, n.won, n.tried - n.won))
            _tried(run, node, [rng.randrange(TASKS)])
    best = max(nodes, key=lambda n: _low(rng, n.won, n.tried - n.won))
    return Pick(best.ids, best.score, len(nodes) - 1)


def _clades(nodes: list[Node]) -> list[tuple[int, int]]:
    """Successes and failures of each node and of all of its descendants; a parent comes before its children."""
    sums = [[n.won, n.tried - n.won] for n in nodes]
    for number in range(len(nodes) - 1, 0, -1):
        parent = nodes[number].parent
        if parent is not None:
            sums[parent] = [a + b for a, b in zip(sums[parent], sums[number], strict=True)]
    return [(won, lost) for won, lost in sums]


def _draw(rng: random.Random, won: int, lost: int) -> float:
    return rng.betavariate(1 + won, 1 + lost)


def _low(rng: random.Random, won: int, lost: int) -> float:
    draws = sorted(_draw(rng, won, lost) for _ in range(400))
    return draws[int(HGM_CAUTION * len(draws))]


# ------------------------------------------------------------------------------------ PACE

PACE_ALPHA: Final = 0.05
PACE_BET: Final = 0.5
PACE_PAIRS: Final = 200
PACE_GIVES_UP: Final = 0.1


def pace(run: Run) -> Pick:
    """Child of the incumbent; pairs on random tasks; a betting e-process on the pairs that differ, alpha a decision."""
    rng, ids, kept = random.Random(f"pace{run.world.seed}"), list[int](), 0
    reported: float | None = None
    while run.left(2):
        child, wealth, won, tried = run.deal(ids), 1.0, 0, 0
        while run.left(2) and tried < PACE_PAIRS and PACE_GIVES_UP < wealth < 1 / PACE_ALPHA:
            task = rng.randrange(TASKS)
            before, after = run.trial(ids, task), run.trial(child, task)
            wealth *= 1 + PACE_BET * (after - before)
            won, tried = won + after, tried + 1
        if wealth >= 1 / PACE_ALPHA:
            ids, kept, reported = child, kept + 1, won / tried
    return Pick(ids, reported, kept)


RULES: Final[dict[str, Search]] = {
    "evo-rule": lambda run: climb(run, ties=False),
    "hill-climbing": lambda run: climb(run, ties=True),
    "dgm-rule": dgm,
    "hgm-rule": hgm,
    "pace-rule": pace,
}

if __name__ == "__main__":
    rule = sys.argv.pop(2)
    drive(rule, RULES[rule])
