"""Recipes: known agents as scaffolds, read from the folders that are installed with Ratchet."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.base import yaml
from agent.base.errors import UserError
from agent.base.types import Files
from agent.config.shipped import INSTALLED

RECIPES = INSTALLED / "recipes"


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """One recipe: `data` is recipe.yaml as recipes/recipe.schema.json describes it, `files` are the seed."""

    name: str
    data: dict[str, Any]
    files: Files

    @property
    def layers(self) -> tuple[str, ...]:
        """Dockerfile instructions of its image, for `scaffold.build`."""
        return tuple(self.data["image"]["layers"])

    @property
    def command(self) -> tuple[str, ...]:
        """The command as campaign.yaml takes it: fixed variables go in front."""
        variables = [f"{name}={value}" for name, value in self.data["env"].items()]
        return (*(("env", *variables) if variables else ()), *self.data["scaffold"]["command"])

    @property
    def memory_mb(self) -> int:
        """MiB that its box needs."""
        return int(self.data["boxes"]["memory_mb"])


def recipe_names() -> list[str]:
    """The agents that have a recipe."""
    return sorted(path.parent.name for path in RECIPES.glob("*/recipe.yaml"))


def load_recipe(name: str) -> Recipe:
    """The recipe of an agent.

    Raises:
        UserError: there is none of this name.
    """
    names = recipe_names()
    if name not in names:
        close = difflib.get_close_matches(name, names, n=1)
        fix = f"Did you mean {close[0]!r}?" if close else "`ratchet docs own-agent` says how to use any other agent."
        raise UserError("--agent", f"there is no recipe {name!r}; there are {', '.join(names)}", fix)
    folder = RECIPES / name
    return Recipe(name=name, data=yaml.load(folder / "recipe.yaml"), files=_files(folder / "files"))


def _files(seed: Path) -> Files:
    found = sorted(path for path in seed.rglob("*") if path.is_file())
    return {path.relative_to(seed).as_posix(): path.read_bytes() for path in found}
