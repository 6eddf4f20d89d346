"""A proposal's box asks for trials of its workspace, and whether its patch would be admitted."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.base.errors import CandidateFault, SandboxDown
from agent.base.executable import Executable
from agent.base.types import Fate, Purpose
from agent.kernel.loop.tries import PROGRAM, delayed, read
from agent.models.gateway.intake import MAX_VALUES
from sandbox import forward
from sandbox.fake import FakeRun
from tests.kernel.lab import SETTINGS, Lab, MakeLab, solve

Use = Callable[..., Awaitable[str]]
Script = Callable[[FakeRun, Use], Awaitable[None]]


@dataclass
class Box:
    """An improver that uses the shipped programs: real files, a real process, the real gateway."""

    folder: Path
    script: Script
    proposals: int = 0
    errors: list[BaseException] = field(default_factory=list)

    async def __call__(self, scene: FakeRun) -> str:
        self.proposals += 1
        if self.proposals > 1:
            return "nothing"
        listener = forward.listen(0)
        threading.Thread(target=forward.Forwarder(listener, str(scene.socket)).run, daemon=True).start()
        port = listener.getsockname()[1]

        async def use(program: str, *arguments: str) -> str:
            self.write(scene)
            process = await asyncio.create_subprocess_exec(
                sys.executable, str(self.folder / "task/bin" / program), *arguments,
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
                env={
                    "PATH": os.environ["PATH"], "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{port}",
                    "RATCHET_WORKSPACE": str(self.folder / "workspace"), "RATCHET_TASK_DIR": str(self.folder / "task"),
                    "TMPDIR": str(self.folder),
                },
            )  # fmt: skip
            said, _ = await process.communicate()
            return said.decode()

        try:
            await self.script(scene, use)
        except BaseException as error:
            self.errors.append(error)
            raise
        return "tried"

    def write(self, scene: FakeRun) -> None:
        for root, files in {"task": scene.task, "workspace": scene.workspace}.items():
            for path, body in files.items():
                (self.folder / root / path).parent.mkdir(parents=True, exist_ok=True)
                (self.folder / root / path).write_bytes(body)


@dataclass
class Tried:
    """A campaign whose first proposal ran a script."""

    lab: Lab
    box: Box

    async def run(self) -> None:
        await self.lab.run()
        assert not self.box.errors


@pytest.fixture
def tried(make_lab: MakeLab, tmp_path: Path) -> Callable[..., Tried]:
    def make(script: Script, **options: object) -> Tried:
        box = Box(tmp_path, script)
        return Tried(make_lab(box, trials=30, **options), box)

    return make


async def test_a_trial_of_the_workspace_is_graded_outside_and_recorded_as_dry(tried: Callable[..., Tried]) -> None:
    said: list[str] = []

    async def script(scene: FakeRun, use: Use) -> None:
        said.append(await use("ratchet-try", "--task", "search-3"))
        scene.workspace[SETTINGS] = b"SKILL = 100\n"
        said.append(await use("ratchet-try", "--task", "search-3"))
        said.append(await use("ratchet-try", "--task", "search-99"))

    made = tried(script, options={"proposals": {"tries": 5}})
    await made.run()
    assert said[1].startswith("task search-3: score 1 (")
    assert said[1].splitlines()[-2:] == said[1].splitlines()[:2], "the end alone tells the score as well"
    assert "3 tries left" in said[1]
    assert "skill 100, luck" in said[1]
    assert said[2].startswith("refused: no search task `search-99`; there are search-")
    with made.lab.ledger() as ledger:
        dry = ledger.trials(purpose=Purpose.DRY)
        assert [(trial.task, trial.score) for trial in dry][1] == ("search-3", 1.0)
        assert dry[0].tree == ledger.tree_of(0) != dry[1].tree
        assert not {trial.seed for trial in dry} & {trial.seed for trial in ledger.trials(purpose=Purpose.SEARCH)}
        assert sum(row.trials for row in ledger.tallies(Purpose.SEARCH)) == len(ledger.trials(purpose=Purpose.SEARCH))


async def test_what_a_patch_never_holds_is_not_sent(tried: Callable[..., Tried]) -> None:
    said: list[str] = []

    async def script(scene: FakeRun, use: Use) -> None:
        scene.workspace.update({SETTINGS: b"SKILL = 100\n", "prompts/PATCH.md": b"x\n"})
        scene.workspace["agent/scaffold/node_modules/a.js"] = b"\xff\x00"
        said.append(await use("ratchet-check"))

    await tried(script).run()
    assert said[0].startswith("the patch would be admitted")


def test_of_a_whole_repository_frozen_paths_notes_and_gits_folder_are_not_sent(tmp_path: Path) -> None:
    known = {"mutable": ["."], "without": ["held", "held/**", "**/.git"], "files": {}}
    files = ("held/a.py", ".git/config", "src/.git/config", "PATCH.md", "LESSONS.md", "src/run.sh")
    for path in (tmp_path / file for file in files):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    (tmp_path / "src" / "run.sh").chmod(0o755)
    task = tmp_path.with_name("task")
    (task / "context").mkdir(parents=True)
    (task / "context" / "tools.json").write_text(json.dumps(known))
    ask = f"import json, runpy; print(json.dumps(runpy.run_path({str(PROGRAM)!r})['workspace']()))"
    env = {"PATH": os.environ["PATH"], "RATCHET_WORKSPACE": str(tmp_path), "RATCHET_TASK_DIR": str(task)}
    done = subprocess.run([sys.executable, "-c", ask], env=env, capture_output=True, check=True)
    sent = read(done.stdout, {})
    assert {path: isinstance(body, Executable) for path, body in sent.files.items()} == {"src/run.sh": True}
    assert set(sent.notes) == {"PATCH.md", "LESSONS.md"}


def test_the_clock_of_a_box_stands_until_its_trial_begins() -> None:
    moves: list[str] = []

    class Ticking:
        def stand(self) -> None:
            moves.append("stand")

        def run(self) -> None:
            moves.append("run")

    with delayed(Ticking()) as begins:
        assert moves == ["stand"]
        begins()
        assert moves == ["stand", "run"]
    assert moves == ["stand", "run"]
    with pytest.raises(SandboxDown), delayed(Ticking()):
        raise SandboxDown("before its turn")
    assert moves == ["stand", "run"] * 2


async def test_the_number_of_tries_is_bounded_and_void_ones_do_not_count(tried: Callable[..., Tried]) -> None:
    said: list[str] = []
    broken = iter([True])

    def solving(scene: FakeRun) -> object:
        if b"# dry" in scene.scaffold[SETTINGS] and next(broken, False):
            raise SandboxDown("gone")
        return solve(scene)

    async def script(scene: FakeRun, use: Use) -> None:
        scene.workspace[SETTINGS] = b"SKILL = 90  # dry\n"
        said.extend([await use("ratchet-try", "--task", "search-1") for _ in range(4)])

    made = tried(script, solve=solving, options={"proposals": {"tries": 2}})
    await made.run()
    assert said[0].startswith("refused: nothing came of it, and it does not count")
    assert "1 tries left" in said[1]
    assert "0 tries left" in said[2]
    assert said[3].startswith("refused: no try is left: 2 of 2 were made")


async def test_check_names_all_faults_and_what_the_kernel_reads_in_the_message(tried: Callable[..., Tried]) -> None:
    said: list[str] = []

    async def script(scene: FakeRun, use: Use) -> None:
        said.append(await use("ratchet-check"))
        scene.workspace[SETTINGS] = b"SKILL = (\n"
        scene.workspace["agent/scaffold/b.py"] = b"x = \xff\n"
        scene.workspace["prompts/c.md"] = b"a\x1bb"
        scene.workspace["PATCH.md"] = b"Say\n\n```predictions\n+ search-1: yes\n+ gate-1: yes\n```\n"
        said.append(await use("ratchet-check"))
        said.append(await use("ratchet-try", "--task", "search-1"))
        for path in ("agent/scaffold/b.py", "prompts/c.md"):
            del scene.workspace[path]
            (made.box.folder / "workspace" / path).unlink()
        scene.workspace[SETTINGS] = b"SKILL = 44\n"
        said.append(await use("ratchet-check"))

    made = tried(script)
    await made.run()
    assert "- the patch changes nothing" in said[0]
    assert "under way" not in said[0]
    for fault in ("settings.py line 1", "b.py is not UTF-8 text", "c.md line 1 holds the control character U+001B"):
        assert fault in said[1]
    assert "note: predicts + search-1: yes" in said[1]
    assert "`+ gate-1: yes` names no search task" in said[1]
    assert said[2].startswith("refused: the patch would be refused: ")
    assert said[3].startswith("the patch would be admitted\n")
    with made.lab.ledger() as ledger:
        assert ledger.candidates()[1].fate is not Fate.REFUSED


async def test_a_box_that_is_no_proposal_finds_no_tools(tried: Callable[..., Tried]) -> None:
    said: list[bytes] = []

    async def solving(scene: FakeRun) -> object:
        if not said:
            reader, writer = await asyncio.open_unix_connection(str(scene.socket))
            writer.write(b"POST /ratchet/try HTTP/1.1\r\nHost: box\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
            said.append(await reader.read())
            writer.close()
        return solve(scene)

    async def script(_: FakeRun, __: Use) -> None:
        """Try nothing."""

    await tried(script, solve=solving).run()
    assert said[0].startswith(b"HTTP/1.1 404")


JSON = st.recursive(
    st.none() | st.booleans() | st.text(max_size=8), lambda s: st.lists(s) | st.dictionaries(st.text(), s)
)


@given(st.binary(max_size=80) | JSON.map(lambda value: json.dumps(value).encode()))
def test_whatever_a_box_sends_is_read_or_is_its_fault(body: bytes) -> None:
    with pytest.raises(CandidateFault):
        read(body, {})


def test_a_request_is_the_parent_with_what_differs() -> None:
    sent = {"files": {"b": base64.b64encode(b"2").decode()}, "removed": ["a"], "odd": ["l"], "notes": {}, "task": "t"}
    found = read(json.dumps(sent).encode(), {"a": b"1", "c": b"3"})
    assert (found.task, found.files, found.odd) == ("t", {"b": b"2", "c": b"3"}, ["l"])
    with pytest.raises(CandidateFault, match="JSON values"):
        read(b"[" + b"1," * MAX_VALUES + b"1]", {})
