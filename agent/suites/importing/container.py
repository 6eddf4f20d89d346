"""What Harbor and Terminal-Bench tasks share: a container to work in, tests in `/tests`, a script as the reference.

The hidden tests are in `/workspace/.tests` and logs in `/workspace/.logs`, to which the image's `/tests` and
`/logs` are links. What is handed in is everything but what begins with a dot, so neither can be handed in.
"""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from agent.base.types import Files
from agent.suites.importing import baking, folders, left
from agent.suites.importing.counting import count_tests
from agent.suites.importing.draft import Options, Unsupported, with_image
from agent.suites.importing.environment import Environment
from agent.suites.importing.pytests import pytest_command
from agent.suites.importing.shell import PytestRun
from agent.suites.rules import TELLING_BYTES
from agent.trials.grading import WORKSPACE

OURS = ".ratchet"
"""Folder of our own helpers among the hidden tests."""

TESTS, LOGS, VOLUMES = ".tests", ".logs", ".volumes"
SUBMIT = ["[!.]*", "[!.]*/**"]
IN_VOLUMES = f"{VOLUMES}/**"
REWARD = f"{LOGS}/verifier/reward"
PYTEST = (
    "RUN python3 -m pytest --version || python3 -m pip install --break-system-packages pytest"
    " || (apt-get update && apt-get install -y --no-install-recommends python3-pytest)"
)
"""A layer that makes sure that an image has pytest."""

_IN_A_HOME = (".bashrc", ".profile", ".bash_logout", ".cache")
"""What images have in a home folder that becomes the working directory; a box has its home elsewhere."""

_HELPERS = Path(__file__).with_name("in_box")


def helper(name: str) -> bytes:
    """One of our files that run in grading boxes."""
    return (_HELPERS / name).read_bytes()


def going_back(back: bytes) -> dict[str, bytes]:
    """What puts tests back to where an image would have copies of them, among the hidden tests; `back` says where."""
    both = {"back.py": helper("back.py"), "back.json": back}
    return {f"{OURS}/{name}": body for name, body in both.items()} if back else {}


def hidden(tests: Files) -> dict[str, bytes]:
    """Test files where grading lays them."""
    return {f"{TESTS}/{path}": content for path, content in tests.items()}


def no_hidden_paths(files: Files, where: str) -> None:
    """Raises Unsupported for starting files where tests and logs will stand."""
    for path in files:
        if path.split("/")[0] in {TESTS, LOGS}:
            raise Unsupported(f"{where}: a starting file {path!r:.60}, which is where hidden tests stand")


def no_hidden_copies(copied: Files, tests: Files, where: str) -> None:
    """Raises Unsupported for a copied file that holds a hidden test. Data that both hold does not count."""
    for test, body in tests.items():
        text = body.strip()
        if body in copied.values() and not test.endswith((".py", ".sh")):
            continue
        if len(text) >= TELLING_BYTES and (path := next((p for p, whole in copied.items() if text in whole), None)):
            raise Unsupported(f"{where}: {path!r:.80} holds the hidden test {test!r}")


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


def with_volumes(found: Environment, volumes: Sequence[str], where: str, *, machine: bool) -> Environment:
    """The image and starting files with empty folders in place of volumes; what the image has there is not seen.

    Raises:
        Unsupported: a volume where a box has something of its own, or around the working directory.
    """
    build, files, top = [*found.build], dict(found.files), found.workdir.rstrip("/")
    for folder in volumes:
        first, inside = f"/{folder.split('/')[1]}", folder.startswith(f"{top}/")
        ours = first in folders.OURS or first == WORKSPACE.rstrip("/") or folders.is_systems(folder)
        dotted = inside and folder.removeprefix(f"{top}/").startswith(".")
        if ours or dotted or f"{top}/".startswith(f"{folder.rstrip('/')}/"):
            raise Unsupported(f"{where}: a volume at {folder!r:.60}")
        kept, at = folder.removeprefix(f"{top}/") if inside else f"{VOLUMES}{folder}", shlex.quote(folder)
        files = {path: body for path, body in files.items() if not path.startswith(f"{kept}/")}
        if machine:
            build.append(f"RUN rm -rf {at} && mkdir -p {at}")
            continue
        files[f"{kept}/.keep"] = b""
        if not inside:
            above = shlex.quote(posixpath.dirname(folder))
            build.append(f"RUN rm -rf {at} && mkdir -p {above} && ln -s {WORKSPACE}{shlex.quote(kept)} {at}")
    return replace(found, build=tuple(build), files=files)


def machine_settings(found: Environment, extra: tuple[str, ...] = ()) -> Mapping[str, Any]:
    """Layers of a machine: work starts in the image's own directory, and there is a folder for logs."""
    top = shlex.quote(found.workdir)
    link = [] if found.workdir == "/workspace" else ["rm -rf /workspace", f"ln -s {top} /workspace"]
    made = " && ".join([f"mkdir -p {top} /logs/verifier /logs/agent /logs/artifacts", *link])
    return {"build": [*found.build, *extra, "WORKDIR /", f"RUN {made}"]}


def container_settings(found: Environment, extra: tuple[str, ...] = ()) -> Mapping[str, Any]:
    """Layers that lead the image's paths to the one place in a box that can be written."""
    top = shlex.quote(found.workdir)
    usual = " ".join(f"{top}/{name}" for name in _IN_A_HOME)
    empty = [
        f"mkdir -p {top}",
        f"rm -rf {usual}",
        f"find {top} -mindepth 1 -depth -type d -empty -delete",
        left.refuse(top),
        *([f"rmdir {top}", f"ln -s /workspace {top}"] if found.workdir != "/workspace" else []),
    ]
    links = [
        "if [ -d /tests ] && [ ! -L /tests ]; then find /tests -depth -type d -empty -delete; fi",
        "if [ -e /tests ] && [ ! -L /tests ]; then echo the image has files in /tests; exit 1; fi",
        "rm -rf /logs",
        f"ln -sfn /workspace/{TESTS} /tests",
        f"ln -sfn /workspace/{LOGS} /logs",
        "if [ ! -e /solution ]; then ln -sfn /workspace/.solution /solution; fi",
    ]
    taken_out = [f"RUN {' && '.join(commands)}" for commands in baking.removed(found.checked)]
    return {"build": [*found.build, *extra, "WORKDIR /", *taken_out, f"RUN {' && '.join([*empty, *links])}"]}


def surroundings(
    found: Environment, *, extra: tuple[str, ...], options: Options, machine: bool = False
) -> dict[str, Any]:
    """Image and layers of a task; `extra` are layers after those of its Dockerfile."""
    settings = machine_settings(found, extra) if machine else container_settings(found, extra)
    stages = {name: list(lines) for name, lines in found.stages.items()}
    return with_image({**settings, **({"stages": stages} if stages else {})}, found.image, options)


def refuse_unknown(table: Mapping[str, Any], known: frozenset[str], where: str) -> None:
    """Raises Unsupported for a key whose meaning would be lost."""
    if unknown := sorted(set(table) - known):
        raise Unsupported(f"{where}{unknown[0]}")
