"""What networks cost, by both models at once: for a compiled space, and for networks one by one.

Both ways ask the same models about the same operators, so a code of a space and the network that it stands for cost the
same to the last digits that a sum of numbers can keep.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.accuracy.estimate import AccuracyEstimate
from nas.accuracy.features import OPERATOR_FEATURES, network_features, operator_features
from nas.accuracy.model import AccuracyModel
from nas.errors import InputError
from nas.latency.model import LatencyModel
from nas.space.architecture import Architecture
from nas.space.compile.batch import LayerBatch, Place, places_of
from nas.space.compile.compiled import CompiledSpace, Floats, layer_sums
from nas.space.search_space import Codes, SearchSpace
from nas.strategies import Evaluation

SizedPlace = tuple[Place, float]
"""A layer in a network, and the side of the network's input."""

_CHUNK = 4096
NOVELTY_PENALTY = 0.1
"""What a unit of novelty beyond the limit costs in the ranking, as a fraction of accuracy.

Several times what the models promise for it: the best network beyond the limit ranks below the best within, while a
search can still cross what lies between."""

GAIN_PENALTY = 30.0
"""What a unit of gain beyond the limit costs in the ranking: many times what it can add to the bound."""

_PER_NETWORK = ("params", "macs")
_MILLISECONDS = "ms"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What an answer must keep besides the latency.

    `confidence`: the latency must stay at or under the target with this one-sided probability (None: its mean must).
    `max_novelty`: how far from networks of published accuracy an answer may lie, in the typical distance between these
    (`nas.accuracy.novelty`); None: anywhere. Only where nothing within meets the target, the answer lies beyond.
    `max_gain`: how much more accuracy than the best known network at or under its latency an answer may claim, just
    under a point; None: any. A search picks the luckiest of its model's errors, so a larger claim is not believed.
    """

    max_params: int | None = None
    max_macs: int | None = None
    confidence: float | None = None
    max_novelty: float | None = 1.0
    max_gain: float | None = 0.0099

    def __post_init__(self) -> None:
        for name in ("max_params", "max_macs", "max_novelty", "max_gain"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise InputError(f"{name} must be positive and finite, but got {value}; leave it out for no limit.")
        if self.confidence is not None and not 0.5 <= self.confidence < 1:
            raise InputError(f"confidence must be at least 0.5 and below 1, but got {self.confidence}.")

    def ranked(self, accuracy_low: Floats, *, novelty: Floats | None, gain: Floats | None) -> Floats:
        """The bound that networks are ranked by, shape (n,): `accuracy_low`, less beyond what is allowed.

        `novelty` and `gain` (over the best known network at or under the latency) may be None where they have no limit.
        """
        ranked = accuracy_low
        if self.max_novelty is not None and novelty is not None:
            ranked = ranked - NOVELTY_PENALTY * np.maximum(novelty - self.max_novelty, 0.0)
        if self.max_gain is not None and gain is not None:
            ranked = ranked - GAIN_PENALTY * np.maximum(gain - self.max_gain, 0.0)
        return np.asarray(ranked)

    def excess(self, params: Floats, macs: Floats) -> Floats | None:
        """How far parameters and MACs exceed their limits, relative to them, shape (n,); None without limits."""
        total: Floats | None = None
        for values, limit in ((params, self.max_params), (macs, self.max_macs)):
            if limit is not None:
                beyond = np.maximum(values / limit - 1.0, 0.0)
                total = beyond if total is None else total + beyond
        return total

    def bounded_ms(self, mean_ms: Floats, high_ms: Floats) -> Floats:
        """The latency that must meet the target: the mean, or its quantile by a lognormal through the 95 % bound."""
        if self.confidence is None:
            return mean_ms
        quantile = NormalDist().inv_cdf(self.confidence) / NormalDist().inv_cdf(0.95)
        return np.asarray(mean_ms * (high_ms / mean_ms) ** quantile)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The figures of n networks; all columns have shape (n,).

    `bounded_ms` is the latency that must meet the target; `ranked` the lower bound of accuracy, less where a network is
    too far from the published ones (`novelty`).
    """

    params: Floats
    macs: Floats
    latency_ms: Floats
    bounded_ms: Floats
    accuracy: Floats
    accuracy_low: Floats
    accuracy_high: Floats
    novelty: Floats
    ranked: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Frontier:
    """The best accuracy of known networks at or under a latency: `accuracy` (m,) from `latency_ms` (m,) on."""

    latency_ms: Floats
    accuracy: Floats

    @classmethod
    def of(cls, latency_ms: Floats, accuracy: Floats) -> Frontier:
        """The frontier of networks with these figures, in any order; at least one."""
        order = np.argsort(latency_ms, kind="stable")
        return cls(latency_ms=latency_ms[order], accuracy=np.maximum.accumulate(accuracy[order]))

    def gain(self, latency_ms: Floats, accuracy: Floats) -> Floats:
        """How far networks (n,) lie above it; networks faster than all known ones are compared with the fastest."""
        place = np.searchsorted(self.latency_ms, latency_ms, side="right") - 1
        return np.asarray(accuracy - self.accuracy[np.maximum(place, 0)])


class Models:
    """A latency model and an accuracy model, asked about the same operators.

    `known` are the networks whose frontier limits what others may claim (`Limits.max_gain`); without, nothing does.
    """

    def __init__(
        self, latency: LatencyModel, accuracy: AccuracyModel, limits: Limits, *, known: Sequence[Architecture] = ()
    ) -> None:
        self.latency, self.accuracy, self.limits = latency, accuracy, limits
        self.frontier: Frontier | None = None
        self.latency_names = tuple(f"latency feature {i}" for i in range(latency.num_features))
        # Not by their bare names: the MACs that accuracy is predicted from are those of the network on ImageNet.
        self.feature_names = tuple(f"accuracy feature {name}" for name in OPERATOR_FEATURES)
        self.names = (_MILLISECONDS, *self.latency_names, *self.feature_names)
        self._known: dict[SizedPlace, Floats] = {}
        if known:
            figures = self.figures(known)
            self.frontier = Frontier.of(figures.latency_ms, figures.accuracy)

    def costs(self, batch: LayerBatch, sides: Floats) -> Floats:
        """The additive costs of a batch of layers, columns `names`; `sides` (layers,) are those of their networks.

        Latency is that of the layers, accuracy that of the same layers on ImageNet.
        """
        keys = batch.keys or [""] * len(batch.params)
        latency = self.latency.packed_costs(keys, batch.operators, batch.owner)
        judged = batch.judged
        features = operator_features(judged.operators, sides[judged.owner], judged.classifier)
        return np.concatenate((latency.mean_ms[:, None], latency.features, layer_sums(features, judged)), axis=1)

    def compile(self, space: SearchSpace) -> CompiledSpace:
        """The space with these models' costs."""
        latency = self.latency
        return CompiledSpace(space, self.costs, names=self.names, keys=latency.needs_keys, runtime=latency.runtime)

    def sums(self, architectures: Sequence[Architecture]) -> Floats:
        """Parameters, MACs and the columns `names`, summed over the layers of each network, shape (n, columns)."""
        chains = [[(place, network.side) for place in places_of(network)] for network in architectures]
        costs = self.layer_costs([place for chain in chains for place in chain])
        starts = np.cumsum([0, *(len(chain) for chain in chains[:-1])])
        return np.asarray(np.add.reduceat(costs, starts, axis=0))

    def layer_costs(self, places: Sequence[SizedPlace]) -> Floats:
        """The same columns for layers in their places, with the sides of their networks: (layers, columns)."""
        self._learn([place for place in places if place not in self._known])
        return np.stack([self._known[place] for place in places])

    def figures(self, architectures: Sequence[Architecture]) -> Figures:
        """Exact figures of networks given one by one."""
        resolution = np.array([network.side for network in architectures])
        return self.figures_of_sums(self.sums(architectures), resolution)

    def figures_of_sums(self, sums: Floats, resolution: Floats) -> Figures:
        """Exact figures from `sums` (n, columns) and `resolution` (n,)."""
        first, k = len(_PER_NETWORK), len(self.latency_names)
        mean_ms = self.latency.fixed_ms + sums[:, first]
        _, high_ms = self.latency.bounds(mean_ms, sums[:, first + 1 : first + 1 + k])
        operators = sums[:, first + 1 + k :]
        features = network_features(operators, resolution).astype(np.float64)
        mean, low, high = self.accuracy.prior.predict_features(features)
        novelty = self.accuracy.prior.novelty.distance(operators, resolution)
        return Figures(
            params=sums[:, 0],
            macs=sums[:, 1],
            latency_ms=mean_ms,
            bounded_ms=self.limits.bounded_ms(mean_ms, high_ms),
            accuracy=mean,
            accuracy_low=low,
            accuracy_high=high,
            novelty=novelty,
            ranked=self.limits.ranked(low, novelty=novelty, gain=self.gain(mean_ms, mean)),
        )

    def gain(self, latency_ms: Floats, accuracy: Floats) -> Floats | None:
        """How far networks (n,) lie above the known ones of their latency; None where there are none."""
        return None if self.frontier is None else self.frontier.gain(latency_ms, accuracy)

    def indistinguishable(self, network: Architecture, others: Sequence[Architecture]) -> list[bool]:
        """For each of `others` whether the 90 % interval of the difference in accuracy to `network` holds 0."""
        operators = self.sums([network, *others])[:, len(_PER_NETWORK) + 1 + len(self.latency_names) :]
        resolution = np.array([n.side for n in (network, *others)])
        features = network_features(operators, resolution)
        found = []
        for other in features[1:]:
            _, low, high = self.accuracy.prior.difference(features[0], other)
            found.append(low <= 0.0 <= high)
        return found

    def accuracy_estimates(self, figures: Figures) -> list[AccuracyEstimate]:
        """The accuracies of `figures` as records."""
        columns = zip(figures.accuracy, figures.accuracy_low, figures.accuracy_high, strict=True)
        recipe = str(self.accuracy.prior.recipe)
        return [
            AccuracyEstimate(mean=float(mean), low=float(low), high=float(high), recipe=recipe, source="predicted")
            for mean, low, high in columns
        ]

    def _learn(self, places: Sequence[SizedPlace]) -> None:
        new = list(dict.fromkeys(places))
        if not new:
            return
        batch = LayerBatch.of_places([place for place, _ in new], self.latency.runtime)
        own = np.stack((batch.params, batch.macs), axis=1)
        costs = np.concatenate((own, self.costs(batch, np.array([side for _, side in new]))), axis=1)
        self._known.update(zip(new, costs, strict=True))


class SpaceProblem:
    """A compiled space as a strategy sees it: codes, and what they are worth.

    `exact` predicts accuracy as it is reported; otherwise by `Prior.screen`, many times faster and slightly lower.
    """

    def __init__(self, space: SearchSpace, models: Models, *, exact: bool = False) -> None:
        self.space = space
        self.compiled = models.compile(space)
        self._models = models
        self._exact = [self.compiled.columns([name]) for name in (_MILLISECONDS, *_PER_NETWORK)]
        self._predicts_exactly = exact
        features = self.compiled.columns(models.feature_names)
        self._features: NDArray[np.floating] = features if exact else features.astype(np.float32)
        self._bounds = self.compiled.columns(models.latency_names)
        self._resolutions = np.array(space.sides, dtype=np.float32)

    @property
    def cardinalities(self) -> NDArray[np.int64]:
        """Number of choices of each gene."""
        return self.space.cardinalities

    def canonical(self, codes: Codes) -> Codes:
        """Canonical codes."""
        return self.space.canonical(codes)

    def latency_ms(self, codes: Codes) -> Floats:
        """Milliseconds of each code, shape (n,)."""
        parts = [self._sum(self._exact[0], self.compiled.rows(chunk)) for chunk in _chunks(codes)]
        return np.asarray(self._models.latency.fixed_ms + np.concatenate(parts))

    def macs(self, codes: Codes) -> Floats:
        """MACs of each code, shape (n,)."""
        return np.concatenate([self._sum(self._exact[2], self.compiled.rows(chunk)) for chunk in _chunks(codes)])

    def evaluate(self, codes: Codes) -> Evaluation:
        """Latency, accuracy and limits of each code."""
        found = [self._evaluate(chunk) for chunk in _chunks(codes)]
        joined = [np.concatenate(columns) for columns in zip(*found, strict=True)]
        limits = self._models.limits
        return Evaluation(
            latency_ms=joined[0],
            accuracy=joined[1],
            accuracy_low=joined[2],
            excess=limits.excess(joined[3], joined[4]) if len(joined) > 3 else None,
        )

    def _evaluate(self, codes: Codes) -> list[Floats]:
        models = self._models
        rows = self.compiled.rows(codes)
        mean_ms = models.latency.fixed_ms + self._sum(self._exact[0], rows)
        high_ms = mean_ms
        if models.limits.confidence is not None:
            _, high_ms = models.latency.bounds(mean_ms, self._sum(self._bounds, rows))
        resolution = self._resolutions[codes[:, self.space.columns["resolution"]]]
        sums, prior = self._sum(self._features, rows), models.accuracy.prior
        features = network_features(sums, resolution)
        if self._predicts_exactly:
            mean, ranked, _ = prior.predict_features(features.astype(np.float64))
        else:
            mean, ranked = (column.astype(np.float64) for column in prior.screen(features.astype(np.float32)))
        limits = models.limits
        novelty = None if limits.max_novelty is None else prior.novelty.distance(sums, resolution)
        ranked = limits.ranked(ranked, novelty=novelty, gain=models.gain(mean_ms, mean))
        found = [models.limits.bounded_ms(mean_ms, high_ms), mean, ranked]
        if models.limits.max_params is not None or models.limits.max_macs is not None:
            found += [self._sum(self._exact[1], rows), self._sum(self._exact[2], rows)]
        return found

    @staticmethod
    def _sum(table: NDArray[np.floating], rows: Sequence[tuple[NDArray[np.int32], NDArray[np.int32] | None]]) -> Any:
        """The sum of a table's entries (or rows) over the parts of each network."""
        total = np.zeros((len(rows[0][0]), *table.shape[1:]), dtype=table.dtype)
        for places, times in rows:
            found = table.take(places, axis=0)
            if times is None:
                total += found
            else:
                total += found * (times if table.ndim == 1 else times[:, None].astype(table.dtype))
        return total


def _chunks(codes: Codes) -> list[Codes]:
    """Codes in portions that keep the gathered rows in the cache."""
    return [codes[start : start + _CHUNK] for start in range(0, len(codes), _CHUNK)]


__all__ = ["Figures", "Limits", "Models", "SpaceProblem"]
