"""What a search on a user's images says: finalists, their comparison, what ranked how well, what it cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from nas.jobs.trained import Trained
from nas.latency import Estimate
from nas.space import Architecture
from nas.strategies import Reward
from nas.training.compare import Interval, RankCorrelation, accuracy_of_seeds, difference, mcnemar
from nas.trials.records import Trial

if TYPE_CHECKING:
    from nas.nets import GraphModule

Part = Literal["known", "searched"]
PARTS: tuple[Part, ...] = get_args(Part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finalist:
    """A network that is trained fully: whether it is `known` or `searched`, its family (or kind of block), and its
    latency, measured beside the other finalists' where the device is reached."""

    part: Part
    family: str
    network: Architecture
    latency: Estimate

    def as_json(self) -> dict[str, Any]:
        """What `nas.jobs.data_finals.read_finalist` reads."""
        return {
            "part": self.part,
            "family": self.family,
            "architecture": self.network.as_mapping(),
            "latency": self.latency.as_json(),
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Finished:
    """A finalist with its trainings, by seed; `right` (seeds, test images) where the test images were looked at."""

    finalist: Finalist
    trained: Mapping[int, Trained]
    right: NDArray[np.bool_] | None = None

    @property
    def architecture(self) -> Architecture:
        """The network."""
        return self.finalist.network

    @property
    def module(self) -> GraphModule:
        """The trained network, in training form: the training with the best validation accuracy."""
        module = self.trained[self.best_seed].module
        assert module is not None  # the weights of full trainings are kept
        return module

    @property
    def validation(self) -> float:
        """The mean validation accuracy of its trainings, a fraction."""
        return sum(one.accuracy for one in self.trained.values()) / len(self.trained)

    @property
    def best_seed(self) -> int:
        """The seed of the training with the best validation accuracy; of equals the first."""
        return max(self.trained, key=lambda seed: (self.trained[seed].accuracy, -seed))

    @property
    def accuracy(self) -> Interval | None:
        """The accuracy on the test images over its seeds; None where they were not looked at."""
        return None if self.right is None else accuracy_of_seeds(self.right)

    def as_json(self) -> dict[str, Any]:
        """The record of a finalist."""
        network, accuracy = self.finalist.network, self.accuracy
        return {
            "part": self.finalist.part,
            "family": self.finalist.family,
            "name": network.name,
            "digest": network.digest,
            "params": network.params,
            "macs": network.macs,
            "latency": self.finalist.latency.as_json(),
            "validation": {str(seed): one.accuracy for seed, one in self.trained.items()},
            "test": None if self.right is None else self.right.mean(axis=1).tolist(),
            "accuracy": None if accuracy is None else accuracy.as_json(),
            "inherited": next(iter(self.trained.values())).inherited,
            "curves": {str(seed): [epoch["accuracy"] for epoch in one.history] for seed, one in self.trained.items()},
            "seconds": sum(one.seconds for one in self.trained.values()),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The searched finalist against the best known one on the test images: `gain` is the difference of their accuracies
    (fractions), `only_searched` and `only_known` the images that only one had right (trainings of one seed), and
    McNemar's p-value of these; `seeds` is the fewest trainings that either has."""

    searched: str
    known: str
    gain: Interval
    faster_ms: float
    only_searched: int
    only_known: int
    p_value: float
    measured: bool
    seeds: int

    @classmethod
    def of(cls, searched: Finished, known: Finished) -> Comparison:
        """Of two finalists whose test images were looked at."""
        assert searched.right is not None and known.right is not None
        seeds = [list(one.trained).index(one.best_seed) for one in (searched, known)]
        only_searched, only_known, p_value = mcnemar(searched.right[seeds[0]], known.right[seeds[1]])
        ours, theirs = searched.finalist.latency, known.finalist.latency
        return cls(
            searched=searched.finalist.network.name,
            known=known.finalist.network.name,
            gain=difference(searched.right, known.right),
            faster_ms=theirs.mean_ms - ours.mean_ms,
            only_searched=only_searched,
            only_known=only_known,
            p_value=p_value,
            measured=ours.source == theirs.source == "measured",
            seeds=min(len(searched.trained), len(known.trained)),
        )

    @property
    def told_apart(self) -> bool:
        """Whether the interval of the difference does not hold 0."""
        return self.gain.low > 0.0 or self.gain.high < 0.0

    @property
    def sentence(self) -> str:
        """What it comes to, in one sentence."""
        points = [100 * value for value in (self.gain.mean, self.gain.low, self.gain.high)]
        figures = f"{points[0]:+.1f} points [{points[1]:+.1f}, {points[2]:+.1f}]"
        if self.seeds == 1:
            figures += ", by a single training: what other seeds would give is not in the interval"
        within = "within the same measured latency" if self.measured else "within the same predicted latency"
        if not self.told_apart:
            return f"Not told apart from the best known network tried, {self.known}, {within}: {figures}."
        word = "Better" if self.gain.mean > 0 else "Worse"
        return f"{word} than the best known network tried, {self.known}, {within}: {figures}."

    def as_json(self) -> dict[str, Any]:
        """The record of the comparison."""
        return {
            "searched": self.searched,
            "known": self.known,
            "difference": self.gain.as_json(),
            "told_apart": self.told_apart,
            "faster_ms": self.faster_ms,
            "seeds": self.seeds,
            "latency": "measured" if self.measured else "predicted",
            "mcnemar": {"only_searched": self.only_searched, "only_known": self.only_known, "p": self.p_value},
            "sentence": self.sentence,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """How well `by` (a rung, a size, a prior) ranked networks by their validation accuracy at a later rung, `of`."""

    by: str
    of: str
    correlation: RankCorrelation

    def as_json(self) -> dict[str, Any]:
        """The record of a ranking."""
        return {"by": self.by, "of": self.of, **self.correlation.as_json()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one part of a search cost: trainings and epochs that it did itself, their seconds of one worker, and how
    many trainings another search had paid for."""

    trainings: int
    epochs: int
    seconds: float
    reused: int

    @classmethod
    def of(cls, trials: Sequence[Trial]) -> Cost:
        """The cost of trials. What was reused cost nothing here."""
        own = [rung for trial in trials for rung in trial.own]
        return cls(
            trainings=len(own),
            epochs=sum(rung.epochs for rung in own),
            seconds=sum(rung.seconds for rung in own),
            reused=sum(len(trial.curve) - len(trial.own) for trial in trials),
        )

    def as_json(self) -> dict[str, Any]:
        """The record of a cost."""
        return {
            "trainings": self.trainings, "epochs": self.epochs, "seconds": self.seconds, "reused": self.reused,
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DataAnswer:
    """What a search on a user's images found.

    `best` is the answer: the finalist with the best mean validation accuracy over its seeds of those that meet the
    target, searched or known. `searched` and `known` are the best of each part, `comparison` their difference on the
    test images (None without a known network that meets the target). `trials` are those of each part, `proxies` what
    networks said of themselves untrained, by digest. `notes` say what was done otherwise than usual.
    """

    study: str
    space: str
    space_size: int
    target_ms: float
    reward: Reward
    seed: int
    asker: str
    recipe: str
    rungs: tuple[int, ...]
    epochs: int
    classes: tuple[str, ...]
    images: Mapping[str, int]
    best: Finished
    searched: Finished
    known: Finished | None
    finalists: tuple[Finished, ...]
    comparison: Comparison | None
    trials: Mapping[str, tuple[Trial, ...]]
    names: Mapping[str, str]
    ranked: tuple[Ranked, ...]
    proxies: Mapping[str, Mapping[str, float]]
    seconds: float
    notes: tuple[str, ...] = ()
    costs: Mapping[str, Cost] = field(default_factory=dict)
