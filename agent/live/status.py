"""What a campaign is doing: the one answer for the panel, `ratchet status` and the dashboard.

The ledger holds what has happened. What is in flight is in `now.json` in the campaign's folder: one small file,
replaced whole. It is believed while the process that wrote it holds the campaign's lock; otherwise the ledger answers.
"""

from __future__ import annotations

import asyncio
import math
import os
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from agent.kernel.decide.attribution import Stage
from agent.kernel.decide.cheaper import CostTest
from agent.kernel.decide.gate import PairedTest, Verdict
from agent.kernel.record.ledger import EventRow, Ledger
from agent.kernel.record.lock import holder

if TYPE_CHECKING:
    from agent.kernel.loop.campaign import Campaign

FILE = "now.json"
TELL_SECONDS = 0.25
_MAX_BYTES = 1 << 20
_LARGEST_LOG = 700.0
_KILLED = "it did not end in order: it was killed, or the machine went down"

Doing = Literal["running", "paused", "stopping", "stopped"]


class _Fact(BaseModel):
    model_config = ConfigDict(frozen=True)


class Used(_Fact):
    """One limit of the campaign's budget, and how much of it is used."""

    name: str
    used: float
    limit: float


class OpenTest(_Fact):
    """The test at the gate. `verdict` is set while its consequences are carried out, which `stage` names.

    `log_e` and `log_threshold` are natural logarithms, None without evidence.
    """

    id: int
    candidate: int
    champion: int
    pairs: int
    log_e: float | None = None
    log_threshold: float | None = None
    verdict: str | None = None
    stage: str = Stage.HOLDOUT

    @property
    def sentence(self) -> str:
        """The test in one line."""
        pairs = f"{self.pairs} pair{'s' * (self.pairs != 1)}"
        if self.verdict == Verdict.ACCEPTED:
            return f"{self.stage}: #{self.candidate} passed the gate after {pairs}"
        against = f"#{self.champion}" if self.champion else "the seed"
        text = f"gate: #{self.candidate} against {against}, {pairs}"
        if self.verdict is not None:
            return f"{text}: {self.verdict}"
        if self.log_e is None or self.log_threshold is None:
            return text
        return f"{text}, e-value {odds(self.log_e)} of {odds(self.log_threshold)}"


class Now(_Fact):
    """A campaign at one moment. `running` names the steps in flight; they use `boxes` of `parallel` boxes."""

    pid: int
    running: tuple[str, ...] = ()
    boxes: int = 0
    parallel: int = 0
    paused: str | None = None
    stopping: str | None = None
    test: OpenTest | None = None
    budget: tuple[Used, ...] = ()

    @property
    def doing(self) -> tuple[Doing, str]:
        """What it says it is doing, and why."""
        if self.stopping:
            return "stopping", self.stopping
        return ("paused", self.paused) if self.paused else ("running", "")

    @property
    def in_flight(self) -> list[str]:
        """The steps in flight, equal ones counted: "3 x search trial of #2"."""
        return [f"{count} x {label}" if count > 1 else label for label, count in Counter(self.running).items()]


@dataclass(frozen=True, kw_only=True, slots=True)
class Recorded:
    """What the ledger says about the run; None where nothing of the kind has happened yet."""

    bound: EventRow | None
    turn: EventRow | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Activity:
    """What a campaign is doing, and why where that is not plain. `now` holds no steps unless a process runs it."""

    doing: Doing
    why: str
    pid: int | None
    now: Now | None


def recorded(ledger: Ledger) -> Recorded:
    """Read what the ledger says: the last beginning or end, and the last event that changed what the campaign does."""
    turn = ledger.latest("begin", "paused", "resumed", "stopping", "end")
    return Recorded(bound=ledger.latest("begin", "end"), turn=turn)


def activity(folder: Path, record: Recorded) -> Activity:
    """What the campaign in `folder` is doing at this moment."""
    pid, now = _holder(folder), read_now(folder)
    if pid is None:
        return Activity(doing="stopped", why=_ending(record), pid=None, now=_at_rest(now))
    if now is None or now.pid != pid:
        doing, why = _by_record(record)
        return Activity(doing=doing, why=why, pid=pid, now=_at_rest(now))
    doing, why = now.doing
    return Activity(doing=doing, why=why, pid=pid, now=now)


def _holder(folder: Path) -> int | None:
    """Who runs it; None too where this user may not open the lock."""
    with suppress(OSError):
        return holder(folder)
    return None


def _ending(record: Recorded) -> str:
    if record.bound is None:
        return ""
    return record.bound.text if record.bound.kind == "end" else _KILLED


def _by_record(record: Recorded) -> tuple[Doing, str]:
    turn = record.turn
    if turn is not None and turn.kind == "paused":
        return "paused", turn.text
    return ("stopping", turn.text) if turn is not None and turn.kind == "stopping" else ("running", "")


def _at_rest(now: Now | None) -> Now | None:
    """What a process that is gone wrote last, without what was in flight."""
    if now is None:
        return None
    return now.model_copy(update={"running": (), "boxes": 0, "paused": None, "stopping": None})


def odds(log: float) -> str:
    """An e-value, from its natural logarithm."""
    return f"{math.exp(min(log, _LARGEST_LOG)):.3g}"


# ------------------------------------------------------------------------------------ the running campaign


def snapshot(campaign: Campaign) -> Now:
    """What a campaign does at this moment."""
    steps = sorted(campaign.running.values(), key=lambda step: step.label)
    return Now(
        pid=os.getpid(),
        running=tuple(step.label for step in steps),
        boxes=sum(step.boxes for step in steps),
        parallel=campaign.load.parallel + campaign.config.boxes.proposals,
        paused=campaign.trouble,
        stopping=campaign.stopping,
        test=_test(campaign),
        budget=_budget(campaign),
    )


def _test(campaign: Campaign) -> OpenTest | None:
    match = campaign.match
    if match is None:
        return None
    proven = match.test if isinstance(match.test, PairedTest | CostTest) else None
    return OpenTest(
        id=match.row.id,
        candidate=match.candidate.id,
        champion=match.champion.id,
        pairs=match.pairs,
        log_e=None if proven is None else proven.log_e,
        log_threshold=None if proven is None else proven.log_threshold,
        verdict=None if match.decision is None else match.decision.verdict.value,
        stage=campaign.gate.stage,
    )


def _budget(campaign: Campaign) -> tuple[Used, ...]:
    """Minutes are rounded to six seconds, so that the file seldom changes for time alone."""
    limits, spent, accepted = campaign.config.budget, campaign.parts.budget.spent, len(campaign.state.champions) - 1
    rows = (
        ("minutes", round(spent.seconds / 60, 1), None if limits.hours is None else limits.hours * 60),
        ("dollars", spent.dollars, limits.dollars),
        ("tokens", spent.tokens, limits.tokens),
        ("trials", campaign.state.trials, limits.trials),
        ("accepted patches", accepted, limits.commits),
    )
    return tuple(Used(name=name, used=used, limit=limit) for name, used, limit in rows if limit is not None)


async def publish(campaign: Campaign, folder: Path) -> None:
    """Keep `now.json` up to date until cancelled; the last version is what the campaign left."""
    written: Now | None = None
    try:
        while True:
            written = _publish(campaign, folder, written)
            await asyncio.sleep(TELL_SECONDS)
    finally:
        _publish(campaign, folder, written)


def _publish(campaign: Campaign, folder: Path, written: Now | None) -> Now:
    """Write the file if anything changed. A full disk is ignored here: the ledger pauses the campaign for it."""
    now = snapshot(campaign)
    if now != written:
        with suppress(OSError):
            draft = folder / f".{FILE}"
            draft.write_text(now.model_dump_json(), encoding="utf-8")
            draft.replace(folder / FILE)
    return now


def read_now(folder: Path) -> Now | None:
    """What the campaign in `folder` wrote last; None without a readable file."""
    try:
        with (folder / FILE).open("rb") as file:
            return Now.model_validate_json(file.read(_MAX_BYTES))
    except (OSError, ValidationError):
        return None
