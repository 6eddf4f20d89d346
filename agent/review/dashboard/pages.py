"""The dashboard's own files and templates."""

from __future__ import annotations

import time
from functools import cache
from importlib.resources import files
from typing import Final

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from agent.base.text import visible
from agent.live.status import odds

ASSETS: Final = {
    "report.css": "text/css",
    "dashboard.css": "text/css",
    "report.js": "text/javascript",
    "idiomorph.min.js": "text/javascript",
    "dashboard.js": "text/javascript",
}
"""The files that are served, and their media types."""


@cache
def asset(name: str) -> bytes:
    """One of the files in `ASSETS`."""
    room = "agent.review.report" if name.startswith("report.") else "agent.review.dashboard"
    return files(room).joinpath("templates", name).read_bytes()


def render_page(template: str, **values: object) -> str:
    """A page or a part of one; everything that a model wrote is escaped."""
    return _templates().get_template(template).render(values)


@cache
def _templates() -> Environment:
    # The report's layout and filter serve the live page too.
    loader = ChoiceLoader([PackageLoader("agent.review.dashboard"), PackageLoader("agent.review.report")])
    templates = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    templates.filters |= {
        "line": visible,
        "clock": lambda at: time.strftime("%H:%M:%S", time.localtime(at)),
        "stamp": lambda at: time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(at)),
        "odds": odds,
        "amount": lambda value: f"{value:,.0f}" if value == int(value) else f"{value:,.2f}",
    }
    return templates
