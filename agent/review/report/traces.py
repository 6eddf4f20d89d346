"""Trials and proposals with their model calls, as they are exported for viewers.

What was said is exported for search trials, `ratchet eval` and proposals alone. Of gate and holdout trials come figures
without a word, so that neither can leak to the next improver through the person who reads them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from agent.base.refusal import Aside, Refusal
from agent.base.types import Call, Purpose, Trial
from agent.kernel.record.ledger import Ledger, Mark

IMPROVER = "improver"
_SHOWN = frozenset({Purpose.SEARCH, Purpose.EVAL})


@dataclass(frozen=True, kw_only=True, slots=True)
class Trace:
    """One trial or proposal. `calls` are pairs of the time at which a call ended (Unix seconds) and the call.

    `trial` is None for a proposal, and for a trial that was void. `shown`: what was said may be exported.
    """

    id: str
    campaign: str
    candidate: int | None
    trial: Trial | None
    calls: tuple[tuple[float, Call], ...]
    refusals: tuple[Refusal, ...]
    end: float
    shown: bool

    @property
    def start(self) -> float:
        """When it began, in Unix seconds."""
        first = min((at - call.seconds for at, call in self.calls), default=self.end)
        return min(first, self.end - (self.trial.seconds if self.trial is not None else 0.0))


def traces(ledger: Ledger, campaign: str) -> Iterator[Trace]:
    """Every trial in the order in which they ended, then proposals and void trials."""
    for mark in ledger.marks():
        yield _of_trial(ledger, campaign, mark)
    for name, role in ledger.beside_trials():
        if name in set(Aside):  # no box made these calls
            continue
        calls = _calls(ledger, name)
        yield Trace(
            id=name,
            campaign=campaign,
            candidate=None,
            trial=None,
            calls=calls,
            refusals=tuple(ledger.refusals(name)),
            end=max(at for at, _ in calls),
            shown=role == IMPROVER,
        )


def _of_trial(ledger: Ledger, campaign: str, mark: Mark) -> Trace:
    return Trace(
        id=mark.id,
        campaign=campaign,
        candidate=mark.candidate,
        trial=ledger.trial(mark.id),
        calls=_calls(ledger, mark.id),
        refusals=tuple(ledger.refusals(mark.id)),
        end=mark.at,
        shown=mark.purpose in _SHOWN,
    )


def _calls(ledger: Ledger, trial: str) -> tuple[tuple[float, Call], ...]:
    return tuple(zip(ledger.call_times(trial), ledger.calls(trial), strict=True))
