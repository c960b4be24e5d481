"""What of a space has a latency, on a device whose table is all that it has.

A network has a latency where each of its layers has a row. In a chain the layers of a stage depend on the input size,
on the width before the stage and on the stage's own genes; and those of one block on its own genes alone, once these
are chosen. So all networks are looked at exactly, stage by stage, without listing them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.latency.model import LatencyModel
from nas.latency.table.rows import shortened
from nas.space.compile.compiled import CompiledSpace, Part
from nas.space.search_space import SearchSpace

Bools = NDArray[np.bool_]

_SAMPLED = 20
"""Networks that examples of layers without a row are taken from."""
_LISTED = 8
"""Genes that an error names before it counts the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceCoverage:
    """What a table covers of a space.

    Of the `layers` that its networks may have, each counted once for a place of the space and an input size, `lacking`
    have no row. `closed` maps genes to those of their choices that
    no network has whose layers all have rows; `choices` is how many choices the genes have that have more than one;
    `is_empty` says that there is no network at all whose layers all have rows.
    """

    layers: int
    lacking: int
    choices: int
    closed: Mapping[str, tuple[Any, ...]]

    is_empty: bool

    @property
    def num_closed(self) -> int:
        """How many choices are closed."""
        return sum(len(values) for values in self.closed.values())


def lacking_text(found: SpaceCoverage, space: SearchSpace, latency: LatencyModel) -> str:
    """What layers of `space` the table of `latency` lacks, and what that closes: a sentence without its end."""
    segments = [s for network in space.sample(_SAMPLED, np.random.default_rng(0)) for s in latency.segments(network)]
    covered = latency.covers([segment.key for segment in segments])
    keys = dict.fromkeys(s.key for s, has in zip(segments, covered, strict=True) if not has)
    such = f" (such as {', '.join(f'[{shortened(key, 64)}]' for key in list(keys)[:3])})" if keys else ""
    text = (
        f"the table of {latency.device.name} must have a row for every layer that networks of {space.name} may have,"
        f" but lacks {found.lacking:,} of {found.layers:,}{such}; "
    )
    if found.is_empty:
        return f"{text}no network of the space has rows for all of its layers"
    closed = [f"{gene} {', '.join(map(str, values))}" for gene, values in found.closed.items()]
    more = f" and choices of {len(closed) - _LISTED} more genes" if len(closed) > _LISTED else ""
    named = f": {'; '.join(closed[:_LISTED])}{more}" if closed else ""
    return f"{text}{found.num_closed} of the space's {found.choices} choices are in no network that it covers{named}"


def space_coverage(compiled: CompiledSpace, column: str = "uncovered") -> SpaceCoverage:
    """The coverage of a space that was compiled with the `column` of a table (`Models.tables`)."""
    return _Chain(compiled, column).coverage()


@dataclass(frozen=True, slots=True)
class _Stage:
    """A stage: for each combination of what its layers share, shape (resolution, early, in, case, width, act), which
    blocks have rows; `blocks` maps a block's number to the same with axes (…, kernel, expansion) at the end."""

    shared: Bools
    blocks: Mapping[int, Bools]

    def open(self, block: int = 0, gene: int = 0, choice: int = 0) -> Bools:
        """Where all layers have rows for some genes of the blocks; of `block` the gene 0 (kernel) or 1 (expansion) has
        `choice`."""
        found = self.shared
        for number, rows in self.blocks.items():
            if number == block:
                rows = rows.take([choice], axis=rows.ndim - 2 + gene)
            found = found & _any(rows, (-2, -1))
        return found


class _Chain:
    """A compiled space, the rows that lack, and what may come before and behind each stage."""

    def __init__(self, compiled: CompiledSpace, column: str) -> None:
        self._compiled, self._space = compiled, compiled.space
        self._lacks = compiled.columns([column]) > 0.0
        self._met = np.zeros(len(self._lacks), dtype=np.bool_)
        space = self._space
        strides = sorted(set(space.stem_strides))
        self._sizes = (len(space.resolutions), len(strides))
        self._early = [strides.index(stride) for stride in space.stem_strides]
        self._in0 = [space.widths_before[0].index(width) for width in space.stem_widths]

    def coverage(self) -> SpaceCoverage:
        space, places = self._space, self._compiled.places
        count, sides = len(space.stages), len(space.resolutions)
        stems = self._rows(places[0][0], ["resolution", "stem"], np.ones((sides, len(space.stems)), dtype=np.bool_))
        met, stages = self._behind_stems(np.ones_like(stems)), []
        for i in range(count):
            stages.append(self._stage(i, met))
            met = self._forward(i, met, np.ones_like(stages[i].shared))
        last = np.repeat(met[:, :, None], len(space.heads), axis=2)
        heads = self._rows(places[-1][0], ["resolution", "early", "head", f"in{count}"], last)
        before = [self._behind_stems(stems)]
        for i, stage in enumerate(stages):
            before.append(self._forward(i, before[-1], stage.open()))
        behind = [_any(heads, 2)]
        for i in reversed(range(count)):
            behind.insert(0, self._backward(i, behind[0], stages[i].open()))
        used: dict[str, Bools] = {"resolution": _any(before[0] & behind[0], (1, 2))}
        used["stem"] = np.array(
            [(stems[:, s] & behind[0][:, self._early[s], self._in0[s]]).any() for s in range(len(space.stems))]
        )
        used["head"] = _any(heads & before[-1][:, :, None], (0, 1, 3))
        for i, stage in enumerate(stages):
            used |= self._stage_genes(i, stage, before[i], behind[i + 1])
        counted = {gene: choices for gene, choices in space.genes.items() if len(choices) > 1}
        closed = {
            gene: tuple(choice for choice, is_open in zip(choices, used[gene], strict=True) if not is_open)
            for gene, choices in counted.items()
        }
        return SpaceCoverage(
            layers=int(self._met.sum()),
            lacking=int((self._met & self._lacks).sum()),
            is_empty=not used["resolution"].any(),
            choices=sum(map(len, counted.values())),
            closed={gene: values for gene, values in closed.items() if values},
        )

    def _rows(self, part: Part, axes: Sequence[str], met: Bools) -> Bools:
        """Where a part has its row or is absent, for all combinations of the columns `axes`, of which networks meet
        those that `met` says; of its shape."""
        grid = np.meshgrid(*(np.arange(size, dtype=np.int32) for size in met.shape), indexing="ij")
        columns = {axis: values.ravel() for axis, values in zip(axes, grid, strict=True)}
        for stage in self._space.stages:
            if f"{stage.name}.case" in columns:
                patterns = np.int32(len(stage.depth) * len(stage.se))
                columns[f"{stage.name}.kind"] = columns[f"{stage.name}.case"] // patterns
        rows, times = part.rows(columns, {})
        present = met.ravel() if times is None else met.ravel() & (times > 0)
        self._met[rows[present]] = True
        self._met[0] = False
        return np.asarray(~(self._lacks[rows] & present)).reshape(met.shape)

    def _stage(self, position: int, before: Bools) -> _Stage:
        """The stage at `position`; `before` says what networks may have before it, shape (resolution, early, in)."""
        stage = self._space.stages[position]
        name = stage.name
        axes = ["resolution", "early", f"in{position}", f"{name}.case", f"{name}.width", f"{name}.act"]
        own = (len(stage.kinds) * len(stage.depth) * len(stage.se), len(stage.width), len(stage.act))
        met = np.broadcast_to(before[..., None, None, None], (*before.shape, *own))
        sizes = (len(stage.kernel), len(stage.expansion))
        shared = np.ones(met.shape, dtype=np.bool_)
        blocks: dict[int, Bools] = {}
        for part in self._compiled.places[position + 1]:
            number = _block(part, name)
            if number is None:
                shared &= self._rows(part, axes, met)
                continue
            genes = [f"{name}.kernel{number}", f"{name}.expansion{number}"]
            found = self._rows(part, [*axes, *genes], np.broadcast_to(met[..., None, None], (*met.shape, *sizes)))
            blocks[number] = blocks[number] & found if number in blocks else found
        return _Stage(shared, blocks)

    def _behind_stems(self, stems: Bools) -> Bools:
        """Which widths may stand before the first stage, shape (resolution, early, in)."""
        found = np.zeros((*self._sizes, len(self._space.widths_before[0])), dtype=np.bool_)
        for s, (early, width) in enumerate(zip(self._early, self._in0, strict=True)):
            found[:, early, width] |= stems[:, s]
        return found

    def _widths(self, position: int) -> NDArray[np.int64]:
        """The place of the width behind a stage, shape (in, case, width)."""
        space, stage = self._space, self._space.stages[position]
        came, behind = space.widths_before[position], space.widths_before[position + 1]
        by_depth = np.array(
            [[[behind.index(w if d else c) for w in stage.width] for d in stage.depth] for c in came], dtype=np.int64
        )
        depth = np.tile(np.repeat(np.arange(len(stage.depth)), len(stage.se)), len(stage.kinds))
        return np.asarray(by_depth[:, depth])

    def _forward(self, position: int, before: Bools, is_open: Bools) -> Bools:
        """Which widths may stand behind a stage, shape (resolution, early, out)."""
        able = (_any(is_open, -1) & before[..., None, None]).reshape(*self._sizes, -1)
        places = self._widths(position).ravel()
        found = np.zeros((*self._sizes, len(self._space.widths_before[position + 1])), dtype=np.bool_)
        for place in range(found.shape[-1]):
            found[..., place] = _any(able[..., places == place], -1)
        return found

    def _backward(self, position: int, behind: Bools, is_open: Bools) -> Bools:
        """Before which a stage and all that follows can stand, shape (resolution, early, in)."""
        goes_on = behind[..., self._widths(position)]
        return _any(_any(is_open, -1) & goes_on, (-2, -1))

    def _stage_genes(self, position: int, stage: _Stage, before: Bools, behind: Bools) -> dict[str, Bools]:
        """For each gene of a stage which of its choices some network uses whose layers all have rows."""
        own = self._space.stages[position]
        goes_on = before[..., None, None, None] & behind[..., self._widths(position)][..., None]
        shape = (len(own.kinds), len(own.depth), len(own.se), len(own.width), len(own.act))

        def of_shared(is_open: Bools) -> Bools:
            """Shape (kind, depth, se, width, act)."""
            return _any(is_open & goes_on, (0, 1, 2)).reshape(shape)

        whole = of_shared(stage.open())
        present = np.array([depth > 0 for depth in own.depth])[None, :, None, None, None]
        found = {"depth": _any(whole, (0, 2, 3, 4))}
        for axis, gene in ((0, "kind"), (2, "se"), (3, "width"), (4, "act")):
            others = tuple(i for i in range(5) if i != axis)
            found[gene] = _any(whole & present, others)
            if gene in ("se", "act") and not any(self._space.kinds[kind].uses(gene) for kind in own.kinds):
                found[gene][:] = True  # nobody reads it
        for block in range(1, own.num_free + 1):
            stands = np.array([depth >= block for depth in own.depth])[None, :, None, None, None]
            for i, (gene, choices) in enumerate((("kernel", own.kernel), ("expansion", own.expansion))):
                uses = np.array([self._space.kinds[kind].uses(gene) for kind in own.kinds])[:, None, None, None, None]
                found[f"{gene}{block}"] = np.array(
                    [(of_shared(stage.open(block, i, c)) & stands & uses).any() for c in range(len(choices))]
                )
                if not uses.any():
                    found[f"{gene}{block}"][:] = True
        return {f"{own.name}.{gene}": values for gene, values in found.items()}


def _any(values: Bools, axis: int | tuple[int, ...]) -> Bools:
    """Whether any is true along the axes, an array."""
    return np.asarray(values.any(axis=axis))


def _block(part: Part, stage: str) -> int | None:
    """The number of the block whose own genes make a difference to a part of a stage."""
    for gene in part.genes:
        for name in (f"{stage}.kernel", f"{stage}.expansion"):
            if gene.startswith(name):
                return int(gene.removeprefix(name))
    return None
