"""What is wrong with a campaign.yaml, as one error that names the field and the fix."""

from __future__ import annotations

import types
import typing
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from agent.base.complaints import in_words, telling, unknown_key
from agent.base.errors import UserError

RENAMED = {"search.sureness": "search.min_z"}
"""Keys of earlier versions, and what they are called now."""

_FORMS = {
    "name": (
        "cannot name a branch",
        "Write up to 40 of a-z, 0-9, '.', '_', '-', first a letter or digit.",
    ),
    "commit.author": ("is not an author", "Write `Name <email>`."),
    "notify.webhook": ("is not an address", "Write https://..., or $NAME for a variable that holds it."),
}
"""Keys whose text has a form: what is wrong with another text, and what to write."""


def explain(path: Path, error: ValidationError, raw: Any, model: type[BaseModel]) -> UserError:
    """The first complaint of pydantic in words for people."""
    said, keys, value = telling(error.errors(), raw)
    field = ".".join(str(part) for part in keys) or "file"
    where = f"{path}: {field}"
    if said["type"] == "extra_forbidden":
        return UserError(where, *_unknown(field, keys, model))
    if said["type"] == "string_pattern_mismatch" and field in _FORMS:
        problem, fix = _FORMS[field]
        return UserError(where, f"{value!r:.60} {problem}", fix)
    return UserError(where, *in_words(said, value))


def _unknown(field: str, keys: tuple[int | str, ...], model: type[BaseModel]) -> tuple[str, str]:
    if (renamed := RENAMED.get(field)) is not None:
        return "the key was renamed", f"Write `{renamed}`."
    return unknown_key(keys[-1], _keys(model, keys[:-1]))


def _keys(model: type[BaseModel], loc: tuple[Any, ...]) -> list[str]:
    """The keys that are allowed at a location in the file."""
    for part in loc:
        if isinstance(part, int):
            continue
        if part in model.model_fields:
            inner = _model_in(model.model_fields[part].annotation)
        else:  # the name of a user's own role
            inner = next((m for f in model.model_fields.values() if (m := _model_in(f.annotation))), None)
        model = inner or model
    return [*model.model_fields]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return annotation if issubclass(annotation, BaseModel) else None
    return next((m for a in typing.get_args(annotation) if (m := _model_in(a))), None)
