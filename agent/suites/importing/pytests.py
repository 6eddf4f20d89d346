"""How a task that is checked by pytest is written down: the command, and the number of tests that must pass."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any

from agent.suites.importing.counting import count_tests, parsed, refuse_hooks
from agent.suites.importing.draft import Unsupported

CHECK_SECONDS = 60.0


def pytest_settings(tests: Mapping[str, bytes], run: Iterable[str], where: str) -> dict[str, Any]:
    """Check, reward and number of tests for the files `run`. Raises Unsupported where they cannot be counted."""
    chosen = sorted(path for path in run if path.endswith(".py"))
    for path, content in tests.items():
        if PurePosixPath(path).name == "conftest.py":
            refuse_hooks(parsed(content, f"{where}/{path}"), f"{where}/{path}")
    total = sum(count_tests(tests[path], f"{where}/{path}") for path in chosen)
    if not total:
        raise Unsupported("no test that pytest collects")
    return {
        "check": pytest_command(chosen),
        "reward": "junit",
        "junit": total,
        "check_timeout": CHECK_SECONDS,
    }


def pytest_command(paths: list[str]) -> list[str]:
    """The command that leaves a JUnit report where grading looks for it."""
    return ["python3", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml=$RATCHET_JUNIT", *paths]
