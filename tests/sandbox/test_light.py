"""What a box's runner loads at its start, and what it has in place of what it does not load."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.light import suppress

ROOT = Path(__file__).parents[2]
SLOW = {
    "re",
    "enum",
    "json",
    "typing",
    "contextlib",
    "functools",
    "collections",
    "ctypes",
    "socket",
    "selectors",
    "signal",
}
LOAD = """
import sys
sys.path.insert(0, sys.argv[1])
from sandbox import carry, forward, light, runner
light.become_undumpable()
print(*sys.modules)
"""


def test_a_runner_loads_nothing_that_takes_long() -> None:
    command = [sys.executable, "-E", "-s", "-S", "-c", LOAD, str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "sandbox.runner" in done.stdout.split()
    assert SLOW.isdisjoint(done.stdout.split())


def test_named_errors_are_ignored_and_others_are_not() -> None:
    with suppress(FileNotFoundError, KeyError):
        raise KeyError
    with pytest.raises(ValueError, match="seen"), suppress(KeyError):
        raise ValueError("seen")
    with suppress(OSError):
        raise FileNotFoundError
