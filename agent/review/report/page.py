"""One self-contained HTML page about a campaign: no network, a strict content security policy, readable without script.

Covered: every text of a model goes through `agent.base.text` and is escaped by Jinja; scripts and styles run by
hash (a file) or nonce (a server) alone; nothing is loaded from anywhere. Not covered: what words can do to a reader.
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import DiffLexer

from agent.base.errors import UserError
from agent.base.text import visible, visible_lines
from agent.base.types import Fate
from agent.review.report import charts
from agent.review.report.facts import Patch, ReportFacts
from agent.review.report.reasons import ACCEPTED

SHOWN_PATHS: Final = 24
"""Tests whose evidence is drawn, the latest and the accepted ones; all of them are in the table."""

TEXT_ROOM: Final = 3.0
"""How much longer than its source a text may become by spelling out what is invisible in it."""


def render(facts: ReportFacts, *, live: bool = False, nonce: str | None = None) -> str:
    """The page. `live` adds `data-live` to its root for the dashboard's script; `nonce` replaces the hashes.

    Sections keep their element ids: summary, scores, lineage, heat, evidence, patches, rejected, events.
    """
    page = _environment()
    script, style = (_asset(name) for name in ("report.js", "report.css"))
    return page.get_template("report.html").render(
        facts=facts,
        live=live,
        nonce=nonce,
        policy=_policy(script, style, nonce, live=live),
        script=Markup(script),  # noqa: S704 (our own file)
        style=Markup(style),  # noqa: S704 (our own file)
        accepted=[patch for patch in facts.patches if patch.group == ACCEPTED][::-1],
        kept=sum(patch.group == ACCEPTED and patch.reverts is None for patch in facts.patches),
        made=sum(patch.reverts is None for patch in facts.patches),
        groups=_groups(facts.patches),
        splits=[*dict.fromkeys(row.split for row in facts.heat.rows)],
        drawn=_drawn_meetings(facts),
        charts=charts,
    )


def save(page: str, target: Path) -> int:
    """Write the page whole or not at all; returns its size in bytes.

    Raises:
        UserError: the file cannot be written.
    """
    half = target.with_name(f".{target.name}.part")
    try:
        half.write_text(page, encoding="utf-8")
        half.replace(target)
    except OSError as error:
        problem = f"cannot be written ({error.strerror})"
        raise UserError(str(target), problem, "Name a file in a folder that you may write.") from error
    return len(page.encode())


def _policy(script: str, style: str, nonce: str | None, *, live: bool) -> str:
    """Nothing but our own script and style; a live page may speak with the server that it came from."""
    sources = [f"'nonce-{nonce}'"] * 2 if nonce else [_hash_of(script), _hash_of(style)]
    home = "'self'" if live else "'none'"
    return (
        f"default-src 'none'; script-src {sources[0]}; style-src {sources[1]}; img-src data:; "
        f"connect-src {home}; form-action {home}; base-uri 'none'"
    )


def _hash_of(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def _environment() -> Environment:
    page = Environment(
        loader=PackageLoader("agent.review.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Callable[..., Any]] = {
        "line": visible, "lines": _lines, "diff": _diff, "clock": _clock, "percent": _percent, "heat": _heat_class,
        "e": _e_value, "span": _span, "files": _files,
    }  # fmt: skip
    page.filters |= filters
    return page


@cache
def _asset(name: str) -> str:
    return resources.files("agent.review.report").joinpath("templates", name).read_text(encoding="utf-8")


def _groups(patches: Sequence[Patch]) -> list[tuple[str, list[Patch]]]:
    """What was not accepted, by reason: what met the gate first, then what waits, then what was refused."""
    order = [Fate.WAITING, Fate.REJECTED, Fate.OPEN, Fate.REFUSED]
    found: dict[tuple[int, str], list[Patch]] = {}
    for patch in patches:
        if patch.candidate.fate is not Fate.CHAMPION:
            found.setdefault((order.index(patch.candidate.fate), patch.group), []).append(patch)
    ranked = sorted(found.items(), key=lambda item: (item[0][0], -len(item[1])))
    return [(group, patches) for (_, group), patches in ranked]


def _drawn_meetings(facts: ReportFacts) -> set[int]:
    """The tests whose path is drawn."""
    ranked = sorted(facts.meetings, key=lambda m: (m.verdict != Fate.CHAMPION, -m.test))
    return {meeting.test for meeting in ranked[:SHOWN_PATHS] if meeting.path}


# ------------------------------------------------------------------------------------ filters


def _lines(text: str) -> str:
    """A stranger's text with every unsafe character spelled out."""
    return _bounded(visible_lines(text), len(text))


def _bounded(lines: Iterable[str], length: int) -> str:
    """The text, but never much longer than its source: one byte of noise becomes ten characters."""
    shown, limit = "\n".join(lines), int(TEXT_ROOM * max(length, 200))
    return shown if len(shown) <= limit else f"{shown[:limit]}… (+{len(shown) - limit} characters)"


def _diff(text: str) -> Markup:
    """A patch in colour."""
    # nowrap: only spans with classes come out, and what is between them is escaped.
    return Markup(highlight(_lines(text), *_colours()))  # noqa: S704


@cache
def _colours() -> tuple[DiffLexer, HtmlFormatter[str]]:
    return DiffLexer(stripnl=False), HtmlFormatter(nowrap=True)


def _files(patch: Patch) -> list[str]:
    """The paths that a patch touches."""
    lines = (line for step in patch.steps for line in step.diff.splitlines() if line.startswith("+++ b/"))
    return [*dict.fromkeys(line.removeprefix("+++ b/") for line in lines)]


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _span(seconds: float) -> str:
    """A duration."""
    minutes = seconds / 60
    return f"{minutes:.1f} min" if minutes < 120 else f"{minutes / 60:.1f} h"  # noqa: PLR2004 (two hours)


def _percent(score: float) -> str:
    return f"{score:.3f}"


def _heat_class(mean: float) -> str:
    """One of eleven colours."""
    return f"h{round(10 * mean)}"


def _e_value(log: float) -> str:
    """An e-value out of its logarithm."""
    return f"{math.exp(min(log, 700.0)):.3g}"
