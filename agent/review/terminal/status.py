"""What `ratchet status` prints: the state of a campaign, read while it runs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
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
from agent.review.terminal.folding import folded

SHOWN_EVENTS = 5
_INDENT = 14


def print_status(config: Config, ledger: Ledger, console: Console, *, as_json: bool) -> None:
    """Print the state of a campaign, for people or as one JSON object."""
    facts = status(config, ledger)
    if as_json:
        print(json.dumps(facts, indent=1, sort_keys=True))  # noqa: T201 (for programs: no wrapping, no colour)
        return
    for name, value in _lines(facts):
        for line in folded(f"{name:<{_INDENT}}{value}", console.width, _INDENT):
            console.print(Text(line), soft_wrap=True)
    console.print(Text("\nlast events", style="bold"))
    for event in facts["events"]:
        for line in folded(f"  {event}", console.width, 4):
            console.print(Text(line), soft_wrap=True)


def _lines(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What people want to know first, in groups; what there is none of is left out."""
    process = f" (process {facts['pid']})" if facts["pid"] else ""
    yield facts["campaign"], f"{facts['state']}{process}"
    for name in ("at", "in_flight", "waiting"):
        if facts[name]:
            yield name.replace("_", " "), _shown(facts[name])
    if facts["state"] == "stopped" and facts["why"]:
        yield "why", _shown(facts["why"])
    yield "champion", f"#{facts['champion']}" if facts["champion"] else "the seed; nothing was accepted yet"
    if facts["champion"]:
        yield "its score", _shown(facts["champion_score"])
    yield "seed's score", _shown(facts["baseline"])
    if facts["search_tasks"]["warning"]:
        yield "search", facts["search_tasks"]["warning"]
    yield "patches", f"{facts['proposals']} proposed, {facts['accepted']} accepted, {facts['rejected']} rejected"
    yield "trials", f"{facts['trials']:,} in {_duration(facts['seconds'])} of running"
    shared = f", and {facts['shared_calls']:,} shared answers" if facts["shared_calls"] else ""
    yield "model calls", f"{facts['calls']:,}{shared}; {facts['tokens']:,} tokens"
    saved = f"; prompt caches saved ${facts['saved_by_caches']:.4f}" if facts["saved_by_caches"] else ""
    yield "cost", f"${facts['dollars']:.4f}{saved}"


def _duration(seconds: float) -> str:
    minutes = seconds / 60
    return f"{minutes:.1f} min" if minutes < 60 else f"{minutes / 60:.1f} h"  # noqa: PLR2004 (an hour)


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
        "search_tasks": {**asdict(summary.room), "warning": summary.room.warning},
        "last_end": end.text if end else None,
        "events": [f"{kind}: {clean_line(text)}" for _, _, kind, text in ledger.events(last=SHOWN_EVENTS)],
    }


def _doing(now: Activity) -> dict[str, Any]:
    """What it is doing; `at` is the test at the gate or the holdout after it."""
    explained = now.doing in {"paused", "stopping"}
    at = now.now.test if now.now and now.pid is not None else None
    return {
        "state": f"{now.doing}: {now.why}" if explained else now.doing,
        "why": now.why,
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
