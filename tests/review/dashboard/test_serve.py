"""The dashboard's pages and actions, in one process; live over HTTP is in `test_serve_live.py`."""

from __future__ import annotations

import json
import re
import subprocess
import time
from dataclasses import asdict
from html.parser import HTMLParser
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from agent.base.errors import UserError
from agent.base.types import Candidate, Fate, Purpose, Trial
from agent.base.usage import Usage
from agent.config.campaign import load_config
from agent.kernel.decide.gate import GateSettings
from agent.kernel.loop.approval import Acceptance, Approvals
from agent.kernel.record.ledger import Ledger
from agent.live.status import FILE, Now, OpenTest, Used, read_now
from agent.review.dashboard.actions import Actions
from agent.review.dashboard.app import Dashboard
from agent.review.dashboard.guard import Rules
from agent.review.dashboard.serve import is_loopback, listen
from agent.review.dashboard.watch import Record, names
from agent.review.report.facts import collect
from agent.review.report.page import SECTIONS as TITLES
from agent.review.report.page import render, render_sections
from tests.review.dashboard.growing import HOSTILE

SECTIONS = [name for name, _ in TITLES]
TOKEN = "t" * 32
BEARER = {"authorization": f"Bearer {TOKEN}"}
CONFIG = "name: night\nsuite: {suite}\nmodels: {{solver: {{provider: embedded}}, improver: {{provider: embedded}}}}\n"
NASTY = " ".join(HOSTILE)


class Tags(HTMLParser):
    """Every element of a page, with its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def fill(folder: Path) -> None:
    """A campaign in which every text that a model may write is hostile."""
    folder.mkdir(parents=True)
    with Ledger(folder / "ledger.sqlite") as ledger:
        ledger.remember("base", "HEAD")
        for number, fate in ((0, Fate.CHAMPION), (1, Fate.OPEN), (2, Fate.REFUSED), (3, Fate.REJECTED)):
            one = Candidate(
                id=number, parent=0 if number else None, tree=f"tree{number}", subject=NASTY, body=NASTY, fate=fate,
                reason=NASTY, size=3,
            )  # fmt: skip
            ledger.add_candidate(one, fingerprint=str(number), diff=f"+++ b/{NASTY}\n+{NASTY}\n", transcript=NASTY)
        for number in range(2):
            for purpose in (Purpose.SEARCH, Purpose.HOLDOUT):
                trial = Trial(
                    id=f"{purpose}{number}", tree=f"tree{number}", task=f"{NASTY} {purpose}", purpose=purpose, seed=1,
                    score=float(number), reason=NASTY, transcript=NASTY + "x" * (1 << 20), usage=Usage(), seconds=1.0,
                )  # fmt: skip
                ledger.add_trial(trial, candidate=number, index=0)
        numbers = {**asdict(GateSettings()), "runs": 10}
        test = ledger.open_test(candidate=1, champion=0, commits=0, policy="proven", settings=numbers)
        ledger.close_test(test.id, "accepted", {"sentence": NASTY})
        waiting = Acceptance(
            candidate=1, champion=0, test=test.id, subject=NASTY, body=NASTY, trailers={}, sentence=NASTY
        )
        Approvals(ledger).keep(waiting)
        for kind in ("load", "paused", "begin", NASTY):
            ledger.note(kind, NASTY)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, checkout: Path) -> Path:
    """A repository with two campaigns, read only."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "campaign.yaml").write_text(CONFIG.format(suite=checkout / "tasks" / "starter"))
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    fill(folder / "runs" / "night")
    fill(folder / "runs" / "other")
    (folder / "runs" / "link").symlink_to(folder / "runs" / "night")
    (folder / "runs" / "empty").mkdir()
    now = Now(pid=1, running=(NASTY,), paused=NASTY, test=OpenTest(id=1, candidate=1, champion=0, pairs=3, log_e=1.0,
              log_threshold=3.0), budget=(Used(name=NASTY, used=1, limit=2),))  # fmt: skip
    (folder / "runs" / "night" / FILE).write_text(now.model_dump_json())
    return folder


def dashboard(home: Path) -> Dashboard:
    path = home / "campaign.yaml"
    rules = Rules(token=TOKEN, loopback=True)
    return Dashboard(home / "runs", rules, Actions(load_config(path), path))


@pytest.fixture
def reader(home: Path) -> TestClient:
    return TestClient(dashboard(home).app, base_url="http://127.0.0.1:8737", follow_redirects=False)


@pytest.fixture
def known(reader: TestClient) -> TestClient:
    assert reader.post("/login", data={"token": TOKEN}).status_code == 303
    return reader


def drawn(reader: TestClient) -> str:
    """The page of a campaign once its report is drawn; a busy machine takes longer than a page waits."""
    for _ in range(200):
        page = reader.get("/c/night/").text
        if "aria-busy" not in page:
            return page
        time.sleep(0.1)
    raise AssertionError("the report was never drawn")


def form_token(page: str) -> str:
    found = re.search(r'name="form" value="([^"]+)"', page)
    assert found
    return found[1]


# ------------------------------------------------------------------------------------ pages


def test_the_page_shows_every_section_of_the_report(reader: TestClient) -> None:
    page = drawn(reader)
    ids = {attributes.get("id") for _, attributes in Tags(page).found}
    assert {"now", *SECTIONS} <= ids
    assert {"theme", "filter", "tip"} <= ids  # what the report's script works on
    for part in SECTIONS:
        assert reader.get(f"/c/night/part/{part}").text.startswith(f'<section id="{part}"')


def test_the_first_page_does_not_wait_for_its_report(reader: TestClient) -> None:
    first = reader.get("/c/night/").text
    assert first.count('aria-busy="true"') == len(SECTIONS)
    assert "aria-busy" not in drawn(reader)


def test_the_report_and_the_dashboard_are_made_of_the_same_whole_sections(home: Path, reader: TestClient) -> None:
    with Ledger(home / "runs" / "night" / "ledger.sqlite", read_only=True) as ledger:
        facts = collect(ledger)
    still, live, page = render_sections(facts), render_sections(facts, live=True), drawn(reader)
    assert [*still] == [*live] == SECTIONS
    for name in SECTIONS:
        assert still[name] in render(facts)
        assert live[name] in page
        for text in (still[name], live[name]):
            assert text.strip().startswith(f'<section id="{name}"')
            assert text.strip().endswith("</section>")
            assert text.count("<section") == text.count("</section>")


def test_the_index_lists_campaigns_and_nothing_else(reader: TestClient) -> None:
    page = reader.get("/").text
    assert re.findall(r'href="/c/([^/]+)/"', page) == ["night", "other"]


@pytest.mark.parametrize("path", ["/", "/c/night/", "/c/other/", "/login", *(f"/c/night/part/{p}" for p in SECTIONS)])
def test_what_a_model_wrote_is_only_text(known: TestClient, path: str) -> None:
    drawn(known)
    page = known.get(path).text
    for tag, attributes in Tags(page).found:
        assert tag not in {"img", "iframe", "object", "embed", "base", "style"}
        assert not [name for name in attributes if name.startswith("on") or name == "style"], attributes
        assert tag != "script" or (attributes.get("src") or "").startswith("/assets/")
        for name in ("href", "src", "action", "formaction", "xlink:href"):
            value = attributes.get(name) or "#"
            assert value.startswith(("#", "/", "data:,")), value
            assert not value.startswith("//")
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u200b\u202a-\u202e\u2066-\u2069]", page)
    shown = path not in {
        "/login",
        *(f"/c/night/part/{part}" for part in ("summary", "scores", "evidence", "patches", "improvers", "cost")),
    }
    assert ("&lt;script&gt;" in page) == shown


def test_a_section_that_a_model_wrote_stays_text(reader: TestClient) -> None:
    assert drawn(reader).count('<section id="summary"') == 1


@pytest.mark.parametrize(
    "path",
    [
        "/c/link/", "/c/empty/", "/c/nobody/", "/c/..%2Fruns%2Fnight/", "/c/%2e%2e/", "/c/.%2Fnight/",
        "/c/night%00/", "/c/NIGHT/", "/c/night/part/nothing", "/c/night/part/..%2Fsummary", "/assets/..%2Fserve.py",
        "/assets/%2e%2e/guard.py", "/assets/report.html", "/assets/", "/etc/passwd",
    ],
)  # fmt: skip
def test_no_path_leads_out_of_the_campaigns(reader: TestClient, path: str) -> None:
    answer = reader.get(path)
    assert answer.status_code == 404
    assert "ledger" not in answer.text


def test_assets_need_nothing_from_elsewhere(reader: TestClient) -> None:
    page = reader.get("/c/night/").text
    for source in re.findall(r'(?:src|href)="(/assets/[^"]+)"', page):
        body = reader.get(source)
        assert body.status_code == 200
        text = re.sub(r"/\*.*?\*/|//[^\n]*", "", body.text, flags=re.DOTALL)
        assert not re.search(r"https?://|@import|url\(", text.replace("http://www.w3.org", "")), source


# ------------------------------------------------------------------------------------ actions


@pytest.mark.parametrize("action", ["start", "stop", "approve", "reject"])
def test_nothing_changes_by_reading(known: TestClient, action: str) -> None:
    for method in ("GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"):
        assert known.request(method, f"/c/night/{action}").status_code in {404, 405}


@pytest.mark.parametrize("action", ["start", "stop", "approve", "reject"])
def test_actions_need_token_and_form_token(reader: TestClient, action: str) -> None:
    path, fields = f"/c/night/{action}", {"candidate": "1"}
    assert reader.post(path, data=fields).status_code == 403
    reader.post("/login", data={"token": TOKEN})
    assert reader.post(path, data=fields).status_code == 403
    good = {**fields, "form": form_token(reader.get("/c/night/").text)}
    assert reader.post(path, data=good, headers={"origin": "http://evil.example"}).status_code == 403


def test_without_the_token_there_are_no_actions_and_no_form_token(reader: TestClient) -> None:
    page = reader.get("/c/night/").text
    assert "<button>Start" not in page
    assert 'name="form"' not in page
    assert "ratchet approve 1" in page


def test_a_stop_says_what_the_command_line_would_say(known: TestClient) -> None:
    fields = {"form": form_token(known.get("/c/night/").text)}
    answer = known.post("/c/night/stop", data=fields)
    assert answer.status_code == 303
    assert "no process is running the campaign" in known.get(answer.headers["location"]).text
    assert "no process is running" in known.post("/c/night/stop", headers=BEARER).text


def test_a_campaign_that_cannot_start_says_why(tmp_path: Path) -> None:
    path = tmp_path / "campaign.yaml"
    path.write_text(CONFIG.format(suite=tmp_path / "nowhere"))
    said = Actions(load_config(path), path).start()
    assert said.startswith("it did not start (exit code 2): ratchet: ")
    assert "nowhere" in said


def test_only_the_campaign_of_the_configuration_has_actions(known: TestClient) -> None:
    assert "<form" not in known.get("/c/other/").text.partition('id="now"')[2].partition("</section>")[0]
    for action in ("start", "stop", "approve", "reject"):
        assert known.post(f"/c/other/{action}", data={"candidate": "1"}, headers=BEARER).status_code == 404


@pytest.mark.parametrize("candidate", ["", "x", "-1", "1.5", "²", "None"])
def test_a_candidate_is_a_number(known: TestClient, candidate: str) -> None:
    assert known.post("/c/night/approve", data={"candidate": candidate}, headers=BEARER).status_code == 404


def test_a_patch_that_does_not_wait_cannot_be_approved(known: TestClient) -> None:
    said = known.post("/c/night/approve", data={"candidate": "2"}, headers=BEARER).text
    assert "#2 does not wait for approval" in said


# ------------------------------------------------------------------------------------ looking


def test_a_record_that_is_removed_or_replaced_is_noticed(tmp_path: Path) -> None:
    fill(tmp_path / "night")
    record = Record(tmp_path / "night")
    assert record.view().proposals == 3
    (tmp_path / "night" / "ledger.sqlite").rename(tmp_path / "kept")
    assert record.view().doing == "gone"
    with Ledger(tmp_path / "night" / "ledger.sqlite") as ledger:
        ledger.note("begin", "again")
    assert [event.text for event in record.view().events] == ["again"]
    assert record.view().proposals == 0
    (tmp_path / "night" / "ledger.sqlite").write_bytes(b"no database" * 100)
    record.close()
    assert record.view().doing == "broken"
    record.close()


def test_a_view_without_news_is_the_same(tmp_path: Path) -> None:
    fill(tmp_path / "night")
    record = Record(tmp_path / "night")
    first = record.view()
    assert record.view() == first
    with Ledger(tmp_path / "night" / "ledger.sqlite") as ledger:
        ledger.note("begin", "more")
    assert record.view().events[-1].text == "more"
    record.close()


def test_steps_of_a_dead_process_are_not_in_flight(home: Path) -> None:
    record = Record(home / "runs" / "night")
    view = record.view()
    assert (view.doing, view.pid) == ("stopped", None)
    assert view.now is not None
    assert (view.now.running, view.now.paused) == ((), None)
    assert "did not end in order" in view.why
    record.close()


@pytest.mark.parametrize("text", ["", "{", "[]", json.dumps({"pid": "x"}), "\x00" * 50, "9" * 4_000_000])
def test_a_damaged_status_file_is_ignored(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    assert read_now(tmp_path) is None


def test_a_runs_folder_that_is_missing_has_no_campaigns(tmp_path: Path) -> None:
    assert names(tmp_path / "nowhere") == []


def test_a_port_that_is_taken_is_a_user_error() -> None:
    with listen("127.0.0.1", 0) as first:
        assert is_loopback(first)
        with pytest.raises(UserError, match="cannot listen"):
            listen("127.0.0.1", first.getsockname()[1])
    with pytest.raises(UserError, match="not an address of this machine"):
        listen("no.such.name.invalid", 0)
