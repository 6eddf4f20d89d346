"""The report as a person meets it: real Chromium on a file, driven by Playwright."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from agent.kernel.record.ledger import Ledger
from agent.review.report.facts import ReportFacts, collect
from agent.review.report.page import render, save
from bench.review.synthetic import write


def report(folder: Path, **options: object) -> tuple[ReportFacts, str]:
    write(folder / "ledger.sqlite", **options)
    with Ledger(folder / "ledger.sqlite", read_only=True) as ledger:
        facts = collect(ledger)
    save(render(facts), folder / "report.html")
    return facts, (folder / "report.html").as_uri()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[ReportFacts, str]:
    return report(tmp_path_factory.mktemp("page"), candidates=40, trials=4000, tests=12)


@pytest.fixture
def page(browser: Browser, made: tuple[ReportFacts, str]) -> Iterator[Page]:
    yield from visit(browser, made[1])


def visit(browser: Browser, url: str, **options: object) -> Iterator[Page]:
    """A page on which any error, blocked script or request to elsewhere fails the test."""
    page = browser.new_page(**options)
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: wrong.append(request.url) if request.url.split("#")[0] != url else None)
    page.goto(url)
    yield page
    page.close()
    assert wrong == []


def marks(page: Page, selector: str) -> dict[str, list[str]]:
    """What each mark of a chart says, by what it links to."""
    pairs = page.evaluate(
        """selector => [...document.querySelectorAll(selector + ' a')].flatMap(link =>
             [...link.querySelectorAll('path[aria-label]')].map(
               mark => [link.getAttribute('xlink:href'), mark.getAttribute('aria-label')]))""",
        selector,
    )
    found: dict[str, list[str]] = {}
    for href, said in pairs:
        found.setdefault(href, []).append(said)
    return found


def test_the_curves_marks_say_what_the_ledger_holds(page: Page, made: tuple[ReportFacts, str]) -> None:
    facts, drawn = made[0], marks(page, "#scores .wide")
    for spot in (*facts.search, *[s for s in facts.holdout if s.candidate in facts.champions]):
        score = spot.score
        said = f"{score.mean:.3f} [{score.low:.3f}, {score.high:.3f}], {score.n} trials"
        assert f"#{spot.candidate}: {said}" in drawn[f"#c{spot.candidate}" if spot.candidate else "#summary"]


def test_a_marks_height_is_its_score(page: Page, made: tuple[ReportFacts, str]) -> None:
    heights = page.evaluate(
        """[...document.querySelectorAll('#scores .wide a [aria-label]')].map(mark => {
             const box = mark.getBoundingClientRect();
             return [mark.getAttribute('aria-label'), box.top + box.height / 2];
           })"""
    )
    panels: dict[int, list[tuple[float, float]]] = {}
    sizes = (sum(s.candidate in made[0].champions for s in made[0].holdout), 2 * len(made[0].meetings))
    for number, (said, height) in enumerate(heights):
        panel = sum(number >= edge for edge in (sizes[0], sizes[0] + sizes[1]))
        panels.setdefault(panel, []).append((float(re.findall(r": ([\d.]+)", said)[0]), height))
    assert sorted(panels) == [0, 1, 2]
    for points in panels.values():
        (low, bottom), (high, top) = min(points), max(points)
        scale = (bottom - top) / (high - low)
        assert scale == pytest.approx(120, rel=0.05)
        for score, height in points:
            assert bottom - (score - low) * scale == pytest.approx(height, abs=1.5)


def test_the_tree_shows_every_candidate_once(page: Page, made: tuple[ReportFacts, str]) -> None:
    drawn = marks(page, "#lineage .tree")
    assert {href: len(said) for href, said in drawn.items()} == {
        "#summary": 1,
        **{f"#c{patch.candidate.id}": 1 for patch in made[0].patches},
    }


def test_the_trees_words_are_not_cut_off(page: Page) -> None:
    ends, room = page.evaluate("""() => {
      const tree = document.querySelector("figure.tree"), left = tree.getBoundingClientRect().left - tree.scrollLeft;
      const ends = [...tree.querySelectorAll("svg text")].map(word => word.getBoundingClientRect().right - left);
      return [ends, tree.querySelector("svg").getBoundingClientRect().right - left];
    }""")
    assert ends
    assert max(ends) <= room


def test_from_the_curve_to_the_patch_to_the_transcript(page: Page, made: tuple[ReportFacts, str]) -> None:
    patch = next(patch for patch in made[0].patches if patch.commit and patch.changes)
    details = page.locator(f"#c{patch.candidate.id}")
    assert details.get_attribute("open") is None
    page.locator(f'#scores .wide a[*|href="#c{patch.candidate.id}"]').first.click()
    assert details.get_attribute("open") is not None
    assert details.locator("pre .gi").first.is_visible()
    page.wait_for_function(
        "id => document.getElementById(id).getBoundingClientRect().top > 0", arg=details.get_attribute("id")
    )
    change = details.locator(".transcripts").first
    assert not change.locator("pre").first.is_visible()
    change.locator("summary").click()
    words = patch.changes[0].before.transcript.split("\n")[0]
    assert words in change.locator("pre").first.inner_text()


def test_the_filter_leaves_what_was_asked_for(page: Page, made: tuple[ReportFacts, str]) -> None:
    patches = page.locator("details.patch:visible")
    everything = len(made[0].patches)
    assert patches.count() == everything
    page.select_option("[name=fate]", "refused")
    refused = sum(patch.candidate.fate == "refused" for patch in made[0].patches)
    assert 0 < patches.count() == refused < everything
    page.select_option("[name=fate]", "")
    page.fill("[name=words]", "#7 ")
    assert page.locator("#c7").is_visible()
    assert page.locator("output").inner_text() == f"{patches.count()} of {everything} shown"
    page.fill("[name=words]", "no such patch")
    assert patches.count() == 0
    page.evaluate("location.hash = 'c9'")
    page.locator("#c9[open]").wait_for()
    assert page.locator("#c9 .facts").is_visible()


@pytest.mark.parametrize(("system", "toggled"), [("light", "rgb(14, 19, 26)"), ("dark", "rgb(14, 19, 26)")])
def test_dark_follows_the_system_and_the_toggle(
    browser: Browser, made: tuple[ReportFacts, str], system: str, toggled: str
) -> None:
    for page in visit(browser, made[1], color_scheme=system):
        colour = "getComputedStyle(document.body).backgroundColor"
        assert (page.evaluate(colour) == toggled) == (system == "dark")
        page.click("#theme")
        assert page.evaluate(colour) == "rgb(245, 246, 248)"
        page.click("#theme")
        assert page.evaluate(colour) == toggled
        assert page.locator("#theme").inner_text() == "Theme: dark"


@pytest.mark.parametrize("width", [320, 360, 768])
def test_a_phone_never_scrolls_sideways(browser: Browser, made: tuple[ReportFacts, str], width: int) -> None:
    for page in visit(browser, made[1], viewport={"width": width, "height": 740}):
        page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.locator("#scores svg:visible").count() == 1


@pytest.mark.parametrize("width", [768, 1024, 1280])
def test_the_names_of_all_sections_are_in_sight(browser: Browser, made: tuple[ReportFacts, str], width: int) -> None:
    for page in visit(browser, made[1], viewport={"width": width, "height": 740}):
        assert page.evaluate("document.querySelector('nav').scrollWidth <= document.querySelector('nav').clientWidth")
        table = "document.querySelector('#evidence-table').parentElement"
        assert width < 1280 or page.evaluate(f"{table}.scrollWidth <= {table}.clientWidth")


@pytest.mark.parametrize(("scheme", "width"), [("light", 360), ("dark", 1200)])
def test_axe_finds_nothing_serious(browser: Browser, made: tuple[ReportFacts, str], scheme: str, width: int) -> None:
    for page in visit(browser, made[1], color_scheme=scheme, viewport={"width": width, "height": 800}):
        page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        found = Axe().run(page).response["violations"]
        assert [(f["id"], f["impact"], f["nodes"][0]["html"][:200]) for f in found] == []


def test_the_keyboard_alone_reaches_a_patch(page: Page) -> None:
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    page.locator("#c1 > summary").focus()
    page.keyboard.press("Enter")
    assert page.locator("#c1 .facts").is_visible()
    for _ in range(60):
        page.keyboard.press("Tab")
        assert page.evaluate("!document.activeElement.closest('svg')")


def test_without_script_everything_can_be_read(browser: Browser, made: tuple[ReportFacts, str]) -> None:
    page = browser.new_page(java_script_enabled=False)
    page.goto(made[1] + "#c3")
    assert page.locator("#scores svg:visible").count() == 1
    assert page.locator("#c3").is_visible()
    page.locator("#c3 > summary").click()
    assert page.locator("#c3 .facts").is_visible()
    assert not page.locator("#filter").is_visible()
    page.close()


def test_paper_shows_the_accepted_patches_in_full(page: Page, made: tuple[ReportFacts, str]) -> None:
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    accepted = [patch.candidate.id for patch in made[0].patches if patch.commit]
    for number in accepted:
        assert page.locator(f"#c{number} .facts").is_visible()
    assert not page.locator("header").is_visible()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert not page.locator(f"#c{accepted[0]} .facts").is_visible()


def test_hostile_texts_do_nothing_in_a_browser(browser: Browser, tmp_path: Path) -> None:
    _, url = report(tmp_path, candidates=12, trials=1200, tests=4, hostile=True)
    for page in visit(browser, url, viewport={"width": 360, "height": 740}):
        page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        page.fill("[name=words]", "<script>")
        assert page.evaluate("window.owned === undefined && document.scripts.length === 1")
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        assert "<script>window.owned=1</script>" in page.locator("main").inner_text()
