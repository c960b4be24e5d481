"""What adapting a network gives: the answer, and the rounds that led to it."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nas.evaluate import Aim, Figures
from nas.jobs.display import notebook_html
from nas.jobs.network import Network
from nas.jobs.search_answer import SearchAnswer
from nas.resources import plain_name
from nas.space import Architecture
from nas.space.shrink import inner_places, tied_widths
from nas.strategies import Reward

REWARD = Reward(form="hard")
"""Nothing above the target is an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One step of the way: a width made narrower, and the network behind it: accuracy a fraction, latency the mean.

    `layer` is the number of the layer, from 1 on, and its parameter; a bottleneck width goes by the first of the layers
    that residuals tie.
    """

    layer: str
    before: int
    after: int
    accuracy: float
    latency_ms: float
    params: int
    macs: int

    def as_json(self) -> dict[str, Any]:
        """The record of the contract."""
        return {
            "layer": self.layer,
            "from": self.before,
            "to": self.after,
            "accuracy": self.accuracy,
            "latency_ms": self.latency_ms,
            "params": self.params,
            "macs": self.macs,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A network that a round looked at: `layer` made `width` wide, its latency, its accuracy on the validation images
    after its fine-tuning (a fraction), and the seconds that this took."""

    layer: str
    width: int
    latency_ms: float
    accuracy: float
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """{"layer", "to", "latency_ms", "accuracy", "seconds"}."""
        return {
            "layer": self.layer,
            "to": self.width,
            "latency_ms": self.latency_ms,
            "accuracy": self.accuracy,
            "seconds": self.seconds,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What an adaptation with weights trained.

    `start_epochs` are those of the start before anything was cut (0: its weights were all inherited), `short_epochs`
    those of each candidate, `epochs` those at the end; `candidates` are all that each round looked at, in order;
    `validation` is the accuracy of the answer on the validation images, `held_out` how many images measured it;
    `seconds` are those of all trainings, also of ones that ended before this run; `init` is what was inherited.
    """

    data: str
    recipe: str
    start_epochs: int
    short_epochs: float
    epochs: int
    candidates: tuple[tuple[Candidate, ...], ...]
    validation: float
    held_out: int
    seconds: float
    init: Mapping[str, Any]

    @property
    def chain_epochs(self) -> float:
        """How many epochs the answer's weights went through from the start on: what a rival may have as well."""
        return self.start_epochs + len(self.candidates) * self.short_epochs + self.epochs

    def as_json(self) -> dict[str, Any]:
        """Everything, `chain_epochs` too."""
        return {
            "data": self.data,
            "recipe": self.recipe,
            "start_epochs": self.start_epochs,
            "short_epochs": self.short_epochs,
            "epochs": self.epochs,
            "chain_epochs": self.chain_epochs,
            "candidates": [[one.as_json() for one in candidates] for candidates in self.candidates],
            "validation": self.validation,
            "held_out": self.held_out,
            "seconds": self.seconds,
            "init": dict(self.init),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Adaptation:
    """What adapting a network gave: the answer of a search among its narrower forms, and the way to it.

    `start` is the network that was adapted, as it is; its accuracy and latency in the unit of the rounds are
    `start_accuracy` (believed as that of a chosen network) and `start.latency`. `trained` says what was trained where
    accuracies are measured, those of `start` and `rounds` on the validation images, and None where they are predicted.
    """

    answer: SearchAnswer
    start: Network
    start_accuracy: float
    rounds: tuple[Round, ...]
    trained: Trained | None = None

    @property
    def best(self) -> Network:
        """The answer's network."""
        return self.answer.best

    @property
    def front(self) -> tuple[Network, ...]:
        """The Pareto front of latency and score over all states that were kept."""
        return self.answer.front

    def _repr_html_(self) -> str:
        return notebook_html(self.as_json())

    def as_json(self) -> dict[str, Any]:
        """The record of the contract, without `run` and `seconds`."""
        rounds = [one.as_json() for one in self.rounds]
        trained = {} if self.trained is None else {"trained": self.trained.as_json()}
        start = {"start": self.start.as_json(), "start_accuracy": self.start_accuracy}
        return {**self.answer.as_json(), **start, "rounds": rounds, **trained}


def name_answer(network: Architecture, start: Architecture, aim: Aim) -> Architecture:
    """The network of the answer, named after the start, the target and its own digest; `start` as it is."""
    if network.digest == start.digest:
        return start
    words = [plain_name(re.sub("[@+]", "-", start.name)), network.digest[:8]]  # it becomes the name of a folder
    if aim.target_ms is not None:
        words.insert(1, f"{aim.target_ms:g}ms")
    return network.named("-".join(words))


def rounds_of(
    widths: Sequence[str], networks: Sequence[Architecture], accuracies: Sequence[float], figures: Figures
) -> Iterator[Round]:
    """The way through `networks`, of which `figures` and `accuracies` are; `widths` names what each step changed
    (`WidthChange.width`; what stands first is not read)."""
    for i, (before, after) in enumerate(itertools.pairwise(networks), start=1):
        position, _, parameter = widths[i].partition(".")
        values = [network.layers[int(position)].arg(parameter) for network in (before, after)]
        yield Round(
            layer=f"{int(position) + 1}.{parameter}",
            before=int(values[0]),
            after=int(values[1]),
            accuracy=accuracies[i],
            latency_ms=float(figures.latency_ms[i]),
            params=int(figures.params[i]),
            macs=int(figures.macs[i]),
        )


def size_around(network: Architecture, divisor: int) -> int:
    """How many networks there are that are as wide or narrower."""
    layers = network.layers
    widths = [layers[i].arg(parameter) for i, parameter in inner_places(network)]
    widths += [layers[group[0]].arg("out") for group in tied_widths(network)]
    return math.prod(1 + (int(width) - 1) // divisor for width in widths)
