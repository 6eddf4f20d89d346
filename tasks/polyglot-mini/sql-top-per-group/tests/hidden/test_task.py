import sqlite3
from pathlib import Path

SQL, SCHEMA = Path("report.sql").read_text(), Path("schema.sql").read_text()


def report(customers, orders=(), items=()):
    base = sqlite3.connect(":memory:")
    base.executescript(SCHEMA)
    base.executemany("INSERT INTO customers VALUES (?, ?, ?)", customers)
    base.executemany("INSERT INTO orders VALUES (?, ?, ?, ?)", orders)
    base.executemany("INSERT INTO items VALUES (?, ?, ?)", items)
    base.commit()
    base.execute("PRAGMA query_only = 1")
    cursor = base.execute(SQL)
    assert [c[0] for c in cursor.description] == ["country", "rank", "name", "turnover", "share"]
    return cursor.fetchall()


def simple(*people):
    """(name, country, turnover) each."""
    customers = [(n, name, country) for n, (name, country, _) in enumerate(people, 1)]
    orders = [(n, n, "2026-05-05", 0) for n in range(1, len(people) + 1)]
    return report(customers, orders, [(n, 1, t) for n, (_, _, t) in enumerate(people, 1) if t])


def test_the_example():
    got = report([(1, "Ann", "no"), (2, "Bo", "NO "), (3, "Cy", None)], [(1, 1, "2026-02-03", 0), (2, 1, "2025-12-31", 0), (3, 2, "2026-01-01", 1)], [(1, 2, 450), (1, 1, 100), (2, 9, 999), (3, 1, 5)])
    assert got == [("NO", 1, "Ann", 1000, 100.0), ("NO", 2, "Bo", 0, 0.0), ("unknown", 1, "Cy", 0, 0.0)]


def test_ties_and_skipped_ranks():
    got = simple(("a", "X", 5), ("b", "X", 9), ("c", "X", 5), ("d", "X", 1))
    assert [(r[1], r[2]) for r in got] == [(1, "b"), (2, "a"), (2, "c")]
    got = simple(*[(n, "X", 3) for n in "edcba"])
    assert [(r[1], r[2], r[4]) for r in got] == [(1, n, 20.0) for n in "abcde"]
    got = simple(("a", "X", 9), ("b", "X", 8), ("c", "X", 7), ("d", "X", 7), ("e", "X", 6))
    assert [(r[1], r[2]) for r in got] == [(1, "a"), (2, "b"), (3, "c"), (3, "d")]


def test_share_is_of_the_whole_country():
    assert [r[4] for r in simple(*[(n, "X", t) for n, t in zip("abcdef", (50, 20, 10, 8, 7, 5))])] == [50.0, 20.0, 10.0]
    assert [r[4] for r in simple(("a", "X", 2), ("b", "X", 1))] == [66.7, 33.3]


def test_countries():
    got = simple(("a", " de", 1), ("b", "De ", 2), ("c", "", 3), ("d", "   ", 4), ("e", None, 5), ("f", "AT", 1))
    assert [(r[0], r[2]) for r in got] == [("AT", "f"), ("DE", "b"), ("DE", "a"), ("unknown", "e"), ("unknown", "d"), ("unknown", "c")]


def test_only_2026_and_not_cancelled():
    dates = ["2025-12-31", "2026-01-01", "2026-12-31", "2027-01-01"]
    orders = [(n, 1, d, 0) for n, d in enumerate(dates, 1)] + [(9, 1, "2026-06-06", 1), (10, 1, "2026-06-06", 0)]
    assert report([(1, "a", "X")], orders, [(n, 1, 10**n) for n in (1, 2, 3, 4, 9)]) == [("X", 1, "a", 1100, 100.0)]


def test_equal_names_are_different_people():
    got = report([(1, "a", "X"), (2, "a", "X")], [(1, 1, "2026-05-05", 0), (2, 2, "2026-05-05", 0), (3, 2, "2026-05-06", 0)], [(1, 3, 5), (2, 1, 20), (3, 1, 5), (3, 1, 20)])
    assert got == [("X", 1, "a", 45, 75.0), ("X", 2, "a", 15, 25.0)]


def test_nothing():
    assert report([]) == []
