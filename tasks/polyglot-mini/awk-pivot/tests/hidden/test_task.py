import subprocess

ENV = {"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": "/tmp", "LANG": "C.UTF-8"}


def run(text):
    done = subprocess.run(["awk", "-f", "pivot.awk"], input=text, capture_output=True, text=True, timeout=60, env=ENV)
    return done.returncode, done.stdout, done.stderr


def pivot(*lines):
    code, out, err = run("".join(line.replace(" ", "\t").replace("_", " ") + "\n" for line in lines))
    assert (code, err) == (0, ""), err
    return [line.split("\t") for line in out.split("\n")[:-1]]


def test_a_table():
    assert pivot("a x 1", "b y 5", "a y 2", "a x 3") == [["", "x", "y", "total"], ["a", "4", "2", "6"], ["b", "", "5", "5"], ["total", "4", "7", "11"]]


def test_order_of_rows():
    assert [r[0] for r in pivot("b c 1", "a c 1", "B c 1", "z c 9", "n c -3", "10 c 1", "9 c 1")][1:-1] == ["z", "10", "9", "B", "a", "b", "n"]


def test_order_of_columns():
    assert pivot("r b 1", "r 10 1", "r 9 1", "r B 1", "r a_b 1", "r 1e1 1")[0] == ["", "10", "1e1", "9", "B", "a b", "b", "total"]


def test_empty_is_not_zero():
    assert pivot("a x 0", "b y 1", "b x -1", "a y 2", "c x 5", "c x -5")[1:] == [["a", "0", "2", "2"], ["b", "-1", "1", "0"], ["c", "0", "", "0"], ["total", "-1", "3", "2"]]


def test_large_numbers():
    assert pivot("a x 123456789012345", "a x 1", "b x -2147483649")[1:] == [["a", "123456789012346", "123456789012346"], ["b", "-2147483649", "-2147483649"], ["total", "123454641528697", "123454641528697"]]


def test_names_that_look_like_numbers_stay_apart():
    assert [r[0] for r in pivot("1 x 1", "1.0 x 1", "01 x 1", "+1 x 1")][1:-1] == ["+1", "01", "1", "1.0"]


def test_nothing_and_what_is_skipped():
    assert run("") == (0, "\ttotal\ntotal\t0\n", "") and run("# a\tb\tc\n\na\tb\t1\n#\n") == (0, "\tb\ttotal\na\t1\t1\ntotal\t1\t1\n", "")


def test_bad_lines():
    for text, line in (("a\tb\n", 1), ("\n# x\na\tb\t1\na\tb\tc\n", 4), ("a\tb\t1\t2\n", 1), ("a b 1\n", 1), ("a\tb\t1.5\n", 1), ("a\tb\t+1\n", 1), ("a\tb\t1 \n", 1), ("a\tb\t\n", 1)):
        assert run(text) == (1, "", f"pivot: line {line}\n"), text


def test_empty_names_are_names():
    assert run("\t\t1\n") == (0, "\t\ttotal\n\t1\t1\ntotal\t1\t1\n", "")
