"""The report of a campaign: its sections as HTML, and one self-contained page that holds them all.

Covered: every text of a model goes through `agent.base.text` and is escaped by Jinja; the page's script and style run
by hash alone; nothing is loaded from elsewhere. Not covered: what words can do to a reader.
"""

from __future__ import annotations

import base64
import hashlib
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
from agent.live.status import odds
from agent.review.report import charts
from agent.review.report.facts import Patch, ReportFacts
from agent.review.report.reasons import ACCEPTED

SECTIONS: Final = (
    ("summary", "Summary"),
    ("scores", "Scores"),
    ("lineage", "Lineage"),
    ("heat", "Tasks"),
    ("evidence", "Evidence"),
    ("patches", "Accepted"),
    ("rejected", "Not accepted"),
    ("improvers", "Improvers"),
    ("load", "Load"),
    ("cost", "Cost"),
    ("events", "Events"),
)
"""Element id and title of each section, in order; each is a template in `templates/sections/`."""

SHOWN_PATHS: Final = 24
"""Tests whose evidence is drawn, accepted and latest ones first; the table has all of them."""

TEXT_ROOM: Final = 3.0
"""How much longer than its source a text may become when invisible characters are spelled out."""


def render_sections(facts: ReportFacts, *, live: bool = False) -> dict[str, Markup]:
    """Each section by its element id. `live` opens the events for a page that updates itself."""
    shown = {
        "facts": facts,
        "live": live,
        "accepted": [patch for patch in facts.patches if patch.group == ACCEPTED][::-1],
        "kept": sum(patch.group == ACCEPTED and patch.reverts is None for patch in facts.patches),
        "made": sum(patch.reverts is None for patch in facts.patches),
        "groups": _groups(facts.patches),
        "splits": [*dict.fromkeys(row.split for row in facts.heat.rows)],
        "drawn": _drawn_meetings(facts),
        "charts": charts,
    }
    environment = _environment()
    return {
        name: Markup(environment.get_template(f"sections/{name}.html").render(shown))  # noqa: S704 (our own templates)
        for name, _ in SECTIONS
    }


def render(facts: ReportFacts) -> str:
    """The whole page."""
    script, style = (_asset(name) for name in ("report.js", "report.css"))
    return (
        _environment()
        .get_template("report.html")
        .render(
            name=facts.name,
            sections=SECTIONS,
            rendered=render_sections(facts),
            policy=_policy(script, style),
            script=Markup(script),  # noqa: S704 (our own file)
            style=Markup(style),  # noqa: S704 (our own file)
        )
    )


def save(page: str, target: Path) -> int:
    """Write the page atomically; returns its size in bytes.

    Raises:
        UserError: the file cannot be written.
    """
    half = target.with_name(f".{target.name}.part")
    try:
        half.write_text(page, encoding="utf-8")
        half.replace(target)
    except OSError as error:
        problem = f"cannot be written ({error.strerror})"
        raise UserError(str(target), problem, "Name a file in a folder that you may write to.") from error
    return len(page.encode())


def _policy(script: str, style: str) -> str:
    """Nothing but our own script and style."""
    return (
        f"default-src 'none'; script-src {_hash_of(script)}; style-src {_hash_of(style)}; img-src data:; "
        "connect-src 'none'; form-action 'none'; base-uri 'none'"
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
        "e": odds, "span": _span, "files": _files,
    }  # fmt: skip
    page.filters |= filters
    return page


@cache
def _asset(name: str) -> str:
    return resources.files("agent.review.report").joinpath("templates", name).read_text(encoding="utf-8")


def _groups(patches: Sequence[Patch]) -> list[tuple[str, list[Patch]]]:
    """Patches that were not accepted, by reason: waiting ones first, then rejected, open and refused ones."""
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
    """The text, at most `TEXT_ROOM` times as long as its source: one invisible byte becomes ten characters."""
    shown, limit = "\n".join(lines), int(TEXT_ROOM * max(length, 200))
    return shown if len(shown) <= limit else f"{shown[:limit]}… (+{len(shown) - limit} characters)"


def _diff(text: str) -> Markup:
    """A patch in colour."""
    # nowrap: the output has only spans with classes, and the text between them is escaped.
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
