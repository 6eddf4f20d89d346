"""Recipes as the tests name them."""

from agent.config.recipes import RECIPES as ROOT
from agent.config.recipes import Recipe
from agent.config.recipes import load_recipe as load
from agent.config.recipes import recipe_names as names

__all__ = ["ROOT", "Recipe", "load", "names"]
