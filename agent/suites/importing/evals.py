"""Questions whose answer is a text: JSONL of promptfoo, of OpenAI's evals, of inspect_ai's samples and the like."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from agent.suites.importing.draft import Draft, Options, Refusal, Unsupported, task_id, with_image
from agent.suites.importing.jsonl import first_keys
from agent.suites.importing.reading import json_lines, need_text

_QUESTIONS = ("input", "prompt", "question", "vars")
_ANSWERS = ("ideal", "target", "expected", "answer", "assert")
_PROGRAMS = frozenset({"entry_point", "test_list", "canonical_solution"})
_EXACT = {"equals": False, "iequals": True}
_HELD = {"contains": False, "icontains": True}
_ASK = "Write the answer into `answer.txt` and nothing else."
_TIMES = {"solve_timeout": 120.0, "check_timeout": 30.0}


class Evals:
    """One question a line, with an answer that is compared as a text."""

    kind = "evals"
    about = "JSONL with a question (input, prompt, question) and its answer (ideal, target, expected, assert)"

    def recognises(self, source: Path) -> bool:
        """By the keys of the first line."""
        keys = first_keys(source)
        return bool(keys & {*_QUESTIONS} and keys & {*_ANSWERS} and not keys & _PROGRAMS)

    def read(self, source: Path, options: Options) -> Iterator[Draft | Refusal]:
        """One task a line."""
        for line, row in json_lines(source):
            origin = f"{source.name} line {line}"
            name = task_id(str(row.get("id") or row.get("task_id") or f"line-{line}"))
            try:
                yield _task(row, name, origin, f"{source} line {line}", options)
            except Unsupported as reason:
                yield Refusal(id=name, origin=origin, feature=str(reason))


def _task(row: dict[str, Any], name: str, origin: str, where: str, options: Options) -> Draft:
    match = _match(row)
    asked = _question(row, where)
    return Draft(
        id=name,
        origin=origin,
        instruction=f"{asked.strip()}\n\n{_ASK}\n",
        tests={},
        settings=with_image({"match": match, **_TIMES}, None, options),
        meta={"evals": {key: value for key, value in row.items() if key not in {*_QUESTIONS, *_ANSWERS}}},
    )


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
