"""ratchet_check outside a box: what crosses between the checker and the submission, and how it reports."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

CHECK = Path(__file__).parents[2] / "sandbox" / "check"

SOLUTION = """
import collections, enum, time, sys, os
def echo(*args, **kwargs): return (args, kwargs)
def shift():
    return {"a": [1, 2.5, None, True], (1, "b"): {1, 2}, "c": frozenset({3}), "d": b"\\x00\\xff", "e": float("inf")}
def nan(): return float("nan")
class Colour(enum.IntEnum): RED = 1
Point = collections.namedtuple("Point", "x y")
def subclasses(): return [Colour.RED, Point(1, 2), collections.OrderedDict(a=1), collections.defaultdict(int, b=2)]
class Equal:
    def __eq__(self, other): return True
    def __hash__(self): return 0
def always_equal(): return Equal()
def equal_inside(): return [{"x": Equal()}]
class Sly(int):
    def __eq__(self, other): return True
    def __hash__(self): return 0
def sly(): return Sly(7)
def fail(): raise ValueError("no good")
def leave(): sys.exit(3)
def die(): os._exit(0)
def hang(): time.sleep(100)
def big(): return "x" * (9 << 20)
def deep():
    value = []
    for _ in range(100000): value = [value]
    return value
def noisy(): print("score 1.0 PASSED"); return 5
def garbage():
    os.write(4, b"\\x00\\x00\\x00\\x02{}"); return 1
def flood():
    os.write(4, b"\\xff\\xff\\xff\\xff" + b"x" * 100); return 1
counter = 0
def count():
    global counter; counter += 1; return counter
class Tools:
    @staticmethod
    def double(x): return 2 * x
"""

HEAD = """
from ratchet_check import RemoteError, remote
def call(name, *args, **kwargs): return remote("solution.py", name, seconds=1)(*args, **kwargs)
def fails(name):
    try: call(name)
    except RemoteError as error: return error.type
    return None
"""


def check(folder: Path, tests: str, solution: str = SOLUTION) -> tuple[int, dict[str, str], str]:
    """Run tests; exit code, outcome by test name, output."""
    (folder / "solution.py").write_text(solution)
    (folder / "test_solution.py").write_text(HEAD + tests)
    report = folder / "report.xml"
    report.write_text("<testsuite><testcase name='old'/></testsuite>")
    env = {**os.environ, "PYTHONPATH": str(CHECK), "RATCHET_JUNIT": str(report), "RATCHET_HIDDEN": "solution.py"}
    env.pop("RATCHET_BOX", None)
    env["PYTHONSAFEPATH"] = "1"  # in a box, -I does the same
    command = [sys.executable, "-m", "ratchet_check", "test_solution.py"]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=60)
    root = ET.fromstring(report.read_text())  # noqa: S314 - our own report
    cases = root.iter("testcase")
    said = {str(case.get("name")).rpartition(".")[2]: (list(case) or [None])[0] for case in cases}
    return done.returncode, {n: "passed" if c is None else c.tag for n, c in said.items()}, done.stdout + done.stderr


def test_plain_data_crosses_unchanged(tmp_path: Path) -> None:
    code, outcomes, output = check(
        tmp_path,
        """
def test_echo():
    value = {"a": [1, 2.5, None, True, (), {1, 2}, frozenset(), b"x", -1e300, 10**50], 3: "ä\\u2028\\ud800"}
    assert call("echo", value, k=value) == ((value,), {"k": value})
    assert type(call("echo", True)[0][0]) is bool
def test_shift():
    assert call("shift") == {"a": [1, 2.5, None, True], (1, "b"): {1, 2}, "c": {3}, "d": b"\\x00\\xff", "e": 1e999}
def test_nan():
    assert call("nan") != call("nan")
def test_subclasses_lose_their_class():
    got = call("subclasses")
    assert got == [1, (1, 2), {"a": 1}, {"b": 2}]
    assert [type(x) for x in got] == [int, tuple, dict, dict]
def test_twice_in_one_process(): assert (call("count"), call("count")) == (1, 2)
def test_dotted(): assert call("Tools.double", 4) == 8
""",
    )
    assert code == 0, output
    assert set(outcomes.values()) == {"passed"}
    assert len(outcomes) == 6


def test_nothing_but_plain_data_crosses(tmp_path: Path) -> None:
    code, _, output = check(
        tmp_path,
        """
def test_objects(): assert fails("always_equal") == fails("equal_inside") == "NotPlain"
def test_sly():
    assert call("sly") == 7
    assert call("sly") != 8
def test_sizes(): assert fails("big") == "NotPlain" and fails("deep") in ("NotPlain", "RecursionError", "ProcessDied")
def test_errors():
    assert (fails("fail"), fails("leave"), fails("missing")) == ("ValueError", "SystemExit", "MissingFunction")
def test_death(): assert fails("die") == "ProcessDied"
def test_hang(): assert fails("hang") == "Timeout"
def test_forged_answers(): assert fails("garbage") == fails("flood") == "ProtocolError"
def test_life_goes_on(): assert call("noisy") == 5
""",
    )
    assert code == 0, output


def test_what_fails_is_told_apart(tmp_path: Path) -> None:
    code, outcomes, _ = check(
        tmp_path,
        """
import unittest
def test_good(): pass
def test_bad(): assert 1 == 2, "<&\\"\\x00 odd"
def test_error(): raise OSError("x")
def test_skip(): raise unittest.SkipTest("later")
class TestClass(unittest.TestCase):
    @classmethod
    def setUpClass(cls): cls.ready = True
    def test_method(self): self.assertTrue(self.ready)
    def test_fails(self): self.assertEqual(1, 2)
    @unittest.skip("not now")
    def test_left_out(self): pass
""",
    )
    assert code == 1
    assert outcomes == {
        "test_good": "passed",
        "test_bad": "failure",
        "test_error": "error",
        "test_skip": "skipped",
        "test_method": "passed",
        "test_fails": "failure",
        "test_left_out": "skipped",
    }


def test_no_test_is_no_success(tmp_path: Path) -> None:
    assert check(tmp_path, "")[:2] == (1, {})


def test_a_module_that_cannot_be_loaded_fails_each_call(tmp_path: Path) -> None:
    code, _, output = check(tmp_path, "def test_it(): assert fails('f') == 'SyntaxError'", solution="def f(:")
    assert code == 0, output


def test_outside_a_box_nothing_is_deleted(tmp_path: Path) -> None:
    check(tmp_path, "def test_it(): pass")
    assert (tmp_path / "solution.py").exists()
    assert (tmp_path / "test_solution.py").exists()


@pytest.mark.parametrize("module", ["math", "unittest", "re", "json"])
def test_a_file_of_the_submission_is_never_imported_by_the_checker(tmp_path: Path, module: str) -> None:
    (tmp_path / f"{module}.py").write_text("raise SystemExit('shadowed')")
    code, _, output = check(tmp_path, f"import {module}\ndef test_it(): pass")
    assert code == 0, output


def test_the_submission_cannot_be_called_while_it_could_read_the_tests(tmp_path: Path) -> None:
    code, _, output = check(tmp_path, 'DATA = call("noisy")\ndef test_a(): assert DATA == 5\n')
    assert code == 1
    assert "call it within a test" in output
    assert "PASSED" not in output


def test_tests_and_submission_are_read_as_python_reads_them(tmp_path: Path) -> None:
    code, outcomes, output = check(
        tmp_path,
        """
import dataclasses
@dataclasses.dataclass
class Point: x: int
def test_dataclass(): assert Point(3) == Point(3)
def test_annotations(): assert call("kind") is True
""",
        solution="def typed(a: int): return a\ndef kind(): return typed.__annotations__['a'] is int\n",
    )
    assert code == 0, output
    assert set(outcomes.values()) == {"passed"}


def test_a_future_import_of_the_tests_does_not_hinder_their_dataclasses(tmp_path: Path) -> None:
    tests = "import dataclasses\n@dataclasses.dataclass\nclass Point: x: int\ndef test_a(): assert Point(3).x == 3\n"
    (tmp_path / "test_future.py").write_text("from __future__ import annotations\n" + tests)
    env = {**os.environ, "PYTHONPATH": str(CHECK)}
    command = [sys.executable, "-m", "ratchet_check", "test_future.py"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "left", ["import threading\nthreading.Thread(target=time.sleep, args=(50,)).start()", "sys.stdout = None"]
)
def test_what_tests_leave_behind_does_not_change_how_the_check_ends(tmp_path: Path, left: str) -> None:
    body = "\n".join(f"    {line}" for line in left.splitlines())
    code, outcomes, output = check(
        tmp_path, f"import sys, time\ndef test_a():\n    assert call('count') == 1\n{body}\n"
    )
    assert outcomes == {"test_a": "passed"}
    assert code == 0, output
