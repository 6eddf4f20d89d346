"""The dashboard's guard, attacked."""

from __future__ import annotations

import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from agent.base.errors import UserError
from agent.review.dashboard.guard import LOGIN, Guard, Rules, authorised_form, read_token

TOKEN = "t" * 32
HOME = "http://127.0.0.1:8737"


async def _read(request: Request) -> Response:
    login = request.state.login
    return PlainTextResponse(login.form if login else "nobody")


async def _change(request: Request) -> Response:
    return PlainTextResponse("changed") if await authorised_form(request) is not None else PlainTextResponse("no", 403)


async def _login(request: Request) -> Response:
    answer = PlainTextResponse("welcome")
    return answer if await request.state.guard.log_in(request, answer) else PlainTextResponse("wrong", 403)


async def _logout(request: Request) -> Response:
    answer = PlainTextResponse("bye")
    request.state.guard.log_out(request, answer)
    return answer


def visitor(rules: Rules, home: str = HOME) -> TestClient:
    routes = [
        Route("/", _read),
        Route("/change", _change, methods=["POST"]),
        Route(LOGIN, _login, methods=["POST"]),
        Route("/logout", _logout, methods=["POST"]),
    ]
    app = Starlette(routes=routes, middleware=[Middleware(Guard, rules=rules)])
    return TestClient(app, base_url=home, follow_redirects=False)


@pytest.fixture
def here() -> TestClient:
    """A visitor on loopback."""
    return visitor(Rules(token=TOKEN, loopback=True))


@pytest.fixture
def known(here: TestClient) -> TestClient:
    """Somebody on loopback who showed the token in the form."""
    assert here.post(LOGIN, data={"token": TOKEN}).text == "welcome"
    return here


def elsewhere(*names: str) -> TestClient:
    return visitor(Rules(token=TOKEN, loopback=False, names=frozenset(names)), "http://192.0.2.7:8737")


# ------------------------------------------------------------------------------------ host, origin


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:8737", "127.0.0.1.evil.example", "localhost.evil.example", "192.0.2.7",
        "127.0.0.1@evil.example", "evil.example/127.0.0.1", "[::1", "127.0.0.1:x", "10.0.0.1", "2130706433", "a b", "",
    ],
)  # fmt: skip
def test_a_name_that_others_could_point_at_us_is_refused(here: TestClient, host: str) -> None:
    assert here.get("/", headers={"host": host}).status_code == 421


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8737", "localhost", "LOCALHOST:99", "localhost.", "[::1]:8737", "127.9.9.9"]
)
def test_loopback_is_known_by_its_names_whatever_port_a_tunnel_has(here: TestClient, host: str) -> None:
    assert here.get("/", headers={"host": host}).status_code == 200


def test_two_host_headers_are_refused(here: TestClient) -> None:
    assert here.get("/", headers=[("host", "127.0.0.1:8737"), ("host", "evil.example")]).status_code == 421  # type: ignore[arg-type]


@given(st.text(alphabet=string.printable, max_size=40))
def test_no_host_header_breaks_the_check_or_passes_as_a_foreign_name(host: str) -> None:
    rules = Rules(token=None, loopback=True, names=frozenset({"lab.example"}))
    if rules.knows_host(host):
        name = host.strip().lower().rpartition(":")[0] or host.lower()
        assert any(part in name for part in ("localhost", "lab.example", "127.", "::1"))


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "https://127.0.0.1", "http://127.0.0.1:1", "file://", "x"]
)
def test_a_form_on_another_site_changes_nothing(known: TestClient, origin: str) -> None:
    mine = known.get("/").text
    assert known.post("/change", data={"form": mine}, headers={"origin": origin}).status_code == 403
    bearer = {"authorization": f"Bearer {TOKEN}", "origin": origin}
    assert known.post("/change", headers=bearer).status_code == 403


# ------------------------------------------------------------------------------------ token, form token


def test_without_the_token_one_reads_on_loopback_and_changes_nothing(here: TestClient) -> None:
    assert here.get("/").text == "nobody"
    assert here.post("/change", data={"form": ""}).status_code == 403


def test_without_a_token_file_nothing_opens_the_actions() -> None:
    here = visitor(Rules(token=None, loopback=True))
    for given_token in ("", "None", TOKEN):
        assert here.post(LOGIN, data={"token": given_token}).status_code == 403
        assert here.post("/change", headers={"authorization": f"Bearer {given_token}"}).status_code == 403


def test_elsewhere_than_on_loopback_even_reading_needs_the_token() -> None:
    far = elsewhere()
    assert far.get("/").status_code == 401
    assert far.get("/", headers={"accept": "text/html"}).headers["location"] == LOGIN
    assert far.get("/", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200
    assert far.get("/", headers={"authorization": f"Basic {TOKEN}"}).status_code == 401


def test_elsewhere_a_name_must_be_allowed() -> None:
    far, bearer = elsewhere("lab.example"), {"authorization": f"Bearer {TOKEN}"}
    assert far.get("/", headers={**bearer, "host": "lab.example:8737"}).status_code == 200
    assert far.get("/", headers={**bearer, "host": "evil.example"}).status_code == 421


def test_a_form_needs_the_token_of_its_own_session(known: TestClient) -> None:
    assert known.post("/change", data={"form": known.get("/").text}).text == "changed"
    for fields in ({}, {"form": ""}, {"form": "guess"}, {"form": TOKEN}):
        assert known.post("/change", data=fields).status_code == 403


def test_a_form_token_in_json_or_in_the_address_does_not_count(known: TestClient) -> None:
    mine = known.get("/").text
    assert known.post("/change", json={"form": mine}).status_code == 403
    assert known.post(f"/change?form={mine}").status_code == 403
    assert known.post("/change", data={"form": mine, "much": "x" * 20_000}).status_code == 403


def test_a_program_with_the_token_needs_no_form(here: TestClient) -> None:
    assert here.post("/change", headers={"authorization": f"Bearer {TOKEN}"}).text == "changed"


@pytest.mark.parametrize("wrong", ["", TOKEN[:-1], TOKEN + "t", "é" * 32, "\x00"])
def test_a_wrong_token_begins_no_session(here: TestClient, wrong: str) -> None:
    answer = here.post(LOGIN, data={"token": wrong})
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites(here: TestClient) -> None:
    cookie = here.post(LOGIN, data={"token": TOKEN}).headers["set-cookie"].lower()
    assert cookie.startswith("ratchet-8737=")
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert TOKEN not in cookie


def test_after_logout_the_cookie_is_worthless(known: TestClient) -> None:
    cookie = "; ".join(f"{name}={value}" for name, value in known.cookies.items())
    assert known.get("/", headers={"cookie": cookie}).text != "nobody"
    assert known.post("/logout").text == "bye"
    assert known.get("/", headers={"cookie": cookie}).text == "nobody"


def test_who_logs_in_again_has_a_new_session_and_the_old_one_ends(known: TestClient) -> None:
    old = "; ".join(f"{name}={value}" for name, value in known.cookies.items())
    form = known.get("/").text
    assert known.post(LOGIN, data={"token": TOKEN}).text == "welcome"
    assert known.get("/").text not in {form, "nobody"}
    assert known.post("/change", data={"form": form}).status_code == 403
    assert known.get("/", headers={"cookie": old}).text == "nobody"


def test_a_session_ends_after_twelve_hours(here: TestClient) -> None:
    assert "max-age=43200" in here.post(LOGIN, data={"token": TOKEN}).headers["set-cookie"].lower()


def test_every_answer_carries_the_policy(here: TestClient) -> None:
    answers = [
        here.get("/"),
        here.get("/nowhere"),
        here.get("/", headers={"host": "evil.example"}),
        here.post("/change"),
    ]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self';")
        assert "unsafe" not in policy
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["cache-control"] == "no-store"


# ------------------------------------------------------------------------------------ token file


def test_a_token_file_that_is_missing_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    token = read_token(tmp_path / "token")
    assert len(token) >= 32
    assert (tmp_path / "token").stat().st_mode & 0o777 == 0o600
    assert read_token(tmp_path / "token") == token


def test_a_token_that_others_can_read_or_guess_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "token"
    read_token(file)
    file.chmod(0o644)
    with pytest.raises(UserError, match="chmod 600"):
        read_token(file)
    file.chmod(0o600)
    file.write_text("secret\n")
    with pytest.raises(UserError, match="no token of 20 characters"):
        read_token(file)
    with pytest.raises(UserError, match="cannot be read or created"):
        read_token(tmp_path / "nowhere" / "token")
