"""EvalPlus, and programs that read standard input and write standard output (LiveCodeBench and the like), as JSONL.

The hidden tests run in a process that the submission does not share (`ratchet_check`): EvalPlus compares with its
canonical solution, which runs there too; a program runs as a child of it and only its output is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from agent.base.errors import UserError
from agent.suites.importing.counting import parsed
from agent.suites.importing.draft import Draft, Options, Refusal, Unsupported
from agent.suites.importing.jsonl import CHECKED, SOLUTION, TEST, first_keys, read_rows
from agent.suites.importing.reading import need_text

MAX_CASES = 1000
_CALL_SECONDS = 20
_PLUS = """\
import copy
import json
import math

from ratchet_check import remote

REFERENCE = {reference}
INPUTS = json.loads({inputs})
TOLERANCE = {tolerance}
reference_names = {{}}
exec(REFERENCE, reference_names)
candidate = remote("{solution}", "{entry}", seconds={seconds})


def same(a, b):
    if isinstance(a, (list, tuple)) and type(a) is type(b):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float) or isinstance(b, float):
        near = isinstance(a, (int, float)) and isinstance(b, (int, float))
        return near and math.isclose(a, b, rel_tol=1e-7, abs_tol=TOLERANCE)
    return a == b


def test_check():
    for given in INPUTS:
        expected = reference_names["{entry}"](*copy.deepcopy(given))
        assert same(candidate(*copy.deepcopy(given)), expected)
"""
_PROGRAM = """\
import json
import subprocess
import sys

CASES = json.loads({cases})
ENV = {{"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/tmp", "LANG": "C.UTF-8"}}


def run(given):
    argv = [sys.executable, "-I", "{solution}"]
    done = subprocess.run(argv, input=given, capture_output=True, text=True, timeout={seconds}, env=ENV)
    assert done.returncode == 0, done.stderr[-500:]
    return done.stdout


def lines(text):
    return [line.split() for line in text.strip().splitlines()]


"""


class EvalPlus:
    """EvalPlus: prompt, entry_point, canonical_solution, base_input and plus_input."""

    kind = "evalplus"
    about = "JSONL with prompt, entry_point, canonical_solution, base_input and plus_input, plain or gzip"

    def recognises(self, source: Path) -> bool:
        """By the keys of the first line."""
        return {"prompt", "entry_point", "canonical_solution", "base_input"} <= first_keys(source)

    def read(self, source: Path, options: Options) -> Iterator[Draft | Refusal]:
        """One task a line."""
        return read_rows(source, options, _plus)


def _plus(row: dict[str, Any], name: str, where: str, origin: str) -> Draft:
    prompt, entry = need_text(row, "prompt", where), need_text(row, "entry_point", where)
    reference = prompt + need_text(row, "canonical_solution", where)
    if not entry.isidentifier():
        raise UserError(f"{where}: entry_point", f"{entry!r:.40} is not the name of a function", "Fix it there.")
    parsed(reference, f"{where}: canonical_solution")
    inputs = [*_inputs(row, "base_input"), *_inputs(row, "plus_input")]
    if not inputs:
        raise Unsupported("base_input: no input")
    tolerance = row.get("atol") or 0
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float):
        raise Unsupported("atol: not a number")
    hidden = _PLUS.format(
        reference=repr(reference),
        inputs=repr(json.dumps(inputs)),
        tolerance=float(tolerance),
        solution=SOLUTION,
        entry=entry,
        seconds=_CALL_SECONDS,
    )
    known = {"prompt", "entry_point", "canonical_solution", "base_input", "plus_input"}
    return Draft(
        id=name,
        origin=origin,
        instruction=f"Complete the function `{entry}` in `{SOLUTION}`.\n\n```python\n{prompt.strip()}\n```\n",
        files={SOLUTION: prompt.encode()},
        tests={TEST: hidden.encode()},
        solution={SOLUTION: reference.encode()},
        settings={**CHECKED, "junit": 1},
        meta={"evalplus": {key: value for key, value in row.items() if key not in known}},
    )


def _inputs(row: Mapping[str, Any], key: str) -> list[list[Any]]:
    found = row.get(key) or []
    if not isinstance(found, list) or not all(isinstance(one, list) for one in found):
        raise Unsupported(f"{key}: not a list of arguments")
    return found


class Programs:
    """Programs that are tested by what they write for what they read."""

    kind = "stdio"
    about = "JSONL with a question and test cases of standard input and output (LiveCodeBench-like), plain or gzip"

    def recognises(self, source: Path) -> bool:
        """By the keys of the first line."""
        keys = first_keys(source)
        asks = keys & {"question_content", "question", "prompt", "description"}
        return bool(asks and keys & {"input_output", "test_cases", "public_test_cases", "tests"})

    def read(self, source: Path, options: Options) -> Iterator[Draft | Refusal]:
        """One task a line."""
        return read_rows(source, options, _program, ids=("question_id", "task_id", "id"))


def _program(row: dict[str, Any], name: str, where: str, origin: str) -> Draft:
    asks = next((k for k in ("question_content", "question", "prompt", "description") if row.get(k)), "question")
    if isinstance(row.get("starter_code"), str) and row["starter_code"].strip():
        raise Unsupported("starter_code: a function, not a program")
    cases = _cases(row)
    hidden = _PROGRAM.format(cases=repr(json.dumps(cases)), solution=SOLUTION, seconds=_CALL_SECONDS) + "\n\n".join(
        f"def test_{n}():\n    given, expected = CASES[{n}]\n    assert lines(run(given)) == lines(expected)\n"
        for n in range(len(cases))
    )
    shown = f"Input:\n\n```\n{cases[0][0].rstrip()}\n```\n\nOutput:\n\n```\n{cases[0][1].rstrip()}\n```\n"
    said = row.get("solution") or row.get("canonical_solution")
    solution = {SOLUTION: said.encode()} if isinstance(said, str) and said.strip() else {}
    known = {asks, "input_output", "test_cases", "public_test_cases", "private_test_cases", "tests", "solution"}
    return Draft(
        id=name,
        origin=origin,
        instruction=f"{need_text(row, asks, where).strip()}\n\nWrite a Python program `{SOLUTION}` that reads standard "
        f"input and writes standard output. For example:\n\n{shown}",
        tests={TEST: hidden.encode()},
        solution=solution,
        settings={**CHECKED, "junit": len(cases), "check_timeout": 300.0},
        meta={"stdio": {key: value for key, value in row.items() if key not in known}},
    )


def _cases(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Pairs of input and output, public ones first. Raises Unsupported for packed cases, and for functions."""
    found: list[tuple[str, str]] = []
    for key in ("public_test_cases", "private_test_cases", "test_cases", "tests", "input_output"):
        found += _pairs(_decoded(row.get(key), key), key)
    if not found or len(found) > MAX_CASES:
        raise Unsupported(f"{len(found)} test cases; 1 to {MAX_CASES} are taken")
    return found


def _decoded(value: Any, key: str) -> Any:
    if not isinstance(value, str):
        return value or []
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise Unsupported(f"{key}: packed, not JSON") from error


def _pairs(value: Any, key: str) -> list[tuple[str, str]]:
    if isinstance(value, Mapping):
        if value.get("fn_name"):
            raise Unsupported(f"{key}: calls a function, not a program")
        given, expected = value.get("inputs"), value.get("outputs")
        if not isinstance(given, list) or not isinstance(expected, list) or len(given) != len(expected):
            raise Unsupported(f"{key}: inputs and outputs do not pair up")
        value = [{"input": one, "output": other} for one, other in zip(given, expected, strict=True)]
    if not isinstance(value, list):
        raise Unsupported(f"{key}: not a list")
    return [_pair(case, key) for case in value]


def _pair(case: Any, key: str) -> tuple[str, str]:
    if not isinstance(case, Mapping) or case.get("testtype", "stdin") != "stdin":
        raise Unsupported(f"{key}: a test that is not of standard input")
    given, expected = case.get("input"), case.get("output")
    if not isinstance(given, str) or not isinstance(expected, str):
        raise Unsupported(f"{key}: an input or output that is not a text")
    return given, expected
