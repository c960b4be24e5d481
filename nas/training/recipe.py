"""A recipe: how a network is trained, as data. `training_recipes/` holds one for each documented network, and `small`.

A recipe is read once into records. Every number in it has a range, and an unknown key is an error with the nearest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from nas import resources
from nas.documents import check_keys, read_yaml
from nas.errors import InputError, unknown_name

ROOM = "training_recipes"
SCHEMA = 1
DEFAULT, FINE_TUNE = "small", "fine-tune"
"""The recipe where none is given; and where none is given but weights are inherited."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerRecipe:
    """Which optimiser of torch, with its numbers at the recipe's batch.

    `sgd` reads momentum and nesterov, `rmsprop` momentum, alpha and eps, `adamw` betas and eps. Weight decay leaves
    biases and the scales of norms alone unless `decay_all`.
    """

    kind: Literal["sgd", "rmsprop", "adamw"]
    lr: float
    weight_decay: float = 0.0
    momentum: float = 0.9
    nesterov: bool = False
    alpha: float = 0.9
    eps: float | None = None
    betas: tuple[float, float] = (0.9, 0.999)
    decay_all: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleRecipe:
    """How learning rate and weight decay go: a linear warm-up from `warmup_lr`, then a `cosine` down to `final_lr`, or
    `steps` that multiply by `factor` every `every_epochs`. `final_weight_decay` anneals the decay by a cosine too."""

    kind: Literal["cosine", "steps"]
    warmup_epochs: float = 0.0
    warmup_lr: float = 0.0
    final_lr: float = 0.0
    final_weight_decay: float | None = None
    every_epochs: float | None = None
    factor: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RandAugmentRecipe:
    """RandAugment (arXiv 1909.13719): `number` operations of `magnitude` (0 to 30)."""

    number: int
    magnitude: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentRecipe:
    """What is done to a training image: a mirror image half of the time; a crop, `padded` by `pad` of the side or
    `resized` from a share of the area in `scale`; RandAugment; one rectangle erased with probability `erasing`; mixup
    and CutMix with these concentrations (one of the two at random where both are given)."""

    flip: bool = False
    crop: Literal["none", "padded", "resized"] = "none"
    pad: float = 0.125
    scale: tuple[float, float] = (0.08, 1.0)
    randaugment: RandAugmentRecipe | None = None
    erasing: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0

    @property
    def is_plain(self) -> bool:
        """Whether flips and padded crops are all there is, which one gather a batch makes."""
        return self.crop != "resized" and self.randaugment is None and self.erasing == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SizesRecipe:
    """Other input sizes while training, as `shares` of the network's own side (rounded to what the network allows).

    `growing`: stage i lasts until the share `until[i]` of all epochs, with `strength[i]` of RandAugment's magnitude.
    `drawn`: each batch draws one.
    """

    kind: Literal["growing", "drawn"]
    shares: tuple[float, ...]
    until: tuple[float, ...] = ()
    strength: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DistillationRecipe:
    """What a teacher adds, with `weight` of the loss: cross-entropy with its choice (`hard`, arXiv 2012.12877) or with
    its probabilities at `temperature` (`soft`, arXiv 1503.02531)."""

    kind: Literal["hard", "soft"] = "soft"
    weight: float = 0.5
    temperature: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a network is trained. `source` says who documented it; learning rates are for `batch` images a step.

    `ema` is the decay of the average of weights that is kept (None: the last weights are), `dropout` that of the
    classifier's input, `clip` the largest norm of the gradient, `balanced` whether rare classes weigh more,
    `norm_images` how many training images the statistics of batch norms are taken from anew at the end (0: they stay),
    `backbone` the share of the learning rate for all layers but the last (0: they are frozen, as where few images meet
    inherited weights), `scale_decay` whether a training of other epochs has its weight decay scaled, so that it forgets
    over the same share of the training (arXiv 2405.13698 on such time scales; `benchmarks/small_recipe.md`).
    """

    name: str
    source: str
    epochs: int
    batch: int
    optimizer: OptimizerRecipe
    schedule: ScheduleRecipe
    augment: AugmentRecipe = field(default_factory=AugmentRecipe)
    sizes: SizesRecipe | None = None
    distillation: DistillationRecipe = field(default_factory=DistillationRecipe)
    label_smoothing: float = 0.0
    dropout: float = 0.0
    ema: float | None = None
    clip: float | None = None
    balanced: bool = False
    norm_images: int = 0
    backbone: float = 1.0
    scale_decay: bool = False

    def as_json(self) -> dict[str, Any]:
        """The document that `parse_recipe` reads back."""
        document = _without_none({"schema": SCHEMA, **asdict(self)})
        read = _OPTIMIZER_KEYS[self.optimizer.kind]
        document["optimizer"] = {key: value for key, value in document["optimizer"].items() if key in read}
        return document

    def at_batch(self, batch: int) -> Recipe:
        """The same with `batch` images a step; learning rates follow in proportion (arXiv 1706.02677)."""
        share = batch / self.batch
        schedule = self.schedule
        return replace(
            self,
            batch=batch,
            optimizer=replace(self.optimizer, lr=self.optimizer.lr * share),
            schedule=replace(schedule, warmup_lr=schedule.warmup_lr * share, final_lr=schedule.final_lr * share),
        )


_ANY_OPTIMIZER = ("kind", "lr", "weight_decay", "decay_all")
_OPTIMIZER_KEYS = {
    "sgd": (*_ANY_OPTIMIZER, "momentum", "nesterov"),
    "rmsprop": (*_ANY_OPTIMIZER, "momentum", "alpha", "eps"),
    "adamw": (*_ANY_OPTIMIZER, "betas", "eps"),
}
_RANGES: dict[str, tuple[float, float]] = {
    "epochs": (1, 100_000), "batch": (2, 65_536), "lr": (1e-9, 100), "weight_decay": (0, 10), "momentum": (0, 0.9999),
    "alpha": (0, 0.9999), "eps": (1e-12, 1), "betas": (0, 0.99999), "warmup_epochs": (0, 10_000), "warmup_lr": (0, 100),
    "final_lr": (0, 100), "final_weight_decay": (0, 10), "every_epochs": (0.001, 100_000), "factor": (0.001, 1),
    "pad": (0, 0.5), "scale": (0.001, 1), "number": (1, 16), "magnitude": (0, 30), "erasing": (0, 1), "mixup": (0, 100),
    "cutmix": (0, 100), "shares": (0.1, 2), "until": (0, 1), "strength": (0, 1), "weight": (0, 1),
    "temperature": (0.01, 100), "label_smoothing": (0, 0.99), "dropout": (0, 0.99), "ema": (0, 0.9999999),
    "clip": (1e-6, 1e6), "norm_images": (0, 10**9), "backbone": (0, 1),
}  # fmt: skip
_CHOICES = {
    "optimizer.kind": tuple(_OPTIMIZER_KEYS), "schedule.kind": ("cosine", "steps"),
    "augment.crop": ("none", "padded", "resized"), "sizes.kind": ("growing", "drawn"),
    "distillation.kind": ("hard", "soft"),
}  # fmt: skip
_PARTS: dict[str, type] = {
    "optimizer": OptimizerRecipe, "schedule": ScheduleRecipe, "augment": AugmentRecipe, "sizes": SizesRecipe,
    "distillation": DistillationRecipe, "augment.randaugment": RandAugmentRecipe,
}  # fmt: skip
_REQUIRED: dict[str, tuple[str, ...]] = {
    "": ("schema", "name", "source", "epochs", "batch", "optimizer", "schedule"), "optimizer": ("kind", "lr"),
    "schedule": ("kind",), "sizes": ("kind", "shares"), "augment.randaugment": ("number", "magnitude"),
}  # fmt: skip
_WHOLE = ("epochs", "batch", "number", "norm_images")


def load_recipe(reference: str | Path) -> Recipe:
    """The recipe that `reference` names: one of `recipe_paths`, or a YAML file (a path, or ending in .yaml).

    Raises `InputError` with the nearest names for an unknown one, or with file, key and rule for a bad file.
    """
    text = str(reference)
    if isinstance(reference, Path) or "/" in text or "\\" in text or text.lower().endswith((".yaml", ".yml")):
        path = Path(reference)
    else:
        known = recipe_paths()
        if text not in known:
            raise unknown_name("recipe", text, known, or_file=True)
        path = known[text]
    return parse_recipe(read_yaml(path), str(path))


def recipe_paths() -> dict[str, Path]:
    """Name → file of every recipe, the workspace's own before the shipped ones."""
    return resources.names(ROOM, "*.yaml")


def parse_recipe(document: Mapping[str, Any], where: str) -> Recipe:
    """The recipe that a document states; `where` names its origin in errors."""
    check_keys(document, ("schema", *_names(Recipe)), where, required=_REQUIRED[""])
    if document["schema"] != SCHEMA:
        raise InputError(f"{where}: schema must be {SCHEMA}, but got {document['schema']!r}; convert the file.")
    recipe = Recipe(**_values({k: v for k, v in document.items() if k != "schema"}, "", where))
    _check_together(recipe, where)
    return recipe


def _values(document: Mapping[str, Any], path: str, where: str) -> dict[str, Any]:
    """The checked values of the mapping at `path` of a recipe."""
    found: dict[str, Any] = {}
    for key, value in document.items():
        place = f"{path}.{key}" if path else key
        if place in _PARTS:
            part = _PARTS[place]
            allowed = _names(part)
            kind = value.get("kind") if place == "optimizer" and isinstance(value, Mapping) else None
            if isinstance(kind, str) and kind in _OPTIMIZER_KEYS:
                allowed = _OPTIMIZER_KEYS[kind]
            inside = check_keys(value, allowed, f"{where}: {place}", required=_REQUIRED.get(place, ()))
            found[key] = part(**_values(inside, place, where))
        elif place in _CHOICES:
            if not isinstance(value, str) or value not in _CHOICES[place]:
                raise InputError(f"{where}: {place} must be one of {', '.join(_CHOICES[place])}, but got {value!r}.")
            found[key] = value
        elif key in ("name", "source"):
            if not isinstance(value, str) or not value:
                raise InputError(f"{where}: {place} must be a text, but got {value!r}.")
            found[key] = value
        elif key in _RANGES:
            found[key] = _number(value, key, f"{where}: {place}")
        else:
            if not isinstance(value, bool):
                raise InputError(f"{where}: {place} must be true or false, but got {value!r}.")
            found[key] = value
    return found


def _number(value: Any, key: str, place: str) -> Any:
    """A number, or a tuple of numbers, in the range of `key`."""
    low, high = _RANGES[key]
    if key in ("shares", "until", "strength", "scale", "betas"):
        two = key in ("scale", "betas")
        if not isinstance(value, list) or not value or (two and len(value) != 2):
            raise InputError(f"{place} must be a list of {'two ' if two else ''}numbers, but got {value!r}.")
        return tuple(float(_single(one, low, high, place)) for one in value)
    value = _single(value, low, high, place)
    if key in _WHOLE and type(value) is not int:
        raise InputError(f"{place} must be a whole number, but got {value!r}.")
    return value if key in _WHOLE else float(value)


def _single(value: Any, low: float, high: float, place: str) -> int | float:
    if type(value) not in (int, float) or not low <= value <= high:
        raise InputError(f"{place} must be a number from {low:g} to {high:g}, but got {value!r}.")
    number: int | float = value
    return number


def _check_together(recipe: Recipe, where: str) -> None:
    """Raises `InputError` where parts that are fine alone do not fit each other."""
    schedule, sizes = recipe.schedule, recipe.sizes
    if schedule.kind == "steps" and (schedule.every_epochs is None or schedule.factor is None):
        raise InputError(f"{where}: a schedule of steps must have every_epochs and factor, but lacks one.")
    if recipe.augment.scale[0] > recipe.augment.scale[1]:
        raise InputError(f"{where}: augment.scale must be low, high, but got {list(recipe.augment.scale)}.")
    if sizes is not None and sizes.kind == "growing":
        ends = (len(sizes.until) == len(sizes.shares), len(sizes.strength) in (0, len(sizes.shares)))
        if not all(ends) or sorted(sizes.until) != list(sizes.until) or sizes.until[-1] != 1:
            raise InputError(
                f"{where}: growing sizes must have an `until` that rises to 1, and a `strength`, for each of the"
                f" shares, but got {list(sizes.until)} and {list(sizes.strength)} for {list(sizes.shares)}."
            )


def _names(record: type) -> tuple[str, ...]:
    return tuple(one.name for one in fields(record))


def _without_none(document: Mapping[str, Any]) -> dict[str, Any]:
    """`document` without what is None or empty, with lists for tuples."""
    found: dict[str, Any] = {}
    for key, value in document.items():
        if isinstance(value, Mapping):
            found[key] = _without_none(value)
        elif isinstance(value, tuple):
            if value:
                found[key] = list(value)
        elif value is not None:
            found[key] = value
    return found
