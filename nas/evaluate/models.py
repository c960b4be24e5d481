"""A latency and an accuracy model, asked about the same operators: for a compiled space, and for networks one by one.

Both ways ask the same models about the same operators, and read the sums by the same code (`Figures`), so a code of a
space and the network that it stands for are worth the same to the last digits that a sum of numbers can keep.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy

import numpy as np

from nas.accuracy.estimate import AccuracyDifferences
from nas.accuracy.frontier import Frontier
from nas.accuracy.model import AccuracyModel
from nas.accuracy.selection import SELECTION
from nas.evaluate.figures import SINGLE, Figures, Group, Sums
from nas.evaluate.limits import Limits
from nas.evaluate.usual import UsualWidths
from nas.latency.model import LatencyModel
from nas.space.architecture import Architecture
from nas.space.compile.batch import LayerBatch, Place, places_of
from nas.space.compile.compiled import Compiled, CompiledSpace, Floats, layer_sums
from nas.space.search_space import SearchSpace

SizedPlace = tuple[Place, float]
"""A layer in a network, and the side of the network's input."""


class Models:
    """A latency model and an accuracy model, asked about the same operators.

    `known` are the networks whose frontier the claims of others are measured against (`Figures.believed`), those that
    have a latency, and what the widths of intervals are measured against (`Limits.max_interval`); without any, claims
    are taken as they are, and intervals may be as wide as they come out.
    """

    def __init__(
        self, latency: LatencyModel, accuracy: AccuracyModel, limits: Limits, *, known: Sequence[Architecture] = ()
    ) -> None:
        self.latency, self.accuracy, self.limits = latency, accuracy, limits
        self.frontier: Frontier | None = None
        self.usual: UsualWidths | None = None
        self.groups: Mapping[Group, tuple[str, ...]] = {
            "params": ("params",),
            "macs": ("macs",),
            "ms": ("ms",),
            "latency": tuple(f"latency {i}" for i in range(latency.num_features)),
            "accuracy": tuple(f"accuracy {name}" for name in accuracy.columns),
        }
        if latency.operators is None:
            self.groups = {**self.groups, "uncovered": ("uncovered",)}
        self._known: dict[SizedPlace, Floats] = {}
        known = self.covered(known)
        if known:
            figures = self.figures(known)
            self.frontier = Frontier.of(figures.latency_ms, figures.accuracy.mean)
            low, high = figures.interval_ms
            self.usual = UsualWidths.of(figures.latency_ms, np.log(high / low))

    def with_limits(self, limits: Limits) -> Models:
        """The same models under other limits, sharing all that was worked out."""
        other = copy(self)
        other.limits = limits
        return other

    def costs(self, batch: LayerBatch, sides: Floats) -> Floats:
        """The additive costs of a batch of layers, columns of `groups` but for parameters and MACs; `sides` (layers,)
        are those of their networks' inputs.

        Latency is that of the layers, accuracy that of the same layers on ImageNet.
        """
        keys = batch.keys or [""] * len(batch.params)
        latency = self.latency.packed_costs(keys, batch.operators, batch.owner)
        judged = batch.judged
        columns = self.accuracy.operator_columns(judged.operators, sides[judged.owner], judged.classifier)
        parts = [latency.mean_ms[:, None], latency.features, layer_sums(columns, judged)]
        if "uncovered" in self.groups:
            parts.append(np.where(self.latency.covers(keys), 0.0, 1.0)[:, None])
        return np.concatenate(parts, axis=1)

    def compile(self, space: SearchSpace, progress: Compiled = lambda done, of: None) -> CompiledSpace:
        """The space with these models' costs; `progress` is told of the layers that are compiled."""
        names = [name for group in self.groups for name in self.groups[group] if group not in ("params", "macs")]
        latency = self.latency
        keys, runtime = latency.needs_keys, latency.runtime
        return CompiledSpace(space, self.costs, names=names, keys=keys, runtime=runtime, progress=progress)

    def sums(self, architectures: Sequence[Architecture]) -> Floats:
        """All columns of `groups`, summed over the layers of each network, shape (n, columns)."""
        chains = [[(place, network.side) for place in places_of(network)] for network in architectures]
        costs = self.layer_costs([place for chain in chains for place in chain])
        starts = np.cumsum([0, *(len(chain) for chain in chains[:-1])])
        return np.asarray(np.add.reduceat(costs, starts, axis=0))

    def layer_costs(self, places: Sequence[SizedPlace]) -> Floats:
        """The same columns for layers in their places, with the sides of their networks: (layers, columns)."""
        self._learn([place for place in places if place not in self._known])
        return np.stack([self._known[place] for place in places])

    def covered(self, architectures: Sequence[Architecture]) -> Sequence[Architecture]:
        """Those of the networks whose every segment has a latency."""
        if self.latency.operators is not None or not architectures:
            return architectures
        uncovered = self.figures(architectures).uncovered.tolist()
        return [network for network, lacks in zip(architectures, uncovered, strict=True) if not lacks]

    def figures(self, architectures: Sequence[Architecture]) -> Figures:
        """Exact figures of networks given one by one."""
        return self.figures_of_sums(self.sums(architectures), _sides(architectures))

    def figures_of_sums(self, sums: Floats, resolution: Floats) -> Figures:
        """Exact figures from `sums` (n, columns) and `resolution` (n,)."""
        places: dict[Group, int | slice] = {}
        start = 0
        for group, names in self.groups.items():
            places[group] = start if group in SINGLE else slice(start, start + len(names))
            start += len(names)
        return self.figures_by(lambda group: sums[:, places[group]], resolution)

    def figures_by(self, sums: Sums, resolution: Floats, *, quick: bool = False) -> Figures:
        """Figures from `sums` that are looked up when they are needed; quick or exact."""
        return Figures(
            latency=self.latency,
            accuracy_model=self.accuracy,
            limits=self.limits,
            frontier=self.frontier,
            sums=sums,
            resolution=resolution,
            quick=quick,
            usual=self.usual,
        )

    def differences(self, network: Architecture, others: Sequence[Architecture]) -> AccuracyDifferences:
        """How much more accurate `others` are than `network`, with intervals."""
        networks = [network, *others]
        sums = self.figures(networks).sums("accuracy")
        return self.accuracy.differences(np.asarray(sums, dtype=np.float64), _sides(networks))

    def gains(
        self, network: Architecture, known: Sequence[Architecture], *, chosen: bool = True
    ) -> AccuracyDifferences:
        """How much more accurate `network` is than each of `known`: its mean less theirs, with intervals; by default as
        one that a search chose, corrected for that."""
        figures = self.figures([network])
        believed = figures.believed if chosen else figures.accuracy
        return SELECTION.gains(self.differences(network, known), figures.accuracy, believed)

    def _learn(self, places: Sequence[SizedPlace]) -> None:
        new = list(dict.fromkeys(places))
        if not new:
            return
        batch = LayerBatch.of_places([place for place, _ in new], self.latency.runtime)
        own = np.stack((batch.params, batch.macs), axis=1)
        costs = np.concatenate((own, self.costs(batch, np.array([side for _, side in new]))), axis=1)
        self._known.update(zip(new, costs, strict=True))


def _sides(architectures: Sequence[Architecture]) -> Floats:
    """The input sides of networks in pixels, shape (n,)."""
    return np.array([network.side for network in architectures])
