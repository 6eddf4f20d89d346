import subprocess

ENV = {"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": "/tmp", "LANG": "C.UTF-8"}


def run(text):
    done = subprocess.run(["awk", "-f", "totals.awk"], input=text, capture_output=True, text=True, timeout=60, env=ENV)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def test_groups_in_order():
    assert run("b 1\na 2\nb 4\n") == "b 2 5 2.50\na 1 2 2.00\nTOTAL 3 7\n"


def test_nothing():
    assert run("") == "TOTAL 0 0\n" and run("\n\n") == "TOTAL 0 0\n"


def test_negative_and_zero():
    assert run("x -3\nx 3\n0 0\n") == "x 2 0 0.00\n0 1 0 0.00\nTOTAL 3 0\n"


def test_lines_that_do_not_count():
    assert run("a\na 1 2\na x\na 1.5\na --1\na +1\na 1-\n  a\t\t7  \na -\n") == "a 1 7 7.00\nTOTAL 1 7\n"


def test_rounding_and_no_last_line_break():
    assert run("a 1\na 1\na 0") == "a 3 2 0.67\nTOTAL 3 2\n"
