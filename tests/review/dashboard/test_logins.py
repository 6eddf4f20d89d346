"""Logins: what a cookie proves, and for how long."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.review.dashboard.logins import SESSION_SECONDS, Logins


class Clock:
    """Unix seconds that stand still."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def test_a_login_lasts_twelve_hours_from_its_beginning_however_often_it_is_used() -> None:
    clock = Clock()
    logins = Logins(clock)
    cookie = logins.begin()
    for _ in range(12):
        assert logins.find(cookie) is not None
        clock.now += SESSION_SECONDS / 12
    assert logins.find(cookie) is not None
    clock.now += 1
    assert logins.find(cookie) is None


def test_a_login_that_ended_stays_ended_and_no_other_ends_with_it() -> None:
    clock = Clock()
    logins = Logins(clock)
    mine, yours = logins.begin(), logins.begin()
    logins.end(mine)
    for _ in range(3):
        assert logins.find(mine) is None
        clock.now += SESSION_SECONDS / 4
        assert logins.find(yours) is not None
        logins.end("not a cookie")


def test_every_login_has_a_form_token_of_its_own_that_does_not_change() -> None:
    logins = Logins()
    cookies = [logins.begin() for _ in range(20)]
    forms = [login.form for login in map(logins.find, cookies) if login]
    assert len(set(forms)) == 20
    assert forms == [login.form for login in map(logins.find, cookies) if login]
    assert not any(form in cookie for form in forms for cookie in cookies)


def test_a_restart_logs_everybody_out() -> None:
    assert Logins().find(Logins().begin()) is None


@given(st.text(max_size=120))
def test_no_text_that_was_made_up_is_a_login(text: str) -> None:
    assert Logins().find(text) is None


@pytest.mark.parametrize(("letter", "standard"), [("-", "+"), ("_", "/")])
def test_a_cookie_in_the_other_alphabet_of_base64_is_refused(letter: str, standard: str) -> None:
    logins = Logins()
    cookies = (logins.begin().rpartition(".") for _ in range(1000))
    name, dot, signature = next(parts for parts in cookies if letter in parts[2])
    assert logins.find(name + dot + signature) is not None
    assert logins.find(name + dot + signature.replace(letter, standard)) is None


@given(st.data())
def test_a_cookie_that_was_changed_anywhere_is_refused(data: st.DataObject) -> None:
    logins = Logins()
    cookie = logins.begin()
    at = data.draw(st.integers(0, len(cookie) - 1))
    other = data.draw(st.characters(codec="ascii").filter(lambda c: c != cookie[at]))
    assert logins.find(cookie[:at] + other + cookie[at + 1 :]) is None
