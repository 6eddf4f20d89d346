"""The page as text: nothing of a stranger's runs, nothing is loaded, nothing is endless."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import subprocess
import sys
import unicodedata
from html.parser import HTMLParser
from pathlib import Path

import pytest

from agent.base.errors import UserError
from agent.base.types import Purpose
from agent.kernel.record.ledger import Ledger
from agent.review.report.facts import ReportFacts, collect
from agent.review.report.page import render, render_sections, save
from bench.review.synthetic import VILE, write

TEMPLATE = Path(__file__).parents[3] / "agent" / "review" / "report" / "templates" / "report.html"
SECTIONS = ["summary", "scores", "lineage", "heat", "evidence", "patches", "rejected", "events"]


class Page(HTMLParser):
    """What a browser would see of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inside: dict[str, list[str]] = {}
        self._at = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._at = tag
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, _tag: str) -> None:
        self._at = ""

    def handle_data(self, data: str) -> None:
        self.inside.setdefault(self._at, []).append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def facts_of(folder: Path, **options: object) -> ReportFacts:
    write(folder / "ledger.sqlite", **options)
    with Ledger(folder / "ledger.sqlite", read_only=True) as ledger:
        return collect(ledger)


@pytest.fixture(scope="module")
def vile(tmp_path_factory: pytest.TempPathFactory) -> str:
    return render(facts_of(tmp_path_factory.mktemp("vile"), candidates=12, trials=1200, tests=4, hostile=True))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> ReportFacts:
    return facts_of(tmp_path_factory.mktemp("plain"), candidates=12, trials=1200, tests=4)


def test_hostile_texts_bring_no_element_no_handler_and_no_link(vile: str) -> None:
    page = Page(vile)
    assert len(page.all("script")) == len(page.all("style")) == 1
    ours = "".join(template.read_text() for template in TEMPLATE.parent.rglob("*.html"))
    allowed = set(re.findall(r"<([a-z]+\d?)[\s>{]", ours))
    assert {tag for tag, _ in page.tags} <= allowed | {"svg", "g", "path", "line", "text", "span", "rect", "h4", "h5"}
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on") or name == "style"], (tag, attributes)
        for name in ("href", "xlink:href", "src", "action"):
            assert (attributes.get(name) or "#").startswith("#"), (tag, attributes)
    # They are there to be read.
    assert "&lt;script&gt;window.owned=1&lt;/script&gt;" in vile
    assert "{{ 7*7 }}" in vile


def test_no_control_bidirectional_or_invisible_character_is_left(vile: str) -> None:
    assert any("\u202e" in text for text in VILE)
    assert not {char for char in vile if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co", "Cn"}} - {"\n"}
    assert "&lt;U+202E&gt;" in vile
    assert "&lt;U+001B&gt;" in vile


def test_a_line_of_a_megabyte_is_cut(vile: str) -> None:
    assert len(vile.encode()) < 3_000_000
    assert max(map(len, Page(vile).inside["span"])) < 1000


def test_the_policy_lets_exactly_our_script_and_style_run(plain: ReportFacts) -> None:
    page = Page(render(plain))
    (policy,) = [m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    for tag in ("script", "style"):
        digest = base64.b64encode(hashlib.sha256("".join(page.inside[tag]).encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in (policy or "")
    assert "default-src 'none'" in (policy or "")
    assert "unsafe" not in (policy or "")


def test_nothing_is_loaded_from_anywhere(plain: ReportFacts) -> None:
    text = render(plain).replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert not re.findall(r"(?:https?:)?//[\w.]+", text.replace('xmlns:xlink="http://www.w3.org/1999/xlink"', ""))
    assert "url(" not in text
    assert "@import" not in text


def test_a_live_page_gets_the_same_sections_with_its_events_open(plain: ReportFacts) -> None:
    still, live = render_sections(plain), render_sections(plain, live=True)
    assert "connect-src 'none'" in html.unescape(render(plain))
    assert [name for name in still if name in SECTIONS] == [name for name in live if name in SECTIONS] == SECTIONS
    assert {name for name in still if still[name] != live[name]} == {"events"}
    ids = [a["id"] for a in Page(render(plain)).all("section") if a.get("id")]
    assert ids == [*still]


def test_ids_are_unique_and_every_link_leads_somewhere(plain: ReportFacts) -> None:
    page = Page(render(plain))
    ids = [a["id"] for _, a in page.tags if a.get("id")]
    assert len(ids) == len(set(ids))
    wanted = {
        (a.get("href") or a.get("xlink:href") or "")[1:] for _, a in page.tags if "href" in a or "xlink:href" in a
    }
    assert wanted <= set(ids)
    assert {f"c{patch.candidate.id}" for patch in plain.patches} <= wanted


def test_a_campaign_that_has_just_begun_has_a_page(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        page = render(collect(ledger))
    for said in ("No trial has finished yet", "No patch has been proposed yet", "No candidate has met a champion yet"):
        assert said in page


def test_no_transcript_of_a_gate_task_is_shown(tmp_path: Path) -> None:
    page = render(facts_of(tmp_path, candidates=12, trials=1200, tests=4))
    with Ledger(tmp_path / "ledger.sqlite", read_only=True) as ledger:
        shown = {p: sum(t.transcript.split("\n")[0] in page for t in ledger.trials(purpose=p)) for p in Purpose}
    assert shown[Purpose.SEARCH] > 0
    assert shown[Purpose.GATE] == 0


def test_verdicts_that_the_pairs_do_not_give_are_called_out(tmp_path: Path) -> None:
    facts_of(tmp_path, candidates=12, trials=1200, tests=4)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        test = ledger.tests()[0]
        assert test.decision is not None
        ledger.close_test(test.id, "accepted", {**test.decision, "log_e": 99.0})
        page = render(collect(ledger))
    assert "pairs do not give this verdict" in page
    assert "differs" in page


@pytest.mark.slow
def test_200_candidates_fit_in_5_megabytes_whatever_they_wrote(tmp_path: Path) -> None:
    for hostile in (False, True):
        page = render(facts_of(tmp_path / str(hostile), candidates=200, trials=6000, tests=60, hostile=hostile))
        assert len(page.encode()) <= 5_000_000


def test_a_file_that_cannot_be_written_is_one_line_for_the_user(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be written"):
        save("x", tmp_path / "missing" / "report.html")
    assert save("ä", tmp_path / "report.html") == 2
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_the_command_writes_the_page_and_says_where(tmp_path: Path, checkout: Path) -> None:
    write(tmp_path / "runs" / "night" / "ledger.sqlite", candidates=3, trials=100, tests=1)
    model = {"provider": "scripted", "script": "unused.yaml"}
    config = {"name": "night", "suite": "suite", "models": {"solver": model, "improver": model}}
    (tmp_path / "campaign.yaml").write_text(json.dumps(config))  # JSON is YAML without aliases
    command = [sys.executable, "-m", "agent.cli", "report"]
    run = {"cwd": tmp_path, "env": {"PYTHONPATH": str(checkout)}, "capture_output": True, "text": True}
    done = subprocess.run(command, check=False, **run)
    assert done.returncode == 0, done.stderr
    assert "report.html" in done.stdout
    assert "<h1" in (tmp_path / "runs" / "night" / "report.html").read_text()
    done = subprocess.run([*command, "--output", "nowhere/x.html"], check=False, **run)
    assert done.returncode == 2
    assert "Name a file in a folder that you may write" in done.stderr
