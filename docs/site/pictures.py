"""Make the pictures of README and home page from a campaign that has ended.

usage: python docs/site/pictures.py CAMPAIGN.YAML [--name NAME]
"""

from __future__ import annotations

import argparse
import io
import re
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright
from rich.console import Console

from agent.cli.options import load
from agent.kernel.loop.opening import open_ledger, open_repository
from agent.kernel.loop.settings import gate_settings
from agent.review.report.facts import collect
from agent.review.report.page import render, save
from agent.review.summary import summarise
from agent.review.terminal.log import render_log
from agent.review.terminal.summary import print_summary
from bench.review.chromium import find

PICTURES = Path(__file__).parents[1] / "pictures"
MOST_BYTES = 200_000
COLUMNS, WIDTH, HEIGHT = 100, 1100, 760


def main() -> None:
    """Write terminal.svg and report.png."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("campaign", type=Path)
    parser.add_argument("--name", default=None)
    given = parser.parse_args()
    config = load(given.campaign, {"name": given.name})
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    with open_ledger(config) as ledger, tempfile.TemporaryDirectory() as folder:
        repository = open_repository(config, ledger)
        print_summary(summarise(ledger), name=config.name, hint="ratchet {}".format, console=console)
        console.print("\n$ ratchet log", highlight=False)
        render_log(repository.accepted(), ledger.candidates()[1:], console)
        page = Path(folder) / "report.html"
        save(render(collect(ledger, gate_settings(config), name=config.name)), page)
        photograph(page, PICTURES / "report.png")
    drawn = console.export_svg(title=f"ratchet run --name {config.name}")
    # rich names a font that would come from elsewhere; readers have a monospaced one.
    drawn = re.sub(r"\s*@font-face \{.*?\n    \}", "", drawn, flags=re.DOTALL)
    (PICTURES / "terminal.svg").write_text(drawn, encoding="utf-8")
    for path in (PICTURES / "terminal.svg", PICTURES / "report.png"):
        size = path.stat().st_size
        print(f"{path.name}: {size / 1000:.0f} kB")
        if size > MOST_BYTES:
            raise SystemExit(f"{path} is larger than {MOST_BYTES} bytes")


def photograph(page: Path, target: Path) -> None:
    """The first screen of a page, as PNG."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find(), args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        tab.goto(page.as_uri())
        tab.screenshot(path=str(target))
        browser.close()


if __name__ == "__main__":
    main()
