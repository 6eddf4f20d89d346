import os
import subprocess
import sys
import tempfile
from pathlib import Path

TOP = os.getcwd()
ENV = {"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": "/tmp", "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": TOP}


class Place:
    def __init__(self, mkfile, **times):
        self.top = Path(tempfile.mkdtemp())
        (self.top / "Mkfile").write_text(mkfile)
        for name, time in times.items():
            self.touch(name, time)

    def touch(self, name, time):
        (self.top / name).write_text(name)
        os.utime(self.top / name, ns=(10**18 + time, 10**18 + time))

    def run(self, *args):
        done = subprocess.run([sys.executable, "-m", "mk", *args], capture_output=True, text=True, timeout=60, env=ENV, cwd=self.top)
        return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()

    def has(self, name):
        return (self.top / name).exists()


CHAIN = "app: lib main\n    cp main app\nlib: src\n    cp src lib\n"
PHONY = "all: one two\none: src\n\techo 1 > one\ntwo:\n\techo 2 > two\n"


def test_first_rule_and_order():
    place = Place(CHAIN, src=0, main=0)
    assert place.run() == (0, ["cp src lib", "cp main app"], [])
    assert place.run() == (0, ["mk: app is up to date"], [])


def test_equal_times_are_up_to_date_and_a_nanosecond_counts():
    place = Place(CHAIN, src=5, main=5, lib=5, app=5)
    assert place.run() == (0, ["mk: app is up to date"], [])
    place.touch("src", 6)
    assert place.run()[1] == ["cp src lib", "cp main app"]
    place = Place(CHAIN, src=5, main=6, lib=5, app=5)
    assert place.run()[1] == ["cp main app"]


def test_a_diamond_is_built_once():
    place = Place("top: a b\n  cat a b > top\na: base\n  cp base a\nb: base\n  cp base b\nbase:\n  echo x >> base\n")
    assert place.run("top", "a", "base") == (0, ["echo x >> base", "cp base a", "cp base b", "cat a b > top"], [])
    assert (place.top / "base").read_text() == "x\n"


def test_comments_empty_lines_and_colons_in_commands():
    place = Place("# head: x\n\na:\n  echo one:two # not a comment > /dev/null\n\n# between\n  echo 'b#c' > a\n")
    assert place.run() == (0, ["echo one:two # not a comment > /dev/null", "one:two", "echo 'b#c' > a"], [])
    assert (place.top / "a").read_text() == "b#c\n"


def test_bad_mkfiles_name_the_line():
    for text, line in (("  echo\n", 1), ("a:\n\na: b\n", 3), ("a:\n  x\nnothing here\n", 3), ("\n# c\na b: c\n", 3)):
        code, out, err = Place(text).run()
        assert (code, out, len(err)) == (2, [], 1) and err[0].startswith("mk: ") and str(line) in err[0], text
    assert Place("").run()[0] == 2
    (empty := Place("")).top.joinpath("Mkfile").unlink()
    assert empty.run()[0] == 2 and "Traceback" not in str(empty.run())


def test_missing_rules_are_found_before_anything_runs():
    place = Place("a: b c\n  touch a\nb:\n  touch b\n", file=1)
    assert place.run() == (2, [], ["mk: no rule for c, needed by a"])
    assert place.run("b", "zzz") == (2, [], ["mk: no rule for zzz"])
    assert place.run("b", "file") == (2, [], ["mk: no rule for file"])
    assert not place.has("b")


def test_cycles():
    place = Place("first:\n  touch first\nx: a\n  t\na: first b\n  t\nb: c\n  t\nc: a\n  t\ns: s\n  t\n")
    assert place.run("first", "x") == (2, [], ["mk: cycle: a -> b -> c -> a"])
    assert place.run("s") == (2, [], ["mk: cycle: s -> s"])
    assert not place.has("first") and place.run("first")[0] == 0


def test_a_deep_chain():
    text = "".join(f"t{n}: t{n + 1}\n" for n in range(3000)) + "t3000:\n  echo deep\n"
    assert Place(text).run() == (0, ["echo deep", "deep"], [])


def test_dry_run():
    place = Place(CHAIN, src=7, main=0, lib=5, app=9)
    assert place.run("-n") == (0, ["cp src lib", "cp main app"], [])
    assert (place.top / "lib").read_text() == "lib"


def test_a_failing_command_ends_its_rule_and_deletes_what_it_made():
    place = Place("all: a b\na:\n  echo half > a\n  exit 3\n  echo never\nb:\n  touch b\n")
    assert place.run() == (1, ["echo half > a", "exit 3"], ["mk: a failed (exit code 3)"])
    assert not place.has("a") and not place.has("b")


def test_an_untouched_target_survives_a_failure():
    place = Place("a: src\n  exit 1\n", src=5, a=1)
    assert place.run() == (1, ["exit 1"], ["mk: a failed (exit code 1)"])
    assert (place.top / "a").read_text() == "a"


def test_keep_going():
    place = Place("all: top c\ntop: mid\n  touch top\nmid: a b\n  touch mid\na:\n  exit 2\nb:\n  touch b\nc:\n  touch c\n")
    assert place.run("-k") == (1, ["exit 2", "touch b", "touch c"], ["mk: a failed (exit code 2)"])
    assert place.has("c") and not place.has("mid") and not place.has("top")


def test_rules_without_commands():
    place = Place(PHONY, src=3)
    assert place.run()[1] == ["echo 1 > one", "echo 2 > two"]
    assert place.run() == (0, ["mk: all is up to date"], [])
    nothing = Place("x: mark\n  touch x\nmark:\n", x=9)
    assert nothing.run()[1] == ["touch x"]


def test_dependencies_behind_a_name_are_looked_through():
    text = "app: group\n  cp src app\ngroup: inner\ninner: src other\n"
    place = Place(text, src=1, other=2, app=5)
    assert place.run() == (0, ["mk: app is up to date"], [])
    place.touch("other", 8)
    assert place.run()[1] == ["cp src app"]


def test_two_targets_on_the_command_line():
    place = Place(CHAIN, src=1, main=1, lib=5)
    assert place.run("lib", "app") == (0, ["cp main app", "mk: lib is up to date"], [])
