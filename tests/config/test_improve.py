"""`improve:` names another program as the improver, as a command or by the name of a recipe."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from agent.config.improve import ImproveConfig, improver_of
from agent.config.recipes import load_recipe, recipe_names


def test_the_scaffold_improves_itself_by_default() -> None:
    assert improver_of(ImproveConfig()) is None


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_can_be_the_improver(name: str) -> None:
    improver, recipe = improver_of(ImproveConfig(recipe=name)), load_recipe(name)
    assert improver is not None
    assert improver.name == f"the recipe {name}"
    assert (improver.command, improver.layers, dict(improver.files)) == (
        recipe.command,
        recipe.layers,
        dict(recipe.files),
    )
    assert improver.memory_mb == recipe.data["boxes"]["memory_mb"]


def test_any_command_can_be() -> None:
    improver = improver_of(ImproveConfig(command=("sh", "/scaffold/t.sh"), build=("RUN true",), include=("t.sh",)))
    assert improver is not None
    assert (improver.name, improver.layers, improver.include) == ("sh /scaffold/t.sh", ("RUN true",), ("t.sh",))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"recipe": "pie"}, "there is no recipe 'pie'"),
        ({"recipe": "pi", "command": ["x"]}, "already names command"),
        ({"include": ["x"]}, "needs its `command`"),
        ({"command": ["x"], "build": ["ADD a b"]}, "Begin with RUN"),
    ],
)
def test_what_makes_no_sense_is_said(given: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        ImproveConfig.model_validate(given)
