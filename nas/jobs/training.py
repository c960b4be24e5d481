"""What is asked of a training, what it would take, and what came of it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.data import Prepared
from nas.jobs.display import notebook_html
from nas.space import Architecture
from nas.training import DEFAULT, FINE_TUNE, Recipe

if TYPE_CHECKING:
    from nas.training.heldout import HeldOut
    from nas.training.inherit import Inheritance

TRAINING_SCHEMA = 1
"""The version of the document of how a network was trained."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainRequest:
    """What a user asks of `nas train`; fields as the command's options."""

    network: str | Path | Architecture
    data: str | Path | Prepared
    recipe: str | Path | Recipe | None = None
    epochs: int | None = None
    init: str | Path | None = None
    teacher: str | None = None
    seed: int = 0
    branches: int | None = None
    all_images: bool = False
    formats: tuple[str, ...] = ("onnx",)
    pixels: bool = False
    resume: str | None = None

    @property
    def recipe_or_default(self) -> str | Path | Recipe:
        """The recipe, or where none is given that for what the training begins with."""
        if self.recipe is not None:
            return self.recipe
        return DEFAULT if self.init is None else FINE_TUNE

    @property
    def is_named(self) -> bool:
        """Whether all of it is named, so that `command` repeats it; from Python there may be values instead."""
        return not (
            isinstance(self.network, Architecture) or isinstance(self.data, Prepared) or isinstance(self.recipe, Recipe)
        )

    def command(self) -> str:
        """The command line that repeats it, as far as what it names has a name."""
        named = self.network.name if isinstance(self.network, Architecture) else str(self.network)
        data = self.data.digest[:16] if isinstance(self.data, Prepared) else str(self.data)
        recipe = self.recipe_or_default
        recipe = recipe.name if isinstance(recipe, Recipe) else str(recipe)
        words = ["nas", "train", named, "--data", data, "--recipe", recipe]
        for option in ("epochs", "init", "teacher", "branches"):
            if getattr(self, option) is not None:
                words += [f"--{option}", str(getattr(self, option))]
        words += ["--seed", str(self.seed)]
        if self.formats != ("onnx",):
            words += ["--format", ",".join(self.formats)]
        words += [flag for flag, given in (("--all-images", self.all_images), ("--pixels", self.pixels)) if given]
        return shlex.join(words)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainOutcome:
    """A trained network: its accuracy on the held-out images, and its folder in the zoo; `training` is the record of
    the zoo: classes, confusion matrix, recipe, epoch by epoch (None where another process wrote it)."""

    run: str
    architecture: Architecture
    data: str
    recipe: str
    epochs: int
    held_out: HeldOut
    seconds: float
    images_per_s: float
    zoo: str
    training: Mapping[str, Any] | None = None
    inheritance: Inheritance | None = None

    @property
    def accuracy(self) -> float:
        """The share of the held-out images that it is right on, in [0, 1]."""
        return self.held_out.accuracy

    def _repr_html_(self) -> str:
        return notebook_html(self.as_json())

    def as_json(self) -> dict[str, Any]:
        """The JSON of `nas train`."""
        return {
            "run": self.run,
            "name": self.architecture.name,
            "digest": self.architecture.digest,
            "data": self.data,
            "recipe": self.recipe,
            "epochs": self.epochs,
            "accuracy": self.held_out.as_json(),
            "seconds": self.seconds,
            "images_per_s": self.images_per_s,
            "zoo": self.zoo,
            "init": None if self.inheritance is None else self.inheritance.as_json(),
            "training": None if self.training is None else {"schema": TRAINING_SCHEMA, **self.training},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainPlan:
    """What a training would do, and how long it would take by some steps that were timed."""

    name: str
    digest: str
    data: str
    recipe: str
    classes: int
    images: Mapping[str, int]
    epochs: int
    batch: int
    steps: int
    images_per_s: float
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """The JSON of `nas train --dry-run`."""
        return {name: getattr(self, name) for name in TrainPlan.__slots__}
