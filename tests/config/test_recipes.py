"""A recipe becomes a small campaign.yaml, and every key can be printed."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.base import yaml
from agent.base.errors import UserError
from agent.config.campaign import Config, load_config, read_config
from agent.config.recipes import RECIPES, load_recipe, recipe_names
from agent.config.shipped import INSTALLED
from agent.config.template import render_recipe, render_template

NAMES = recipe_names()


def written(folder: Path, text: str) -> Config:
    (folder / "campaign.yaml").write_text(text, encoding="utf-8")
    return read_config(folder / "campaign.yaml")


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_becomes_a_campaign_without_keys_at_their_default(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(name)
    config = written(tmp_path, render_recipe(recipe))
    assert config.scaffold.build == recipe.layers
    assert config.scaffold.command == recipe.command
    assert config.boxes.memory_mb == recipe.data["boxes"]["memory_mb"]
    raw, plain = yaml.load(tmp_path / "campaign.yaml"), Config.model_fields
    for section in ("scaffold", "boxes"):
        for key, value in raw.get(section, {}).items():
            assert value != plain[section].default.model_dump(mode="json")[key]


def test_the_example_for_any_other_agent_is_a_campaign(tmp_path: Path) -> None:
    text = (INSTALLED / "docs" / "own-agent.md").read_text(encoding="utf-8")
    config = written(tmp_path, text.partition("```yaml\n")[2].partition("```")[0])
    assert len(config.scaffold.build) == 2


def test_an_unknown_agent_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"mini-swe-agent, opencode.*Did you mean 'codex'"):
        load_recipe("codx")
    with pytest.raises(UserError, match=r"no recipe '\.\./tasks'"):
        load_recipe("../tasks")


def test_the_starter_is_the_demos_campaign() -> None:
    demo, starter = (load_config(path) for path in (INSTALLED / "demo.yaml", RECIPES / "starter.yaml"))
    same = {"name", "runs", "scaffold"}
    assert starter.model_dump(exclude=same) == demo.model_dump(exclude=same)


@pytest.mark.parametrize("text", [*map(render_recipe, map(load_recipe, NAMES)), (RECIPES / "starter.yaml").read_text()])
def test_all_keys_printed_are_the_same_campaign(text: str, tmp_path: Path) -> None:
    config = written(tmp_path, text)
    assert written(tmp_path, render_template(config)) == config


@pytest.mark.parametrize("webhook", ["https://x.invalid/#a: b", "$HOOK", "http://x/'\"\\ é", "http://" + "long " * 60])
def test_a_printed_text_is_read_back_unchanged(webhook: str, tmp_path: Path) -> None:
    config = written(tmp_path, (RECIPES / "starter.yaml").read_text())
    odd = config.model_copy(update={"notify": config.notify.model_copy(update={"webhook": webhook}), "name": "007"})
    assert written(tmp_path, render_template(odd)) == odd
