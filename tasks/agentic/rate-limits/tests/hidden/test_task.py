from pathlib import Path

from ratchet_check import RemoteError, remote

DRIVER = '''
from datetime import date
from limits import Limiter

def play(rate, burst, quota, steps):
    """steps: [time, day, verb, caller, ...]"""
    now = [0.0, 1]
    limiter = Limiter(rate, burst, quota, clock=lambda: now[0], calendar=lambda: date(2026, 1, now[1]))
    said = []
    for time, day, verb, *rest in steps:
        now[:] = [time, day]
        said.append(len(limiter) if verb == "len" else getattr(limiter, verb)(*rest))
    return said
'''
Path("/tmp/driver.py").write_text(DRIVER)
play = remote("/tmp/driver.py", "play")


def allows(rate, burst, times, quota=10**6, cost=1):
    return play(rate, burst, quota, [[t, 1, "allow", "a", cost] for t in times])


def test_the_whole_burst_can_be_used():
    assert allows(1, 3, [0, 0, 0, 0]) == [True, True, True, False]


def test_a_quiet_night_fills_no_more_than_the_bucket():
    assert allows(1, 3, [0, 0, 0, 10**6, 10**6, 10**6, 10**6]) == [True] * 6 + [False]


def test_polling_does_not_lose_fractions():
    got = allows(0.5, 1, [n / 10 for n in range(41)])
    assert [n for n, passed in enumerate(got) if passed] == [0, 20, 40]
    assert allows(1, 2, [0, 0, 0.25, 0.5, 0.75, 1.0]) == [True, True, False, False, False, True]


def test_a_clock_that_goes_back():
    assert allows(1, 2, [100, 100, 50, 51, 51]) == [True, True, False, True, False]


def test_refused_requests_cost_nothing():
    steps = [[0, 1, "allow", "a"], [0, 1, "allow", "a"], [0, 1, "allow", "a"], [0, 1, "remaining", "a"], [1, 1, "allow", "a"], [1, 1, "remaining", "a"]]
    assert play(1, 1, 3, steps) == [True, False, False, (0, 2), True, (0, 1)]
    steps = [[0, 1, "allow", "a", 1]] * 2 + [[0, 1, "remaining", "a"]]
    assert play(1, 5, 1, steps) == [True, False, (4, 0)]


def test_a_new_day_renews_the_quota_each_time():
    steps = [[d * 100, d, "allow", "a"] for d in (1, 1, 1, 2, 2, 2, 3, 3, 3)]
    assert play(100, 100, 2, steps) == [True, True, False] * 3


def test_the_quota_is_shown_renewed():
    steps = [[0, 1, "allow", "a"], [0, 1, "remaining", "a"], [0, 2, "remaining", "a"], [0, 2, "wait", "a", 10]]
    assert play(1, 10, 1, steps) == [True, (9, 0), (9, 1), 1.0]


def test_wait():
    steps = [[0, 1, "wait", "a"], [0, 1, "allow", "a", 4], [0, 1, "wait", "a", 4], [1, 1, "wait", "a", 4], [3, 1, "wait", "a", 4], [9, 1, "wait", "a", 4], [9, 1, "remaining", "a"]]
    assert play(0.5, 4, 9, steps) == [0.0, True, 8.0, 7.0, 5.0, 0.0, (4, 8)]
    assert play(1, 4, 1, [[0, 1, "allow", "a"], [0, 1, "wait", "a"]]) == [True, None]


def test_whole_tokens():
    assert play(0.5, 4, 9, [[0, 1, "allow", "a", 4], [3, 1, "remaining", "a"], [7.9, 1, "remaining", "a"], [8, 1, "remaining", "a"]])[1:] == [(1, 8), (3, 8), (4, 8)]


def test_costs_that_can_never_pass():
    for cost in (0, -1, 4, 3.5):
        for verb in ("allow", "wait"):
            try:
                play(1, 3, 9, [[0, 1, verb, "a", cost]])
            except RemoteError as error:
                assert error.type == "ValueError"
            else:
                raise AssertionError(cost)


def test_callers_do_not_share():
    assert play(1, 1, 9, [[0, 1, "allow", "a"], [0, 1, "allow", "b"], [0, 1, "allow", "a"]]) == [True, True, False]


def test_callers_are_forgotten():
    steps = [[0, 1, "allow", f"c{n}"] for n in range(50)] + [[0, 1, "len"], [9, 1, "allow", "x"], [9, 1, "len"], [9, 2, "allow", "x"], [9, 2, "len"]]
    got = play(1, 1, 9, steps)
    assert (got[50], got[52], got[54]) == (50, 51, 1)


def test_asking_makes_nobody_known():
    steps = [[0, 1, "wait", "a"], [0, 1, "remaining", "b"], [0, 1, "len"], [0, 1, "allow", "c"], [0, 1, "len"]]
    got = play(1, 1, 9, steps)
    assert (got[1], got[2] in (0, 2), got[4]) == ((1, 9), True, 1)
