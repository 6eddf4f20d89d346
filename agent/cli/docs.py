"""The documentation in the terminal: `ratchet docs` needs no checkout and no network."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated

import typer

from agent.base.errors import UserError
from agent.cli.options import terminal

PAGES = Path(__file__).parents[2] / "docs"
"""The pages as Markdown: in a checkout, and in the wheel."""

app = typer.Typer()


@app.command("docs")
def read(
    page: Annotated[str | None, typer.Argument(help="a page, for example models; without it, list the pages")] = None,
) -> None:
    """Read the documentation here; without PAGE, list its pages."""
    console, known = terminal(), pages()
    if page is None:
        width = max(map(len, known))
        for name, file in known.items():
            typer.echo(f"{name:<{width}}  {_title(file)}")
        return
    text = known[_found(page, known)].read_text(encoding="utf-8")
    if console.is_terminal:
        from rich.markdown import Markdown

        console.print(Markdown(text), width=min(console.width, 100))
    else:
        typer.echo(text, nl=False)


def pages() -> dict[str, Path]:
    """Every page by its name, which is its path below `docs` without the suffix."""
    files = sorted(PAGES.rglob("*.md"), key=lambda file: (file.parent != PAGES, file))
    return {file.relative_to(PAGES).with_suffix("").as_posix(): file for file in files}


def _found(page: str, known: dict[str, Path]) -> str:
    """The name of a page by its whole name or the last part of it. Raises UserError."""
    wanted = page.removeprefix("docs/").removesuffix(".md")
    for name in known:
        if wanted in (name, name.rpartition("/")[2]):
            return name
    close = difflib.get_close_matches(wanted, known, n=1)
    raise UserError(
        "PAGE", f"there is no page {page!r}", f"Did you mean {close[0]!r}?" if close else "Run `ratchet docs`."
    )


def _title(file: Path) -> str:
    with file.open(encoding="utf-8") as lines:
        return next((line[2:].strip() for line in lines if line.startswith("# ")), "")
