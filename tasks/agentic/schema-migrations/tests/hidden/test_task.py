import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

ENV = {"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": "/tmp", "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
EXAMPLE = {path.name: path.read_text() for path in Path("example").iterdir()}


class Place:
    def __init__(self, **files):
        self.top = Path(tempfile.mkdtemp())
        self.base, self.folder = self.top / "db", self.top / "m"
        self.folder.mkdir()
        for name, text in files.items():
            self.put(name.lstrip("n"), text)

    def put(self, name, text):
        name = name.replace("__up", ".up.sql").replace("__down", ".down.sql")
        (self.folder / name).write_text(text)

    def run(self, *args):
        argv = [sys.executable, "-m", "migrate", str(self.base), str(self.folder), *args]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, env=ENV)
        return done.returncode, done.stdout.splitlines(), done.stderr

    def good(self, *args):
        code, out, err = self.run(*args)
        assert code == 0, err[-300:]
        return out

    def bad(self, *args, out=()):
        code, said, err = self.run(*args)
        assert (code, tuple(said), len(err.splitlines())) == (1, tuple(out), 1), (code, said, err)

    def rows(self, sql):
        connection = sqlite3.connect(self.base)
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()

    def tables(self):
        return [r[0] for r in self.rows("SELECT name FROM sqlite_master WHERE type='table' AND name != 'schema_migrations' ORDER BY name")]


def three():
    return Place(n1_a__up="CREATE TABLE a (x)", n1_a__down="DROP TABLE a;", n2_b__up="CREATE TABLE b (x);", n2_b__down="DROP TABLE b",
                 n0010_c__up="CREATE TABLE c (x);", n0010_c__down="DROP TABLE c;", notes="nothing")


def test_the_example_with_its_trigger():
    place = Place(**EXAMPLE)
    assert place.good("up") == ["up 0001 users", "up 0002 log"]
    connection = sqlite3.connect(place.base)
    connection.execute("INSERT INTO users (name) VALUES ('x')")
    assert connection.execute("SELECT entry FROM log").fetchall() == [("new; x",)]
    connection.close()
    assert place.good("up") == []


def test_up_and_down_by_number():
    place = three()
    assert place.good("status") == ["1 a pending", "2 b pending", "0010 c pending"]
    assert place.good("up", "--to", "2") == ["up 1 a", "up 2 b"]
    assert place.good("status") == ["1 a applied", "2 b applied", "0010 c pending"]
    assert place.good("up") == ["up 0010 c"] and place.tables() == ["a", "b", "c"]
    assert place.good("down") == ["down 0010 c"]
    assert place.good("down", "--to", "0") == ["down 2 b", "down 1 a"]
    assert place.tables() == [] and place.good("down") == []


def test_down_to_keeps_that_one():
    place = three()
    place.good("up")
    assert place.good("down", "--to", "1") == ["down 0010 c", "down 2 b"]
    assert place.tables() == ["a"]


def test_a_late_migration_is_applied():
    place = three()
    place.good("up")
    place.put("0005_late__up", "CREATE TABLE late (x);")
    assert place.good("up") == ["up 0005 late"]
    assert [line.split()[1] for line in place.good("status")] == ["a", "b", "late", "c"]


def test_a_failing_migration_leaves_nothing():
    place = three()
    place.put("3_bad__up", "CREATE TABLE bad (x); INSERT INTO bad VALUES (1); INSERT INTO nowhere VALUES (1); CREATE TABLE more (x);")
    place.bad("up", out=["up 1 a", "up 2 b"])
    assert place.tables() == ["a", "b"]
    assert place.good("status") == ["1 a applied", "2 b applied", "3 bad pending", "0010 c pending"]
    place.put("3_bad__up", "CREATE TABLE bad (x);")
    assert place.good("up") == ["up 3 bad", "up 0010 c"]


def test_a_failing_down_leaves_everything():
    place = three()
    place.put("2_b__down", "DELETE FROM a; DROP TABLE b; DROP TABLE nowhere;")
    place.good("up")
    sql = sqlite3.connect(place.base)
    sql.execute("INSERT INTO a VALUES (7)")
    sql.commit()
    sql.close()
    place.bad("down", "--to", "0", out=["down 0010 c"])
    assert place.tables() == ["a", "b"] and place.rows("SELECT x FROM a") == [(7,)]
    assert place.good("status")[1] == "2 b applied"


def test_changed_and_missing_files():
    place = three()
    place.good("up", "--to", "2")
    place.put("1_a__up", "CREATE TABLE a (x, y)")
    for command in ("up", "down"):
        place.bad(command)
    assert place.good("status")[0] == "1 a changed"
    for name in ("1_a.up.sql", "1_a.down.sql"):
        (place.folder / name).unlink()
    for command in ("up", "down"):
        place.bad(command)
    assert place.good("status") == ["1 a missing", "2 b applied", "0010 c pending"]
    assert place.tables() == ["a", "b"]


def test_no_way_down():
    place = three()
    (place.folder / "2_b.down.sql").unlink()
    place.good("up")
    place.bad("down", "--to", "0")
    assert place.tables() == ["a", "b", "c"]
    assert place.good("down") == ["down 0010 c"]


def test_folders_that_are_refused():
    for name in ("01_a__up", "1_other__up", "7_x__down", "001_a__down"):
        place = three()
        place.put(name, "SELECT 1;")
        for command in ("up", "down", "status"):
            place.bad(command)
        assert not place.base.exists() or place.tables() == []


def test_wrong_targets_and_usage():
    place = three()
    place.bad("up", "--to", "4")
    place.bad("down", "--to", "4")
    place.bad("up", "--to", "0")
    assert place.tables() == []
    for args in ([], ["sideways"], ["up", "--to", "x"]):
        assert place.run(*args)[0] == 2


def test_comments_and_strings():
    place = Place(n1_a__up="-- a; comment\nCREATE TABLE a (x); /* more; of it */\nINSERT INTO a VALUES ('it''s; fine');\n-- the end;\n")
    assert place.good("up") == ["up 1 a"] and place.rows("SELECT x FROM a") == [("it's; fine",)]
