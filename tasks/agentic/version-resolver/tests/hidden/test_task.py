import json
import subprocess
import sys
import tempfile
from pathlib import Path

from ratchet_check import RemoteError, remote

ENV = {"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": "/tmp", "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
DRIVER = '''
from resolver import Unsolvable, solve

def ask(index, wanted):
    try: return solve(index, wanted)
    except Unsolvable as error: return list(error.packages)
'''
Path("/tmp/driver.py").write_text(DRIVER)
ask = remote("/tmp/driver.py", "ask", seconds=20)


def pick(versions, constraint):
    got = ask({"p": {v: {} for v in versions}}, {"p": constraint})
    return got["p"] if isinstance(got, dict) else None


def leaf(*versions):
    return {v: {} for v in versions}


def test_order_of_versions():
    chain = ["1.0.0-1", "1.0.0-2", "1.0.0-10", "1.0.0-A", "1.0.0-a", "1.0.0-a.1", "1.0.0-a.b", "1.0.0-b", "1.0.0-b-1", "1.0.0"]
    for low, high in zip(chain, chain[1:]):
        assert pick([high, low], ">=1.0.0-0") == high and pick([low, high], f"<{high},>=1.0.0-0") == low
    assert pick(["1.9.0", "1.10.0", "1.2.30"], "*") == "1.10.0" and pick(["9.0.0", "10.0.0"], "*") == "10.0.0"


def test_operators():
    have = ["0.0.3", "0.0.4", "0.2.3", "0.2.9", "0.3.0", "1.2.3", "1.2.9", "1.9.9", "2.0.0"]
    cases = {"==1.2.3": "1.2.3", "!=2.0.0": "1.9.9", "<1.2.3": "0.3.0", "<=1.2.3": "1.2.3", ">2.0.0": None, ">=2.0.0": "2.0.0", "^1.2.3": "1.9.9", "^0.2.3": "0.2.9",
             "^0.0.3": "0.0.3", "~1.2.3": "1.2.9", "~0.0.3": "0.0.4", "*": "2.0.0", " >= 0.2.0 , < 1.0.0 ,!=0.3.0": "0.2.9", "^1.2.4,~1.2.0": "1.2.9", "^3.0.0": None}
    assert {c: pick(have, c) for c in cases} == cases
    assert pick(["0.0.0", "0.0.1"], "^0.0.0") == "0.0.0"


def test_pre_releases():
    have = ["1.0.0-a", "1.0.0-b", "1.1.0-a", "0.9.0"]
    cases = {"*": "0.9.0", ">=1.0.0": None, ">=1.0.0-a": "1.0.0-b", "==1.1.0-a": "1.1.0-a", "^1.0.0-a": "1.0.0-b", ">=0.1.0,<1.0.0": "0.9.0", "<1.0.0-b": "1.0.0-a", "!=1.0.0-b,>=0.1.0": "1.0.0-a", "*,>0.9.0": None}
    assert {c: pick(have, c) for c in cases} == cases
    assert pick(["1.9.0", "2.0.0-a"], "^1.0.0,!=2.0.0-b") == "1.9.0"


def test_only_what_is_needed():
    index = {"a": {"1.0.0": {"b": "*"}}, "b": leaf("1.0.0", "1.1.0"), "c": leaf("1.0.0")}
    assert ask(index, {"a": "*"}) == {"a": "1.0.0", "b": "1.1.0"} and ask(index, {}) == {}


def test_constraints_of_several_are_joined():
    index = {"a": {"1.0.0": {"c": "<2.0.0"}}, "b": {"1.0.0": {"c": ">=1.1.0"}}, "c": leaf("1.0.0", "1.1.0", "1.9.0", "2.0.0")}
    assert ask(index, {"a": "*", "b": "*"}) == {"a": "1.0.0", "b": "1.0.0", "c": "1.9.0"}


def test_going_back():
    index = {"a": {"2.0.0": {"c": "^2.0.0"}, "1.0.0": {"c": "*"}}, "b": {"1.0.0": {"c": "^1.0.0"}}, "c": leaf("1.0.0", "2.0.0")}
    assert ask(index, {"a": "*", "b": "*"}) == {"a": "1.0.0", "b": "1.0.0", "c": "1.0.0"}


def test_the_first_in_the_alphabet_is_favoured():
    index = {"a": {"2.0.0": {"z": "==1.0.0"}, "1.0.0": {}}, "b": {"2.0.0": {"z": "==2.0.0"}, "1.0.0": {}}, "z": leaf("1.0.0", "2.0.0")}
    assert ask(index, {"b": "*", "a": "*"}) == {"a": "2.0.0", "b": "1.0.0", "z": "1.0.0"}
    index["m"] = {"1.0.0": {"a": "*", "b": "*"}}
    index["b"]["3.0.0"] = {"a": "<2.0.0"}
    assert ask(index, {"m": "*"}) == {"m": "1.0.0", "a": "2.0.0", "b": "1.0.0", "z": "1.0.0"}
    index = {"x": {"1.0.0": {"a": "*"}}, "w": {"2.0.0": {"a": "==1.0.0"}, "1.0.0": {}}, "a": leaf("1.0.0", "2.0.0")}
    assert ask(index, {"x": "*", "w": "*"}) == {"x": "1.0.0", "w": "2.0.0", "a": "1.0.0"}


def test_what_an_abandoned_version_needed_is_gone():
    index = {"a": {"2.0.0": {"b": "*", "gone": "*"}, "1.0.0": {}}, "b": leaf("1.0.0")}
    assert ask(index, {"a": "*"}) == {"a": "1.0.0"}


def test_circles():
    index = {"a": {"1.0.0": {"b": "*"}, "2.0.0": {"b": "^2.0.0"}}, "b": {"1.0.0": {"a": "*"}, "2.0.0": {"a": "<2.0.0"}}}
    assert ask(index, {"a": "*"}) == {"a": "1.0.0", "b": "2.0.0"}
    assert ask({"a": {"2.0.0": {"a": "<2.0.0"}, "1.0.0": {"a": "*"}}}, {"a": "*"}) == {"a": "1.0.0"}


def test_unsolvable():
    index = {"a": {"1.0.0": {"z": "==1.0.0"}}, "b": {"1.0.0": {"z": "==2.0.0"}}, "c": {"1.0.0": {"z": "==2.0.0"}}, "d": {"1.0.0": {"none": "*"}}, "z": leaf("1.0.0", "2.0.0"), "e": leaf("1.0.0")}
    assert ask(index, {"e": "*", "c": "*", "b": "*", "a": "*"}) == ["a", "b"]
    assert ask(index, {"c": "*", "a": "*", "e": "*"}) == ["a", "c"]
    assert ask(index, {"a": "*", "b": "*", "d": "*"}) == ["d"] and ask(index, {"e": ">1.0.0"}) == ["e"] and ask(index, {"q": "*"}) == ["q"]
    three = {"a": {"1.0.0": {"z": "!=1.0.0"}}, "b": {"1.0.0": {"z": "!=2.0.0"}}, "c": {"1.0.0": {"z": "!=3.0.0"}}, "z": leaf("1.0.0", "2.0.0", "3.0.0")}
    assert ask(three, {"a": "*", "b": "*", "c": "*"}) == ["a", "b", "c"]


def test_malformed():
    for version, constraint in (("1.0", "*"), ("1.0.0", "1.0.0"), ("1.0.0", ">=1.0"), ("1.0.0", ""), ("1.0.0", "^1.0.0,"), ("1.0.0-", "*"), ("1.0.0", "=>1.0.0"), ("1.0.0-a..b", "*")):
        try:
            ask({"p": {version: {}}}, {"p": constraint})
        except RemoteError as error:
            assert error.type == "BadVersion", (version, constraint)
        else:
            raise AssertionError((version, constraint))


def test_a_large_index():
    names = [f"p{n:02}" for n in range(40)]
    index = {n: {f"1.{v}.0": {m: f"<=1.{(v + 3) % 20}.0" for m in names[i + 1 : i + 4]} for v in range(20)} for i, n in enumerate(names)}
    got = ask(index, {"p00": "*"})
    assert len(got) == 40 and got["p00"] == "1.19.0" and got["p01"] == "1.2.0"


def test_unrelated_packages_are_not_tried_again():
    index = {f"m{n:02}": leaf(*[f"1.0.{v}" for v in range(20)]) for n in range(30)}
    index["a"] = {f"{v}.0.0": {"z": f"=={v % 3}.0.0"} for v in range(1, 6)}
    index["y"] = {"1.0.0": {"z": "==0.0.0"}}
    index["z"] = leaf("0.0.0", "1.0.0", "2.0.0")
    wanted = {name: "*" for name in index if name != "z"}
    got = ask(index, wanted)
    assert (got["a"], got["z"], got["m07"]) == ("3.0.0", "0.0.0", "1.0.19")
    index["y"] = {"1.0.0": {"z": "==7.0.0"}}
    assert ask(index, {**wanted}) == ["y"]


def test_the_command():
    def run(*args):
        done = subprocess.run([sys.executable, "-m", "resolver", *args], capture_output=True, text=True, timeout=60, env=ENV)
        return done.returncode, done.stdout, len(done.stderr.splitlines())

    assert run("example.json", "tool", "app") == (0, "app 1.0.0\nlib 1.4.0\ntool 0.3.0\n", 0)
    assert run("example.json", "app>=2.0.0") == (1, "", 1) and run("example.json", "app>=2") == (2, "", 1)
    assert run("none.json", "app") == (2, "", 1)
    assert run("example.json", "app >= 1.0.0, <2.0.0") == (0, "app 1.0.0\nlib 1.4.0\n", 0)
    bad = Path(tempfile.mkdtemp()) / "bad.json"
    bad.write_text("{")
    assert run(str(bad), "app") == (2, "", 1)
