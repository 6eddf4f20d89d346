"""What the record keeps of calls that are not a box's answered ones: refusals, and calls that no box made."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Aside(StrEnum):
    """What a call that no box made was for; recorded in place of a trial's name."""

    PREFLIGHT = "preflight"
    PROBE = "probe"
    PARAMETERS = "parameters"


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """A call of a box that the gateway itself refused, `times` times alike: no provider was asked, nothing was paid."""

    trial: str
    path: str
    status: int
    code: str
    reason: str
    times: int = 1
