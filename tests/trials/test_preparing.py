"""A candidate is built once; a failure is its own, with the log."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from agent.base.errors import SandboxDown, Starved
from agent.base.executable import Executable
from agent.base.types import BoxSpec, Ending
from agent.trials.preparing import Prepared, PrepareFailed, Recipe, build
from sandbox.fake import FakeRun, FakeSandbox, Said, ran

SOURCES = {"t1": {"src/a.c": b"good"}, "t2": {"src/a.c": b"bad"}}


@dataclass
class Compiler:
    built: int = 0
    says: list[Said | Exception] = field(default_factory=list)

    def __call__(self, scene: FakeRun) -> Said:
        self.built += 1
        if self.says and (said := self.says.pop(0)) is not None:
            if isinstance(said, Exception):
                raise said
            return said
        if scene.workspace["src/a.c"] == b"bad":
            return ran("a.c:1: error: bad", exit_code=1)
        scene.workspace["bin/a"] = Executable(b"\x7fELF")
        return "built"


def prepared(folder: Path, compiler: Compiler, *command: str) -> Prepared:
    recipe = Recipe(command=command or ("cc",), spec=BoxSpec(image="i", gateway=False), timeout=9)
    return Prepared(partial(build, FakeSandbox({"cc": compiler}), recipe), SOURCES, recipe.key, folder)


async def test_it_is_built_once_for_all_trials_and_all_runs(tmp_path: Path) -> None:
    compiler = Compiler()
    first = prepared(tmp_path, compiler)
    one, two = await asyncio.gather(first.files("t1"), first.files("t1"))
    later = await prepared(tmp_path, compiler).files("t1")
    assert dict(one) == dict(two) == dict(later) == {"src/a.c": b"good", "bin/a": b"\x7fELF"}
    assert isinstance(later["bin/a"], Executable)
    assert compiler.built == 1
    await prepared(tmp_path, compiler, "cc", "-O2").files("t1")
    assert compiler.built == 2, "another command gives another result"


async def test_what_does_not_build_fails_with_its_log_and_is_not_tried_again(tmp_path: Path) -> None:
    compiler = Compiler()
    builds = prepared(tmp_path, compiler)
    for _ in range(2):
        with pytest.raises(PrepareFailed, match=r"prepare failed: exit code 1: a\.c:1: error") as failed:
            await builds.files("t2")
        assert failed.value.log == "a.c:1: error: bad"
    assert compiler.built == 1


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (ran("", None, Ending.TIMEOUT), "longer than 9 s"),
        (ran("", None, Ending.MEMORY), "out of memory"),
    ],
)
async def test_limits_are_the_candidates_fault(tmp_path: Path, said: Said, reason: str) -> None:
    with pytest.raises(PrepareFailed, match=reason):
        await prepared(tmp_path, Compiler(says=[said])).files("t1")


@pytest.mark.parametrize("said", [SandboxDown("the engine is gone"), ran("", 1, pressure=60.0, seconds=60.0)])
async def test_a_build_that_the_machine_disturbed_is_made_again(tmp_path: Path, said: Said | Exception) -> None:
    builds = prepared(tmp_path, Compiler(says=[said]))
    with pytest.raises((SandboxDown, Starved)):
        await builds.files("t1")
    assert "bin/a" in await builds.files("t1")
