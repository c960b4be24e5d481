"""A latency and an accuracy model, asked about the same operators: for a compiled space, and for networks one by one.

Both ways ask the same models about the same operators, and read the sums by the same code (`Figures`), so a code of a
space and the network that it stands for are worth the same to the last digits that a sum of numbers can keep.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from pathlib import Path

import numpy as np

from nas.accuracy.estimate import AccuracyDifferences
from nas.accuracy.frontier import Frontier
from nas.accuracy.model import AccuracyModel
from nas.accuracy.selection import SELECTION
from nas.evaluate.also import Also, by_runtime
from nas.evaluate.figures import SINGLE, Figures, Group, Sums
from nas.evaluate.kept import compiled_once, content_key
from nas.evaluate.limits import LATENCY, Limits
from nas.evaluate.usual import UsualWidths
from nas.latency.model import LatencyModel
from nas.runtimes import Runtime
from nas.space.architecture import Architecture
from nas.space.compile.batch import LayerBatch, Place, places_of
from nas.space.compile.compiled import Compiled, CompiledSpace, Floats, layer_sums
from nas.space.search_space import SearchSpace

_OWN: frozenset[Group] = frozenset(("params", "macs", "peak"))
"""Groups that layers have whatever the models are."""

SizedPlace = tuple[Place, float]
"""A layer in a network, and the side of the network's input."""


class Models:
    """A latency model and an accuracy model, asked about the same operators.

    `known` are the networks whose frontier the claims of others are measured against (`Figures.believed`), those that
    have a latency; without any, claims are taken as they are. `usual` are those whose intervals say how wide one may be
    (`Limits.max_interval`), by default the same; without any, as wide as it comes out. `also` are further devices,
    whose targets are limits; `aim` is the column of `Figures` that the target is for.
    """

    def __init__(
        self,
        latency: LatencyModel,
        accuracy: AccuracyModel,
        limits: Limits,
        *,
        known: Sequence[Architecture] = (),
        usual: Sequence[Architecture] | None = None,
        also: Sequence[Also] = (),
        aim: str = LATENCY,
    ) -> None:
        self.latency, self.accuracy, self.limits, self.also, self.aim = latency, accuracy, limits, tuple(also), aim
        self._runtimes = by_runtime(self.also)
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
        if self.also:
            columns = tuple(name for i in range(len(self.also)) for name in self._also_names(i))
            self.groups = {**self.groups, "also": columns}
        if self._peaks:
            self.groups = {**self.groups, "peak": ("peak",)}
        self._known: dict[SizedPlace, Floats] = {}
        known = self.covered(known)
        if known:
            figures = self.figures(known)
            self.frontier = Frontier.of(figures.latency_ms, figures.accuracy.mean)
        usual = known if usual is None else self.covered(usual)
        if usual:
            figures = self.figures(usual)
            low, high = figures.interval_ms
            self.usual = UsualWidths.of(figures.latency_ms, np.log(high / low))

    def with_limits(self, limits: Limits) -> Models:
        """The same models under other limits, sharing all that was worked out."""
        other = copy(self)
        other.limits = limits
        return other

    @property
    def _peaks(self) -> bool:
        """Whether anybody asks how much memory layers need."""
        return self.limits.max_memory_bytes is not None

    def costs(self, batch: LayerBatch, sides: Floats) -> Floats:
        """The additive costs of a batch of layers, columns of `groups` but for parameters, MACs and peaks; `sides`
        (layers,) are those of their networks' inputs.

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

    def compile(
        self, space: SearchSpace, progress: Compiled = lambda done, of: None, *, kept: Path | None = None
    ) -> CompiledSpace:
        """The space with these models' costs, compiled once for each runtime among the devices; `progress` is told of
        the layers that are compiled, `kept` is a folder where tables are kept (`nas.evaluate.kept`)."""
        runtimes = list(dict.fromkeys((self.latency.runtime, *self._runtimes)))
        parts: list[CompiledSpace] = []

        def told(done: int, of: int) -> None:
            progress(len(parts) * of + done, len(runtimes) * of)

        for runtime in runtimes:
            parts.append(self._compiled(space, runtime, told, kept))
        for other in parts[1:]:
            parts[0].join(other)
        return parts[0]

    def _compiled(self, space: SearchSpace, runtime: Runtime, progress: Compiled, kept: Path | None) -> CompiledSpace:
        """The space with the costs of the devices of one runtime, and all that is no latency beside the first's."""
        is_first, further = runtime == self.latency.runtime, self._runtimes.get(runtime, [])
        models = [self.latency] * is_first + [self.also[i].latency for i in further]
        groups = [group for group in self.groups if group not in _OWN and group != "also"] if is_first else []
        names = [name for group in groups for name in self.groups[group]]
        names += [name for i in further for name in self._also_names(i)]

        def costs(batch: LayerBatch, sides: Floats) -> Floats:
            own = [self.costs(batch, sides)] if is_first else []
            return np.concatenate((*own, *(self.also[i].costs(batch, self.limits) for i in further)), axis=1)

        peaks = self._peaks and is_first

        def make(table: Floats | None) -> CompiledSpace:
            keys = any(model.needs_keys for model in models)
            return CompiledSpace(
                space, costs, names=names, peaks=peaks, keys=keys, runtime=runtime, progress=progress, table=table
            )

        key = None if kept is None else content_key(space, models, self.accuracy, names, peaks, runtime.name)
        return compiled_once(kept, key, make)

    def _also_names(self, position: int) -> list[str]:
        """The columns of a further device in the compiled space."""
        return [f"also {position} {column}" for column in self.also[position].columns(self.limits)]

    def sums(self, architectures: Sequence[Architecture]) -> Floats:
        """All columns of `groups` over the layers of each network, as `Sums` says, shape (n, columns)."""
        chains = [[(place, network.side) for place in places_of(network)] for network in architectures]
        costs = self.layer_costs([place for chain in chains for place in chain])
        starts = np.cumsum([0, *(len(chain) for chain in chains[:-1])])
        sums = np.asarray(np.add.reduceat(costs, starts, axis=0))
        if self._peaks:
            sums[:, -1] = np.maximum.reduceat(costs[:, -1], starts)
        return sums

    def replaced(self, sums: Floats, layers: Floats, positions: Sequence[int], new: Floats) -> Floats:
        """`sums` (columns,) of a network with `layers` (layers, columns), where those at `positions` cost `new`."""
        changed = sums + new.sum(axis=0) - layers[positions].sum(axis=0)
        if self._peaks:
            changed[-1] = max(new[:, -1].max(), np.delete(layers[:, -1], positions).max(initial=0.0))
        return np.asarray(changed)

    def layer_costs(self, places: Sequence[SizedPlace]) -> Floats:
        """The same columns for layers in their places, with the sides of their networks: (layers, columns)."""
        self._learn([place for place in places if place not in self._known])
        return np.stack([self._known[place] for place in places])

    @property
    def tables(self) -> list[tuple[LatencyModel, str]]:
        """The devices that have a table alone, with the column of a compiled space that counts what it lacks."""
        columns = ("uncovered", *(f"also {i} uncovered" for i in range(len(self.also))))
        devices = (self.latency, *(one.latency for one in self.also))
        return [(one, column) for one, column in zip(devices, columns, strict=True) if one.operators is None]

    def covered(self, architectures: Sequence[Architecture]) -> Sequence[Architecture]:
        """Those of the networks whose every segment has a latency, on every device."""
        if not architectures or not self.tables:
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
            also=self.also,
            aim=self.aim,
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
        chosen = [place for place, _ in new]
        batch = LayerBatch.of_places(chosen, self.latency.runtime, peaks=self._peaks)
        own = np.stack((batch.params, batch.macs), axis=1)
        further: dict[int, Floats] = {}
        for runtime, positions in self._runtimes.items():
            lowered = batch if runtime == self.latency.runtime else LayerBatch.of_places(chosen, runtime)
            further |= {i: self.also[i].costs(lowered, self.limits) for i in positions}
        costs = self.costs(batch, np.array([side for _, side in new]))
        peaks = [] if batch.peaks is None else [batch.peaks[:, None]]
        costs = np.concatenate((own, costs, *(further[i] for i in range(len(self.also))), *peaks), axis=1)
        self._known.update(zip(new, costs, strict=True))


def _sides(architectures: Sequence[Architecture]) -> Floats:
    """The input sides of networks in pixels, shape (n,)."""
    return np.array([network.side for network in architectures])
