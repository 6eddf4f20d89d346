"""The gate's evidence, recomputed from the ledger's pairs with the gate itself."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agent.base.types import Side
from agent.kernel.decide.cheaper import SCORE, Aim, CostTest, Objective
from agent.kernel.decide.gate import Fixed, GateSettings, PairedTest, Verdict
from agent.kernel.decide.voids import VoidRule
from agent.kernel.loop.match import outcome_of
from agent.kernel.record.ledger import PairRow, TestRow
from agent.review.summary import Estimate, wilson

_NEVER = 10**9
_COUNTS_AS = {
    None: ("scored",),
    "champion": ("champion",),
    "candidate": ("candidate",),
    "both": ("champion", "candidate"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Meeting:
    """One candidate against the champion. `path` holds ln E after each scored pair, `verdict` None while it runs.

    `trials` counts the campaign's trials that had finished after its last pair. `agrees` says whether the recomputation
    matches the ledger, None where it cannot be recomputed.
    """

    test: int
    candidate: int
    champion: int
    policy: str
    verdict: str | None
    sentence: str
    trials: int
    pairs: int
    voids: tuple[int, int]
    champion_score: Estimate | None
    candidate_score: Estimate | None
    path: tuple[float, ...]
    log_threshold: float | None
    agrees: bool | None


def recompute(
    row: TestRow,
    pairs: Sequence[PairRow],
    settings: GateSettings | None,
    fixed: Fixed,
    finished_by: Callable[[float], int],
    *,
    aim: Aim = SCORE,
) -> Meeting:
    """Feed the recorded pairs to the gate again, after its deterministic part.

    `finished_by` counts the trials finished at a Unix second.
    """
    decision = row.decision or {}
    fed = _in_order(pairs)
    recorded = decision.get("log_threshold")
    weighed = row.policy == "proven" and not (decision and recorded is None)
    test = _opened(row, settings, fixed, aim)
    path, start, end = _path(test, _decided_by(fed, decision)) if weighed else ((), 0.0, None)
    counted = [pair for pair in fed if pair.void_side is None][: decision.get("pairs")]
    last = counted[-1].at if counted else -math.inf
    voided = [Side(pair.void_side) for pair in fed if pair.void_side is not None and pair.at <= last]
    bar = recorded if settings is None or not weighed else test.log_threshold
    return Meeting(
        test=row.id,
        candidate=row.candidate,
        champion=row.champion,
        policy=row.policy,
        verdict=row.verdict,
        sentence=str(decision.get("sentence", "still running")),
        trials=finished_by(last),
        pairs=len(counted),
        voids=(sum(s is not Side.CANDIDATE for s in voided), sum(s is not Side.CHAMPION for s in voided)),
        champion_score=wilson([pair.champion or 0.0 for pair in counted]),
        candidate_score=wilson([pair.candidate or 0.0 for pair in counted]),
        path=path[: decision.get("pairs")],
        log_threshold=bar,
        agrees=_agrees(row, (start, *path)[: decision["pairs"] + 1], bar, end if settings else row.verdict)
        if weighed and decision
        else None,
    )


def _in_order(pairs: Sequence[PairRow]) -> list[PairRow]:
    """The pairs that the gate has counted: those before the first index still in flight."""
    return [pair for number, pair in enumerate(pairs) if pair.index == number]


def _decided_by(pairs: Sequence[PairRow], decision: Mapping[str, Any]) -> list[PairRow]:
    """The pairs that a verdict counts, voids included; all of them while there is none."""
    if not decision:
        return list(pairs)
    left = Counter(scored=decision["pairs"], champion=decision["champion_voids"], candidate=decision["candidate_voids"])
    counted = []
    for pair in pairs:
        if not left.total():
            break
        left.subtract(_COUNTS_AS[pair.void_side])
        counted.append(pair)
    return counted


def _opened(row: TestRow, settings: GateSettings | None, fixed: Fixed, aim: Aim) -> PairedTest | CostTest:
    """The test before its first pair; without the settings (bets are fixed) it has no end."""
    if aim.objective is not Objective.SCORE and settings is not None:
        return CostTest(settings, aim, row.id, row.commits)
    older = GateSettings(voids=VoidRule.DISCARDED)
    endless = replace(older, max_pairs=_NEVER, futility_min_pairs=_NEVER, alpha=1e-300)
    return PairedTest(settings or endless, row.id, row.commits, fixed)


def _path(test: PairedTest | CostTest, pairs: Sequence[PairRow]) -> tuple[tuple[float, ...], float, Verdict | None]:
    """Log evidence after each pair and the voids that follow it, that before the first one, and how it ends."""
    unit = test.unit if isinstance(test, CostTest) else None
    path = [test.log_e]
    for pair in pairs:
        if test.decide() is not None:
            break
        test.feed([outcome_of(pair, unit)])
        if pair.void_side is not None:
            path.pop()
        path.append(test.log_e)
    decision = test.decide()
    return tuple(path[1:]), path[0], decision.verdict if decision else None


def _agrees(row: TestRow, path: Sequence[float], bar: float | None, end: str | None) -> bool:
    """Whether evidence, threshold and verdict match the ledger; the end of a budget does not follow from pairs.

    `path` begins with the evidence before the first pair.
    """
    decision = row.decision or {}
    log_e = path[-1]
    if bar is None or not math.isclose(bar, decision["log_threshold"], abs_tol=1e-9):
        return False
    if len(path) <= decision["pairs"] or not math.isclose(log_e, decision["log_e"], abs_tol=1e-9):
        return False
    if (row.verdict == Verdict.ACCEPTED) != (log_e >= bar):
        return False
    return end == row.verdict or (end is None and row.verdict in {Verdict.OUT_OF_BUDGET, Verdict.VOID})
