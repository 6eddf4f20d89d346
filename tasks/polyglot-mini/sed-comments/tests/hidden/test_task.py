import subprocess
from pathlib import Path

ENV = {"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": "/tmp", "LANG": "C.UTF-8"}
SCRIPT = Path("strip.sed").read_text()


def run(text):
    done = subprocess.run(["sed", "-E", "--sandbox", "-f", "strip.sed"], input=text, capture_output=True, text=True, timeout=60, env=ENV)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def test_the_example():
    assert run(Path("example.conf").read_text()) == 'name = "a # b"\npath=\'#1\'\n'


def test_plain_comments_and_white_space():
    assert run("a # b # c\n  b\t # x\n\t#\n#\n   \nc  \n#a 'b\n") == "a\n  b\nc\n"


def test_double_quotes():
    assert run('a "#" # "x"\n"\\"#" #\n"\\\\" # "\n"a" "b#" "c" #"\n') == 'a "#"\n"\\"#"\n"\\\\"\n"a" "b#" "c"\n'


def test_single_quotes():
    assert run("'#' # '\n'\\' # '\n'\"' # \"\n\"'\" # '\n") == "'#'\n'\\'\n'\"'\n\"'\"\n"


def test_quotes_that_stay_open():
    assert run("a 'b # c\na \"b # c\nd # e\n") == "a 'b # c\na \"b # c\nd\n"


def test_odd_endings():
    assert run('"a\\\n"a\\" # b\n\'\' "" #\nx#y\n') == '"a\\\n"a\\" # b\n\'\' ""\nx\n'
