"""HumanEval and MBPP: one JSON object a line, plain or gzip.

The tests call the submission in another process (`ratchet_check`), so that it cannot write its own verdict; names
that tests take from the prompt (HumanEval's `from solution import *`) come from the trusted prompt instead.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from agent.base.errors import UserError
from agent.suites.importing.counting import parsed
from agent.suites.importing.draft import Draft, Options, Refusal, Unsupported, task_id, with_image
from agent.suites.importing.reading import json_lines, need_text, texts

SOLUTION, TEST = "solution.py", "test_solution.py"
CHECKED = {
    "submit": [SOLUTION],
    "check": ["python3", "-I", "-m", "ratchet_check", TEST],
    "solve_timeout": 120.0,
    "check_timeout": 60.0,
}
_CALL_SECONDS = 20
_HEAD = "from ratchet_check import remote\n"
_SUFFIXES = (".jsonl", ".jsonl.gz")
_Row = dict[str, Any]


def first_keys(source: Path) -> set[str]:
    """The keys of the first object of a JSONL file; none if it is another kind of file or broken."""
    if not source.name.endswith(_SUFFIXES):
        return set()
    try:
        return set(next(json_lines(source), (0, {}))[1])
    except UserError:
        return set()


def read_rows(
    source: Path,
    options: Options,
    make: Callable[[_Row, str, str, str], Draft],
    ids: Sequence[str] = ("task_id",),
) -> Iterator[Draft | Refusal]:
    """One task a line; its id is under the first of the keys `ids` that the line has. Raises UserError."""
    for line, row in json_lines(source):
        where = f"{source.name} line {line}"
        name = task_id(next((str(row[key]) for key in ids if row.get(key) not in (None, "")), f"line-{line}"))
        try:
            draft = make(row, name, f"{source} line {line}", where)
        except Unsupported as reason:
            yield Refusal(id=name, origin=where, feature=str(reason))
            continue
        yield draft if options.image is None else _in_image(draft, options)


def _in_image(draft: Draft, options: Options) -> Draft:
    return replace(draft, settings=with_image(dict(draft.settings), None, options))


class HumanEval:
    """HumanEval: prompt, entry_point, canonical_solution, test with `check(candidate)`."""

    kind = "humaneval"
    about = "JSONL with prompt, entry_point, canonical_solution and test, plain or gzip"

    def recognises(self, source: Path) -> bool:
        """By the keys of the first line."""
        return {"prompt", "entry_point", "test"} <= first_keys(source)

    def read(self, source: Path, options: Options) -> Iterator[Draft | Refusal]:
        """One task a line."""
        return read_rows(source, options, self._task)

    def _task(self, row: _Row, name: str, where: str, origin: str) -> Draft:
        prompt, entry = need_text(row, "prompt", where), need_text(row, "entry_point", where)
        test = need_text(row, "test", where)
        reference = need_text(row, "canonical_solution", where) if row.get("canonical_solution") else ""
        if not entry.isidentifier():
            raise UserError(f"{where}: entry_point", f"{entry!r:.40} is not the name of a function", "Fix it there.")
        if not any(_defines(node, "check") for node in parsed(test, f"{where}: test").body):
            raise Unsupported("a test without check(candidate)")
        head = "# The trusted prompt: what it defines beside the task itself, tests may use."
        hidden = "\n".join(
            [
                f"{_HEAD}\n{head}\n{_helpers(prompt, where)}",
                f'candidate = {entry} = remote("{SOLUTION}", "{entry}", seconds={_CALL_SECONDS})',
                f"\n{test.strip()}\n\n\ndef test_check():\n    check(candidate)\n",
            ]
        )
        solution = {SOLUTION: (prompt + reference).encode()} if reference else {}
        known = {"prompt", "entry_point", "test", "canonical_solution"}
        return Draft(
            id=name,
            origin=origin,
            instruction=f"Complete the function `{entry}` in `{SOLUTION}`.\n\n```python\n{prompt.strip()}\n```\n",
            files={SOLUTION: prompt.encode()},
            tests={TEST: hidden.encode()},
            solution=solution,
            settings={**CHECKED, "junit": 1},
            meta={"humaneval": {key: value for key, value in row.items() if key not in known}},
        )


def _defines(node: ast.stmt, name: str) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name


def _helpers(prompt: str, where: str) -> str:
    """What a prompt gives to a test that says `from solution import *`: its source, out of the submission's reach."""
    parsed(prompt, f"{where}: prompt")
    return prompt.strip() + "\n"


class Mbpp:
    """MBPP, plain or sanitised: text or prompt, code, test_list of asserts."""

    kind = "mbpp"
    about = "JSONL with text (or prompt), code and test_list, plain or gzip"

    def recognises(self, source: Path) -> bool:
        """By the keys of the first line."""
        return {"code", "test_list"} <= first_keys(source)

    def read(self, source: Path, options: Options) -> Iterator[Draft | Refusal]:
        """One task a line."""
        return read_rows(source, options, self._task)

    def _task(self, row: _Row, name: str, where: str, origin: str) -> Draft:
        asked = need_text(row, "text" if "text" in row else "prompt", where).strip()
        code = need_text(row, "code", where).replace("\r\n", "\n")
        asserts = texts(row, "test_list", where) + texts(row, "challenge_test_list", where)
        if not asserts:
            raise UserError(f"{where}: test_list", "is empty", "Give at least one assert.")
        setup = "\n".join([*texts(row, "test_imports", where), _setup(row, where)]).strip()
        functions = _called(code, [*asserts, setup], where)
        known = {"text", "prompt", "code", "test_list", "challenge_test_list", "test_setup_code", "test_imports"}
        return Draft(
            id=task_id("mbpp", name) if name.isdigit() else name,
            origin=origin,
            instruction=f"{asked}\n\nWrite it in `{SOLUTION}`. For example, this must hold:\n\n"
            f"```python\n{asserts[0].strip()}\n```\n",
            files={SOLUTION: _starter(code, where).encode()},
            tests={TEST: _hidden(setup, functions, asserts).encode()},
            solution={SOLUTION: (code.strip() + "\n").encode()},
            settings={**CHECKED, "junit": len(asserts)},
            meta={"mbpp": {key: value for key, value in row.items() if key not in known}},
        )


def _setup(row: _Row, where: str) -> str:
    return need_text(row, "test_setup_code", where).replace("\r\n", "\n") if row.get("test_setup_code") else ""


def _called(code: str, tests: list[str], where: str) -> list[str]:
    """The functions of the reference that tests call. Raises Unsupported if they use anything else of it."""
    module = parsed(code, f"{where}: code")
    functions = {node.name for node in module.body if isinstance(node, ast.FunctionDef)}
    others = {node.name for node in module.body if isinstance(node, ast.ClassDef)}
    used = {
        node.id
        for test in tests
        for node in ast.walk(parsed(test.strip(), f"{where}: test_list"))
        if isinstance(node, ast.Name)
    }
    if built := sorted(used & others):
        raise Unsupported(f"tests build objects of the solution's class {built[0]}, which is not plain data")
    if not used & functions:
        raise Unsupported("tests call no function of the solution by its name")
    return sorted(used & functions)


def _hidden(setup: str, functions: list[str], asserts: list[str]) -> str:
    lines = [_HEAD.rstrip(), *([setup] if setup else [])]
    # A function of the solution that is called like a test must not be collected as one.
    inside = {name: f"_remote_{number}" for number, name in enumerate(functions) if name.startswith("test")}
    lines += [
        f'{inside.get(name, name)} = remote("{SOLUTION}", "{name}", seconds={_CALL_SECONDS})' for name in functions
    ]
    local = "".join(f"    {name} = {at}\n" for name, at in inside.items())
    for number, said in enumerate(asserts, 1):
        lines.append(f"\n\ndef test_{number}():\n{local}    {_indented(said)}")
    return "\n".join(lines) + "\n"


def _indented(said: str) -> str:
    """An assert as the body of a function. Raises Unsupported where that would change a text inside it."""
    plain = re.sub(r"\r\n?", "\n", said.strip())
    moved = plain.replace("\n", "\n    ")
    if "\n" in plain and ast.dump(_body(f"if 1:\n    {moved}")[0]) != ast.dump(
        ast.If(ast.Constant(1), _body(plain), [])
    ):
        raise Unsupported("an assert with a text of several lines")
    return moved


def _body(source: str) -> list[ast.stmt]:
    return parsed(source, "test_list").body


def _starter(code: str, where: str) -> str:
    """The reference's imports and the heads of its functions, without what they do."""
    module = parsed(code, f"{where}: code")
    for node in module.body:
        if isinstance(node, ast.FunctionDef):
            node.body = ast.parse("raise NotImplementedError").body
            node.decorator_list = []
    kept = (ast.Import, ast.ImportFrom, ast.FunctionDef)
    module.body = [node for node in module.body if isinstance(node, kept)]
    return ast.unparse(module) + "\n"
