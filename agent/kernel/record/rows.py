"""What is read from a ledger, row by row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from agent.base.types import Purpose
from agent.base.usage import Usage


class EventRow(NamedTuple):
    """One line for people: what happened. `at` is in Unix seconds."""

    id: int
    at: float
    kind: str
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class CommitRow:
    """One commit that made a candidate champion. `test` is the gate test behind it; a revert has none.

    `parent` is the former champion's commit: git's parent too, unless the acceptance became a series of commits.
    """

    sha: str
    parent: str
    candidate: int
    test: int | None

    @property
    def move(self) -> tuple[str, str]:
        """(commit, parent), as git reconciles them."""
        return self.sha, self.parent


@dataclass(frozen=True, kw_only=True, slots=True)
class TestRow:
    """One meeting of a candidate with the champion. `id` is the i of the campaign-wide error, from 1."""

    id: int
    candidate: int
    champion: int
    commits: int
    policy: str
    verdict: str | None
    decision: Mapping[str, Any] | None


@dataclass(frozen=True, kw_only=True, slots=True)
class PairRow:
    """One pair of a test. A void pair has a `void_side` and at most one score.

    `usages` are those of champion and candidate, of a pair that is not void and was read from a ledger.
    """

    index: int
    task: str
    champion: float | None
    candidate: float | None
    void_side: str | None
    at: float
    usages: tuple[Usage, Usage] | None = None


class Mark(NamedTuple):
    """A finished trial without its texts: what a reader of 100,000 of them needs. `at` is in Unix seconds."""

    id: str
    at: float
    candidate: int
    purpose: Purpose
    task: str
    trial_index: int
    score: float


class SpendingRow(NamedTuple):
    """Model use between two points of time, of one role and model; tokens and dollars of fresh calls alone."""

    until: float
    role: str
    model: str
    calls: int
    fresh: int
    tokens: int
    dollars: float
    unpriced: int


class CacheRow(NamedTuple):
    """What a provider's prompt cache did for one role and model: tokens, and the dollars that this saved."""

    role: str
    model: str
    read: int
    written: int
    saved: float


class LeftOutRow(NamedTuple):
    """A parameter that was left out of requests to a model, and of how many calls."""

    model: str
    name: str
    calls: int


class AsideRow(NamedTuple):
    """Calls that no box made, by what they were for."""

    kind: str
    calls: int
    tokens: int
    dollars: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """The trials of one candidate for one purpose: how many, the sum of their scores, and the highest index."""

    candidate: int
    trials: int
    total: float
    top: int


class Result(NamedTuple):
    """The search trials of one candidate on one task, in sums; `late` counts those in which time ran out."""

    candidate: int
    task: str
    trials: int
    total: float
    calls: int
    tokens: int
    seconds: float
    late: int
