"""The evaluator of a search on a user's images: a network is trained, and judged on the validation images.

It runs wherever trials do, so all it is told is plain values. A training is a function of (network, images, recipe,
epochs, seed, branches, inherited weights); its checkpoint lies beside the place of its result, so one that was killed
goes on, and one that had ended but was not recorded is not done again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.data import DataSet, Prepared, contents_digest, open_data, prepare
from nas.errors import InputError
from nas.jobs.inherit import Source, inherit_from, open_source
from nas.space import Architecture
from nas.space.resolution import height_width
from nas.training import Recipe, parse_recipe
from nas.trials.evaluators import Evaluator

if TYPE_CHECKING:
    from nas.nets import GraphModule
    from nas.training.heldout import HeldOut
    from nas.training.loop import Training

REFERENCE = "nas.jobs.trained:validation_accuracy"
KEEP_EVERY_S = 30.0
"""How often a training under way keeps a checkpoint, besides after each epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Teaching:
    """How networks are trained: on the images at `path` (`contents` is their digest), by `recipe`; re-parameterised
    layers begin with `branches` (None: all), all weights with those inherited from `init` (of this digest). What has
    nothing in common with these begins from scratch, by the recipe `scratch`. Weights are kept of trainings of
    `weights_from` epochs on, and of all that may inherit."""

    path: str
    contents: str
    recipe: Recipe
    scratch: Recipe | None = None
    branches: int | None = None
    init: str | None = None
    init_digest: str | None = None
    weights_from: int = 1

    @property
    def recipe_key(self) -> str:
        """What tells one way of training from another in the table of evaluations, whatever the images."""
        said = {"recipe": self.recipe.as_json(), "branches": self.branches, "init": self.init_digest}
        said |= {} if self.scratch is None else {"scratch": self.scratch.as_json()}
        digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]
        words = [self.recipe.name, "all branches" if self.branches is None else f"{self.branches} branch"]
        words += [] if self.init is None else [f"from {Path(self.init).name}"]
        return f"{', '.join(words)} #{digest}"

    def evaluator(self, rungs: Sequence[int]) -> Evaluator:
        """What judges networks by validation accuracy after each of `rungs` epochs, each a whole schedule."""
        return Evaluator(
            function=validation_accuracy,
            name=f"images of {Path(self.path).name}",
            key=f"images {self.contents[:32]}",
            reference=REFERENCE,
            rungs=tuple(rungs),
            settings={"teaching": self.as_json()},
            resumes=True,
        )

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Teaching:
        """What `as_json` wrote."""
        recipes = {key: document[key] and parse_recipe(document[key], "the job") for key in ("recipe", "scratch")}
        return cls(**{**document, **recipes})

    def as_json(self) -> dict[str, Any]:
        """What an evaluator sends along."""
        recipes = {"recipe": self.recipe.as_json(), "scratch": self.scratch and self.scratch.as_json()}
        return {**asdict(self), **recipes}

    def recipe_for(self, inherited: float | None) -> Recipe:
        """The recipe of a network that has inherited this share of its weights."""
        return self.scratch if self.scratch is not None and not inherited else self.recipe

    def keeps_weights(self, epochs: int) -> bool:
        """Whether the weights of a training of so many epochs are kept."""
        return self.init is not None or epochs >= self.weights_from


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trained:
    """What a training left: validation accuracy, the accuracy after each epoch, seconds, the share of its weights that
    it had inherited (None: it began from scratch), and its weights where they were kept."""

    accuracy: float
    history: tuple[Mapping[str, Any], ...]
    seconds: float
    images_per_s: float
    inherited: float | None
    module: GraphModule | None


def validation_accuracy(
    points: Sequence[Architecture], *, epochs: int, seed: int, save: str, teaching: Mapping[str, Any]
) -> list[float]:
    """Train each of `points` for `epochs` as `teaching` says, and leave at `save` what `read_trained` reads.

    What lies there already is of the same training, and is not done again.
    """
    told = Teaching.read(teaching)
    return [train_to(Path(save), network, told, epochs=epochs, seed=seed) for network in points]


def train_to(place: Path, network: Architecture, teaching: Teaching, *, epochs: int, seed: int) -> float:
    """The validation accuracy of a training, whose result is at `place` afterwards; done as far as it is not yet."""
    from nas.training.checkpoint import Checkpoint, check_question, read_checkpoint, write_checkpoint
    from nas.training.heldout import held_out
    from nas.training.loop import predictor

    question = {
        "network": network.digest,
        "contents": teaching.contents,
        "recipe": teaching.recipe_key,
        "epochs": epochs,
        "seed": seed,
    }
    under_way = place.with_name(f"{place.name}.part")
    if place.exists():
        under_way.unlink(missing_ok=True)  # of one that was killed once its result was written
        return read_trained(place, network).accuracy
    training, inherited = begin(network, teaching, epochs=epochs, seed=seed)
    if under_way.exists():
        checkpoint = read_checkpoint(under_way)
        check_question(under_way, checkpoint, question)
        training.restore(checkpoint)
    training.run(lambda one: write_checkpoint(under_way, one.state(question)), every_s=KEEP_EVERY_S)
    module, data = training.result(), training.data
    predict = predictor(module.fuse(), training.normalize, training.device)
    accuracy = held_out(predict, data.val, len(data.classes)).accuracy
    document = {
        "accuracy": accuracy,
        "history": [one.as_json() for one in training.history],
        "seconds": training.seconds,
        "images_per_s": training.images_per_s,
        "inherited": inherited,
    }
    tensors = module.state_dict() if teaching.keeps_weights(epochs) else {}
    write_checkpoint(place, Checkpoint(question=question, document=document, tensors=tensors))
    under_way.unlink(missing_ok=True)
    return accuracy


def begin(network: Architecture, teaching: Teaching, *, epochs: int, seed: int) -> tuple[Training, float | None]:
    """The training of `network`, ready to begin, and the share of its weights that it inherits."""
    import torch

    from nas.nets import build
    from nas.training.loop import Training

    data = images(teaching.path, teaching.contents, height_width(network.resolution), network.in_channels)
    module, share = None, None
    if teaching.init is not None:
        try:
            found = inherit_from(_source(teaching.init), network, data=data, seed=seed)
        except InputError:  # nothing in common: it begins from scratch
            share = 0.0
        else:
            module, share = found.module, found.share
    training = Training(
        build(network, seed=seed) if module is None else module,
        data,
        teaching.recipe_for(share),
        epochs=epochs,
        seed=seed,
        branches=teaching.branches,
        device="cuda" if torch.cuda.is_available() else "cpu",
    )
    return training, share


def read_trained(place: Path, network: Architecture) -> Trained:
    """What a training of `network` left at `place`. Raises `InputError` where that is not there, or something else."""
    from nas.nets import build
    from nas.training.checkpoint import read_checkpoint

    found = read_checkpoint(place)
    module = None
    try:
        if found.tensors:
            module = build(network)
            module.load_state_dict(dict(found.tensors))
        document = found.document
        return Trained(
            accuracy=float(document["accuracy"]),
            history=tuple(document["history"]),
            seconds=float(document["seconds"]),
            images_per_s=float(document["images_per_s"]),
            inherited=document["inherited"],
            module=module,
        )
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{place} must be what a training of {network.name} left, but: {reason}; remove it, and search again."
        ) from error


def on_test_images(network: Architecture, trained: Trained, data: Prepared) -> HeldOut:
    """What a trained network says of the test images."""
    from nas.training.heldout import held_out
    from nas.training.loop import predictor
    from nas.training.preprocessing import Normalize, preprocessing_for

    assert trained.module is not None  # the weights of full trainings are kept
    predict = predictor(trained.module.fuse(), Normalize(preprocessing_for(network.in_channels)))
    return held_out(predict, data.test, len(data.classes))


def images(path: str, contents: str, size: tuple[int, int], channels: int) -> Prepared:
    """The images of the data set at `path`, whose digest is `contents`, at `size`.

    Raises `InputError` where it is another data set by now.
    """
    return _prepared(path, contents, size, channels)


@lru_cache(maxsize=4)
def _prepared(path: str, contents: str, size: tuple[int, int], channels: int) -> Prepared:
    # Other workers may be at the same images, and a space has several sizes.
    return prepare(_opened(path, contents), size=size, channels=channels, shared=True)


@lru_cache(maxsize=1)
def _opened(path: str, contents: str) -> DataSet:
    dataset = open_data(path)
    if contents_digest(dataset) != contents:
        raise InputError(
            f"{path} must hold the images that the search began with, but holds others; put them back, or search anew."
        )
    return dataset


@lru_cache(maxsize=1)
def _source(init: str) -> Source:
    return open_source(init)
