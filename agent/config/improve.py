"""Which program improves the scaffold: by default the scaffold itself, otherwise another one, as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from agent.base.complaints import suggestion
from agent.base.types import NO_FILES, Files
from agent.config.layers import checked_layer
from agent.config.recipes import load_recipe, recipe_names
from agent.config.section import Section

ITSELF = "the scaffold itself"


class ImproveConfig(Section):
    """Who writes the patches: the scaffold itself, unless another program is named here."""

    recipe: str | None = Field(default=None, description="a known agent as the improver, such as codex or pi")
    command: tuple[str, ...] = Field(
        default=(), description="command of another improver, run in /workspace; empty: the scaffold improves itself"
    )
    image: str | None = Field(default=None, description="image of its boxes; null: that of the scaffold")
    build: tuple[Annotated[str, AfterValidator(checked_layer)], ...] = Field(
        default=(), description="Dockerfile lines (RUN ..., COPY ...) that install it on that image"
    )
    include: tuple[str, ...] = Field(
        default=(), description="its files: paths of the repository, seen below /scaffold as at the start"
    )

    @model_validator(mode="after")
    def _one_way(self) -> ImproveConfig:
        if self.recipe is not None and (self.command or self.build or self.include):
            raise ValueError("`recipe` already names command, build and include. Leave these out")
        if self.recipe is not None and self.recipe not in recipe_names():
            raise ValueError(f"there is no recipe {self.recipe!r}. {suggestion(self.recipe, recipe_names())}")
        if self.recipe is None and not self.command and (self.image or self.build or self.include):
            raise ValueError("another improver needs its `command`, or a `recipe`. Add one")
        return self


@dataclass(frozen=True, kw_only=True, slots=True)
class Improver:
    """A program that improves the scaffold and is not the scaffold. `files` lie below /scaffold, beside `include`."""

    name: str
    command: tuple[str, ...]
    image: str | None
    layers: tuple[str, ...]
    include: tuple[str, ...] = ()
    files: Files = field(default_factory=lambda: NO_FILES)
    memory_mb: int = 0


def improver_of(config: ImproveConfig) -> Improver | None:
    """The other program, or None if the scaffold improves itself."""
    if config.recipe is not None:
        recipe = load_recipe(config.recipe)
        return Improver(
            name=f"the recipe {recipe.name}",
            command=recipe.command,
            image=config.image,
            layers=recipe.layers,
            files=recipe.files,
            memory_mb=recipe.memory_mb,
        )
    if not config.command:
        return None
    name, given = " ".join(config.command), config
    return Improver(name=name, command=given.command, image=given.image, layers=given.build, include=given.include)
