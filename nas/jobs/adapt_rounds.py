"""The rounds of an adaptation with weights: candidates cut, fine-tuned briefly, each done once and kept."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from nas.data import Prepared, Split
from nas.errors import InputError
from nas.evaluate import ChannelAdaptation, ShrunkNetwork
from nas.jobs.adaptation import Candidate
from nas.nets import GraphModule
from nas.progress import OnProgress, Step
from nas.space import Architecture
from nas.strategies import Move
from nas.strategies.problem import Standing
from nas.training import Recipe
from nas.training.batches import generator
from nas.training.inherit import inherit_weights
from nas.training.loop import Training
from nas.training.once import Ended, let_go, train_once

SHORT_RATE = 0.2
"""The share of the recipe's learning rate that candidates are fine-tuned with: the whole one undoes in a short training
more than was cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """How an adaptation trains: `short_epochs` for each candidate, `epochs` at the end.

    `short_epochs` below 1 are that share of the training images, others each round. `step` is the share of the start's
    latency that a round must win.
    """

    recipe: Recipe
    epochs: int
    short_epochs: float = 1
    step: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise InputError(f"epochs must be at least 1, but got {self.epochs}.")
        if self.short_epochs <= 0 or (self.short_epochs > 1 and self.short_epochs % 1):
            raise InputError(
                "the epochs of a candidate must be a whole number or a share of one, but got"
                f" {self.short_epochs:g}; give 2, or 0.25."
            )

    @property
    def short(self) -> Recipe:
        """The recipe of a candidate: gentler, and without an average of weights, which would be that of the start."""
        recipe, schedule = self.recipe, self.recipe.schedule
        return replace(
            recipe,
            ema=None,
            optimizer=replace(recipe.optimizer, lr=SHORT_RATE * recipe.optimizer.lr),
            schedule=replace(
                schedule, warmup_lr=SHORT_RATE * schedule.warmup_lr, final_lr=SHORT_RATE * schedule.final_lr
            ),
        )

    def short_training(self, module: GraphModule, data: Prepared, number: int) -> Training:
        """The fine-tuning of a candidate of round `number`."""
        if self.short_epochs < 1:
            count = max(2, round(self.short_epochs * len(data.train)))
            chosen = np.sort(generator(self.seed, number).permutation(len(data.train))[:count])
            names = tuple(data.train.names[i] for i in chosen.tolist())
            part = Split(images=data.train.images[chosen], labels=data.train.labels[chosen], names=names)
            data = replace(data, train=part)
        return self.training(module, data, self.short, max(1, round(self.short_epochs)))

    def training(self, module: GraphModule, data: Prepared, recipe: Recipe, epochs: int) -> Training:
        """A training of `module` with the seed of this one."""
        device = "cuda" if torch.cuda.is_available() else "cpu"
        return Training(module, data, recipe, epochs=epochs, seed=self.seed, device=device)

    def question(
        self, chain: Sequence[str], data: Prepared, origin: str, recipe: Recipe, epochs: float
    ) -> dict[str, Any]:
        """What tells one training from others: the digests from the start to the network, where the weights come from,
        data, recipe, epochs and seed."""
        return {
            "chain": list(chain),
            "origin": origin,
            "data": data.digest,
            "recipe": recipe.as_json(),
            "short_epochs": self.short_epochs,
            "epochs": epochs,
            "seed": self.seed,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class CutNetwork:
    """A network on its way down, by what was cut (`layer`) of which one (`before`), whose weights it takes over."""

    shrunk: ShrunkNetwork
    layer: str = field(default="", compare=False)
    before: CutNetwork | None = field(default=None, compare=False, repr=False)

    def chain(self) -> list[CutNetwork]:
        """From the start to this one, both included."""
        found = [self]
        while (before := found[-1].before) is not None:
            found.append(before)
        return found[::-1]


class Rounds:
    """What NetAdapt asks of networks with weights: their moves, how they stand, and what they are worth once tuned.

    `module` has the start's weights, and `accuracy` is its on the validation images; trainings lie in `folder`,
    `origin` names what the start's weights come from. It asks about the children of one network at a time (beam 1).
    """

    def __init__(
        self,
        start: Architecture,
        adaptation: ChannelAdaptation,
        data: Prepared,
        tuning: Tuning,
        module: GraphModule,
        accuracy: float,
        folder: Path,
        *,
        origin: str,
        target: float,
        stop: Callable[[], bool],
        progress: OnProgress,
    ) -> None:
        self.start = CutNetwork(shrunk=adaptation.state(start))
        self._whole, self._adaptation, self._data, self._tuning = start, adaptation, data, tuning
        self._module, self._accuracy, self._folder, self._origin = module, accuracy, folder, origin
        self._stop, self._progress = stop, progress
        self._start_ms = float(self.standing([self.start]).bounded_ms[0])
        self._way_ms = max(self._start_ms - target, 1e-12)
        self._held: tuple[CutNetwork, GraphModule] | None = None
        self._began: float | None = None
        self._siblings: list[CutNetwork] = []
        self.candidates: list[tuple[Candidate, ...]] = []
        """All that each round looked at."""
        self.seconds = 0.0
        """What their trainings took, whenever they ended."""

    def moves(self, cut: CutNetwork) -> list[Move[CutNetwork]]:
        """Every width made narrower, smallest shrink first."""
        with threadpool_limits(limits=1, user_api="blas"):
            moves = self._adaptation.moves(cut.shrunk)
        return [
            Move(layer=move.layer, state=CutNetwork(shrunk=move.state, layer=move.layer, before=cut)) for move in moves
        ]

    def standing(self, cuts: list[CutNetwork]) -> Standing:
        """How networks stand against target and limits."""
        with threadpool_limits(limits=1, user_api="blas"):
            return self._adaptation.standing([cut.shrunk for cut in cuts])

    @property
    def height(self) -> Callable[[list[CutNetwork], float], NDArray[np.float64]] | None:
        """`ChannelAdaptation.height` of networks with weights."""
        height = self._adaptation.height
        return height and (lambda cuts, at_most: height([cut.shrunk for cut in cuts], at_most))

    def score(self, cuts: list[CutNetwork]) -> NDArray[np.float64]:
        """The accuracy of each on the validation images after its fine-tuning, shape (cuts,); those that were tuned
        before are read. The siblings of what they were cut from let go of their weights."""
        parent = cuts[0].before
        if parent is None:
            return np.full(len(cuts), self._accuracy)
        self._let_go_all_but(parent)
        parent_ms = float(self.standing([parent]).bounded_ms[0])
        with threadpool_limits(limits=1, user_api="blas"):
            latency_ms = self._adaptation.latency_ms([cut.shrunk for cut in cuts]).tolist()
        found = []
        for i, cut in enumerate(cuts):
            ended = self._tuned(cut, progress=self._telling(parent_ms, i, len(cuts)))
            self.seconds += ended.seconds
            position, _, parameter = cut.layer.partition(".")
            found.append(
                Candidate(
                    layer=f"{int(position) + 1}.{parameter}",
                    width=int(cut.shrunk.layers[int(position)].arg(parameter)),
                    latency_ms=latency_ms[i],
                    accuracy=ended.accuracy,
                    seconds=ended.seconds,
                )
            )
        self.candidates.append(tuple(found))
        self._siblings = list(cuts)
        return np.array([one.accuracy for one in found])

    def long(self, cut: CutNetwork) -> Ended:
        """The fine-tuning at the end."""
        self._let_go_all_but(cut)
        recipe, epochs = self._tuning.recipe, self._tuning.epochs
        chain = self._digests(cut)
        return train_once(
            self._path(chain, f"long-{epochs}"),
            self._tuning.question(chain, self._data, self._origin, recipe, epochs),
            lambda: self._tuning.training(self._weights(cut), self._data, recipe, epochs),
            weights=True,
            stop=self._stop,
            progress=lambda step: self._progress(replace(step, doing="fine-tuning the answer")),
        )

    def _tuned(self, cut: CutNetwork, *, weights: bool = False, progress: OnProgress) -> Ended:
        """A candidate after its short fine-tuning."""
        recipe, epochs = self._tuning.short, self._tuning.short_epochs
        chain = self._digests(cut)

        def make() -> Training:
            assert cut.before is not None
            child = inherit_weights(self._network(cut), self._weights(cut.before), seed=self._tuning.seed)
            return self._tuning.short_training(child.module, self._data, len(chain) - 1)

        question = self._tuning.question(chain, self._data, self._origin, recipe, epochs)
        path = self._path(chain, "short")
        return train_once(path, question, make, weights=weights, stop=self._stop, progress=progress)

    def _weights(self, cut: CutNetwork) -> GraphModule:
        """A network with the weights that it was kept with."""
        if cut.before is None:
            return self._module
        if self._held is None or self._held[0] is not cut:
            ended = self._tuned(
                cut, weights=True, progress=lambda step: self._progress(replace(step, doing="training once more"))
            )
            self._held = (cut, ended.module(self._network(cut)))
        return self._held[1]

    def _network(self, cut: CutNetwork) -> Architecture:
        if cut.before is None:
            return self._whole
        return ChannelAdaptation.network(cut.shrunk, self._whole)

    def _digests(self, cut: CutNetwork) -> list[str]:
        return [self._network(one).digest for one in cut.chain()]

    def _path(self, chain: Sequence[str], what: str) -> Path:
        key = hashlib.sha256("/".join([self._origin, *chain]).encode()).hexdigest()[:16]
        return self._folder / f"round-{len(chain) - 1:03d}-{key}-{what}.safetensors"

    def _let_go_all_but(self, kept: CutNetwork) -> None:
        for cut in self._siblings:
            if cut != kept:
                let_go(self._path(self._digests(cut), "short"))

    def _telling(self, parent_ms: float, number: int, of: int) -> OnProgress:
        """Progress of one candidate, as the share of the way that is left from where this process began to work."""
        lost = (self._start_ms - parent_ms) / self._way_ms
        step = self._tuning.step * self._start_ms / self._way_ms

        def tell(one: Step) -> None:
            share = min(1.0, lost + step * (number + (one.share or 0.0)) / of)
            if self._began is None:
                self._began = share
            done = (share - self._began) / max(1e-9, 1 - self._began)
            note = f"round {len(self.candidates) + 1}, candidate {number + 1} of {of}, {one.note}"
            self._progress(Step(doing="shrinking", done=done, of=1.0, note=note))

        return tell
