from datetime import date

from agenda import Event, Rule, between, next_after


def test_daily():
    event = Event("walk", Rule(date(2026, 1, 1), "day", step=2))
    got = between([event], date(2026, 1, 1), date(2026, 1, 5))
    assert got == [(date(2026, 1, d), "walk") for d in (1, 3, 5)]


def test_next():
    event = Event("rent", Rule(date(2026, 1, 15), "month"))
    assert next_after([event], date(2026, 2, 1)) == date(2026, 2, 15)
