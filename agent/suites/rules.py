"""What a task must keep beyond the shape of its fields: each rule refuses what would be scored wrongly later."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

from agent.base.errors import UserError
from agent.base.profile import Profile
from agent.base.types import Files, RewardKind, Task
from agent.config.layers import layer_fault, stage_base
from agent.suites import tree
from agent.suites.copying import layers_of
from agent.suites.place import Place
from sandbox.globs import matcher

MAX_SUBMITTED_FILES = 256
MAX_SUBMITTED_BYTES = 4 << 20
TELLING_BYTES = 32
"""A hidden test of fewer bytes tells nothing: an empty `__init__.py` may well be in both places."""

WORKSPACE = "/workspace/"
SOLVE = "solve.sh"
"""The reference of a task that hands in the whole machine."""

_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OURS = re.compile(r"RATCHET_.*|PYTHONPATH|(?:OPENAI|ANTHROPIC)_(?:BASE_URL|API_KEY)")
Matcher = Callable[[str], bool]


@lru_cache(maxsize=4096)
def submitted_by(globs: tuple[str, ...]) -> Matcher:
    """A test whether a path is handed in; kept, since most tasks of a suite share their globs."""
    return matcher(globs)


def keep(task: Task, place: Place) -> None:
    """Hold a task to every rule. Raises UserError for the first one that it breaks."""
    _paths(task, place)
    _submission(task, place)
    _hidden(task, place)
    _reward(task, place)
    _profile(task, place)
    _surroundings(task, place)


def _paths(task: Task, place: Place) -> None:
    for field, files in (("files", task.files), ("tests", task.tests), ("solution", task.solution)):
        if path := tree.file_as_folder(files):
            raise place.error(field, f"{path!r} is a file and a folder", "Rename one of them.")
    if pair := tree.collision([*task.files, *task.tests, *task.solution]):
        problem = f"{pair[0]!r} and {pair[1]!r} are one name where case or accents do not count"
        raise place.error("files", problem, "Rename one of them.")


def _submission(task: Task, place: Place) -> None:
    if task.whole:
        _whole(task, place)
        return
    if not task.submit:
        raise place.error("submit", "is missing", "List the paths that are handed in.")
    for glob in task.submit:
        if fault := tree.glob_fault(glob):
            raise place.error("submit", f"{glob!r:.80} {fault}", "Use globs of paths inside the workspace.")
    handed_in = submitted_by(task.submit)
    for path in task.tests:
        if handed_in(path):
            raise place.error("submit", f"matches the hidden test {path!r}", "Narrow the glob, or move the test.")
    for path in task.solution:
        if not handed_in(path):
            raise place.error("solution", f"{path!r} is matched by no submit glob", "Add it to submit, or remove it.")
    total = sum(map(len, task.solution.values()))
    if len(task.solution) > MAX_SUBMITTED_FILES or total > MAX_SUBMITTED_BYTES:
        limit = f"{MAX_SUBMITTED_FILES} files or {MAX_SUBMITTED_BYTES >> 20} MiB"
        raise place.error("solution", f"more than the {limit} that can be handed in", "Make it smaller.")


def _profile(task: Task, place: Place) -> None:
    if task.profile is Profile.MACHINE and task.user is not None:
        raise place.error("user", "does nothing with profile: machine, where root works", "Remove it, or set solve_as.")
    if task.profile is not Profile.MACHINE and task.solve_as is not None:
        raise place.error("solve_as", "does nothing without profile: machine", "Remove it, or set user.")


def _whole(task: Task, place: Place) -> None:
    """What a task may not say that hands in the whole machine."""
    if task.solution and SOLVE not in task.solution:
        raise place.error("solution", f"has no {SOLVE}, which solves the task on the machine", "Write that script.")
    for field in ("check_image", "check_build"):
        if getattr(task, field):
            problem = "is not possible where the whole machine is handed in"
            raise place.error(field, problem, "Remove it, or list in submit what is handed in.")


def _hidden(task: Task, place: Place) -> None:
    if not any(content.strip() for content in task.tests.values()):
        raise place.error("tests", "is empty", "Give at least one hidden test.")
    if not task.check or not all(word.strip() for word in task.check):
        problem = "has an empty word" if task.check else "is missing"
        raise place.error("check", problem, "Give the command that runs the hidden tests.")
    for field in ("prepare", "collect"):
        if not all(word.strip() for word in getattr(task, field)):
            raise place.error(field, "has an empty word", "Give a command, or remove the key.")
    instruction = task.instruction.encode()
    for test, content in task.tests.items():
        text = content.strip()
        if len(text) < TELLING_BYTES:
            continue
        if text in instruction:
            raise place.error("instruction", f"holds the hidden test {test!r}", "Remove it.")
        if path := _holding(task.files, text):
            raise place.error("files", f"{path!r} holds the hidden test {test!r}", "Remove it.")


def _holding(files: Files, text: bytes) -> str | None:
    return next((path for path, content in files.items() if text in content), None)


def _reward(task: Task, place: Place) -> None:
    if task.reward is RewardKind.JUNIT and task.junit is None:
        raise place.error("junit", "is missing", "Say how many tests the reference solution passes.")
    if task.reward is not RewardKind.FILE:
        return
    path = (task.reward_path or "").removeprefix("/" if task.whole else WORKSPACE)
    if not path:
        raise place.error("reward_path", "is missing", "Name the file that holds the reward.")
    if fault := tree.suite_path_fault(path):
        raise place.error("reward_path", f"{path!r:.80} {fault}", "Name a file below /workspace.")
    if path in task.tests:
        raise place.error("reward_path", f"{path!r} is a hidden test", "Name the file that the check writes.")


def _surroundings(task: Task, place: Place) -> None:
    for name, value in task.env.items():
        if not _ENV_NAME.fullmatch(name) or "\0" in value:
            raise place.error(("env", name), "is not the name of an environment variable", "Use letters, digits and _.")
        if _OURS.fullmatch(name):
            raise place.error(("env", name), "is set by Ratchet itself", "Remove it.")
    if task.workdir:
        below = f"{task.workdir}/"
        if fault := tree.suite_path_fault(task.workdir):
            raise place.error("workdir", f"{task.workdir!r:.80} {fault}", "Name a folder below /workspace.")
        if not any(path.startswith(below) for path in task.files):
            raise place.error("workdir", f"no starting file stands in {task.workdir!r}", "Put a file there.")
    _layers(task, place)


def _layers(task: Task, place: Place) -> None:
    earlier: list[str] = []
    for name, lines in task.stages.items():
        if not lines or stage_base(lines[0]) is None:
            raise place.error(("stages", name), "does not begin with FROM and an image", "Write `FROM IMAGE` first.")
        _faultless(lines[1:], earlier, ("stages", name), place)
        earlier.append(name)
    for field, lines in (("build", task.build), ("check_build", task.check_build)):
        _faultless(lines, earlier, (field,), place)
        try:
            layers_of(lines, task.files, field, task.stages)
        except UserError as error:
            raise place.error(field, error.problem, error.fix) from error


def _faultless(lines: Sequence[str], stages: Sequence[str], field: tuple[str, ...], place: Place) -> None:
    for line in lines:
        if wrong := layer_fault(line, stages):
            raise place.error(field, *wrong)
