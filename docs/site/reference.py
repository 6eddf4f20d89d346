"""Reference pages in Markdown, made from the code: configuration keys, suite keys, commands, tables of the ledger."""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from agent.cli.app import app
from agent.config.campaign import Config
from agent.config.models import ModelConfig
from agent.kernel.record.columns import TABLES
from agent.suites.format import schema

_MADE = "<!-- made from the code by docs/site/reference.py -->\n\n"


def pages() -> dict[str, str]:
    """Path below docs/ -> Markdown."""
    made: Mapping[str, Callable[[], str]] = {
        "reference/campaign.md": campaign,
        "reference/suite.md": suite,
        "reference/commands.md": commands,
        "reference/tables.md": tables,
    }
    return {name: _MADE + make() for name, make in made.items()}


def campaign() -> str:
    """Every key of campaign.yaml."""
    lines = [
        "# campaign.yaml",
        "",
        "Every key, its type, its default and what it does. An unknown key is an error that suggests the right one.",
        "`ratchet config` prints the keys of your file with the values that hold.",
        "",
        *_keys(Config, ""),
        "## `models`",
        "",
        "Roles and their models: `solver` works on tasks, `improver` rewrites the scaffold. A role has one model or a",
        "list of models with weights. Each model has these keys; [models.md](../models.md) explains them.",
        "",
        *_table(ModelConfig),
    ]
    return "\n".join(lines)


def suite() -> str:
    """Every key of suite.yaml and task.yaml."""
    lines = ["# suite.yaml and task.yaml", "", "[suites.md](../suites.md) explains them with examples.", ""]
    for name in ("suite", "task"):
        lines += [f"## {name}.yaml", "", "| key | type | what it does |", "|---|---|---|"]
        made = json.loads(schema(name))
        lines += [_schema_row(key, value) for key, value in made["properties"].items()]
        lines.append("")
    return "\n".join(lines)


def commands() -> str:
    """Every command with its options."""
    lines = ["# Commands", "", "`ratchet COMMAND --help` says the same in a terminal.", ""]
    for path, command in _commands(typer.main.get_command(app), "ratchet"):
        if not getattr(command, "commands", None):
            lines += [*_command(path, command), ""]
    return "\n".join(lines)


def tables() -> str:
    """The ledger's tables and their columns."""
    about = "[ledger.md](../ledger.md) says what a row means. The hash chain covers every column, in this order."
    lines = ["# Tables of the ledger", "", about, ""]
    for name, table in TABLES.items():
        lines += [f"## `{name}`", "", "| column | declared as |", "|---|---|"]
        lines += [f"| `{column}` | {declared} |" for column, declared in table.columns.items()]
        lines.append("")
    return "\n".join(lines)


def _keys(model: type[BaseModel], prefix: str) -> Iterator[str]:
    """The table of a section's own keys, then the sections below it."""
    own: dict[str, FieldInfo] = {}
    inner: dict[str, type[BaseModel]] = {}
    for name, field in model.model_fields.items():
        section = _section(field.annotation)
        if section is None:
            own[name] = field
        else:
            inner[name] = section
    own.pop("models", None)
    yield from _rows(own, prefix)
    for name, section in inner.items():
        about = (section.__doc__ or "").strip().splitlines()[0]
        yield from (f"## `{prefix}{name}`", "", about, "")
        yield from _keys(section, f"{prefix}{name}.")


def _table(model: type[BaseModel]) -> Iterator[str]:
    yield from _rows(dict(model.model_fields), "")


def _rows(fields: Mapping[str, FieldInfo], prefix: str) -> Iterator[str]:
    yield from ("| key | type | default | what it does |", "|---|---|---|---|")
    for name, field in fields.items():
        key = f"{prefix}{field.alias or name}"
        yield f"| `{key}` | {_type(field.annotation)} | {_default(field)} | {_cell(field.description or '')} |"
    yield ""


def _section(annotation: Any) -> type[BaseModel] | None:
    is_model = isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias)
    return (
        annotation if is_model and issubclass(annotation, BaseModel) and annotation.__name__ != "ModelsConfig" else None
    )


def _type(annotation: Any) -> str:
    """The type as a user writes it."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _type(inner[0])
    if origin is typing.Literal:
        return " \\| ".join(f"`{one}`" for one in inner)
    if origin in (types.UnionType, typing.Union):
        return " or ".join(_type(one) for one in inner if one is not type(None))
    if origin in (tuple, list, set, frozenset):
        return f"list of {_type(inner[0])}"
    if origin is dict or origin is Mapping:
        return "map"
    names = {str: "text", int: "integer", float: "number", bool: "true, false", Any: "any"}
    return names.get(annotation, "path" if getattr(annotation, "__name__", "") == "Path" else "map")


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "**required**" if field.is_required() else ""
    if field.default is None:
        return ""
    value = list(field.default) if isinstance(field.default, tuple) else field.default
    shown = value if isinstance(value, str) else json.dumps(value, default=str)
    return f"`{shown}`"


def _schema_row(key: str, value: Mapping[str, Any]) -> str:
    kinds = [one.get("type", one.get("$ref", "").split("/")[-1].lower()) for one in value.get("anyOf", [value])]
    kind = " or ".join(dict.fromkeys(kind for kind in kinds if kind and kind != "null"))
    return f"| `{key}` | {kind} | {_cell(value.get('description', ''))} |"


def _commands(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from _commands(inner, f"{path} {name}")


def _command(path: str, command: Any) -> Iterator[str]:
    yield from (f"## {path}", "", *(line.strip() for line in (command.help or "").splitlines()), "")
    yield from ("| argument or option | what it does |", "|---|---|")
    for parameter in command.params:
        names = [*parameter.opts, *parameter.secondary_opts]
        shown = ", ".join(names) if parameter.param_type_name == "option" else (parameter.name or "").upper()
        yield f"| `{_cell(shown)}` | {_cell(getattr(parameter, 'help', None) or '')} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
