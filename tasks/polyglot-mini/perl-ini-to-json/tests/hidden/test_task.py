import json
import subprocess
import tempfile

ENV = {"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": "/tmp", "LANG": "C.UTF-8"}


def run(text, *args):
    done = subprocess.run(["perl", "ini2json.pl", *args], input=text.encode(), capture_output=True, timeout=60, env=ENV)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def read(text):
    code, out, err = run(text)
    assert (code, err) == (0, ""), err
    return json.loads(out)


def bad(text, line):
    code, out, err = run(text)
    return (code, out) == (1, "") and str(line) in err and len(err.splitlines()) == 1


def test_the_example_from_a_file():
    code, out, err = run("", "example.ini")
    assert (code, err) == (0, "")
    assert out == '{"name":"demo","server":{"debug":false,"http":{"host":["a.example","b.example"],"port":8080},"motd":"  \\"hi\\" "}}\n'


def test_values():
    text = 'a = 1\nb=-20\nc = 007\nd = 1.5\ne = true\nf = "true"\ng = "1"\nh =\ni = a = b\nj = "a\\\\b"\nk = 0\nl = -0\nm = True\nn = x"y"\no = 123456789012345678901234567890\n'
    assert read(text) == {"a": 1, "b": -20, "c": "007", "d": "1.5", "e": True, "f": "true", "g": "1", "h": "", "i": "a = b", "j": "a\\b", "k": 0, "l": "-0", "m": "True", "n": 'x"y"', "o": 123456789012345678901234567890}


def test_output_is_sorted_and_utf8():
    assert run("ü = ö\nb = 1\n[a]\n")[1] == '{"a":{},"b":1,"ü":"ö"}\n'
    assert run("")[1] == "{}\n"


def test_sections_are_continued_and_nested():
    assert read("[a]\nx=1\n[b]\n[ a ]\ny=2\n[a.c.d]\nz=3\n[a . c]\nx=1\n") == {"a": {"x": 1, "y": 2, "c": {"d": {"z": 3}, "x": 1}}, "b": {}}


def test_repeated_keys():
    assert read("a=1\na = true\na=x\n[s]\na=1\n[t]\na=2\n[s]\na=3\n") == {"a": [1, True, "x"], "s": {"a": [1, 3]}, "t": {"a": 2}}


def test_comments_and_white_space():
    assert read("; a = 1\n  # b\n\n\t key name\t=  some value ; kept # too \r\n") == {"key name": "some value ; kept # too"}


def test_errors_name_the_line():
    assert bad("a = 1\nnothing\n", 2) and bad("\n\n= 1\n", 3) and bad("[a]\nb=1\n[a.b]\n", 3) and bad("[a.b]\n[a]\nb = 1\n", 3) and bad("a=1\n[a]\n", 2)
    assert bad("[a..b]\n", 1) and bad("[]\n", 1) and bad('\na = "x\n', 2) and bad('a = "x" y\n', 1) and bad('a = "\\n"\n', 1) and bad("[open\n", 1)
