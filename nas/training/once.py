"""A training that is done once: what ended is read from its file, what was stopped goes on from its checkpoint."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from nas.errors import InputError
from nas.nets import GraphModule, build
from nas.progress import OnProgress, silent
from nas.space import Architecture
from nas.training.checkpoint import Checkpoint, check_question, read_checkpoint, write_checkpoint
from nas.training.loop import Training

_UNDER_WAY = ".under-way"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ended:
    """A training that ended: `accuracy` on the validation images (nan without any), `seconds` that it took, its
    `epochs`, `images_per_s` and `history` (`Epoch.as_json`), and the weights of `Training.result` by name."""

    accuracy: float
    seconds: float
    epochs: int
    images_per_s: float
    history: tuple[Mapping[str, Any], ...]
    weights: Mapping[str, Tensor]

    def module(self, network: Architecture) -> GraphModule:
        """The trained `network` in training form. Raises `InputError` where the weights are not its own."""
        module = build(network)
        try:
            module.load_state_dict(dict(self.weights))
        except RuntimeError as error:
            reason = " ".join(str(error).split())
            raise InputError(f"kept weights must fit {network.name}, but: {reason}; delete them.") from error
        return module


def train_once(
    path: Path,
    question: Mapping[str, Any],
    make: Callable[[], Training],
    *,
    weights: bool = False,
    stop: Callable[[], bool] = lambda: False,
    progress: OnProgress = silent,
) -> Ended:
    """The training that `question` describes and `make` prepares, from `path` where it ended before.

    With `weights` it is done once more where its weights were let go (`let_go`). While it is under way a checkpoint
    lies beside `path`, written after each epoch and every three minutes: a kill loses what came after it.
    Both files are whole or not there. Raises `InputError` where what lies there is another training's, `StoppedError`
    where `stop` says so, and what `Training.run` raises.
    """
    if path.is_file():
        found = read_checkpoint(path)
        check_question(path, found, question)
        if found.tensors or not weights:
            return _ended(found)
    under_way = path.with_name(path.name + _UNDER_WAY)
    training = make()
    if under_way.is_file():
        checkpoint = read_checkpoint(under_way)
        check_question(under_way, checkpoint, question)
        training.restore(checkpoint)
    path.parent.mkdir(parents=True, exist_ok=True)
    asked = dict(question)
    training.run(lambda one: write_checkpoint(under_way, one.state(asked)), stop=stop, progress=progress)
    module = training.result()
    accuracy = training.history[-1].accuracy
    if training.recipe.norm_images and accuracy is not None:
        accuracy = training.score(training.data.val).accuracy
    document = {
        "accuracy": accuracy,
        "seconds": training.seconds,
        "epochs": training.epochs,
        "images_per_s": training.images_per_s,
        "history": [one.as_json() for one in training.history],
    }
    done = Checkpoint(question=question, document=document, tensors=module.state_dict())
    write_checkpoint(path, done)
    under_way.unlink(missing_ok=True)
    return _ended(done)


def let_go(path: Path) -> None:
    """Drop the weights of the ended training at `path`; what it found stays. Nothing where there is none."""
    if path.is_file() and (found := read_checkpoint(path)).tensors:
        write_checkpoint(path, replace(found, tensors={}))


def _ended(found: Checkpoint) -> Ended:
    document = found.document
    return Ended(
        accuracy=math.nan if document["accuracy"] is None else float(document["accuracy"]),
        seconds=float(document["seconds"]),
        epochs=int(document["epochs"]),
        images_per_s=float(document["images_per_s"]),
        history=tuple(document["history"]),
        weights={name: value.detach().cpu() for name, value in found.tensors.items()},
    )
