import subprocess
import tempfile
from pathlib import Path

ENV = {"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": "/tmp", "LANG": "C.UTF-8"}
SCRIPT = str(Path("brackets.pl").resolve())


def run(*args, **files):
    top = Path(tempfile.mkdtemp())
    for name, text in files.items():
        (top / name).write_text(text)
    done = subprocess.run(["perl", SCRIPT, *(args or files)], capture_output=True, timeout=60, env=ENV, cwd=top)
    return done.returncode, done.stdout.decode().splitlines(), done.stderr.decode()


def check(text):
    code, (line,), err = run(f=text)
    assert err == "" and (line == "f: ok") == (code == 0) and code in (0, 1)
    return line.removeprefix("f:")


def test_matching():
    assert [check(t) for t in ("", "()", "a[b(c){d}]e\n", "([]{})\n\n([\n])")] == [" ok"] * 4


def test_nothing_to_close():
    assert check("a)") == "1:2: ) closes nothing" and check("()\n (]) }") == "2:3: ] does not close ( at 2:2" and check("{}\n }") == "2:2: } closes nothing"


def test_the_wrong_one():
    assert check("\n    [\n)") == "3:1: ) does not close [ at 2:5" and check("({)}") == "1:3: ) does not close { at 1:2"


def test_the_innermost_open_one():
    assert check("(\n [ {}\n") == "2:2: [ is not closed" and check("([]") == "1:1: ( is not closed"


def test_texts():
    assert [check(t) for t in ('("(")', "(')')", r'("\")")', r"('\\')", '("\'(")', '"" \'\' ()')] == [" ok"] * 6
    assert check('x = "abc\n"') == "1:5: text is not closed" and check("(\n  'a") == "2:3: text is not closed" and check('"a\\') == "1:1: text is not closed" and check('"a\\\nb"') == "1:1: text is not closed"


def test_comments():
    assert [check(t) for t in ("( // )\n)", "/* ( */ ()", "( /* \n\n ) */ )", "// \"\n()", "/* ' */", "a / b * c", "'//' ()", '"/*" ()', "/**/()", "///* \n()")] == [" ok"] * 10
    assert check("a /* b\n * /") == "1:3: comment is not closed" and check("/*/ ()") == "1:1: comment is not closed" and check("/* a\nb */ )") == "2:6: ) closes nothing"
    assert check("/* a\n\n*/\n  ]") == "4:3: ] closes nothing"


def test_columns_are_characters():
    assert check("äöü )") == "1:5: ) closes nothing" and check("\t\U0001f600]") == "1:3: ] closes nothing" and check('/* ä\nö */ "ü" }') == "2:10: } closes nothing"


def test_several_files():
    assert run(a="()", b="(", c="") == (1, ["a: ok", "b:1:1: ( is not closed", "c: ok"], "")
    code, out, err = run("b", "none", ".", "a", a="()", b=")")
    assert (code, out, len(err.splitlines())) == (2, ["b:1:1: ) closes nothing", "a: ok"], 2)


def test_no_files():
    done = subprocess.run(["perl", SCRIPT], capture_output=True, timeout=60, env=ENV, stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stdout) == (2, b"") and done.stderr


def test_a_long_file():
    assert check("(" * 20000 + "\n" * 20000 + ")" * 19999) == "1:1: ( is not closed"
