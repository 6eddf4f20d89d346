"""Counting tests without running them: the same number that pytest reports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from agent.suites.importing.counting import count_tests
from agent.suites.importing.draft import Unsupported

MIXED = b"""
import unittest
import pytest

def test_one(): pass
async def helper(): pass
def test_one(): pass
def testing_too(): pass

@pytest.mark.parametrize("a", [1, 2, 3])
@pytest.mark.parametrize(("b", "c"), ((1, 2), (3, 4)))
def test_many(a, b, c): pass

class TestThings:
    def test_in(self): pass
    def other(self): pass

class Things(unittest.TestCase):
    def test_in(self):
        def test_nested(): pass
    def test_out(self): pass

class Plain:
    def test_not(self): pass
"""


def test_the_count_is_what_pytest_collects(tmp_path: Path) -> None:
    (tmp_path / "test_mixed.py").write_bytes(MIXED)
    argv = [
        sys.executable,
        "-m",
        "pytest",
        "--collect-only",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
    ]
    said = subprocess.run([*argv, "test_mixed.py"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert count_tests(MIXED, "test_mixed.py") == said.count("::test") == 11


@pytest.mark.parametrize(
    ("source", "feature"),
    [
        ("def test_a(:", "line 1: is not valid Python"),
        ("import pytest\n@pytest.mark.parametrize('a', range(3))\ndef test_a(a): pass", "values that are computed"),
        ("@pytest.mark.parametrize('a', [*x])\ndef test_a(a): pass", "values that are computed"),
        ("@unittest.skipIf(True, '')\ndef test_a(): pass", "@unittest.skipIf"),
        ("def pytest_generate_tests(metafunc): pass", "pytest_generate_tests"),
        ("pytestmark = pytest.mark.skip", "pytestmark"),
        ("@pytest.fixture(params=[1, 2])\ndef x(): pass", "a fixture with params"),
        ("from other import test_b", "imported tests"),
        ("if True:\n    def test_a(): pass", "line 2: a test inside if"),
        ("class TestA:\n    for x in 'ab':\n        def test_a(self): pass", "a test inside if, for"),
        ("class TestA:\n    def test_a(self): pass\nclass TestB(TestA): pass", "tests inherited by class TestB"),
    ],
)
def test_what_cannot_be_counted_is_refused(source: str, feature: str) -> None:
    with pytest.raises(Unsupported, match=r"^t\.py") as error:
        count_tests(source.encode(), "t.py")
    assert feature in str(error.value)
