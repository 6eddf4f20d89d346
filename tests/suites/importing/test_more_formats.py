"""Questions with a text as the answer, EvalPlus, and programs of standard input and output."""

from __future__ import annotations

import asyncio
import json
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from agent.base.errors import UserError
from agent.base.types import RewardKind, Task
from agent.cli.suites import prove_suite
from agent.suites.importing.draft import Options
from agent.suites.importing.run import chosen, import_suite
from agent.suites.importing.write import NothingTaken
from agent.suites.loader import load_suite

PLUS = {
    "task_id": "HumanEval/3",
    "prompt": "def half(x):\n    return x / 2\n\n\ndef mean(xs):\n    '''The mean.'''\n",
    "entry_point": "mean",
    "canonical_solution": "    return half(2 * sum(xs)) / len(xs)\n",
    "base_input": [[[1, 2]], [[3]]],
    "plus_input": [[[0.1, 0.2, 0.3]]],
    "atol": 1e-6,
    "contract": "\n",
}
PROGRAM = {
    "question_id": "abc_1",
    "question_content": "Add two numbers.",
    "starter_code": "",
    "public_test_cases": json.dumps([{"input": "1 2\n", "output": "3\n", "testtype": "stdin"}]),
    "private_test_cases": [{"input": "5 6", "output": "11"}],
    "solution": "a, b = map(int, input().split())\nprint(a + b)\n",
}
SCORER = "import json, os, sys; sys.exit(open('answer.txt').read().strip() != json.load(open(os.environ['TARGET'])))"
QUESTION = {"id": "q1", "input": "What is 6 * 7?", "ideal": "42"}


def brought(path: Path) -> Task:
    dest = import_suite("auto", path, path.parent / f"{path.stem}-suite", options=Options()).dest
    (task,) = load_suite(dest).tasks
    return task


@pytest.mark.parametrize(
    ("row", "kind"),
    [(PLUS, "evalplus"), (PROGRAM, "stdio"), (QUESTION, "evals"), ({"prompt": "p", "assert": []}, "evals")],
)
def test_a_format_is_recognised_by_its_keys(row: dict[str, Any], kind: str, rows: Any) -> None:
    assert chosen("auto", rows(row)).kind == kind


@pytest.mark.parametrize(
    ("row", "match"),
    [
        (QUESTION, {"exact": ["42"]}),
        ({"question": "What?", "answer": ["a", "b"]}, {"exact": ["a", "b"]}),
        ({"prompt": "What?", "expected": "4.", "match": "regex"}, {"regex": "4."}),
        (
            {"input": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What?"}], "target": 7},
            {"exact": ["7"]},
        ),
        ({"prompt": "What is {{a}}?", "vars": {"a": 1}, "assert": [{"type": "equals", "value": 1}]}, {"exact": ["1"]}),
        (
            {"prompt": "What?", "assert": [{"type": "icontains", "value": "a.b"}]},
            {"regex": r"a\.b", "ignore_case": True},
        ),
    ],
)
def test_a_question_is_answered_by_a_text(row: dict[str, Any], match: dict[str, Any], rows: Any) -> None:
    task = brought(rows(row))
    assert (task.reward, task.submit) == (RewardKind.EXIT, ("answer.txt",))
    expected = json.loads(task.tests[".match/expected.json"])
    assert {key: value for key, value in expected.items() if value} == match
    assert task.instruction.rstrip().endswith("Write the answer into `answer.txt` and nothing else.")
    assert "What" in task.instruction


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"prompt": "p", "assert": [{"type": "llm-rubric", "value": "good"}]}, "assert: llm-rubric"),
        (
            {"prompt": "p", "assert": [{"type": "equals", "value": 1}, {"type": "equals", "value": 2}]},
            "not one assertion",
        ),
        ({"prompt": "{{x}}", "vars": {}, "assert": [{"type": "equals", "value": 1}]}, "the variable 'x' has no text"),
        ({"prompt": "p", "expected": "(", "match": "regex"}, "match.regex: is not a regular expression"),
        ({"prompt": "p", "expected": "a", "match": "model"}, "match = 'model'"),
        ({"prompt": "p", "expected": {"a": 1}}, "expected: not a text"),
        (PROGRAM | {"starter_code": "class Solution:"}, "starter_code: a function"),
        (PROGRAM | {"private_test_cases": "eJxrYJ0"}, "private_test_cases: packed"),
        (PROGRAM | {"input_output": json.dumps({"fn_name": "f", "inputs": [], "outputs": []})}, "calls a function"),
        (PROGRAM | {"tests": {"inputs": ["1"], "outputs": []}}, "do not pair up"),
        (PLUS | {"base_input": "[]"}, "base_input: not a list"),
        (PLUS | {"atol": "little"}, "atol: not a number"),
    ],
)
def test_what_cannot_be_compared_is_refused_by_its_name(row: dict[str, Any], reason: str, rows: Any) -> None:
    with pytest.raises(NothingTaken) as error:
        brought(rows(row))
    assert reason in error.value.refusals[0].feature


def test_evalplus_compares_with_its_canonical_solution(rows: Any) -> None:
    task = brought(rows(PLUS))
    namespace: dict[str, Any] = {}
    answers: list[Any] = []

    def remote(*_: object, **__: object) -> Any:
        return lambda xs: answers.append(xs) or sum(xs) / len(xs) + 1e-9

    hidden = task.tests["test_solution.py"].decode().replace("from ratchet_check import remote", "")
    exec(hidden, namespace := {"remote": remote})  # noqa: S102 - this file's own text
    namespace["test_check"]()
    assert answers == [[1, 2], [3], [0.1, 0.2, 0.3]]
    namespace["candidate"] = lambda xs: len(xs) + sum(xs)
    with pytest.raises(AssertionError):
        namespace["test_check"]()


def test_a_program_shows_its_first_case_and_hides_the_others(rows: Any) -> None:
    task = brought(rows(PROGRAM))
    assert (task.id, task.junit) == ("abc_1", 2)
    assert "1 2" in task.instruction
    assert "5 6" not in task.instruction


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=5,
)


@settings(max_examples=60)
@given(st.sampled_from([PLUS, PROGRAM, QUESTION]), st.data())
def test_any_row_is_taken_or_refused(base: dict[str, Any], data: st.DataObject) -> None:
    row = base | {data.draw(st.sampled_from(sorted({*base, "vars", "assert", "tests", "match"}))): data.draw(JSON)}
    kind = {"HumanEval/3": "evalplus", "abc_1": "stdio"}.get(str(base.get("task_id", base.get("question_id"))), "evals")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "set.jsonl"
        source.write_text(json.dumps(row) + "\n", encoding="utf-8")
        with suppress(UserError):
            import_suite(kind, source, Path(folder) / "suite", options=Options())


@pytest.mark.docker
@pytest.mark.slow
def test_they_are_proven_in_boxes(rows: Any, tmp_path: Path) -> None:
    for kind, row in (("evalplus", PLUS), ("stdio", PROGRAM), ("evals", QUESTION)):
        dest = import_suite(kind, rows(row, name=f"{kind}.jsonl"), tmp_path / kind, options=Options()).dest
        (proof,) = asyncio.run(prove_suite(load_suite(dest), 1, None, Console(quiet=True)))
        assert (kind, proof.findings) == (kind, ())


PROMPTFOO = """\
prompts:
  - 'Capital of {{country}}?'
  - raw: 'Name the capital of {{country}}.'
tests:
  - vars: {country: France}
    assert: [{type: icontains, value: Paris}]
  - vars: {country: Peru}
    assert: [{type: llm-rubric, value: right}]
"""


def test_a_promptfoo_configuration_is_each_test_with_each_prompt(tmp_path: Path) -> None:
    source = tmp_path / "promptfooconfig.yaml"
    source.write_text(PROMPTFOO)
    done = import_suite("auto", source, tmp_path / "suite", options=Options())
    tasks = {task.id: task for task in load_suite(done.dest).tasks}
    assert set(tasks) == {"prompt-1-test-1", "prompt-2-test-1"}
    assert tasks["prompt-2-test-1"].instruction.startswith("Name the capital of France.")
    assert [refusal.feature for refusal in done.refused] == ["assert: llm-rubric"] * 2


@pytest.mark.parametrize(
    "text", ["prompts: p.txt\ntests: []\n", "prompts: ['file://p.txt']\ntests: [{vars: {a: b}}]\n"]
)
def test_a_promptfoo_configuration_in_several_files_is_the_users_to_join(text: str, tmp_path: Path) -> None:
    source = tmp_path / "promptfooconfig.yaml"
    source.write_text(text)
    with pytest.raises(UserError):
        import_suite("auto", source, tmp_path / "suite", options=Options())


SAMPLE = {
    "id": "s1",
    "input": "Write the sum of data.txt.",
    "target": "6",
    "files": {"data.txt": "1 2 3\n"},
    "setup": "tr ' ' '\\n' < data.txt > lines.txt",
    "scorer": {"command": ["python3", "-I", "-c", SCORER]},
}


def test_a_sample_with_a_scorer_is_judged_by_its_command(rows: Any) -> None:
    task = brought(rows(SAMPLE))
    assert (task.reward, task.submit) == (RewardKind.EXIT, ("answer.txt",))
    assert task.files == {"data.txt": b"1 2 3\n"}
    assert task.prepare == ("bash", "-c", SAMPLE["setup"])
    assert task.tests == {".target/target.json": b'"6"\n'}
    assert brought(rows({**SAMPLE, "scorer": "test -s answer.txt"}, name="other.jsonl")).check[-3:-1] == ("bash", "-c")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"scorer": 7}, "scorer: not a command"),
        ({"scorer": {"command": []}}, "scorer: not a command"),
        ({"files": {"a": "https://x.org/a"}}, "files: 'a' is not written in the row"),
        ({"setup": ["a"]}, "setup: not a script"),
    ],
)
def test_a_sample_that_cannot_be_set_up_is_refused(changes: dict[str, Any], reason: str, rows: Any) -> None:
    with pytest.raises(NothingTaken, match=reason):
        brought(rows({**SAMPLE, **changes}))
