"""Questions whose answer is a text: promptfoo's configuration, and JSONL of it, of OpenAI's evals, of inspect_ai.

The text is compared, or judged by a command that the question names (a scorer): its exit code is the grade.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from agent.base import yaml
from agent.base.errors import UserError
from agent.suites.importing.draft import Draft, Options, Refusal, Unsupported, task_id, with_image
from agent.suites.importing.jsonl import first_keys
from agent.suites.importing.reading import json_lines, need_text

_QUESTIONS = ("input", "prompt", "question", "vars")
_ANSWERS = ("ideal", "target", "expected", "answer", "assert")
_PROGRAMS = frozenset({"entry_point", "test_list", "canonical_solution"})
_EXACT = {"equals": False, "iequals": True}
_HELD = {"contains": False, "icontains": True}
_ANSWER, _TARGET = "answer.txt", ".target/target.json"
_YAML = {".yaml", ".yml"}
_PROMPTFOO = frozenset({"promptfooconfig.yaml", "promptfooconfig.yml"})
_ASK = "Write the answer into `answer.txt` and nothing else."
_TIMES = {"solve_timeout": 120.0, "check_timeout": 30.0}


class Evals:
    """One question a line, with an answer that is compared as a text."""

    kind = "evals"
    about = (
        "JSONL with a question (input, prompt, question) and its answer (ideal, target, expected, assert), or promptfoo"
    )

    def recognises(self, source: Path) -> bool:
        """By its name, or by the keys of the first line."""
        if source.name in _PROMPTFOO:
            return source.is_file()
        keys = first_keys(source)
        return bool(keys & {*_QUESTIONS} and keys & {*_ANSWERS} and not keys & _PROGRAMS)

    def read(self, source: Path, options: Options) -> Iterator[Draft | Refusal]:
        """One question a line, or a test of a promptfoo configuration."""
        rows = _tests(source) if source.suffix in _YAML else _lines(source)
        for number, origin, where, row in rows:
            name = task_id(str(row.get("id") or row.get("task_id") or number))
            try:
                yield _task(row, name, origin, where, options)
            except Unsupported as reason:
                yield Refusal(id=name, origin=origin, feature=str(reason))


_Rows = Iterator[tuple[str, str, str, dict[str, Any]]]


def _lines(source: Path) -> _Rows:
    """A name, what messages call it, where it is, and the row; for each line."""
    for line, row in json_lines(source):
        yield f"line-{line}", f"{source.name} line {line}", f"{source} line {line}", row


def _tests(source: Path) -> _Rows:
    """The tests of a promptfoo configuration, each with each prompt."""
    config = yaml.load(source)
    prompts, tests = config.get("prompts"), config.get("tests")
    if not isinstance(prompts, list) or not isinstance(tests, list):
        raise UserError(f"{source}: tests", "prompts and tests are not lists in this file", "Write both as lists.")
    default = config.get("defaultTest")
    shared = default if isinstance(default, dict) else {}
    for at, prompt in enumerate(prompts, 1):
        for number, test in enumerate(tests, 1):
            row = {**shared, **test} if isinstance(test, dict) else {}
            asserts = [*_list(shared.get("assert")), *_list(row.get("assert"))] if "assert" in shared else None
            name = f"prompt-{at}-test-{number}" if len(prompts) > 1 else f"test-{number}"
            whole = {"vars": {}, **row, "prompt": _prompt(prompt), **({"assert": asserts} if asserts else {})}
            yield name, f"{source.name} test {number}", f"{source}: tests.{number - 1}", whole


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _prompt(said: object) -> object:
    """The text of a prompt: itself, or under `raw`; a file of prompts is not read."""
    text = said.get("raw") if isinstance(said, Mapping) else said
    if isinstance(text, str) and text.startswith("file://"):
        raise UserError("prompts", f"{text!r:.80} is a file of its own", "Write the prompt itself.")
    return text


def _task(row: dict[str, Any], name: str, origin: str, where: str, options: Options) -> Draft:
    asked = _question(row, where)
    graded = _scored(row) or {"match": _match(row)}
    files, prepare = _set_up(row)
    return Draft(
        id=name,
        origin=origin,
        instruction=f"{asked.strip()}\n\n{_ASK}\n",
        files=files,
        tests=_hidden(row) if "check" in graded else {},
        settings=with_image({**graded, **prepare, **_TIMES}, None, options),
        meta={"evals": {key: value for key, value in row.items() if key not in {*_QUESTIONS, *_ANSWERS}}},
    )


def _scored(row: Mapping[str, Any]) -> dict[str, Any] | None:
    """Settings of a question that a command judges; None for one whose answer is compared."""
    metadata = row.get("metadata")
    said = row.get("scorer") or (metadata.get("scorer") if isinstance(metadata, Mapping) else None)
    command = said.get("command") if isinstance(said, Mapping) else said
    if command is None:
        return None
    words = [command] if isinstance(command, str) else command
    if not isinstance(words, list) or not words or not all(isinstance(word, str) and word.strip() for word in words):
        raise Unsupported("scorer: not a command")
    check = ["env", f"TARGET=/workspace/{_TARGET}", *(["bash", "-c", *words] if isinstance(command, str) else words)]
    return {"submit": [_ANSWER], "check": check, "reward": "exit"}


def _hidden(row: Mapping[str, Any]) -> dict[str, bytes]:
    """The answer that a scorer compares with; a scorer without one has an empty JSON text."""
    key = next((key for key in _ANSWERS if key in row), None)
    return {_TARGET: (json.dumps(row[key] if key else "") + "\n").encode()}


def _set_up(row: Mapping[str, Any]) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Starting files and the command of `setup`, as inspect_ai's samples have them."""
    files, setup = row.get("files") or {}, row.get("setup")
    if not isinstance(files, Mapping) or not all(isinstance(body, str) for body in files.values()):
        raise Unsupported("files: not texts by their paths")
    if found := next((path for path, body in files.items() if body.startswith(("data:", "http", "file:"))), None):
        raise Unsupported(f"files: {found!r:.60} is not written in the row")
    if setup is not None and not isinstance(setup, str):
        raise Unsupported("setup: not a script")
    return {str(path): body.encode() for path, body in files.items()}, {"prepare": setup} if setup else {}


def _question(row: dict[str, Any], where: str) -> str:
    """What is asked: a text, messages one after the other, or a prompt with promptfoo's variables filled in."""
    if isinstance(row.get("vars"), Mapping):
        return _filled(need_text(row, "prompt", where), row["vars"])
    key = next((key for key in _QUESTIONS if row.get(key)), _QUESTIONS[0])
    value = row.get(key)
    if isinstance(value, list):
        parts = [part.get("content") if isinstance(part, Mapping) else None for part in value]
        if not all(isinstance(part, str) for part in parts):
            raise Unsupported(f"{key}: messages that are not texts")
        return "\n\n".join(need_text({key: part}, key, where) for part in parts)
    return need_text(row, key, where)


def _filled(prompt: str, variables: Mapping[str, Any]) -> str:
    def value(found: re.Match[str]) -> str:
        said = variables.get(found[1])
        if not isinstance(said, str | int | float):
            raise Unsupported(f"prompt: the variable {found[1]!r:.40} has no text")
        return str(said)

    return re.sub(r"\{\{\s*(\w+)\s*\}\}", value, prompt)


def _match(row: Mapping[str, Any]) -> dict[str, Any]:
    if "assert" in row:
        return _asserted(row["assert"])
    key = next((key for key in _ANSWERS if key in row), "")
    answers = row[key] if key and isinstance(row[key], list) else [row.get(key)]
    texts = [_text(answer, key) for answer in answers]
    if row.get("match") == "regex" and len(texts) == 1:
        return {"regex": texts[0]}
    if row.get("match", "exact") != "exact":
        raise Unsupported(f"match = {row['match']!r:.40}")
    return {"exact": texts}


def _text(answer: object, key: str) -> str:
    if isinstance(answer, bool) or not isinstance(answer, str | int | float) or not str(answer).strip():
        raise Unsupported(f"{key or 'answer'}: not a text to compare with")
    return str(answer).strip()


def _asserted(asserts: object) -> dict[str, Any]:
    """The one assertion of promptfoo that compares with a text. Raises Unsupported for others, and for several."""
    if not isinstance(asserts, list) or len(asserts) != 1 or not isinstance(asserts[0], Mapping):
        raise Unsupported("assert: not one assertion")
    kind, value = str(asserts[0].get("type")), asserts[0].get("value")
    if kind in _EXACT:
        return {"exact": [_text(value, "assert")], **_cased(_EXACT[kind])}
    if kind in _HELD:
        return {"regex": re.escape(_text(value, "assert")), **_cased(_HELD[kind])}
    if kind == "regex":
        return {"regex": _text(value, "assert")}
    raise Unsupported(f"assert: {kind:.40}")


def _cased(ignore: bool) -> dict[str, bool]:
    return {"ignore_case": True} if ignore else {}
