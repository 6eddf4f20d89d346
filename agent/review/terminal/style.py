"""What all printed text shares: safe cells, colours of fates, coloured patches, local times."""

from __future__ import annotations

from datetime import UTC, datetime

from rich.console import Console
from rich.syntax import Syntax
from rich.text import Text

from agent.base.text import visible, visible_lines
from agent.base.types import Fate

FATE_STYLES = {
    Fate.OPEN: "cyan",
    Fate.WAITING: "bold magenta",
    Fate.REFUSED: "yellow",
    Fate.REJECTED: "red",
    Fate.CHAMPION: "bold green",
}


def render_diff(diff: str, console: Console) -> None:
    """Print a patch in colour; the terminal wraps long lines, so that a pipe gets them unbroken."""
    syntax = Syntax("", "diff", theme="ansi_dark", background_color="default")
    text = syntax.highlight("\n".join(visible_lines(diff)))
    text.rstrip()
    console.print(text, soft_wrap=True)


def cell(text: str) -> Text:
    """One safe cell of a table."""
    return Text(visible(text))


def when(seconds: int) -> str:
    """Local month, day, hour and minute of a Unix time."""
    return datetime.fromtimestamp(seconds, UTC).astimezone().strftime("%m-%d %H:%M")
