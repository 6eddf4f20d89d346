"""The report's charts: Vega-Lite specifications, drawn as SVG by vl-convert without a browser or a network.

Colours are CSS variables of the page, so one drawing serves light, dark and print. Every figure in a chart is also in a
table beside it, for keyboards and screen readers; the charts are hidden from both.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import vl_convert
from markupsafe import Markup

from agent.base.text import visible
from agent.base.types import Fate
from agent.review.report.evidence import Meeting
from agent.review.report.facts import Patch, ReportFacts, Spot
from agent.review.summary import Estimate

Spec = dict[str, Any]

WIDE, NARROW = 860, 320
"""Pixels of a chart's plot on a screen, and on a phone."""

FATES: Final = [fate.value for fate in Fate]
_FATE_SHAPES: Final = ["circle", "triangle-up", "triangle-down", "square", "diamond"]
_FATE_COLOURS: Final = [f"var(--{fate.name.lower()})" for fate in Fate]
_LINE: Final = "var(--series)"
_CONFIG: Final[Spec] = {
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": "var(--muted)", "titleColor": "var(--muted)", "gridColor": "var(--line)",
        "tickColor": "var(--line)", "domainColor": "var(--line)", "labelFontSize": 12,
        "titleFontSize": 12, "titleFontWeight": "normal", "labelOverlap": True,
    },
}  # fmt: skip

MOST_INTERVALS, MOST_WORDS = 100, 60
"""Marks of a panel up to which each gets its interval; characters of a subject in the tree."""

LEAST: Final = -16.0
"""The logarithm below which an e-value is drawn no lower."""

LONG: Final = 2 * 3600.0
"""Seconds from which the axis is in hours."""

_POWER: Final = "datum.value < 0 ? '1/' + pow(10, -datum.value) : '' + pow(10, datum.value)"
MOST_NAMED: Final = 250
"""Candidates up to which the tree spells out subjects; it takes Vega 4 ms to measure one."""

_ROW, _COLUMN, _WIDER = 22, 26, 2
"""Pixels of the tree: a row, a step to the right, and how much wider than in Vega a letter may be."""


def scores(facts: ReportFacts, width: int) -> Markup:
    """Search, gate and holdout scores over the campaign's trials, one above the other, with 95 % intervals."""
    fates = {patch.candidate.id: patch.candidate.fate.value for patch in facts.patches} | {0: Fate.CHAMPION.value}
    reach = max([1, facts.summary.trials])
    search = [_spot(spot, fates) for spot in facts.search]
    crowned = set(facts.champions)
    panels = [
        ("held-out tasks", [_spot(s, fates) for s in facts.holdout if s.candidate in crowned], True),
        ("gate tasks", [*_gate_spots(facts, fates)], False),
        ("search tasks", search, False),
    ]
    shown = [_score_panel(title, rows, reach, width, joined=joined) for title, rows, joined in panels if rows]
    if not shown:
        return Markup("")
    for panel in shown[:-1]:
        panel["encoding"]["x"]["axis"]["labels"] = False
    shown[-1]["encoding"]["x"]["axis"]["title"] = "trials finished"
    return draw({"vconcat": shown, "spacing": 14})


def _score_panel(title: str, rows: Sequence[Spec], reach: int, width: int, *, joined: bool) -> Spec:
    x = {
        "field": "x", "type": "quantitative", "scale": {"domain": [0, reach], "nice": False},
        "axis": {"title": None, "grid": False, "tickCount": 5},
    }  # fmt: skip
    y = {"field": "mean", "type": "quantitative", "scale": {"domain": [0, 1]}, "axis": {"title": None, "tickCount": 3}}
    few = len(rows) <= MOST_INTERVALS
    colour = {"field": "colour", "type": "nominal", "scale": None}
    interval = {"mark": {"type": "rule", "strokeWidth": 1.5, "opacity": 0.55, "aria": False}, "encoding": {
        "y": {"field": "low", "type": "quantitative"}, "y2": {"field": "high"}, "color": colour,
    }}  # fmt: skip
    # Many overlapping intervals are unreadable: then only those of accepted candidates are drawn.
    transform = [] if few else [{"filter": f"datum.fate === '{Fate.CHAMPION.value}'"}]
    # A champion's score holds until the next champion.
    steps = [*rows, {**rows[-1], "x": reach}]
    line = {
        "data": {"values": steps},
        "mark": {
            "type": "line",
            "interpolate": "step-after",
            "strokeWidth": 2,
            "color": "var(--accepted)",
            "aria": False,
        },
    }
    points = {
        "mark": {"type": "point", "filled": True, "opacity": 1},
        "encoding": {
            "color": colour, "href": {"field": "href"}, "description": {"field": "said"},
            "size": {"value": 90 if few else 30}, "shape": _shape(), "opacity": {"value": 1 if few else 0.7},
        },
    }  # fmt: skip
    return {
        "title": _title(title),
        "width": width, "height": 120, "data": {"values": list(rows)}, "encoding": {"x": x, "y": y},
        "layer": [{**interval, "transform": transform}, *([line] if joined else []), points],
    }  # fmt: skip


def _shape() -> Spec:
    return {"field": "fate", "type": "nominal", "legend": None, "scale": {"domain": FATES, "range": _FATE_SHAPES}}


def _spot(spot: Spot, fates: Mapping[int, str]) -> Spec:
    fate = fates.get(spot.candidate, Fate.OPEN.value)
    return _mark(spot.candidate, spot.trials, spot.score, fate, _colour(fate))


def _gate_spots(facts: ReportFacts, fates: Mapping[int, str]) -> Iterable[Spec]:
    for meeting in facts.meetings:
        sides = ((meeting.champion, meeting.champion_score), (meeting.candidate, meeting.candidate_score))
        for challenger, (candidate, score) in enumerate(sides):
            if score is not None:
                fate = fates.get(candidate, Fate.OPEN.value)
                colour = _colour(fate) if challenger else "var(--muted)"
                yield _mark(candidate, meeting.trials, score, fate, colour)


def _mark(candidate: int, x: int, score: Estimate, fate: str, colour: str) -> Spec:
    said = f"#{candidate}: {score.mean:.3f} [{score.low:.3f}, {score.high:.3f}], {score.n} trials"
    return {
        "x": x, "mean": score.mean, "low": score.low, "high": score.high, "fate": fate, "colour": colour,
        "said": said, "href": anchor(candidate),
    }  # fmt: skip


def _colour(fate: str) -> str:
    return _FATE_COLOURS[FATES.index(fate)]


def anchor(candidate: int) -> str:
    """The link to a candidate; the seed has no patch."""
    return f"#c{candidate}" if candidate else "#summary"


# ------------------------------------------------------------------------------------ evidence


def evidence(meeting: Meeting, width: int = 230) -> Markup:
    """The e-value after each pair, on a logarithmic scale, with the threshold that it must reach."""
    bar = None if meeting.log_threshold is None else meeting.log_threshold / math.log(10)
    path = enumerate((0.0, *meeting.path))
    rows: list[Spec] = [{"pair": pair, "e": max(log, LEAST) / math.log(10)} for pair, log in path]
    heights = [row["e"] for row in rows]
    low, high = min([-1.0, *heights]), max([1.0, bar or 0.0, *heights])
    x = _axis("pair", title="pairs", grid=False, tickMinStep=1, tickCount=5)
    y = _axis("e", title="e-value", values=_powers(low, high), labelExpr=_POWER)
    y["scale"] = {"domain": [low, high + 0.2], "nice": False}
    colour = "var(--accepted)" if meeting.verdict == Fate.CHAMPION else _LINE
    line = {"type": "line", "interpolate": "step-after", "strokeWidth": 2, "color": colour, "aria": False}
    dot = {"type": "point", "filled": True, "size": 60, "color": colour, "opacity": 1, "aria": False}
    dash = {"type": "rule", "strokeDash": [5, 4], "color": "var(--text)", "strokeWidth": 1.2, "aria": False}
    layers: list[Spec] = [
        {"mark": line, "encoding": {"x": x, "y": y}},
        {"mark": dot, "encoding": {"x": x, "y": y}, "data": {"values": rows[-1:]}},
    ]
    if bar is not None:
        layers.append({"mark": dash, "encoding": {"y": y}, "data": {"values": [{"e": bar}]}})
    return draw({"width": width, "height": 130, "data": {"values": _thinned(rows)}, "layer": layers})


def _powers(low: float, high: float) -> list[int]:
    """Some powers of ten to label."""
    step = 1 + int(high - low) // 6
    return [power for power in range(math.floor(low), math.ceil(high) + 1) if power % step == 0]


def _thinned(rows: Sequence[Spec], most: int = 400) -> list[Spec]:
    """Every k-th point of a long path, and the last one."""
    step = max(1, -(-len(rows) // most))
    return [*rows[:-1:step], rows[-1]]


# ------------------------------------------------------------------------------------ cost


def cost(facts: ReportFacts, width: int) -> Markup:
    """Trials and tokens, and dollars where calls had a price, over time."""
    if not facts.spending:
        return Markup("")
    series: dict[str, Sequence[float]]
    series = {"trials": [p.trials for p in facts.spending], "tokens": [p.tokens for p in facts.spending]}
    if facts.summary.dollars > 0:
        series["dollars"] = [p.dollars for p in facts.spending]
    unit, name = (3600.0, "hours") if facts.spending[-1].seconds > LONG else (60.0, "minutes")
    times = [p.seconds / unit for p in facts.spending]
    mark = {
        "type": "area",
        "aria": False,
        "color": _LINE,
        "fillOpacity": 0.18,
        "line": {"color": _LINE, "aria": False},
        "interpolate": "step-after",
    }
    panels = []
    for title, values in series.items():
        x = _axis("x", title=name if title == [*series][-1] else None, grid=False, tickCount=5)
        y = _axis("y", title=None, tickCount=3, format="~s")
        rows = [{"x": at, "y": value} for at, value in zip(times, values, strict=True)]
        panel = {"width": width, "height": 90, "data": {"values": rows}, "mark": mark, "encoding": {"x": x, "y": y}}
        panels.append({"title": _title(title), **panel})
    return draw({"vconcat": panels, "spacing": 14})


# ------------------------------------------------------------------------------------ lineage


def lineage(facts: ReportFacts) -> Markup:
    """The archive as an indented tree, a row a candidate; marks differ by shape as well as by colour."""
    crowned, rows = set(facts.champions), _rows(facts)
    nodes: list[Spec] = []
    links: list[Spec] = []
    few = len(rows) <= MOST_NAMED
    for one, row, depth in rows:
        score = f", search {one.search.mean:.2f}" if one is not None and one.search else ""
        candidate = one.candidate if one is not None else None
        number, fate = (candidate.id, candidate.fate.value) if candidate else (0, Fate.CHAMPION.value)
        subject = visible(candidate.subject, MOST_WORDS) if candidate else "seed"
        short = f"#{number} {subject}" if few else f"#{number}"
        nodes.append({
            "x": depth, "y": row, "fate": fate, "colour": _colour(fate), "size": 140 if number in crowned else 80,
            "text": short if candidate else subject, "href": anchor(number),
            "said": f"#{number} {fate}{score}: {subject}" if candidate else subject,
            "weight": "bold" if number in crowned else "normal",
        })  # fmt: skip
    where = {node["href"]: node for node in nodes}
    for one, row, depth in rows:
        if one is not None:
            above = where[anchor(one.candidate.parent or 0)]
            # One path for all links: down, right, and a gap before the next.
            corners = [(above["x"], above["y"]), (above["x"], row), (depth, row), (depth, None)]
            links += [{"x": at, "y": level, "n": len(links) + n} for n, (at, level) in enumerate(corners)]
    return draw(_tree(nodes, links))


def _rows(facts: ReportFacts) -> list[tuple[Patch | None, int, int]]:
    """(patch, row, depth) of every candidate, parents above their children; None is the seed."""
    children: dict[int, list[Patch]] = {}
    for patch in facts.patches:
        children.setdefault(patch.candidate.parent or 0, []).append(patch)
    rows: list[tuple[Patch | None, int, int]] = []
    waiting: list[tuple[Patch | None, int]] = [(None, 0)]
    while waiting:
        one, depth = waiting.pop()
        rows.append((one, len(rows), depth))
        below = children.get(one.candidate.id if one else 0, [])
        waiting += [(child, depth + 1) for child in reversed(below)]
    return rows


def _tree(nodes: Sequence[Spec], links: Sequence[Spec]) -> Spec:
    depth = max(node["x"] for node in nodes)
    x = {"field": "x", "type": "quantitative", "axis": None, "scale": {"domain": [0, depth + 1], "nice": False}}
    y = {"field": "y", "type": "quantitative", "axis": None, "scale": {"domain": [len(nodes), 0], "nice": False}}
    path = {
        "data": {"values": list(links)}, "encoding": {"x": x, "y": y, "order": {"field": "n", "type": "quantitative"}},
        "mark": {"type": "line", "color": "var(--line-strong)", "strokeWidth": 1.2, "aria": False},
    }  # fmt: skip
    where = {"x": x, "y": y, "href": {"field": "href"}}
    marks = {
        "mark": {"type": "point", "filled": True, "opacity": 1, "stroke": "var(--panel)"},
        "encoding": {
            **where, "shape": _shape(), "size": {"field": "size", "type": "quantitative", "scale": None},
            "color": {"field": "colour", "type": "nominal", "scale": None}, "description": {"field": "said"},
        },
    }  # fmt: skip
    words = {
        "mark": {"type": "text", "align": "left", "dx": 11, "color": "var(--text)", "fontSize": 13, "limit": 0,
                 "aria": False, "fontWeight": {"expr": "datum.weight"}},
        "encoding": {**where, "text": {"field": "text"}},
    }  # fmt: skip
    layers = [path, marks, words] if links else [marks, words]
    # The browser's font may be wider than the one that Vega measures by.
    spare = _WIDER * max(len(node["text"]) for node in nodes)
    return {
        "width": (depth + 1) * _COLUMN, "height": len(nodes) * _ROW, "data": {"values": list(nodes)}, "layer": layers,
        "padding": {"left": 10, "top": 10, "right": 10 + spare, "bottom": 0},
    }  # fmt: skip


# ------------------------------------------------------------------------------------ drawing


def _axis(field: str, **axis: object) -> Spec:
    return {"field": field, "type": "quantitative", "axis": axis}


def _title(text: str) -> Spec:
    return {"text": text, "anchor": "start", "color": "var(--text)", "fontSize": 13, "fontWeight": 600}


def draw(spec: Spec) -> Markup:
    """A Vega-Lite chart as SVG; Vega escapes the texts in it."""
    whole = {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "background": None,
        "config": _CONFIG,
        **spec,
    }
    return Markup(_drawn(json.dumps(whole)))  # noqa: S704 (tested with hostile words)


@lru_cache(maxsize=64)
def _drawn(spec: str) -> str:
    """Drawing takes some 50 ms, and a dashboard draws the same charts repeatedly."""
    svg = vl_convert.vegalite_to_svg(spec)
    # Hidden from screen readers, and so not a stop of the Tab key either.
    svg = svg.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)
    # A chart links only to places on this page.
    return re.sub(r'<a [^<>]*?"[^"<>#]*(#[^"<>]*)"[^<>]*>', r'<a tabindex="-1" xlink:href="\1">', svg)
