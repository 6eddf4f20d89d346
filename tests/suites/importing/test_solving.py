"""Reference scripts, in boxes that are in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agent.base.types import Ending, RunResult
from agent.suites.importing.draft import Options
from agent.suites.importing.run import import_suite
from agent.suites.importing.solving import Solved, solve, with_script, write_solutions
from agent.suites.loader import load_suite
from sandbox.fake import FakeRun, FakeSandbox, Program, ran


async def outcome(plant: Any, files: dict[str, str], program: Program) -> tuple[Path, Solved]:
    source = plant({f"count/{path}": text for path, text in files.items()})
    dest = import_suite("harbor", source, source.parent / "suite", options=Options()).dest
    async with FakeSandbox({"bash": program}) as sandbox:
        (solved,) = await solve(sandbox, lambda _: "image", load_suite(dest), parallel=1, done=lambda: None)
        assert not sandbox.open_boxes
    return dest, solved


async def test_what_the_script_leaves_becomes_the_solution(plant: Any, formats: dict[str, dict[str, str]]) -> None:
    def program(run: FakeRun) -> RunResult:
        assert run.argv == ("bash", "/workspace/.solution/solve.sh")
        assert run.workspace[".solution/solve.sh"].startswith(b"#!/bin/bash")
        assert not [path for path in run.workspace if path.startswith(".tests")]
        run.workspace.update({"count.txt": b"3\n", ".cache/x": b"not handed in"})
        return ran("said", 0)

    dest, solved = await outcome(plant, formats["harbor"], program)
    assert (solved.files, solved.problem) == ({"count.txt": b"3\n"}, None)
    write_solutions(dest, [solved])
    (task,) = load_suite(dest).tasks
    assert task.solution == {"count.txt": b"3\n"}
    assert not with_script(load_suite(dest))


async def test_a_script_that_leaves_nothing_or_hangs_gives_no_solution(
    plant: Any, formats: dict[str, dict[str, str]]
) -> None:
    _, nothing = await outcome(plant, formats["harbor"], lambda _: ran("no", 3))
    assert nothing.problem == "solve.sh left no file (exit code 3)"
    late = RunResult(ending=Ending.TIMEOUT, exit_code=None, output=b"", truncated=False, seconds=1)
    _, hung = await outcome(plant, formats["harbor"], lambda _: late)
    assert hung.problem == "solve.sh did not finish: timeout"
