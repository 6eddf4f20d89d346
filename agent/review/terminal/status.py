"""What `ratchet status` prints: how a campaign activity_now, read while it runs."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.text import Text

from agent.base.text import clean_line
from agent.base.types import Fate
from agent.config.campaign import Config
from agent.kernel.loop.approval import Approvals
from agent.kernel.record.ledger import Ledger
from agent.live.status import Activity, activity, recorded
from agent.review.summary import Summary, summarise

SHOWN_EVENTS = 5


def print_status(config: Config, ledger: Ledger, console: Console, *, as_json: bool) -> None:
    """Print the state of a campaign, for people or as one JSON object."""
    facts = status(config, ledger)
    if as_json:
        print(json.dumps(facts, indent=1, sort_keys=True))  # noqa: T201 (for programs: no wrapping, no colour)
        return
    for name, value in facts.items():
        if name != "events":
            console.print(Text(f"{name.replace('_', ' '):<18}{_shown(value)}"))
    for event in facts["events"]:
        console.print(Text(f"  {event}"))


def status(config: Config, ledger: Ledger) -> dict[str, Any]:
    """The state of a campaign as plain data. `seconds` is run time without interruptions."""
    summary, doing = summarise(ledger), activity(config.folder, recorded(ledger))
    end = ledger.latest("end")
    waiting = [one.candidate for one in Approvals(ledger).waiting(summary.champion_id)]
    return {
        "campaign": config.name,
        **_doing(doing),
        "champion": summary.champion_id,
        "waiting": waiting,
        **_counts(summary),
        "baseline": asdict(summary.baseline) if summary.baseline else None,
        "champion_score": asdict(summary.champion) if summary.champion else None,
        "last_end": end.text if end else None,
        "events": [f"{kind}: {clean_line(text)}" for _, _, kind, text in ledger.events(last=SHOWN_EVENTS)],
    }


def _doing(now: Activity) -> dict[str, Any]:
    """What it is doing; `at` is the test at the gate or the holdout after it."""
    explained = now.doing in {"paused", "stopping"}
    at = now.now.test if now.now and now.pid is not None else None
    return {
        "state": f"{now.doing}: {now.why}" if explained else now.doing,
        "pid": now.pid,
        "at": at.sentence if at else None,
        "in_flight": now.now.in_flight if now.now else [],
    }


def _counts(summary: Summary) -> dict[str, Any]:
    fates = [c.fate for c in summary.candidates[1:]]
    return {
        "proposals": len(fates),
        "accepted": fates.count(Fate.CHAMPION),
        "rejected": fates.count(Fate.REJECTED) + fates.count(Fate.REFUSED),
        "trials": summary.trials,
        "calls": summary.fresh_calls,
        "shared_calls": summary.shared_calls,
        "tokens": summary.tokens,
        "dollars": round(summary.dollars, 6),
        "saved_by_caches": round(summary.saved, 6),
        "seconds": round(summary.seconds, 1),
    }


def _shown(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(f"#{one}" if isinstance(one, int) else clean_line(str(one)) for one in value) or "-"
    if isinstance(value, dict):
        return f"{value['mean']:.3f} [{value['low']:.3f}, {value['high']:.3f}] ({value['n']} trials)"
    return "-" if value is None else clean_line(str(value))
