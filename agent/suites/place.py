"""Where something is in a suite, so that an error can name file, line, task and field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from agent.base import yaml
from agent.base.complaints import in_words, telling, unknown_key
from agent.base.errors import UserError
from agent.suites.format import Defaults, InFile, TaskEntry


@dataclass(frozen=True, slots=True)
class Place:
    """A task (or the whole) of a YAML file. Lines are looked up only when there is something to say."""

    file: Path
    keys: tuple[str | int, ...] = ()
    task: str = ""

    def error(self, field: Sequence[str | int] | str, problem: str, fix: str) -> UserError:
        """The UserError for one field of this place."""
        path = (field,) if isinstance(field, str) else tuple(field)
        line = yaml.line_of(self.file, (*self.keys, *path))
        who = f" task {self.task}:" if self.task else ""
        return UserError(f"{self.file} line {line}:{who} {'.'.join(map(str, path))}", problem, fix)

    def explain(self, error: ValidationError, model: type[BaseModel], raw: Any) -> UserError:
        """The first complaint of pydantic in words for people."""
        first, keys, value = telling(error.errors(), raw)
        kind = first["type"]
        if kind == "extra_forbidden":
            problem, fix = unknown_key(keys[-1], _fields(model, keys))
        elif kind == "string_pattern_mismatch":
            problem = (
                f"{value!r:.60} is not a plain name: 1 to 64 of a-z, 0-9, '.', '_', '-', beginning with a-z or 0-9"
            )
            fix = "Fix that field."
        else:
            problem, fix = in_words(first, value)
        who = _task_name(keys, raw)
        return Place(self.file, self.keys, self.task or who).error(keys or ("file",), problem, fix)


def _task_name(keys: tuple[int | str, ...], raw: Any) -> str:
    if keys[:1] != ("tasks",) or len(keys) == 1:
        return ""
    task = raw["tasks"][keys[1]]
    name = task.get("id") if isinstance(task, dict) else None
    return name if isinstance(name, str) else ""


def _fields(model: type[BaseModel], keys: tuple[int | str, ...]) -> list[str]:
    """The keys that may stand where the last key stands."""
    for part, inner in (("defaults", Defaults), ("instruction", InFile), ("tasks", TaskEntry)):
        if part in keys[:-1]:
            return [*inner.model_fields]
    return [*model.model_fields]
