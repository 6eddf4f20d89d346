from pathlib import Path

from ratchet_check import RemoteError, remote

DRIVER = '''
from datetime import date
from agenda import Event, Rule, between, conflicts, next_after

D = date.fromisoformat

def rule(spec):
    spec = dict(spec)
    for key in ("start", "until"):
        if spec.get(key):
            spec[key] = D(spec[key])
    if "skip" in spec:
        spec["skip"] = {D(day) for day in spec["skip"]}
    return Rule(**spec)

def ask(what, specs, *days):
    events = [Event(spec.pop("title", "e"), rule(spec)) for spec in map(dict, specs)]
    got = {"between": between, "next": next_after, "conflicts": conflicts}[what](events, *map(D, days))
    if what == "between":
        return [day.isoformat() + " " + title for day, title in got]
    return [day.isoformat() for day in got] if what == "conflicts" else got and got.isoformat()

def own():
    days, skip = [0, 2], {date(2026, 1, 7)}
    made = Rule(date(2026, 1, 5), "week", days=days, skip=skip)
    days.append(4); skip.clear()
    first = [d.isoformat() for d, _ in between([Event("", made)], date(2026, 1, 1), date(2026, 1, 15))]
    again = [d.isoformat() for d, _ in between([Event("", made)], date(2026, 1, 1), date(2026, 1, 15))]
    return first, first == again
'''
Path("/tmp/driver.py").write_text(DRIVER)
ask = remote("/tmp/driver.py", "ask", seconds=15)
own = remote("/tmp/driver.py", "own")


def dates(spec, first, last):
    return [line.split()[0] for line in ask("between", [spec], first, last)]


def refused(**spec):
    try:
        ask("between", [{"start": "2026-03-10", **spec}], "2026-03-01", "2026-03-31")
    except RemoteError as error:
        return error.type == "ValueError"
    return False


def test_until_is_included():
    spec = {"start": "2026-01-01", "every": "day", "step": 2, "until": "2026-01-05"}
    assert dates(spec, "2025-01-01", "2027-01-01") == ["2026-01-01", "2026-01-03", "2026-01-05"]
    assert dates({**spec, "until": "2026-01-01"}, "2025-01-01", "2027-01-01") == ["2026-01-01"]


def test_count_is_taken_before_skip():
    spec = {"start": "2026-01-01", "every": "day", "count": 3, "skip": ["2026-01-02"]}
    assert dates(spec, "2026-01-01", "2026-02-01") == ["2026-01-01", "2026-01-03"]
    assert dates(spec, "2026-01-03", "2026-02-01") == ["2026-01-03"]
    assert dates({**spec, "until": "2026-01-01"}, "2025-01-01", "2026-02-01") == ["2026-01-01"]


def test_weeks_begin_on_monday():
    # 2026-01-07 is a Wednesday.
    spec = {"start": "2026-01-07", "every": "week", "step": 2, "days": [0, 4]}
    assert dates(spec, "2026-01-01", "2026-02-08") == ["2026-01-09", "2026-01-19", "2026-01-23", "2026-02-02", "2026-02-06"]


def test_the_start_counts_only_if_it_fits():
    spec = {"start": "2026-01-07", "every": "week", "days": [1], "count": 2}
    assert dates(spec, "2026-01-01", "2026-03-01") == ["2026-01-13", "2026-01-20"]


def test_days_in_any_order_and_twice():
    spec = {"start": "2026-01-05", "every": "week", "days": [4, 0, 4]}
    assert dates(spec, "2026-01-05", "2026-01-13") == ["2026-01-05", "2026-01-09", "2026-01-12"]


def test_weekly_without_days():
    assert dates({"start": "2026-01-11", "every": "week", "step": 3}, "2026-01-01", "2026-02-25") == ["2026-01-11", "2026-02-01", "2026-02-22"]


def test_a_short_month_does_not_shorten_later_ones():
    spec = {"start": "2026-01-31", "every": "month"}
    assert dates(spec, "2026-01-01", "2026-05-31") == ["2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31"]
    assert dates({**spec, "step": 11, "count": 4}, "2026-01-01", "2036-01-01") == ["2026-01-31", "2026-12-31", "2027-11-30", "2028-10-31"]


def test_december():
    assert dates({"start": "2025-12-05", "every": "month"}, "2025-12-01", "2026-02-28") == ["2025-12-05", "2026-01-05", "2026-02-05"]
    assert dates({"start": "2025-06-30", "every": "month", "step": 6}, "2025-01-01", "2026-12-31") == ["2025-06-30", "2025-12-30", "2026-06-30", "2026-12-30"]


def test_the_29th_of_february():
    spec = {"start": "2024-02-29", "every": "year", "count": 2}
    assert dates(spec, "2024-01-01", "2040-01-01") == ["2024-02-29", "2028-02-29"]
    assert dates({"start": "2024-02-29", "every": "year", "step": 3}, "2024-01-01", "2040-01-01") == ["2024-02-29", "2036-02-29"]
    assert dates({"start": "2025-02-28", "every": "year"}, "2024-01-01", "2029-01-01") == ["2025-02-28", "2026-02-28", "2027-02-28", "2028-02-28"]


def test_next_is_strictly_after_and_may_be_none():
    specs = [{"start": "2026-01-01", "every": "day", "count": 3}, {"start": "2026-01-02", "every": "month", "until": "2026-03-01"}]
    assert ask("next", specs, "2026-01-01") == "2026-01-02"
    assert ask("next", specs, "2026-01-03") == "2026-02-02"
    assert ask("next", specs, "2026-02-02") is None
    assert ask("next", specs, "2020-01-01") == "2026-01-01"


def test_order_by_date_and_title():
    specs = [{"title": "b", "start": "2026-01-01", "every": "day"}, {"title": "a", "start": "2026-01-02", "every": "day"}]
    assert ask("between", specs, "2026-01-01", "2026-01-02") == ["2026-01-01 b", "2026-01-02 a", "2026-01-02 b"]


def test_conflicts_are_listed_once():
    specs = [{"start": "2026-01-01", "every": "day", "step": s} for s in (2, 3, 6)]
    assert ask("conflicts", specs, "2026-01-01", "2026-01-14") == ["2026-01-01", "2026-01-07", "2026-01-13"]


def test_far_future_is_quick_and_the_calendar_ends():
    for every in ("day", "week", "month", "year"):
        specs = [{"start": "0001-01-03", "every": every}] * 5
        count = len(ask("between", specs, "9999-01-01", "9999-12-31"))
        assert count in {"day": [5 * 365], "week": [5 * 52, 5 * 53], "month": [5 * 12], "year": [5]}[every]
        assert ask("next", specs, "9999-12-31") is None
    weekly = dates({"start": "0001-01-01", "every": "week", "days": [0, 6]}, "9999-12-20", "9999-12-31")
    assert weekly == ["9999-12-20", "9999-12-26", "9999-12-27"]


def test_a_skip_before_the_window_matters_not():
    spec = {"start": "2026-01-01", "every": "day", "skip": ["2026-01-03", "2026-01-05"]}
    assert dates(spec, "2026-01-04", "2026-01-06") == ["2026-01-04", "2026-01-06"]


def test_refusals():
    assert all([
        refused(every="hour"), refused(every="day", step=0), refused(every="day", count=0), refused(every="day", days=[1]),
        refused(every="week", days=[]), refused(every="week", days=[7]), refused(every="week", days=[-1]),
        refused(every="day", until="2026-03-09"), refused(every="day", step=-1),
    ])
    assert not refused(every="day", until="2026-03-10", count=1)


def test_rules_own_what_they_hold():
    assert own() == (["2026-01-05", "2026-01-12", "2026-01-14"], True)
