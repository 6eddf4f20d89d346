"""How tasks of a container format are graded in the two profiles: where hidden files are, and by what tests run.

In a machine the solution may have changed every program. So our own shell runs scripts, and our own Python runs pytest
where the tests import nothing else.
"""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass

from agent.base.types import Files
from agent.suites.importing import container
from agent.suites.rules import TELLING_BYTES
from agent.trials.grading import WORKSPACE
from sandbox.install import INTERPRETER

_PYTEST_SETTINGS = frozenset({"pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """How a profile grades: where our helpers and the rewards are, and by what our helpers run."""

    helpers: str
    verifier: str
    reward_path: str
    python: str
    trusts_nothing: bool

    def first(self, back: bytes) -> list[str]:
        """What comes before a check that needs tests where an image would have copies of them."""
        return [self.python, "-I", f"{self.helpers}/back.py"] if back else []

    def pytest(self, command: list[str], tests: Files, *, ours: bool) -> list[str]:
        """The command that runs pytest: by our own Python where the image's could be another by now."""
        if not self.trusts_nothing:
            return command
        alone = [] if any(path in _PYTEST_SETTINGS for path in tests) else ["-c", "/dev/null", "--rootdir=/tests"]
        if ours:
            # As the plain command `pytest`: what is in the working directory is not imported in place of a module.
            return [command[0], "-I", *command[1:3], *alone, *command[3:]]
        return ["bash", "-c", 'exec "$@"', "bash", *command[:3], *alone, *command[3:]]


STRICT = Kind(
    helpers=f"{WORKSPACE}{container.TESTS}/{container.OURS}",
    verifier=f"{WORKSPACE}{container.LOGS}/verifier",
    reward_path=f"{container.REWARD}.json",
    python="python3",
    trusts_nothing=False,
)
MACHINE = Kind(
    helpers=f"/tests/{container.OURS}",
    verifier="/logs/verifier",
    reward_path="/logs/verifier/reward.json",
    python=INTERPRETER,
    trusts_nothing=True,
)


def shared_data(files: Files, tests: Files) -> str | None:
    """A starting file of which the tests hold a copy, to compare with; programs do not count: they could be tests."""
    data = {body for path, body in tests.items() if not path.endswith((".py", ".sh"))}
    return next((path for path, body in files.items() if len(body) >= TELLING_BYTES and body in data), None)


def stdlib_only(tests: Files) -> bool:
    """Whether every Python file of the tests imports only the standard library, pytest, and files beside it."""
    own = {path.rpartition("/")[2].removesuffix(".py") for path in tests} | {path.split("/")[0] for path in tests}
    known = sys.stdlib_module_names | {"pytest"} | own
    return all(_imported(body) <= known for path, body in tests.items() if path.endswith(".py"))


def _imported(source: bytes) -> set[str]:
    """The top-level modules that a Python file imports; one that cannot be read imports `?`."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {"?"}
    plain = [name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names]
    found = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level}
    return {name.split(".")[0] for name in [*plain, *filter(None, found)]}
