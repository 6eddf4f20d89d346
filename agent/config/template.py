"""A commented campaign.yaml, generated from the configuration's own fields."""

from __future__ import annotations

import json
import textwrap
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from agent.config.campaign import Config

COLUMNS = 100

_HEAD = """\
# A Ratchet campaign. Every key that is not set keeps the default written here.
# ratchet doctor checks this file; ratchet run starts the campaign, or resumes it.
"""

_MODELS = """\
# Roles. `solver` works on tasks, `improver` rewrites the scaffold. docs/models.md has blocks to copy for
# OpenAI, Anthropic, Ollama, vLLM and llama.cpp. Keys come from environment variables, never from this file.
models:
  solver:
    provider: embedded   # openai | anthropic | embedded | scripted | replay
  improver:
    provider: embedded
"""

_GIVEN = {"suite": "starter"}


def render_template() -> str:
    """The text of a new campaign.yaml."""
    return f"{_HEAD}\n" + "\n".join(_section(Config, ""))


def _section(model: type[BaseModel], indent: str) -> list[str]:
    lines = []
    for name, field in model.model_fields.items():
        if name == "models":
            lines.append(_MODELS)
            continue
        value = field.default
        if isinstance(value, BaseModel):
            about = (type(value).__doc__ or "").strip().splitlines()[0]
            lines += [*_comment(about, indent), f"{indent}{name}:"]
            lines += [*_section(type(value), indent + "  "), ""]
        else:
            shown = _GIVEN.get(name) if value is PydanticUndefined else _yaml(value)
            lines += [*_comment(field.description or "", indent), f"{indent}{name}: {shown}"]
    return lines


def _comment(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, COLUMNS, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}#   ")


def _yaml(value: Any) -> str:
    """JSON is YAML; paths and plain words need no quotes."""
    if isinstance(value, tuple):
        return json.dumps(list(value))
    if value is None or isinstance(value, bool | int | float):
        return json.dumps(value)
    return str(value)
