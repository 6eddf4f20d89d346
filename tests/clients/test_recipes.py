"""Recipes are data of one shape, and what they say fits campaign.yaml."""

from __future__ import annotations

import json
import re

import jsonschema
import pytest

from agent.config.campaign import ScaffoldConfig
from agent.kernel.decide.boundary import path_fault
from tests.clients import recipes
from tests.clients.known import CLIENTS

SCHEMA = json.loads((recipes.ROOT / "recipe.schema.json").read_text(encoding="utf-8"))
NAMES = recipes.names()


def test_there_is_a_recipe_for_each_agent_that_was_tried() -> None:
    wanted = "aider claude-code codex mini-swe-agent opencode pi pydantic-ai shell smolagents"
    assert wanted.split() == NAMES
    assert set(NAMES) <= set(CLIENTS)


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_has_the_documented_shape(name: str) -> None:
    recipe = recipes.load(name)
    jsonschema.validate(recipe.data, SCHEMA, format_checker=jsonschema.FormatChecker())
    assert recipe.data["name"] == name


@pytest.mark.parametrize("name", NAMES)
def test_its_scaffold_section_is_one_of_a_campaign(name: str) -> None:
    recipe = recipes.load(name)
    section = ScaffoldConfig.model_validate({**recipe.data["scaffold"], "command": recipe.command})
    files = [path for path in recipe.files if any(path.startswith(f"{top}/") for top in section.mutable)]
    assert files == list(recipe.files), "every file of a recipe is mutable"
    started = [part.removeprefix("/scaffold/") for part in section.command if part.startswith("/scaffold/")]
    assert started
    assert set(started) <= set(files)


@pytest.mark.parametrize("name", NAMES)
def test_its_image_pins_the_release_that_was_tried(name: str) -> None:
    data = recipes.load(name).data
    release, layers = data["release"], "\n".join(data["image"]["layers"])
    assert all("\n" not in layer for layer in data["image"]["layers"])
    if release["registry"] == "none":
        return
    package, version = re.escape(release["package"]), re.escape(release["version"])
    assert re.search(rf"{package}(\[[\w,]+\])?(==|@){version}\b", layers)


@pytest.mark.parametrize("name", NAMES)
def test_its_files_are_a_seed_that_may_be_patched(name: str) -> None:
    for path, content in recipes.load(name).files.items():
        assert path_fault(path) is None
        assert content.decode().endswith("\n"), path
        assert len(content) < 10_000, path


def test_the_overview_names_every_recipe() -> None:
    text = (recipes.ROOT / "README.md").read_text(encoding="utf-8")
    for name in NAMES:
        data = recipes.load(name).data
        size, licence = data["image"]["megabytes"], data["license"]["spdx"]
        assert f"| [{name}]({name}) | {data['dialect']} | {size} MB | {licence} |" in text
