"""Grades a submission: in a fresh box, with hidden tests that win over it, by a verdict it cannot write.

What is believed: JUnit counts that equal the reference run's, from a check that ended by itself with exit
code 0 and left no process behind that could have written the file after it. What is not: an exit code alone
(unless the task says so), output, files of the submission that the task did not ask for.

The box is destroyed before the verdict is read. An infrastructure failure is never a score: `grade` raises
InfrastructureError. Whatever reading the candidate's bytes raises is a score of 0: `judge` reads them through one net.
"""

from __future__ import annotations

import json
import posixpath
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from defusedxml import ElementTree

from agent.base.errors import CandidateFault, Starved, UserError, from_candidate
from agent.base.executable import Executable
from agent.base.profile import SNAPSHOT, Profile
from agent.base.types import (
    Box,
    BoxSpec,
    Ending,
    Files,
    Grade,
    RewardKind,
    RunResult,
    Sandbox,
    Task,
)
from agent.trials.stages import prepare
from sandbox.globs import literal, matcher
from sandbox.install import CHECK, HERE, INTERPRETER

WORKSPACE, HIDDEN, TEMPORARY = "/workspace/", "/tests/", "/tmp/"  # noqa: S108 - of a box
CHECKER = "ratchet_check"
BY_NAME = ("python3", "-I", "-m", CHECKER)
"""How suites call our checker; a box starts it without the modules that `-m` takes."""

MAX_VERDICT = 1 << 20
OUTPUT_KEPT = 16 << 10
OUTPUT_LIMIT = 256 << 10
SNAPSHOT_BYTES = 60 << 20
"""Most bytes of a machine that is handed in, compressed: they travel in one frame."""

MACHINE_DISK_MB = 2048
"""What a machine may write, if neither its task nor the campaign says so."""

TOOLS = f"{HERE}/python/tools"
"""Our shell and small programs: in a machine a check finds them before those of the image."""

STARVED_SHARE, STARVED_SECONDS = 0.5, 3.0
"""A run is void if other programs withheld more than this part of its time (unless the campaign sets another), and
more than so many seconds of it."""


async def grade(sandbox: Sandbox, image: str, task: Task, submission: Files, starved: float = STARVED_SHARE) -> Grade:
    """The verdict on one submission; `starved` as in `refuse_starved`.

    Raises:
        InfrastructureError: the box failed for a reason outside of it, or was starved; there is no verdict.
        UserError: the task itself cannot be graded.
    """
    verdict = _verdict_path(task)
    box = await sandbox.open(grading_box(task, image))
    try:
        result, found = await _check(box, task, submission, verdict)
    except CandidateFault as fault:
        return Grade(score=0.0, reason=str(fault))
    finally:
        await box.close()
    refuse_starved(result, starved)
    return judge(task, result, found)


def refuse_starved(run: RunResult, share: float = STARVED_SHARE) -> None:
    """Refuse to score a run on a starved machine, whatever came of it. What a box does has no part in the measure.

    Raises:
        Starved: others withheld more than `share` of its time; with a share of 1, never.
    """
    if share < 1 and run.pressure > max(STARVED_SECONDS, share * run.seconds):
        raise Starved(
            f"other programs took the processors for {run.pressure:.0f} of the {run.seconds:.0f} s of a run"
            f" (boxes.starved: {share:g})"
        )


def box_for(task: Task, default: BoxSpec) -> BoxSpec:
    """The kind of box that a task asks for, over what it leaves open."""
    asked = {
        name: value for name in ("user", "memory_mb", "disk_mb", "cpus") if (value := getattr(task, name)) is not None
    }
    if task.profile is Profile.MACHINE:
        asked = {"disk_mb": max(MACHINE_DISK_MB, default.disk_mb), **asked, "machine": True}
    return replace(default, **asked)


def grading_box(task: Task, image: str) -> BoxSpec:
    """The kind of box in which a submission to a task is graded."""
    return box_for(task, BoxSpec(image=image, gateway=False))


def in_workdir(task: Task, argv: Sequence[str]) -> list[str]:
    """A command as it starts in the task's working directory."""
    if not task.workdir:
        return list(argv)
    return ["sh", "-c", 'cd -- "$0" && exec "$@"', WORKSPACE + task.workdir, *argv]


def overlay(task: Task, submission: Files, verdict: str) -> dict[str, bytes]:
    """The workspace of the check: the task's files, over them the declared submission, over all the hidden tests."""
    declared = matcher(task.submit)
    files = dict(task.files)
    for path, content in submission.items():
        if declared(path):
            _lay(files, path, content)
    for path, content in task.tests.items():
        _lay(files, path, content)
    _clear(files, verdict)
    return files


def _lay(files: dict[str, bytes], path: str, content: bytes) -> None:
    _clear(files, path)
    files[path] = content


def _clear(files: dict[str, bytes], path: str) -> None:
    """Drop what cannot stand beside `path`: itself, a file where it needs a folder, all below it."""
    for other in [o for o in files if o == path or o.startswith(path + "/") or path.startswith(o + "/")]:
        del files[other]


def _verdict_path(task: Task) -> str:
    """Where the check leaves its verdict; for JUnit a name that a candidate cannot foresee."""
    if task.reward is not RewardKind.FILE:
        return f"{TEMPORARY if task.whole else WORKSPACE}.junit-{secrets.token_hex(8)}.xml"
    if task.whole:
        return posixpath.join("/", task.reward_path or "")
    path = (task.reward_path or "").removeprefix(WORKSPACE)
    if not path or path.startswith("/"):
        raise UserError(
            f"task {task.id}: reward_path", "is not a path below /workspace", "Name the file the check writes"
        )
    return WORKSPACE + path


async def _lay_out(box: Box, task: Task, submission: Files, verdict: str) -> None:
    """Put everything into the workspace; what a task prepares stands there before the submission comes.

    A whole machine is restored, and the hidden tests come in afterwards. Where our checker runs, it removes them
    before any code of the submission; otherwise nothing can change them.
    """
    if task.whole:
        await box.thaw(submission.get(SNAPSHOT, b""))
        await box.hide(_runnable(task.tests), sealed=CHECKER not in task.check)
        return
    files = overlay(task, submission, verdict.removeprefix(WORKSPACE))
    if task.prepare:
        await box.put(task.files, WORKSPACE.rstrip("/"))
        await prepare(box, task)
        files = {path: body for path, body in files.items() if task.files.get(path) is not body}
    await box.put(files, WORKSPACE.rstrip("/"))


def _runnable(tests: Files) -> Files:
    """The same files; scripts can be run, since nobody can make them so where they are sealed."""
    return {path: Executable(body) if body.startswith(b"#!") else body for path, body in tests.items()}


async def _check(box: Box, task: Task, submission: Files, verdict: str) -> tuple[RunResult, bytes | None]:
    """Run the check; its result and the verdict file, if there is one."""
    await _lay_out(box, task, submission, verdict)
    hidden = "\n".join((HIDDEN if task.whole else WORKSPACE) + path for path in task.tests)
    env = {**task.env, "RATCHET_JUNIT": verdict, "RATCHET_HIDDEN": hidden}
    argv = in_workdir(task, [word.replace("$RATCHET_JUNIT", verdict) for word in _checker(task)])
    if task.profile is Profile.MACHINE:
        argv = _by_our_tools(argv)
    result = await box.run(argv, env=env, timeout=task.check_timeout, output_limit=OUTPUT_LIMIT)
    if result.ending is not Ending.EXITED or task.reward is RewardKind.EXIT:
        return result, None
    folder, name = posixpath.split(verdict)
    if not task.whole:  # no link of the submission leads elsewhere
        folder, name = WORKSPACE.rstrip("/"), verdict.removeprefix(WORKSPACE)
    taken = await box.take([literal(name)], max_files=1, max_bytes=MAX_VERDICT, root=folder)
    return result, taken.get(name)


def _by_our_tools(argv: Sequence[str]) -> list[str]:
    """A command that finds our programs before those of the image, which a candidate may have replaced."""
    return [f"{TOOLS}/bash", "-c", 'export PATH="$0:$PATH"; exec "$@"', TOOLS, *argv]


def _checker(task: Task) -> tuple[str, ...]:
    """The command of a check; our checker runs by our own Python, whatever the image calls `python3`.

    In a machine every check does that begins with `python3`: it has pytest, and no candidate can replace it.
    """
    check = task.check
    if check[: len(BY_NAME)] == BY_NAME:
        return (INTERPRETER, "-I", CHECK, *check[len(BY_NAME) :])
    if check[0] == "python3" and (CHECKER in check or task.profile is Profile.MACHINE):
        return (INTERPRETER, *check[1:])
    return check


def judge(task: Task, result: RunResult, verdict: bytes | None) -> Grade:
    """The score that a finished check proves."""
    try:
        with from_candidate("the verdict"):
            score, reason = _score(task, result, verdict)
    except CandidateFault as fault:
        score, reason = 0.0, str(fault)
    output = result.output[-OUTPUT_KEPT:].decode(errors="replace")
    return Grade(score=score, reason=reason, output=output, seconds=result.seconds)


def _score(task: Task, result: RunResult, verdict: bytes | None) -> tuple[float, str]:
    if result.ending is Ending.TIMEOUT:
        return 0.0, f"the check timed out after {task.check_timeout:g} s"
    if result.ending is not Ending.EXITED:
        return 0.0, f"the check did not finish: {result.ending.value}"
    if task.reward is RewardKind.EXIT:
        return float(result.exit_code == 0), f"the check ended with exit code {result.exit_code}"
    if verdict is None:
        return 0.0, f"the check left no verdict (exit code {result.exit_code})"
    if task.reward is RewardKind.FILE:
        score, reason = _file_score(verdict, task.reward_key)
    else:
        score, reason = _junit_score(task, result, verdict)
    if score > 0 and result.orphans:
        return 0.0, f"{result.orphans} processes outlived what started them, so the verdict could be theirs"
    return score, reason


@dataclass(frozen=True, slots=True)
class Counts:
    """Test cases of a JUnit report."""

    total: int
    passed: int


def count_junit(xml: bytes) -> Counts | None:
    """Count test cases one by one; None if this is not a JUnit report. Declarations are refused in any encoding."""
    try:
        with from_candidate("the report"):
            root = ElementTree.fromstring(xml, forbid_dtd=True)
    except CandidateFault:
        return None
    cases = list(root.iter("testcase"))
    passed = [case for case in cases if not any(child.tag in {"failure", "error", "skipped"} for child in case)]
    return Counts(len(cases), len(passed))


def _junit_score(task: Task, result: RunResult, xml: bytes) -> tuple[float, str]:
    if task.junit is None or task.junit < 1:
        fix = "Set it to the number of tests that the reference solution passes"
        raise UserError(f"task {task.id}: junit", "is not set", fix)
    counts = count_junit(xml)
    if counts is None:
        return 0.0, "no JUnit XML in the check's report"
    if counts.total != task.junit:
        return 0.0, f"{counts.total} hidden tests ran where the reference runs {task.junit}"
    if counts.passed == counts.total and result.exit_code != 0:
        return 0.0, f"all tests are reported as passed, but the check ended with exit code {result.exit_code}"
    return float(counts.passed == counts.total), f"{counts.passed} of {counts.total} hidden tests passed"


def _file_score(content: bytes, key: str) -> tuple[float, str]:
    try:
        with from_candidate("the reward file"):
            said = json.loads(content)
    except CandidateFault:
        return 0.0, "the reward file is neither a number nor JSON"
    if isinstance(said, Mapping):
        said = said.get(key)
    # NaN compares as false, so it is out of range as well.
    if isinstance(said, bool) or not isinstance(said, (int, float)) or not 0 <= said <= 1:
        return 0.0, "the reward file does not hold a number from 0 to 1"
    return float(said), f"the check gave {said:g}"
