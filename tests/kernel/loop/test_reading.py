"""The process that parses candidates' Python: whatever a source does to it, there is an answer or a refusal."""

from __future__ import annotations

import ast
import asyncio
import inspect
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from agent.base.errors import Refused
from agent.kernel.decide import parsing, weaving
from agent.kernel.decide.parsing import read
from agent.kernel.loop import answering
from agent.kernel.loop.reading import PythonReader, PythonWeaver
from sandbox.fake import FakeRun
from tests.kernel.lab import SETTINGS, MakeLab

FULL = 256 << 10
"""The largest file that the boundary admits."""
HOSTILE = {
    "an f-string of many fields": b'x = f"' + b"{a}" * ((FULL - 7) // 3) + b'"',
    "an import of many dots": b"import " + b"a." * ((FULL - 8) // 2) + b"b",
    "open brackets": b"(" * FULL,
    "signs": b"-" * (FULL - 1) + b"1",
    "attributes": b"a" + b".a" * (FULL // 2 - 1),
    "a large number": b"x = 0x" + b"f" * (FULL - 6),
    "calls": b"eval(1)\n" * (FULL // 8),
}


MakeChild = Callable[[str], PythonReader]


@pytest.fixture
def child(tmp_path: Path) -> MakeChild:
    """A reader whose child runs these statements."""

    def make(program: str) -> PythonReader:
        (tmp_path / "program.py").write_text(f"def answer(sources):\n    {program}\n")
        return PythonReader(tmp_path / "program.py", seconds=5.0)

    return make


async def beats(seen: list[float]) -> None:
    """Note how late the event loop wakes us."""
    clock = asyncio.get_running_loop().time
    while True:
        before = clock()
        await asyncio.sleep(0.01)
        seen.append(clock() - before)


async def test_trees_are_read_each_source_once() -> None:
    trees = {"a.py": b"x = 1\n", "b.py": b"def (", "c.md": b"def ("}, {"d.py": b"x = 1\n"}
    assert await PythonReader().read(*trees) == {body: read(body) for body in (b"x = 1\n", b"def (")}
    assert await PythonReader().read({"c.md": b"x"}) == {}


@pytest.mark.parametrize("what", HOSTILE)
async def test_hostile_source_of_the_full_size_gets_an_answer_while_the_loop_runs(what: str) -> None:
    seen: list[float] = []
    beating = asyncio.create_task(beats(seen))
    (answer,) = await asyncio.gather(PythonReader().read({"a.py": HOSTILE[what]}), return_exceptions=True)
    beating.cancel()
    assert "to parse" in str(answer) if isinstance(answer, Refused) else set(answer) == {HOSTILE[what]}
    assert len(seen) > 1


@pytest.mark.slow
async def test_source_that_takes_too_long_is_refused() -> None:
    with pytest.raises(Refused, match=r"takes more than 20 s of processor time or 1024 MiB to parse"):
        await PythonReader().read({f"{n}.py": HOSTILE["an f-string of many fields"] + b" " * n for n in range(16)})


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("import time; time.sleep(60)", "takes longer than 5 s to parse"),
        ("import os; os.abort()", "the parser got signal 6"),
        ("import sys; sys.exit(3)", "the parser ended with code 3"),
        ("import os; os.close(0); os._exit(5)", "the parser ended with code 5"),
        ("return None", "the parser ended with code 1"),
        ("return 'nonsense'", "the parser gave no answer"),
        ("return '[]'", "the parser gave no answer"),
        ("return '[{}]'", "the parser gave no answer"),
        ("return '[7]'", "the parser gave no answer"),
        ("return 'x' * (40 << 20)", "the parser's answer is too long"),
    ],
)
async def test_a_child_that_dies_hangs_or_says_nonsense_is_a_refusal(
    child: MakeChild, program: str, reason: str
) -> None:
    with pytest.raises(Refused, match=reason):
        await child(program).read({"a.py": b"x = 1\n"})


async def test_a_child_that_is_waited_for_no_longer_is_ended(child: MakeChild) -> None:
    reader = child("import os, sys, time; sys.stderr.write(str(os.getpid())); time.sleep(60)")
    task = asyncio.create_task(reader.read({"a.py": b"x = 1\n"}))
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await PythonReader().read({"a.py": b""}) == {b"": read(b"")}


async def test_a_campaign_refuses_a_patch_that_cannot_be_parsed_and_resumes(make_lab: MakeLab) -> None:
    turn = iter(range(100))

    def improve(scene: FakeRun) -> None:
        body = HOSTILE["an import of many dots"] if next(turn) == 0 else b"SKILL = 80\n"
        scene.workspace[SETTINGS] = body

    lab = make_lab(improve)
    await lab.run()
    with lab.ledger() as ledger:
        first = ledger.candidates()[1]
        assert (first.fate, "nested too deeply" in first.reason) == ("refused", True)
        assert len(ledger.commits()) == 1


async def test_the_child_gets_no_key_from_the_environment(child: MakeChild, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    said = '{"fault": str(list(os.environ)), "line": 0, "essence": "", "findings": []}'
    program = f"import json, os; return json.dumps([{said}])"
    (answer,) = (await child(program).read({"a.py": b""})).values()
    assert answer.fault is not None
    assert "OPENAI" not in answer.fault


WHO = """[{"fault": str(os.getpid()), "line": 0, "essence": "", "findings": []}]"""


async def test_one_process_answers_one_reading_after_another_and_what_was_read_is_kept(child: MakeChild) -> None:
    reader = child(f"import json, os; return json.dumps({WHO})")
    answers = {**await reader.read({"a.py": b"1"}), **await reader.read({"a.py": b"2"})}
    assert answers[b"1"] == answers[b"2"]
    assert await reader.read({"a.py": b"1", "b.py": b"2"}) == answers


async def test_a_process_that_a_reading_made_grow_answers_no_other_one(child: MakeChild) -> None:
    heavy = "sources == [b'heavy'] and globals().update(held=bytes(80 << 20))"
    reader = child(f"import json, os; {heavy}; return json.dumps({WHO})")
    before, grown, after = [(await reader.read({"a.py": body}))[body] for body in (b"before", b"heavy", b"after")]
    assert before == grown != after


async def test_a_process_that_was_killed_between_two_readings_is_no_fault_of_the_next(child: MakeChild) -> None:
    reader = child(f"import json, os; return json.dumps({WHO})")
    (first,) = (await reader.read({"a.py": b"1"})).values()
    os.kill(int(str(first.fault)), signal.SIGKILL)
    await asyncio.sleep(0.1)
    assert (await reader.read({"a.py": b"2"}))[b"2"] != first


async def test_a_reading_that_fails_does_not_touch_the_next_one(child: MakeChild) -> None:
    body = "import json, os, time; (data,) = sources; "
    body += f"time.sleep(60 * data.endswith(b'hang')); data.endswith(b'die') and os.abort(); return json.dumps({WHO})"
    reader = child(body)
    for source in (b"hang", b"die"):
        with pytest.raises(Refused):
            await reader.read({"a.py": source})
        assert set(await reader.read({"a.py": source + b" before"})) == {source + b" before"}


async def test_each_reading_has_the_whole_time_to_itself(child: MakeChild) -> None:
    body = "import json, resource, time; limit = resource.getrlimit(resource.RLIMIT_CPU)[0] - time.process_time(); "
    body += """return json.dumps([{"fault": str(limit), "line": 0, "essence": "", "findings": []}])"""
    reader = child(f"sum(range(8_000_000)); {body}")
    for source in (b"1", b"2", b"3"):
        (answer,) = (await reader.read({"a.py": source})).values()
        assert 19.0 <= float(str(answer.fault)) <= 21.0


async def test_sources_that_take_more_memory_than_there_may_be_are_refused() -> None:
    source = b"x = [" + b"[]," * (40 << 20) + b"]"
    (answer,) = await asyncio.gather(PythonReader().read({"a.py": source}), return_exceptions=True)
    assert "1024 MiB" in str(answer) if isinstance(answer, Refused) else "nested too deeply" in str(answer)


@pytest.mark.parametrize("module", [answering, parsing, weaving])
def test_what_runs_in_the_process_needs_nothing_but_the_standard_library(module: ModuleType) -> None:
    names = {
        name.partition(".")[0]
        for node in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names])
    }
    assert names <= sys.stdlib_module_names


async def test_sources_are_merged_in_the_child() -> None:
    weaver = PythonWeaver()
    base, ours, theirs = b"a = 1\nb = 2\n", b"a = 9\nb = 2\n", "a = 1\nb = 2  # é\n".encode()
    assert await weaver.weave(base, ours, theirs) == "a = 9\nb = 2  # é\n".encode()
    assert await weaver.weave(base, ours, b"a = 8\nb = 2\n") is None
    assert await weaver.weave(base, ours, b"a = (\n") is None


@pytest.mark.parametrize(
    "program", ["import time; time.sleep(60)", "import os; os.abort()", "return '[1]'", "return '{'", "pass"]
)
async def test_what_the_child_does_not_merge_is_a_conflict(tmp_path: Path, program: str) -> None:
    (tmp_path / "program.py").write_text(f"def answer(sources):\n    {program}\n")
    weaver = PythonWeaver(tmp_path / "program.py", seconds=1.0)
    assert await weaver.weave(b"a = 1\n", b"a = 2\n", b"a = 3\n") is None


@pytest.mark.slow
@pytest.mark.parametrize("what", HOSTILE)
async def test_hostile_source_is_merged_or_conflicts(what: str) -> None:
    theirs = b"b = 2\n" + HOSTILE[what]
    woven = await PythonWeaver().weave(HOSTILE[what], HOSTILE[what] + b"\nc = 3\n", theirs)
    assert woven in {None, theirs + b"\nc = 3\n"}
