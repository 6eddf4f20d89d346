"""The dashboard as a person meets it: real Chromium beside a campaign that grows in another process."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from agent.kernel.record.ledger import Ledger
from tests.review.dashboard.dashboards import ENDING, Served, configure, growing, served

PATIENT = ENDING * 1000
expect.set_options(timeout=PATIENT)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A campaign that has ended, with patches of every fate."""
    folder = tmp_path_factory.mktemp("home")
    configure(folder)
    with growing(folder, pause=0.0, trials=250) as campaign:
        campaign.wait(ENDING)
    return folder


@pytest.fixture
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository whose campaign has not begun; its path is short, as a Unix socket's has to be."""
    folder = tmp_path_factory.mktemp("home")
    configure(folder)
    return folder


@pytest.fixture
def dashboard(home: Path) -> Iterator[Served]:
    with served(home) as running:
        yield running


@pytest.fixture
def page(browser: Browser, dashboard: Served) -> Iterator[Page]:
    """A page on which any error, blocked part or request to elsewhere fails the test."""
    page = browser.new_page(viewport={"width": 1100, "height": 800})
    page.set_default_timeout(PATIENT)
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda r: wrong.append(r.url) if not r.url.startswith((dashboard.url, "data:,")) else None)
    page.goto(dashboard.page)
    expect(page.locator("#events li").first).to_be_attached()
    yield page
    page.close()
    assert wrong == []


def note(home: Path, text: str) -> None:
    """Something happens in the campaign."""
    with Ledger(home / "runs" / "night" / "ledger.sqlite") as ledger:
        ledger.note("say", text)


def test_what_happens_is_shown_and_the_reader_keeps_place_words_and_open_patches(page: Page, home: Path) -> None:
    patch = page.locator("details.patch").nth(3)
    patch.scroll_into_view_if_needed()
    patch.locator("> summary").click()
    page.fill("#filter input", "try")
    page.locator("#filter select").select_option(index=0)
    page.locator("#filter input").focus()
    shown = page.locator("#filter output").inner_text()
    before = patch.bounding_box()
    identity = patch.get_attribute("id")
    page.evaluate("id => { document.getElementById(id).mine = true }", identity)
    note(home, "a word for the reader")
    expect(page.locator("#last")).to_contain_text("a word for the reader")
    expect(page.locator("#events")).to_contain_text("a word for the reader")
    assert patch.evaluate("one => one.open && one.mine && one.id") == identity
    assert page.input_value("#filter input") == "try"
    assert page.evaluate("document.activeElement.name") == "words"
    assert page.locator("#filter output").inner_text() == shown
    after = patch.bounding_box()
    assert before
    assert after
    assert abs(after["y"] - before["y"]) < 2


def test_hostile_texts_stay_texts_through_live_updates(page: Page, home: Path) -> None:
    note(home, "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>\u202e")
    expect(page.locator("#last")).to_contain_text("<img src=x onerror=")
    expect(page.locator("#events")).to_contain_text("<script>document.title")
    expect(page.locator("#last")).to_contain_text("<U+202E>")
    assert page.title() == "night · Ratchet"
    assert page.locator("main img, main script").count() == 0


def test_the_panel_follows_a_campaign_from_its_start_to_its_end(browser: Browser, empty: Path) -> None:
    with served(empty) as dashboard:
        page = browser.new_page()
        page.set_default_timeout(PATIENT)
        page.goto(dashboard.page)
        expect(page.locator("#now .doing")).to_have_text("not begun")
        with growing(empty, pause=0.1, trials=5000) as campaign:
            expect(page.locator("#now .doing")).to_have_text("running")
            expect(page.locator("#steps li").first).to_be_visible()
            expect(page.locator("details.patch").first).to_be_attached()
            campaign.send_signal(signal.SIGTERM)
            expect(page.locator("#now .doing")).to_have_text("stopped")
        expect(page.locator("#rejected details.patch, #patches details.patch").first).to_be_attached()
        page.close()


def log_in(page: Page, dashboard: Served) -> None:
    """Type the token where the page's own focus is: the browser complains of a focus that came before."""
    token = page.locator("input[name=token]")
    expect(token).to_be_focused()
    token.fill(dashboard.token)
    page.get_by_role("button", name="Log in").click()


def test_somebody_with_the_token_logs_in_and_sees_the_actions(page: Page, dashboard: Served) -> None:
    assert page.locator(".actions").count() == 0
    page.get_by_role("link", name="Log in").click()
    log_in(page, dashboard)
    page.get_by_role("link", name="night").click()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    page.get_by_role("button", name="Log out").click()
    page.goto(dashboard.page)
    assert page.locator(".actions").count() == 0


@pytest.mark.parametrize("width", [820, 1280])
def test_the_names_of_all_sections_are_in_sight(page: Page, dashboard: Served, width: int) -> None:
    page.get_by_role("link", name="Log in").click()
    log_in(page, dashboard)
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(dashboard.page)
    expect(page.get_by_role("button", name="Log out")).to_be_visible()
    assert page.evaluate("document.querySelector('nav').scrollWidth <= document.querySelector('nav').clientWidth")


def test_what_somebody_types_into_a_decision_survives_the_news(browser: Browser, empty: Path) -> None:
    with served(empty) as dashboard, growing(empty, pause=0.05, trials=5000, approve="human"):
        page = browser.new_page()
        page.set_default_timeout(PATIENT)
        page.goto(f"{dashboard.url}/login")
        log_in(page, dashboard)
        page.goto(dashboard.page)
        name = page.locator(".wait input[name=by]").first
        name.fill("alice")
        identity = name.get_attribute("id")
        shown = page.locator("#last li").first.inner_text()
        expect(page.locator("#last li").first).not_to_have_text(shown)
        assert page.input_value(f"#{identity}") == "alice"
        assert page.evaluate("document.activeElement.id") == identity
        page.close()


def test_the_page_says_when_the_server_is_gone(browser: Browser, home: Path) -> None:
    with served(home) as dashboard:
        page = browser.new_page()
        page.goto(dashboard.page)
        expect(page.locator("#events li").first).to_be_attached()
        dashboard.process.terminate()
        expect(page.locator("#link")).to_be_visible()
        page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_and_a_phone_s_width_fit(
    browser: Browser, dashboard: Served, scheme: str, tmp_path: Path
) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 800}, color_scheme=scheme)  # type: ignore[arg-type]
    page.set_default_timeout(PATIENT)
    page.goto(dashboard.page)
    expect(page.locator("#events li").first).to_be_attached()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    bright = sum(map(int, re.findall(r"\d+", background)[:3])) > 384
    assert bright == (scheme == "light")
    page.screenshot(path=tmp_path / f"{scheme}.png", full_page=True)
    page.close()
