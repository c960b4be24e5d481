"""A search space of networks: stem, stages, head and resolution, and the genes that choose among them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.space.architecture import Architecture, Layer, build_layer, make_layer
from nas.space.resolution import Resolution, height_width, side_of
from nas.space.stage import Stage, se_flags
from nas.space.template import Kind

Codes = NDArray[np.int64]
"""Integer codes of shape (n, genes): for each gene the position of its choice."""


@dataclass(frozen=True, kw_only=True)
class SearchSpace:
    """A space of networks, read from YAML (`docs/search-spaces.md`).

    `genes` maps a gene's name to its choices. A code is one position a gene; genes that a network does not use (of
    absent blocks, or that its kind of block does not know) are 0 in its canonical code. Widths that a search works out
    by itself are multiples of `divisor`. `source` names where the space was read from.
    """

    name: str
    description: str
    num_classes: int
    in_channels: int
    resolutions: tuple[Resolution, ...]
    stems: tuple[tuple[Layer, ...], ...]
    kinds: Mapping[str, Kind]
    stages: tuple[Stage, ...]
    heads: tuple[tuple[Layer, ...], ...]
    divisor: int
    source: str

    @cached_property
    def genes(self) -> dict[str, tuple[Any, ...]]:
        """Gene name → its choices, in the order of the code's columns."""
        genes: dict[str, tuple[Any, ...]] = {"resolution": self.resolutions, "stem": tuple(range(len(self.stems)))}
        for stage in self.stages:
            genes |= {f"{stage.name}.{gene}": choices for gene, choices in stage.genes.items()}
        return genes | {"head": tuple(range(len(self.heads)))}

    @cached_property
    def columns(self) -> dict[str, int]:
        """Gene name → column of a code."""
        return {name: i for i, name in enumerate(self.genes)}

    @cached_property
    def cardinalities(self) -> NDArray[np.int64]:
        """Number of choices of each gene, shape (genes,)."""
        return np.array([len(choices) for choices in self.genes.values()], dtype=np.int64)

    @cached_property
    def size(self) -> int:
        """How many canonical codes there are (an integer, exact); two of them may stand for one network."""
        total = len(self.resolutions) * len(self.stems) * len(self.heads)
        for stage in self.stages:
            total *= sum(self._stage_count(stage, depth) for depth in stage.depth)
        return total

    def _stage_count(self, stage: Stage, depth: int) -> int:
        if depth == 0:
            return 1
        patterns = len({se_flags(pattern, depth) for pattern in stage.se})
        count = 0
        for kind in (self.kinds[name] for name in stage.kinds):
            block = len(stage.kernel) if kind.uses("kernel") else 1
            block *= len(stage.expansion) if kind.uses("expansion") else 1
            shared = (patterns if kind.uses("se") else 1) * (len(stage.act) if kind.uses("act") else 1)
            count += len(stage.width) * shared * block ** min(depth, stage.num_free)
        return count

    def canonical(self, codes: Codes) -> Codes:
        """The canonical codes, shape (n, genes): idle genes at 0, SE patterns with equal flags at the first of them."""
        canonical = np.array(codes, dtype=np.int64)
        for stage, (used, pattern) in zip(self.stages, self._idle, strict=True):
            start = self.columns[f"{stage.name}.depth"]
            columns = canonical[:, start : start + len(stage.genes)]
            depth, kind, se = columns[:, 0], columns[:, 1], columns[:, 4]
            se[:] = pattern.take(depth * len(stage.se) + se)
            columns *= used.take(depth * len(stage.kinds) + kind, axis=0)
        return canonical

    @cached_property
    def _idle(self) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """For each stage: which of its genes count, (depth · kind, genes) of 0 and 1; and, (depth · SE,), the first SE
        pattern with the same flags."""
        tables = []
        for stage in self.stages:
            used = []
            for depth in stage.depth:
                for kind in (self.kinds[name] for name in stage.kinds):
                    present = depth > 0
                    shared = [True, present, present, present and kind.uses("act"), present and kind.uses("se")]
                    block = [kind.uses("kernel"), kind.uses("expansion")]
                    blocks = [depth >= i and use for i in range(1, stage.num_free + 1) for use in block]
                    used.append(shared + blocks)
            first = []
            for depth in stage.depth:
                flags = [se_flags(pattern, depth) for pattern in stage.se]
                first += [flags.index(flag) for flag in flags]
            tables.append((np.array(used, dtype=np.int64), np.array(first, dtype=np.int64)))
        return tables

    def sample_codes(self, n: int, rng: np.random.Generator) -> Codes:
        """`n` random canonical codes, each gene drawn uniformly among its choices."""
        return self.canonical(rng.integers(0, self.cardinalities, size=(n, len(self.cardinalities))))

    def sample(self, n: int, rng: np.random.Generator) -> list[Architecture]:
        """`n` random networks of the space, each gene drawn uniformly."""
        return [self.decode(code) for code in self.sample_codes(n, rng)]

    def values(self, code: Sequence[int] | Codes) -> dict[str, Any]:
        """Gene name → chosen value of one code."""
        return {name: choices[int(i)] for (name, choices), i in zip(self.genes.items(), code, strict=True)}

    def decode(self, code: Sequence[int] | Codes, name: str | None = None) -> Architecture:
        """The network of one code, called `name` (by default after the space and its digest)."""
        genes = self.values(self.canonical(np.asarray(code, dtype=np.int64)[None])[0])
        body = self._body(genes, self.stem_widths[genes["stem"]], self.stem_strides[genes["stem"]])
        architecture = Architecture(
            name="",
            family=self.name,
            resolution=genes["resolution"],
            layers=(*self.stems[genes["stem"]], *body, *self.heads[genes["head"]]),
            num_classes=self.num_classes,
            in_channels=self.in_channels,
            genes=genes,
        )
        return architecture.named(name or f"{self.name}-{architecture.digest[:8]}")

    def _body(self, genes: Mapping[str, Any], inputs: int, stem_stride: int) -> Iterator[Layer]:
        """The layers of all stages behind a stem that leaves `inputs` channels."""
        for position, stage in enumerate(self.stages):
            depth, width = genes[f"{stage.name}.depth"], genes[f"{stage.name}.width"]
            kind = self.kinds[genes[f"{stage.name}.kind"]]
            stride = self.stage_stride(position, stem_stride)
            flags = se_flags(genes[f"{stage.name}.se"], depth)
            for j in range(depth):
                free = min(j + 1, stage.num_free)
                env = {
                    "width": width,
                    "act": genes[f"{stage.name}.act"],
                    "kernel": genes[f"{stage.name}.kernel{free}"],
                    "expansion": genes[f"{stage.name}.expansion{free}"],
                    "se": flags[j],
                }
                if j == 0 and kind.transition is not None and (stride > 1 or inputs != width):
                    args = kind.transition.evaluate({**env, "in": inputs, "stride": stride})
                    yield make_layer(kind.transition.block, args)
                    inputs = width
                own_stride = stride if j == 0 and kind.transition is None else 1
                args = kind.block.evaluate({**env, "in": inputs, "stride": own_stride})
                yield make_layer(kind.block.block, args)
                inputs = width

    @cached_property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Height and width of each resolution."""
        return tuple(map(height_width, self.resolutions))

    @cached_property
    def sides(self) -> tuple[float, ...]:
        """The side of the square of each resolution's area."""
        return tuple(map(side_of, self.resolutions))

    @property
    def smallest_size(self) -> tuple[int, int]:
        """The smallest height and the smallest width."""
        heights, widths = zip(*self.sizes, strict=True)
        return min(heights), min(widths)

    def map_sizes(self, positions: NDArray[np.int64], reduction: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Height and width of maps `reduction` times smaller than the resolutions at `positions`, all of shape (n,).

        Convolutions pad: a map of odd size leaves one more row than half of it.
        """
        heights, widths = -(-np.array(self.sizes, dtype=np.int64)[positions].T // reduction)
        return heights, widths

    @cached_property
    def stem_shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shape that each stem leaves of an image of the smallest height and width."""
        shapes = []
        for stem in self.stems:
            shape: tuple[int, ...] = (self.in_channels, *self.smallest_size)
            for layer in stem:
                shape = build_layer(layer, shape, self.num_classes).output
            shapes.append(shape)
        return tuple(shapes)

    @cached_property
    def stem_widths(self) -> tuple[int, ...]:
        """The channels that each stem leaves."""
        return tuple(shape[0] for shape in self.stem_shapes)

    @cached_property
    def stem_strides(self) -> tuple[int, ...]:
        """How often each stem divides the side of an image: 1, 2 or 4."""
        return tuple(round(self.smallest_size[0] / shape[1]) for shape in self.stem_shapes)

    @cached_property
    def widths_before(self) -> tuple[tuple[int, ...], ...]:
        """The widths that may come before each stage, and, last, before the head; ascending."""
        widths, found = set(self.stem_widths), []
        for stage in self.stages:
            found.append(tuple(sorted(widths)))
            widths = set(stage.width) | (widths if 0 in stage.depth else set())
        return (*found, tuple(sorted(widths)))

    @cached_property
    def first_down(self) -> int:
        """Position of the first stage with stride 2."""
        return next(i for i, stage in enumerate(self.stages) if stage.stride == 2)

    def stage_stride(self, position: int, stem_stride: int) -> int:
        """The stride of a stage: the first down-sampling is the stem's own where its stride is 4."""
        return 1 if stem_stride == 4 and position == self.first_down else self.stages[position].stride

    def telling_strides(self, position: int, *, behind: bool = False) -> tuple[int, ...]:
        """The strides of stems, ascending; one of them where all leave the same to the stage at `position`.

        That is maps of the same size before and behind it; with `behind` those behind it alone. The position after the
        last stage is that of the head.
        """
        strides, last = tuple(sorted(set(self.stem_strides))), len(self.stages)
        places = (position + behind, min(position + 1, last))
        maps = {tuple(self.reduction(place, stride) for place in places) for stride in strides}
        return strides if len(maps) > 1 else strides[:1]

    def reduction(self, position: int, stem_stride: int) -> int:
        """Resolution over the size of the map before a stage (or, for the position behind the last one, the head)."""
        return stem_stride * math.prod(self.stage_stride(i, stem_stride) for i in range(position))
