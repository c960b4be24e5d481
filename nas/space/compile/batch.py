"""Blocks built for batches of sizes: operators, parameters and MACs of many layers as arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nas.blocks import BLOCKS
from nas.blocks.activations import DYNAMIC_ACTIVATIONS
from nas.graph import Builder, OperatorTable, Segment
from nas.graph.operators import NUMERIC_COLUMNS
from nas.runtimes import Runtime
from nas.space.compile.sizes import MixedSizes, Printed, Sizes, fill


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerBatch:
    """n layers, not all of one structure.

    `operators` holds the operators of all; `owner` (operators,) says to which layer each belongs. `output` is the shape
    of the results, one array (n,) an axis. `keys` are the segments' canonical texts, or None where nobody asked.
    """

    operators: OperatorTable
    owner: NDArray[np.int64]
    params: NDArray[np.int64]
    macs: NDArray[np.int64]
    output: tuple[NDArray[np.int64], ...]
    keys: list[str] | None

    @classmethod
    def of_segments(cls, segments: Sequence[Segment]) -> LayerBatch:
        """Layers that were built one by one; their shapes are not known here."""
        return cls(
            operators=OperatorTable.from_rows([row for segment in segments for row in segment.rows]),
            owner=np.repeat(np.arange(len(segments)), [len(segment.rows) for segment in segments]),
            params=np.array([segment.params for segment in segments], dtype=np.int64),
            macs=np.array([segment.macs for segment in segments], dtype=np.int64),
            output=(),
            keys=[segment.key for segment in segments],
        )


def build_batch(
    block: str,
    args: Mapping[str, Any],
    input_shape: tuple[Any, ...],
    count: int,
    num_classes: int,
    *,
    keys: bool,
    runtime: Runtime,
) -> LayerBatch:
    """`count` layers of one block as `runtime` executes them, their integer parameters and input sizes given as numbers
    or arrays (count,).

    Raises `ValueError` where a layer does not fit its input.
    """
    params = np.zeros(count, dtype=np.int64)
    macs = np.zeros(count, dtype=np.int64)
    texts: list[str] = [""] * count
    kinds: list[NDArray[np.str_]] = []
    columns = [np.zeros((len(NUMERIC_COLUMNS), 0))]
    owners = [np.zeros(0, dtype=np.int64)]
    shapes = []
    for part in _parts(block, args, input_shape, count, num_classes, runtime):
        members, segment = part.members, part.segment
        assert segment is not None
        shapes.append((members, part.shape))
        params[members], macs[members] = _numbers(segment.params), _numbers(segment.macs)
        for row in segment.rows:
            kinds.append(np.full(len(members), row[0]))
            columns.append(np.empty((len(NUMERIC_COLUMNS), len(members))))
            for column, value in zip(columns[-1], row[1:], strict=True):
                column[:] = _numbers(value)
            owners.append(members)
        if keys:
            for member, text in zip(members, fill(segment.key, part.printed, len(members)), strict=True):
                texts[member] = text
    numbers = dict(zip(NUMERIC_COLUMNS, np.concatenate(columns, axis=1), strict=True))
    return LayerBatch(
        operators=OperatorTable(kind=np.concatenate(kinds) if kinds else np.zeros(0, dtype=np.str_), **numbers),
        owner=np.concatenate(owners),
        params=params,
        macs=macs,
        output=_joined(shapes, count),
        keys=texts if keys else None,
    )


def output_shapes(
    block: str, args: Mapping[str, Any], input_shape: tuple[Any, ...], count: int, num_classes: int
) -> tuple[NDArray[np.int64], ...]:
    """The `output` of `build_batch`, without the rest."""
    parts = _parts(block, args, input_shape, count, num_classes, None)
    return _joined([(part.members, part.shape) for part in parts], count)


class _Part(NamedTuple):
    """Members of a batch that have one structure: the sizes they print, the shape of their result, their segment."""

    members: NDArray[np.int64]
    printed: Printed
    shape: tuple[Any, ...]
    segment: Segment | None


def _parts(
    block: str,
    args: Mapping[str, Any],
    input_shape: tuple[Any, ...],
    count: int,
    num_classes: int,
    runtime: Runtime | None,
) -> Iterator[_Part]:
    """A batch in as many parts as it takes for each to have one structure, what `runtime` adds included; without one,
    no segments."""
    declared = BLOCKS.get(block, "layer")
    if declared.takes_classes:
        args = {**args, "classes": num_classes}
    waiting = [np.arange(count)]
    while waiting:
        members = waiting.pop()
        printed: Printed = []
        sizes = {key: _of(value, members, printed) for key, value in args.items()}
        builder = Builder(tuple(_of(size, members, printed) for size in input_shape), DYNAMIC_ACTIVATIONS)
        builder.layer = 1
        try:
            result = declared.function(builder, builder.input, **sizes)
            segment = runtime.segments(builder.build())[0] if runtime else None
        except MixedSizes as mixed:
            waiting += [members[mixed.mask], members[~mixed.mask]]
            continue
        except ValueError as error:
            raise ValueError(fill(str(error), printed, len(members))[0]) from error
        yield _Part(members, printed, result.shape, segment)


def _joined(shapes: Sequence[tuple[NDArray[np.int64], tuple[Any, ...]]], count: int) -> tuple[NDArray[np.int64], ...]:
    """One array (count,) an axis from the shapes of parts."""
    joined = np.zeros((len(shapes[0][1]), count), dtype=np.int64)
    for members, shape in shapes:
        for axis, size in zip(joined, shape, strict=True):
            axis[members] = _numbers(size)
    return tuple(joined)


def _of(value: Any, members: NDArray[np.int64], printed: Printed) -> Any:
    return Sizes(value[members], printed) if isinstance(value, np.ndarray) else value


def _numbers(value: Any) -> Any:
    return value.values if isinstance(value, Sizes) else value
