"""A commented campaign.yaml, generated from the configuration's own fields."""

from __future__ import annotations

import json
import textwrap
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from agent.base import yaml
from agent.base.text import clean_line
from agent.config.campaign import BoxConfig, Config, ScaffoldConfig
from agent.config.recipes import Recipe

COLUMNS = 100

_HEAD = """\
# A Ratchet campaign. Every key that is not set keeps the default written here.
# ratchet doctor checks this file; ratchet run starts the campaign, or resumes it.
"""

_ABOUT_MODELS = """\
# Roles. `solver` works on tasks, `improver` rewrites the scaffold. `ratchet docs models` has blocks to copy for
# OpenAI, Anthropic, Ollama, vLLM and llama.cpp. Keys come from environment variables, never from this file.
"""

_MODELS = """\
models:
  solver:
    provider: embedded   # openai | anthropic | embedded | scripted | replay
  improver:
    provider: embedded
"""

_GIVEN = {"suite": "starter"}

_RECIPE = """\
{head}
# Keys at their default are left out; `ratchet config` prints all of them.
# ratchet doctor checks this file; ratchet run starts the campaign, or resumes it.

# starter | agentic | polyglot-mini, or the folder of your own tasks (`ratchet docs suites`)
suite: {suite}

# The embedded model needs no key, so that everything can be tried at once, but it is too small for this agent. Before
# `ratchet run`, write another one here; `ratchet docs models` has blocks to copy. For example, with OPENAI_API_KEY set:
#   solver: {{provider: openai, model: gpt-4o-mini}}
models:
  solver: {{provider: embedded}}     # works on tasks
  improver: {{provider: embedded}}   # rewrites the scaffold

"""


def render_template(config: Config | None = None) -> str:
    """The text of a campaign.yaml that has every key: at its default, or as a configuration says."""
    head = _HEAD if config is None else "# Every key of a campaign, with its value.\n"
    return f"{head}\n" + "\n".join(_section(config or Config, ""))


def render_recipe(recipe: Recipe) -> str:
    """The text of a small campaign.yaml for the agent of a recipe: only keys that differ from the default."""
    given = {**recipe.data["scaffold"], "command": recipe.command, "build": recipe.layers}
    scaffold, boxes = ScaffoldConfig.model_validate(given), BoxConfig.model_validate(recipe.data["boxes"])
    mutable = ", ".join(f"{path}/" for path in scaffold.mutable)
    about = f"improves the files in {mutable}. The agent itself is in the image and stays as it is."
    return _small(f"# {recipe.data['title']}: a campaign that {about}", "agentic", scaffold, boxes)


def render_agent(name: str, suite: str, scaffold: ScaffoldConfig, boxes: BoxConfig) -> str:
    """The text of a small campaign.yaml for an agent in its own repository: only keys that differ from the default."""
    return _small(f"# {clean_line(name)}: a campaign that improves its code and prompts.", suite, scaffold, boxes)


def _small(head: str, suite: str, scaffold: ScaffoldConfig, boxes: BoxConfig) -> str:
    lines = [*_changed("scaffold", scaffold), *_changed("boxes", boxes)]
    return _RECIPE.format(head=head, suite=_yaml(suite)) + "\n".join([*lines, ""])


def _changed(name: str, section: ScaffoldConfig | BoxConfig) -> list[str]:
    """The lines of a section for the keys that differ from their default."""
    lines = []
    for key, field in type(section).model_fields.items():
        if (value := getattr(section, key)) != field.default:
            lines += [*_comment(field.description or "", "  "), *_item(key, value)]
    return [f"{name}:", *lines] if lines else []


def _item(key: str, value: Any) -> list[str]:
    """A key with its value; long lists have a line for each item."""
    shown = _yaml(value)
    if not isinstance(value, tuple) or len(shown) < COLUMNS:
        return [f"  {key}: {shown}"]
    return [f"  {key}:", *(f"    - {json.dumps(item, ensure_ascii=False)}" for item in value)]


def _section(model: type[BaseModel] | BaseModel, indent: str) -> list[str]:
    """The lines of a part of the file; of a class, with its defaults."""
    lines = []
    for name, field in (model if isinstance(model, type) else type(model)).model_fields.items():
        value = field.default if isinstance(model, type) else getattr(model, name)
        if name == "models":
            lines += [_ABOUT_MODELS + (_MODELS if isinstance(model, type) else _models(value))]
        elif isinstance(value, BaseModel):
            about = (type(value).__doc__ or "").strip().splitlines()[0]
            lines += [*_comment(about, indent), f"{indent}{name}:"]
            lines += [*_section(value, indent + "  "), ""]
        else:
            shown = _GIVEN.get(name) if value is PydanticUndefined else _yaml(value)
            lines += [*_comment(field.description or "", indent), f"{indent}{name}: {shown}"]
    return lines


def _models(models: BaseModel) -> str:
    """The roles as their user wrote them."""
    given = models.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return yaml.dump({"models": given})


def _comment(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, COLUMNS, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}#   ")


def _yaml(value: Any) -> str:
    """JSON is YAML; paths and plain words need no quotes."""
    if isinstance(value, tuple):
        return json.dumps(list(value), ensure_ascii=False)
    if value is None or isinstance(value, bool | int | float | dict):
        return json.dumps(value)
    text = str(value)
    return text if yaml.dump({"key": text}) == f"key: {text}\n" else json.dumps(text, ensure_ascii=False)
