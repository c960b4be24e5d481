"""A search space compiled to arrays: what a million codes cost is a few gathers and sums.

In a chain of blocks the cost of a block depends on a handful of genes: its own, the width before it, the resolution.
Every part of a network (stem, transition, block, head) is therefore a place in one table of additive costs, found from
its genes by lookups. The table is filled by building each block once for whole batches of sizes
(`nas.space.compile.batch`) and asking the models for the costs of all its operators at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.blocks import BLOCKS
from nas.runtimes import OWN, Runtime
from nas.space.architecture import IMAGENET_CHANNELS, IMAGENET_CLASSES, Layer
from nas.space.compile.batch import LayerBatch, build_batch
from nas.space.compile.lookup import Ints, Lookup, affine
from nas.space.compile.variants import Variants, grid
from nas.space.search_space import Codes, SearchSpace
from nas.space.stage import Stage, se_flags

Floats = NDArray[np.float64]
Costs = Callable[[LayerBatch, Floats], Floats]
"""(layers, the side in pixels of each one's network (layers,)) → additive costs, shape (layers, columns)."""

Compiled = Callable[[int, int], None]
"""Told of (layers that are compiled, all)."""

Sizes = tuple[Any, ...]
"""(channels, height, width) of n maps, each a number or an array (n,)."""

_ABSENT = -(2**30)
"""Added to a row, it leads to the first one, whose costs are 0."""


def layer_sums(values: Floats, batch: LayerBatch) -> Floats:
    """Sums of per-operator `values` (operators, columns) over each layer of a batch, shape (layers, columns)."""
    count = len(batch.params)
    return np.stack([np.bincount(batch.owner, column, count) for column in values.T], axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One part of every network: its row in the table is the sum of `places`, and it counts `times` (None: once)."""

    places: tuple[Lookup, ...]
    times: Lookup | None = None

    @property
    def genes(self) -> frozenset[str]:
        """The columns that make a difference to it: genes, and what is derived from them (`CompiledSpace.rows`)."""
        lookups = self.places if self.times is None else (*self.places, self.times)
        return frozenset(gene for lookup in lookups for gene in lookup.genes)

    def rows(self, columns: Mapping[str, Ints], known: dict[Lookup, Ints]) -> tuple[Ints, Ints | None]:
        """Its rows in the table and how often they count, where `columns` gives each of `genes`; `known` keeps the
        first places, which the blocks of a stage share."""
        first, *others = self.places
        if first not in known:
            known[first] = first.of(columns)
        rows = known[first]
        for lookup in others:
            rows = rows + lookup.of(columns)
        return np.maximum(rows, 0), None if self.times is None else self.times.of(columns)


class CompiledSpace:
    """The costs of a space's networks, as one table and the places of its parts.

    `costs` turns layers into additive columns called `names`; "params" and "macs" come before them. With `peaks` a last
    column "peak" holds the most numbers alive at once in a part: of a network that is the greatest over its parts, not
    their sum, since between two layers a single map is alive. With `keys` the layers carry their segments' canonical
    texts (for devices whose tables hold measured rows); the operators are those that `runtime` executes, by default the
    networks' own. `table` has shape (rows, columns); `places` are the parts of the stem, of each stage, of the head.
    `progress` is told now and then how many layers are compiled. With `table`, that of the same space with the same
    costs, nothing is built; `ValueError` for one of another size.
    """

    def __init__(
        self,
        space: SearchSpace,
        costs: Costs,
        *,
        names: Sequence[str],
        peaks: bool = False,
        keys: bool = False,
        runtime: Runtime = OWN,
        progress: Compiled = lambda done, of: None,
        table: Floats | None = None,
    ) -> None:
        self.space, self._given = space, table
        self.names = ("params", "macs", *names, *(["peak"] if peaks else []))
        self._costs, self._keys, self._runtime, self._peaks = costs, keys, runtime, peaks
        self._blocks: list[Floats] = [np.zeros((1, len(self.names)))]  # row 0 stands for an absent part
        self._num_rows = 1
        strides = sorted(set(space.stem_strides))
        self._derived = {
            "early": Lookup(["stem"], np.array([strides.index(stride) for stride in space.stem_strides])),
            "in0": Lookup(["stem"], np.array([space.widths_before[0].index(width) for width in space.stem_widths])),
        }
        self._progress, self._done, self._of = progress, 0, _count_layers(space)
        stem = [self._stem()]
        stages = [list(self._stage(position)) for position in range(len(space.stages))]
        self.places = (stem, *stages, [self._head()])
        self._parts = [part for parts in self.places for part in parts]
        self.table = np.concatenate(self._blocks) if table is None else table
        if self.table.shape != (self._num_rows, len(self.names)):
            raise ValueError(f"the table must be {(self._num_rows, len(self.names))}, but is {self.table.shape}")
        self._blocks, self._given = [], None

    def rows(self, codes: Codes) -> list[tuple[Ints, Ints | None]]:
        """For each part the rows in `table` (n,), and how often they count (None: once).

        Fastest with a few thousand codes at a time, whose arrays stay in the processor's cache.
        """
        columns = dict(zip(self.space.genes, np.ascontiguousarray(np.asarray(codes).T, dtype=np.int32), strict=True))
        for name, lookup in self._derived.items():
            columns[name] = lookup.of(columns)
        known: dict[Lookup, Ints] = {}
        return [part.rows(columns, known) for part in self._parts]

    def columns(self, names: Sequence[str]) -> Floats:
        """Columns of the table, contiguous, shape (rows,) for one name and (rows, names) for several."""
        found = self.table[:, [self.names.index(name) for name in names]]
        return np.ascontiguousarray(found[:, 0] if len(names) == 1 else found)

    def join(self, other: CompiledSpace) -> None:
        """Take over the columns of the same space, compiled for another runtime; its rows are the same."""
        names = [name for name in other.names if name not in self.names]
        self.table = np.concatenate((self.table, other.columns(names).reshape(len(self.table), -1)), axis=1)
        self.names = (*self.names, *names)

    def _add(self, count: int, values: Callable[[], Floats]) -> int:
        """Append `count` rows to the table; the number of the first."""
        start = self._num_rows
        if self._given is None:
            self._blocks.append(values())
        self._num_rows += count
        return start

    def _built(self, block: str, args: Mapping[str, Any], shape: Sizes, count: int) -> LayerBatch:
        """`count` layers of one block, in a network of this space."""
        classes = self.space.num_classes
        return build_batch(
            block, args, shape, count, classes, keys=self._keys, runtime=self._runtime, peaks=self._peaks
        )

    def _layer_costs(self, batch: LayerBatch, sides: Floats) -> Floats:
        """The costs of n layers, shape (n, columns); `sides` (n,) are those of their networks."""
        own = np.stack((batch.params, batch.macs), axis=1).astype(np.float64)
        peaks = [] if batch.peaks is None else [batch.peaks[:, None]]
        return np.concatenate((own, self._costs(batch, sides), *peaks), axis=1)

    def _chain_costs(self, layers: Sequence[Layer], shape: Sizes, sides: Floats, judged: Sizes | None = None) -> Floats:
        """The costs of a chain of given layers, shape (n, columns); sizes and `sides` have shape (n,).

        `judged` is what the chain reads in the network for ImageNet, None where that is `shape`.
        """
        total = np.zeros((len(sides), len(self.names)))
        for layer in layers:
            block, args, count = layer.block, dict(layer.args), len(sides)
            batch = self._built(block, args, shape, count)
            ends = BLOCKS.get(block, "layer").takes_classes and self.space.num_classes != IMAGENET_CLASSES
            if ends or judged is not None:
                other = build_batch(block, args, judged or shape, count, IMAGENET_CLASSES, keys=False, runtime=OWN)
                batch = replace(batch, on_imagenet=other)
            costs = self._layer_costs(batch, sides)
            peak = np.maximum(total[:, -1], costs[:, -1])
            total += costs
            if self._peaks:
                total[:, -1] = peak
            shape, judged = batch.output, batch.on_imagenet.output if batch.on_imagenet else None
        return total

    def _stem(self) -> Part:
        space, sides = self.space, np.array(self.space.sides)
        image = tuple(np.array(space.sizes, dtype=np.int64).T)
        judged = None if space.in_channels == IMAGENET_CHANNELS else (IMAGENET_CHANNELS, *image)

        def costs() -> Floats:
            shape = (space.in_channels, *image)
            return np.concatenate([self._chain_costs(stem, shape, sides, judged) for stem in space.stems])

        start = self._add(len(space.stems) * len(sides), costs)
        sizes = (len(self.space.stems), len(sides))
        return Part((Lookup(["stem", "resolution"], affine(start, (len(sides), 1), sizes)),))

    def _head(self) -> Part:
        space, last = self.space, len(self.space.stages)
        resolution, width = grid(range(len(space.resolutions)), space.widths_before[last])
        sides, strides = np.array(space.sides)[resolution], space.telling_strides(last)
        shapes = [(width, *space.map_sizes(resolution, space.reduction(last, stride))) for stride in strides]

        def costs() -> Floats:
            return np.concatenate([self._chain_costs(head, shape, sides) for head in space.heads for shape in shapes])

        start = self._add(len(space.heads) * len(strides) * len(sides), costs)
        widths, early = len(space.widths_before[last]), len(set(space.stem_strides))
        steps = (len(strides) * len(sides), len(sides) if len(strides) > 1 else 0, widths, 1)
        sizes = (len(space.heads), early, len(space.resolutions), widths)
        return Part((Lookup(["head", "early", "resolution", f"in{last}"], affine(start, steps, sizes)),))

    def _stage(self, position: int) -> Iterator[Part]:
        """The parts of a stage: entry, inner blocks one by one, and those beyond the free ones by their SE flag."""
        stage, space = self.space.stages[position], self.space
        self._derived |= _widths_behind(space, position)
        cases = (len(stage.kinds), len(stage.depth), len(stage.se))
        name = stage.name
        own = [f"{name}.kind", f"{name}.depth", f"{name}.se"]
        self._derived[f"{name}.case"] = Lookup(own, np.arange(np.prod(cases)).reshape(cases))
        kinds = [space.kinds[kind] for kind in stage.kinds]
        entry = _StageRows(
            stage, position, [self._fill(Variants(space, position, kind, inner=False)) for kind in kinds]
        )
        inner = _StageRows(stage, position, [self._fill(Variants(space, position, kind, inner=True)) for kind in kinds])
        yield Part((entry.shared, entry.block(1)))
        changes = [kind.transition is not None for kind in kinds]
        if any(changes):
            yield Part((inner.shared, inner.block(1, only=changes)))
        for block in range(2, stage.num_free + 1):
            yield Part((inner.shared, inner.block(block)))
        for flag in (0, 1):
            times = _beyond(stage, flag)
            if times.any():
                case = np.broadcast_to(times, cases).reshape(-1)
                yield Part((inner.shared, inner.tail(flag)), Lookup([f"{name}.case"], case))

    def _fill(self, variants: Variants) -> _KindRows:
        """Add the costs of all `variants` to the table; where they stand."""
        start = self._add(len(variants), lambda: self._costs_of(variants))
        steps, step = {}, 1
        for axis, choices in reversed(variants.axes.items()):
            steps[axis] = step if len(choices) > 1 else 0
            step *= len(choices)
        return _KindRows(start, steps, {axis: len(choices) for axis, choices in variants.axes.items()})

    def _costs_of(self, variants: Variants) -> Floats:
        """The costs of all `variants`, in their order."""
        blocks = []
        for batch in variants:
            shape, count = (batch.inputs, batch.height, batch.breadth), len(batch.side)
            layers = self._built(batch.block, batch.args, shape, count)
            costs = self._layer_costs(layers, batch.side)
            if variants.is_transition and batch.stride == 1:
                costs[batch.inputs == batch.width] = 0.0  # no transition where nothing changes
            blocks.append(costs)
            self._done += count
            self._progress(self._done, self._of)
        return np.concatenate(blocks)


def _count_layers(space: SearchSpace) -> int:
    """How many layers the stages have, over all choices that decide them."""
    return sum(
        len(Variants(space, position, space.kinds[kind], inner=inner))
        for position, stage in enumerate(space.stages)
        for kind in stage.kinds
        for inner in (False, True)
    )


@dataclass(frozen=True, slots=True)
class _KindRows:
    """Where the layers of one kind stand: the first row, and for each axis its step and its number of choices."""

    start: int
    steps: Mapping[str, int]
    sizes: Mapping[str, int]


class _StageRows:
    """The rows of one place of a stage, for all its kinds: what the whole stage decides, and what a block decides."""

    def __init__(self, stage: Stage, position: int, kinds: Sequence[_KindRows]) -> None:
        self._stage, self._kinds = stage, kinds
        name = stage.name
        genes = {"early": "early", "resolution": "resolution", "in": f"in{position}"}
        genes |= {"width": f"{name}.width", "act": f"{name}.act"}
        sizes = [max(kind.sizes[axis] for kind in kinds) for axis in genes]
        rows = [affine(kind.start, [kind.steps[axis] for axis in genes], sizes) for kind in kinds]
        self.shared = Lookup([f"{name}.kind", *genes.values()], np.stack(rows))

    def block(self, block: int, *, only: Sequence[bool] | None = None) -> Lookup:
        """What a free block (1, 2, …) adds to `shared`; absent ones, and kinds not in `only`, are led to row 0."""
        stage = self._stage
        rows = self._steps()
        for k in range(len(stage.kinds)):
            for i, depth in enumerate(stage.depth):
                for j, pattern in enumerate(stage.se):
                    if depth < block or (only is not None and not only[k]):
                        rows[k, i, j] = _ABSENT
                    else:
                        rows[k, i, j] += self._kinds[k].steps["se"] * se_flags(pattern, depth)[block - 1]
        return self._lookup(rows, block)

    def tail(self, flag: int) -> Lookup:
        """What the blocks beyond the free ones with this SE flag add to `shared`."""
        rows = self._steps()
        rows += np.array([flag * kind.steps["se"] for kind in self._kinds]).reshape(-1, 1, 1, 1, 1)
        return self._lookup(rows, self._stage.num_free)

    def _steps(self) -> NDArray[np.int64]:
        """What kernel size and expansion ratio add, shape (kinds, depths, SE patterns, kernels, expansions)."""
        stage = self._stage
        sizes = (len(stage.depth), len(stage.se), len(stage.kernel), len(stage.expansion))
        return np.stack(
            [affine(0, (0, 0, kind.steps["kernel"], kind.steps["expansion"]), sizes) for kind in self._kinds]
        )

    def _lookup(self, rows: NDArray[np.int64], block: int) -> Lookup:
        name = self._stage.name
        genes = [f"{name}.case", f"{name}.kernel{block}", f"{name}.expansion{block}"]
        return Lookup(genes, rows.reshape(-1, *rows.shape[3:]))


def _widths_behind(space: SearchSpace, position: int) -> dict[str, Lookup]:
    """The place of the width behind a stage among those that may stand there: its own, or, absent, the one before."""
    stage = space.stages[position]
    before, behind = space.widths_before[position], space.widths_before[position + 1]
    values = np.array(
        [
            [[behind.index(width if depth else came) for width in stage.width] for depth in stage.depth]
            for came in before
        ]
    )
    genes = [f"in{position}", f"{stage.name}.depth", f"{stage.name}.width"]
    return {f"in{position + 1}": Lookup(genes, values)}


def _beyond(stage: Stage, flag: int) -> NDArray[np.int64]:
    """How many blocks beyond the free ones have this SE flag, shape (depths, SE patterns)."""
    return np.array(
        [[se_flags(pattern, depth)[stage.num_free :].count(flag) for pattern in stage.se] for depth in stage.depth]
    )
