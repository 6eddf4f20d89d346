"""What Harbor and Terminal-Bench tasks share: a container to work in, tests in `/tests`, a script as the reference.

The hidden tests are in `/workspace/.tests` and logs in `/workspace/.logs`, to which the image's `/tests` and
`/logs` are links. What is handed in is everything but what begins with a dot, so neither can be handed in.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent.base.types import Files
from agent.suites.importing.counting import count_tests
from agent.suites.importing.dockerfile import Environment, container_settings
from agent.suites.importing.draft import Options, Unsupported, with_image
from agent.suites.importing.pytests import pytest_command
from agent.suites.importing.shell import PytestRun

OURS = ".ratchet"
"""Folder of our own helpers among the hidden tests."""

TESTS, LOGS = ".tests", ".logs"
SUBMIT = ["[!.]*", "[!.]*/**"]
REWARD = f"{LOGS}/verifier/reward"
PYTEST = (
    "RUN python3 -m pytest --version || python3 -m pip install --break-system-packages pytest"
    " || (apt-get update && apt-get install -y --no-install-recommends python3-pytest)"
)
"""A layer that makes sure that an image has pytest."""

_HELPERS = Path(__file__).with_name("in_box")


def helper(name: str) -> bytes:
    """One of our files that run in grading boxes."""
    return (_HELPERS / name).read_bytes()


def hidden(tests: Files) -> dict[str, bytes]:
    """Test files where grading lays them."""
    return {f"{TESTS}/{path}": content for path, content in tests.items()}


def no_hidden_paths(files: Files, where: str) -> None:
    """Raises Unsupported for starting files where tests and logs will stand."""
    for path in files:
        if path.split("/")[0] in {TESTS, LOGS}:
            raise Unsupported(f"{where}: a starting file {path!r:.60}, which is where hidden tests stand")


def pytest_check(run: PytestRun, tests: Files, where: str) -> dict[str, Any]:
    """Check and reward of a task whose script only runs pytest: a JUnit report in place of an exit code."""
    total = 0
    for path in run.files:
        if path not in tests:
            raise Unsupported(f"{where}: runs {path!r:.60}, which is not in tests/")
        total += count_tests(tests[path], f"{where}/{path}")
    if not total:
        raise Unsupported(f"{where}: no test that pytest collects")
    return {"check": pytest_command([f"/tests/{path}" for path in run.files]), "reward": "junit", "junit": total}


def surroundings(found: Environment, *, extra: tuple[str, ...], options: Options) -> dict[str, Any]:
    """Image and layers of a task; `extra` are layers after those of its Dockerfile."""
    return with_image(dict(container_settings(found, TESTS, LOGS, extra)), found.image, options)


def refuse_unknown(table: Mapping[str, Any], known: frozenset[str], where: str) -> None:
    """Raises Unsupported for a key whose meaning would be lost."""
    if unknown := sorted(set(table) - known):
        raise Unsupported(f"{where}{unknown[0]}")
