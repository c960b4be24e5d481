"""Training a network: recipes as data, the loop, checkpoints. torch is imported by the modules that use it."""

from nas.training.recipe import DEFAULT, FINE_TUNE, Recipe, load_recipe, parse_recipe, recipe_paths

__all__ = ["DEFAULT", "FINE_TUNE", "Recipe", "load_recipe", "parse_recipe", "recipe_paths"]
