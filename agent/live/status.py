"""What a running campaign says of itself to readers in other processes: one small file, replaced whole.

The ledger holds what has happened. What is in flight is nobody's record, so it stands in `now.json` of the campaign's
folder: lost with a power cut, and believed only while the process that wrote it holds the campaign's lock.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from agent.kernel.decide.gate import PairedTest

if TYPE_CHECKING:
    from agent.kernel.loop.campaign import Campaign

FILE = "now.json"
TELL_SECONDS = 0.25
_MAX_BYTES = 1 << 20


class _Fact(BaseModel):
    model_config = ConfigDict(frozen=True)


class Used(_Fact):
    """One limit of the campaign's budget, and what is used of it."""

    name: str
    used: float
    limit: float


class OpenTest(_Fact):
    """The test that is open at the gate; `log_e` and `log_threshold` are natural logarithms, None without evidence."""

    id: int
    candidate: int
    champion: int
    pairs: int
    log_e: float | None = None
    log_threshold: float | None = None


class Now(_Fact):
    """A campaign at one moment. `running` names the steps in flight, `boxes` counts those that they take."""

    pid: int
    running: tuple[str, ...] = ()
    boxes: int = 0
    parallel: int = 0
    paused: str | None = None
    stopping: str | None = None
    test: OpenTest | None = None
    budget: tuple[Used, ...] = ()


def snapshot(campaign: Campaign) -> Now:
    """What a campaign does at this moment."""
    steps = sorted(campaign.running.values(), key=lambda step: step.label)
    return Now(
        pid=os.getpid(),
        running=tuple(step.label for step in steps),
        boxes=sum(max(step.boxes, 1) for step in steps),
        parallel=campaign.config.boxes.parallel + campaign.config.boxes.proposals,
        paused=campaign.trouble,
        stopping=campaign.stopping,
        test=_test(campaign),
        budget=_budget(campaign),
    )


def _test(campaign: Campaign) -> OpenTest | None:
    match = campaign.match
    if match is None:
        return None
    proven = match.test if isinstance(match.test, PairedTest) else None
    return OpenTest(
        id=match.row.id,
        candidate=match.candidate.id,
        champion=match.champion.id,
        pairs=match.pairs,
        log_e=None if proven is None else proven.log_e,
        log_threshold=None if proven is None else proven.log_threshold,
    )


def _budget(campaign: Campaign) -> tuple[Used, ...]:
    """Minutes are rounded to six seconds, so that time alone seldom makes news."""
    limits, spent, accepted = campaign.config.budget, campaign.parts.budget.spent, len(campaign.state.champions) - 1
    rows = (
        ("minutes", round(spent.seconds / 60, 1), None if limits.hours is None else limits.hours * 60),
        ("dollars", spent.dollars, limits.dollars),
        ("tokens", spent.tokens, limits.tokens),
        ("trials", campaign.state.trials, limits.trials),
        ("accepted patches", accepted, limits.commits),
    )
    return tuple(Used(name=name, used=used, limit=limit) for name, used, limit in rows if limit is not None)


async def tell(campaign: Campaign, folder: Path) -> None:
    """Keep `now.json` true until cancelled; the last word is what the campaign left."""
    told: Now | None = None
    try:
        while True:
            told = _tell(campaign, folder, told)
            await asyncio.sleep(TELL_SECONDS)
    finally:
        _tell(campaign, folder, told)


def _tell(campaign: Campaign, folder: Path, told: Now | None) -> Now:
    """A disk that is full costs the readers their view; the ledger is who pauses the campaign for it."""
    now = snapshot(campaign)
    if now != told:
        with suppress(OSError):
            draft = folder / f".{FILE}"
            draft.write_text(now.model_dump_json(), encoding="utf-8")
            draft.replace(folder / FILE)
    return now


def read_now(folder: Path) -> Now | None:
    """The last word of the campaign in `folder`; None where there is none, or none that can be read."""
    try:
        with (folder / FILE).open("rb") as file:
            return Now.model_validate_json(file.read(_MAX_BYTES))
    except (OSError, ValidationError):
        return None
