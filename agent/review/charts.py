"""The report's charts: Vega-Lite specifications, drawn as SVG by vl-convert without a browser or a network.

Colours are CSS variables of the page, so one drawing serves light, dark and print. Charts are decoration for the
eye: every figure in them stands in a table beside them, which is what a keyboard and a screen reader get.
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

from agent.kernel.types import Fate
from agent.review.evidence import Meeting
from agent.review.facts import ReportFacts, Spot
from agent.review.safe import visible
from agent.review.summary import Estimate

Spec = dict[str, Any]

WIDE, NARROW = 860, 320
"""Pixels of a chart's plot on a screen, and on a phone."""

FATES: Final = [fate.value for fate in Fate]
_FATE_SHAPES: Final = ["circle", "triangle-down", "square", "diamond"]
_FATE_COLOURS: Final = [f"var(--{fate.name.lower()})" for fate in Fate]
_LINE: Final = "var(--series)"
_CONFIG: Final[Spec] = {
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": "var(--muted)", "titleColor": "var(--muted)", "gridColor": "var(--line)", "tickColor": "var(--line)",
        "domainColor": "var(--line)", "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal",
        "labelOverlap": True,
    },
    "header": {"labelColor": "var(--text)", "titleColor": "var(--text)"},
}  # fmt: skip

MOST_LABELS: Final = 60
"""Candidates up to which the tree names the patches."""

_ROW, _COLUMN = 24, 46


def scores(facts: ReportFacts, width: int) -> Markup:
    """Search, gate and holdout scores over the campaign's trials, one above the other, with 95 % intervals."""
    fates = {patch.candidate.id: patch.candidate.fate.value for patch in facts.patches} | {0: Fate.CHAMPION.value}
    reach = max([1, facts.summary.trials])
    search = [_spot(spot, fates) for spot in facts.search]
    crowned = set(facts.champions)
    panels = [
        ("holdout tasks", [_spot(s, fates) for s in facts.holdout if s.candidate in crowned], True),
        ("gate tasks: challenger (coloured) and champion (grey)", [*_gate_spots(facts, fates)], False),
        ("search tasks: every candidate", search, False),
    ]
    shown = [_score_panel(title, rows, reach, width, joined=joined) for title, rows, joined in panels if rows]
    if not shown:
        return Markup("")
    shown[-1]["encoding"]["x"]["axis"]["title"] = "trials finished"
    return draw({"vconcat": shown, "spacing": 14})


def _score_panel(title: str, rows: Sequence[Spec], reach: int, width: int, *, joined: bool) -> Spec:
    x = {
        "field": "x", "type": "quantitative", "scale": {"domain": [0, reach], "nice": False},
        "axis": {"title": None, "grid": False, "tickCount": 5},
    }  # fmt: skip
    y = {"field": "mean", "type": "quantitative", "scale": {"domain": [0, 1]}, "axis": {"title": None, "tickCount": 3}}
    few = len(rows) <= MOST_LABELS
    colour = {"field": "colour", "type": "nominal", "scale": None}
    interval = {"mark": {"type": "rule", "strokeWidth": 1.5, "opacity": 0.55}, "encoding": {
        "y": {"field": "low", "type": "quantitative"}, "y2": {"field": "high"}, "color": colour,
    }}  # fmt: skip
    # Many intervals on top of each other say nothing: then only those of accepted candidates are drawn.
    interval["transform"] = [] if few else [{"filter": f"datum.fate === '{Fate.CHAMPION.value}'"}]
    line = {"mark": {"type": "line", "interpolate": "step-after", "strokeWidth": 2, "color": "var(--accepted)"}}
    points = {
        "mark": {"type": "point", "filled": True, "opacity": 1},
        "encoding": {
            "color": colour, "href": {"field": "href"}, "description": {"field": "said"},
            "size": {"value": 90 if few else 30}, "shape": _shape(), "opacity": {"value": 1 if few else 0.7},
        },
    }  # fmt: skip
    return {
        "title": {"text": title, "anchor": "start", "color": "var(--text)", "fontSize": 13, "fontWeight": 600},
        "width": width, "height": 120, "data": {"values": list(rows)}, "encoding": {"x": x, "y": y},
        "layer": [interval, *([line] if joined else []), points],
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
    """Where the page tells of a candidate; the seed has no patch."""
    return f"#c{candidate}" if candidate else "#summary"


# ------------------------------------------------------------------------------------ evidence


def evidence(meeting: Meeting, width: int = 300) -> Markup:
    """The e-value after each pair, on a logarithmic scale, with the threshold that it must reach."""
    rows = [{"pair": n, "e": max(value, -16.0) / math.log(10)} for n, value in enumerate((0.0, *meeting.path))]
    bar = None if meeting.log_threshold is None else meeting.log_threshold / math.log(10)
    colour = "var(--accepted)" if meeting.verdict == Fate.CHAMPION else _LINE
    low = min([-1.0, *(row["e"] for row in rows)])
    high = max([1.0, bar or 0.0, *(row["e"] for row in rows)])
    ticks = [t for t in range(math.floor(low), math.ceil(high) + 1) if (t - math.floor(low)) % (1 + int(high - low) // 6) == 0]
    y = {
        "field": "e", "type": "quantitative", "scale": {"domain": [low, high + 0.2], "nice": False},
        "axis": {"title": "e-value", "values": ticks, "labelExpr": "datum.value < 0 ? '1/' + pow(10, -datum.value) : '' + pow(10, datum.value)"},
    }  # fmt: skip
    x = {"field": "pair", "type": "quantitative", "axis": {"title": "pairs", "grid": False, "tickMinStep": 1, "tickCount": 5}}
    path = {"mark": {"type": "line", "interpolate": "step-after", "strokeWidth": 2, "color": colour}, "encoding": {"x": x, "y": y}}
    end = {
        "transform": [{"filter": f"datum.pair === {len(meeting.path)}"}],
        "mark": {"type": "point", "filled": True, "size": 60, "color": colour, "opacity": 1},
        "encoding": {"x": x, "y": y},
    }
    layers: list[Spec] = [path, end]
    if bar is not None:
        rule = {"type": "rule", "strokeDash": [5, 4], "color": "var(--text)", "strokeWidth": 1.2}
        layers.append({"data": {"values": [{"e": bar}]}, "mark": rule, "encoding": {"y": {"field": "e", "type": "quantitative"}}})
    return draw({"width": width, "height": 130, "data": {"values": _thinned(rows)}, "layer": layers})


def _thinned(rows: Sequence[Spec], most: int = 400) -> list[Spec]:
    """Every k-th point of a long path, and the last one."""
    step = max(1, -(-len(rows) // most))
    return [*rows[:-1:step], rows[-1]]


# ------------------------------------------------------------------------------------ cost


def cost(facts: ReportFacts, width: int) -> Markup:
    """Trials and tokens, and dollars where calls had a price, over time."""
    named = [("trials", [p.trials for p in facts.spending]), ("tokens", [p.tokens for p in facts.spending])]
    if facts.summary.dollars > 0:
        named.append(("dollars", [p.dollars for p in facts.spending]))
    if not facts.spending:
        return Markup("")
    unit, name = (3600.0, "hours") if facts.spending[-1].seconds > 2 * 3600 else (60.0, "minutes")
    times = [p.seconds / unit for p in facts.spending]
    panels = []
    for place, (title, values) in enumerate(named):
        last = place == len(named) - 1 or width == NARROW
        x = {"field": "x", "type": "quantitative", "axis": {"title": name if last else None, "grid": False, "tickCount": 5}}
        y = {"field": "y", "type": "quantitative", "axis": {"title": None, "tickCount": 3, "format": "~s"}}
        rows = [{"x": x_, "y": y_} for x_, y_ in zip(times, values, strict=True)]
        panels.append({
            "title": {"text": title, "anchor": "start", "color": "var(--text)", "fontSize": 13, "fontWeight": 600},
            "width": width, "height": 90, "data": {"values": rows},
            "mark": {"type": "area", "color": _LINE, "fillOpacity": 0.18, "line": {"color": _LINE}, "interpolate": "step-after"},
            "encoding": {"x": x, "y": y},
        })  # fmt: skip
    return draw({"vconcat": panels, "spacing": 14})


# ------------------------------------------------------------------------------------ lineage


def lineage(facts: ReportFacts) -> Markup:
    """The archive as a tree, from left to right; marks differ by shape as well as by colour."""
    crowned = set(facts.champions)
    nodes = [{"id": 0, "parent": None, "fate": Fate.CHAMPION.value, "text": "seed", "href": anchor(0), "crowned": True}]
    few = len(facts.patches) <= MOST_LABELS
    for patch in facts.patches:
        one = patch.candidate
        subject = f" {visible(one.subject, 48)}" if few else ""
        score = f", search {patch.search.mean:.2f}" if patch.search else ""
        nodes.append({
            "id": one.id, "parent": one.parent, "fate": one.fate.value, "text": f"#{one.id}{subject}",
            "said": f"#{one.id} {one.fate.value}{score}: {visible(one.subject, 80)}", "href": anchor(one.id),
            "crowned": one.id in crowned,
        })  # fmt: skip
    return _draw_vega(_tree(nodes, label=few))


def _tree(nodes: Sequence[Spec], *, label: bool) -> Spec:
    depth, leaves = _shape_of(nodes)
    row = _ROW if label else 14
    size = [leaves * row, depth * _COLUMN]
    room = 340 if label else 60
    fate = {"scale": "colour", "field": "fate"}
    return {
        "$schema": "https://vega.github.io/schema/vega/v5.json", "width": size[1] + room, "height": size[0] + 10, "padding": 12,
        "config": {"style": {"cell": {"stroke": None}}},
        "data": [
            {"name": "tree", "values": list(nodes), "transform": [
                {"type": "stratify", "key": "id", "parentKey": "parent"},
                {"type": "tree", "method": "tidy", "size": size, "separation": False, "as": ["y", "x", "depth", "children"]},
            ]},
            {"name": "links", "source": "tree", "transform": [
                {"type": "treelinks"}, {"type": "linkpath", "orient": "horizontal", "shape": "diagonal"},
            ]},
        ],
        "scales": [
            {"name": "colour", "type": "ordinal", "domain": FATES, "range": _FATE_COLOURS},
            {"name": "shape", "type": "ordinal", "domain": FATES, "range": _FATE_SHAPES},
        ],
        "marks": [
            {"type": "path", "from": {"data": "links"}, "encode": {"enter": {
                "path": {"field": "path"}, "stroke": {"value": "var(--line-strong)"}, "strokeWidth": {"value": 1.2},
            }}},
            {"type": "symbol", "from": {"data": "tree"}, "encode": {"enter": {
                "x": {"field": "x"}, "y": {"field": "y"}, "fill": fate, "stroke": {"value": "var(--panel)"},
                "shape": {"scale": "shape", "field": "fate"}, "size": {"signal": "datum.crowned ? 190 : 80"},
                "href": {"field": "href"}, "description": {"field": "said"},
            }}},
            {"type": "text", "from": {"data": "tree"}, "encode": {"enter": {
                "x": {"field": "x", "offset": 11}, "y": {"field": "y"}, "baseline": {"value": "middle"},
                "text": {"field": "text"}, "fill": {"value": "var(--text)"}, "fontSize": {"value": 12 if label else 9},
                "href": {"field": "href"}, "font": {"value": "system-ui, sans-serif"},
                "fontWeight": {"signal": "datum.crowned ? 'bold' : 'normal'"},
            }}},
        ],
    }  # fmt: skip


def _shape_of(nodes: Sequence[Spec]) -> tuple[int, int]:
    """Depth and number of leaves; a parent's number is below its children's."""
    depths: dict[int, int] = {}
    for node in nodes:
        depths[node["id"]] = depths.get(node["parent"], -1) + 1
    return max(depths.values()), len(depths.keys() - {node["parent"] for node in nodes})


# ------------------------------------------------------------------------------------ drawing


def draw(spec: Spec) -> Markup:
    """A Vega-Lite chart as SVG."""
    whole = {"$schema": "https://vega.github.io/schema/vega-lite/v5.json", "background": None, "config": _CONFIG, **spec}
    return Markup(_drawn(json.dumps(whole), lite=True))  # noqa: S704 (text in it was escaped by Vega, see the tests)


def _draw_vega(spec: Spec) -> Markup:
    return Markup(_drawn(json.dumps({**spec, "background": None}), lite=False))  # noqa: S704


@lru_cache(maxsize=256)
def _drawn(spec: str, *, lite: bool) -> str:
    """Drawing costs 50 ms, and a dashboard draws the same again and again."""
    svg = vl_convert.vegalite_to_svg(spec) if lite else vl_convert.vega_to_svg(spec)
    # Hidden from the reader that reads aloud, and so out of the way of the Tab key, too.
    svg = svg.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)
    # Whatever a chart links to, it is a place on this page.
    return re.sub(r'<a [^<>]*?"[^"<>#]*(#[^"<>]*)"[^<>]*>', r'<a tabindex="-1" xlink:href="\1">', svg)
