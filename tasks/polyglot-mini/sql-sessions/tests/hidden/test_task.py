import random
import sqlite3
from datetime import datetime, timezone
from pathlib import Path

SQL, SCHEMA = Path("sessions.sql").read_text(), Path("schema.sql").read_text()
DAY = 1_795_392_000  # 2026-11-23 00:00:00


def sessions(views, robots=()):
    base = sqlite3.connect(":memory:")
    base.executescript(SCHEMA)
    base.executemany("INSERT INTO views (visitor, viewed, page) VALUES (?, ?, ?)", views)
    base.executemany("INSERT INTO robots VALUES (?)", [(r,) for r in robots])
    base.commit()
    base.execute("PRAGMA query_only = 1")
    cursor = base.execute(SQL)
    assert [c[0] for c in cursor.description] == ["visitor", "session", "start", "seconds", "pages", "entry", "exit", "bounced"]
    return cursor.fetchall()


def at(*times):
    return [(r[1], r[3]) for r in sessions([("v", DAY + t, f"p{t}") for t in times])]


def test_one_session():
    assert sessions([("v", DAY + 3600, "/a"), ("v", DAY + 3660, "/b"), ("v", DAY + 3700, "/a")]) == [("v", 1, "2026-11-23 01:00:00", 100, 2, "/a", "/a", 0)]


def test_half_an_hour():
    assert at(0, 1799, 3598) == [(1, 3598)] and at(0, 1800) == [(1, 0), (2, 0)] and at(0, 1799, 3599, 5000) == [(1, 1799), (2, 1401)]


def test_midnight():
    assert at(-100, -1, 0, 50) == [(1, 99), (2, 50)] and sessions([("v", DAY - 1, "a"), ("v", DAY, "b")])[1][:3] == ("v", 2, "2026-11-23 00:00:00")


def test_double_views_are_one():
    assert sessions([("v", DAY, "a"), ("v", DAY, "a")]) == [("v", 1, "2026-11-23 00:00:00", 0, 1, "a", "a", 1)]
    assert sessions([("v", DAY, "a"), ("v", DAY, "b"), ("v", DAY, "a")])[0][4:] == (2, "a", "b", 0)
    assert sessions([("v", DAY, "b"), ("v", DAY, "a"), ("v", DAY + 1, "a")])[0][4:] == (2, "b", "a", 0)


def test_a_page_seen_twice_is_no_bounce():
    assert sessions([("v", DAY, "a"), ("v", DAY + 5, "a")])[0][3:] == (5, 1, "a", "a", 0)


def test_robots_and_nobody():
    views = [(v, DAY, "a") for v in ("bot-1", "Bot-1", "robot", "x%y", "xay", "a_b", "acb", None, "", "b")]
    assert [r[0] for r in sessions(views, ["bot", "x%", "a_"])] == ["", "Bot-1", "acb", "b", "robot", "xay"]
    assert len(sessions(views)) == 9 and sessions(views, [""]) == []


def test_order():
    got = sessions([("b", DAY, "x"), ("a", DAY, "x"), ("10", DAY, "x"), ("9", DAY, "x"), ("a", DAY - 9999, "x"), ("z", DAY - 5000, "x")])
    assert [(r[0], r[1]) for r in got] == [("a", 1), ("z", 1), ("10", 1), ("9", 1), ("a", 2), ("b", 1)]


def test_views_in_any_order():
    assert sessions([("v", DAY + 50, "c"), ("v", DAY, "a"), ("v", DAY + 20, "b")])[0][3:] == (50, 3, "a", "c", 0)


def test_against_plain_python():
    rng = random.Random(4)
    views = [(rng.choice(["u", "v", "w"]), DAY + rng.randint(-40000, 40000) // 7 * 7, rng.choice("abc")) for _ in range(600)]
    expected = []
    for visitor in "uvw":
        seen, current, count = {}, None, 0
        for n, (v, t, p) in enumerate(views):
            if v == visitor:
                seen.setdefault((t, p), n)
        for t, n, p in sorted((t, n, p) for (t, p), n in seen.items()):
            if current is None or t - current[-1][0] >= 1800 or t // 86400 != current[-1][0] // 86400:
                current, count = [], count + 1
                expected.append((visitor, count, current))
            current.append((t, p))
    rows = []
    for visitor, number, found in expected:
        start = datetime.fromtimestamp(found[0][0], timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
        rows.append((visitor, number, start, found[-1][0] - found[0][0], len({p for _, p in found}), found[0][1], found[-1][1], int(len(found) == 1)))
    assert sessions(views) == sorted(rows, key=lambda r: (r[2], r[0], r[1]))
