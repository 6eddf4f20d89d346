"""How long the dashboard takes to show a page, and to show an event.

python bench/review/serve.py           two to four minutes; needs Chromium; one line of JSON a ledger
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from agent.kernel.record.ledger import Ledger
from bench.review.chromium import find
from bench.review.synthetic import write

ROOT = Path(__file__).parents[2]
CONFIG = "name: night\nsuite: {suite}\nmodels: {{solver: {{provider: embedded}}, improver: {{provider: embedded}}}}\n"
PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
WATCH = """
word => new Promise(done => {
  const last = document.getElementById('now').parentElement;
  const there = () => document.getElementById('last').textContent.includes(word);
  const look = () => { if (there()) done(Date.now()); return there(); };
  if (!look()) { const eye = new MutationObserver(() => look() && eye.disconnect());
    eye.observe(last, {subtree: true, childList: true, characterData: true}); }
})
"""
PATIENCE = 120_000


def paint(page: Page, url: str) -> float:
    """Seconds from the click to the first contentful paint."""
    page.goto(url)
    page.wait_for_function(PAINT)
    return float(page.evaluate(PAINT)) / 1000


def delay(page: Page, ledger: Ledger, number: int) -> float:
    """Seconds from the end of the writer's transaction to the change in the page."""
    word = f"word {number} of {time.time()}"
    page.evaluate(f"window.seen = ({WATCH})({json.dumps(word)}); 0")
    ledger.note("say", word)
    written = time.time()
    return float(page.evaluate("window.seen")) / 1000 - written


def measure(browser: Browser, home: Path, candidates: int, trials: int, events: int) -> dict[str, object]:
    folder = home / "runs" / "night"
    folder.mkdir(parents=True)
    write(folder / "ledger.sqlite", candidates=candidates, trials=trials)
    (home / "campaign.yaml").write_text(CONFIG.format(suite=ROOT / "tasks" / "starter"))
    command = [sys.executable, "-m", "agent.cli", "serve", "--port", "0"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with (
        subprocess.Popen(command, cwd=home, env=environment, stdout=subprocess.PIPE, text=True) as server,
        Ledger(folder / "ledger.sqlite") as ledger,
    ):
        try:
            url = (server.stdout.readline() if server.stdout else "").split()[1]
            page = browser.new_page()
            page.set_default_timeout(PATIENCE)
            started = time.monotonic()
            cold = paint(page, url)
            page.wait_for_selector("#events li", state="attached")
            complete = time.monotonic() - started
            warm = [paint(page, url) for _ in range(3)]
            delays = []
            for number in range(events):
                delays.append(delay(page, ledger, number))
                time.sleep(0.3)
        finally:
            server.terminate()
    return {
        "candidates": candidates, "trials": trials, "first_paint_cold": round(cold, 3),
        "report_complete": round(complete, 2), "first_paint_again": round(min(warm), 3),
        "events": events, "delay_median": round(statistics.median(delays), 3),
        "delay_most": round(max(delays), 3), "load": round(os.getloadavg()[0], 1),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=20)
    arguments = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find(), args=["--no-sandbox"])
        for candidates, trials in ((30, 2_000), (1_000, 100_000)):
            with tempfile.TemporaryDirectory() as home:
                print(json.dumps(measure(browser, Path(home), candidates, trials, arguments.events)), flush=True)
        browser.close()


if __name__ == "__main__":
    main()
