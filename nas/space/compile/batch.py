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
from nas.graph.classifier import classifier_rows
from nas.graph.memory import peak_elements
from nas.graph.operators import NUMERIC_COLUMNS
from nas.graph.rows import Shape
from nas.runtimes import OWN, Runtime
from nas.space.architecture import IMAGENET_CHANNELS, IMAGENET_CLASSES, Architecture, Layer, layer_peak
from nas.space.compile.sizes import MixedSizes, Printed, Sizes, fill
from nas.space.lowering import lower_layer


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerBatch:
    """n layers, not all of one structure.

    `operators` holds the operators of all; `owner` (operators,) says to which layer each belongs, `classifier`
    (operators,) which give the logits. `output` is the shape of the results, one array (n,) an axis. `keys` are the
    segments' canonical texts, `peaks` (n,) the most numbers alive at once in each; None where nobody asked.
    `on_imagenet` are the same layers in networks for ImageNet, None where they are these very ones.
    """

    operators: OperatorTable
    owner: NDArray[np.int64]
    classifier: NDArray[np.bool_]
    params: NDArray[np.int64]
    macs: NDArray[np.int64]
    output: tuple[NDArray[np.int64], ...]
    keys: list[str] | None
    peaks: NDArray[np.int64] | None = None
    on_imagenet: LayerBatch | None = None

    @property
    def judged(self) -> LayerBatch:
        """What accuracy is predicted from: `on_imagenet`."""
        return self.on_imagenet or self

    @classmethod
    def of_places(cls, places: Sequence[Place], runtime: Runtime = OWN, *, peaks: bool = False) -> LayerBatch:
        """Layers built one by one, as `runtime` executes them; the shapes of their results are not known here."""
        segments = [lower_layer(place.layer, place.input_shape, place.num_classes, runtime) for place in places]
        ends = [_takes_classes(place.layer) for place in places]
        judged = [place.on_imagenet(end) for place, end in zip(places, ends, strict=True)]
        marks = [
            classifier_rows(segment.operators) if end else np.zeros(len(segment.rows), dtype=np.bool_)
            for segment, end in zip(segments, ends, strict=True)
        ]
        return cls(
            operators=OperatorTable.from_rows([row for segment in segments for row in segment.rows]),
            owner=np.repeat(np.arange(len(segments)), [len(segment.rows) for segment in segments]),
            classifier=np.concatenate([np.zeros(0, dtype=np.bool_), *marks]),
            params=np.array([segment.params for segment in segments], dtype=np.int64),
            macs=np.array([segment.macs for segment in segments], dtype=np.int64),
            output=(),
            keys=[segment.key for segment in segments],
            peaks=np.array([layer_peak(*place[:3]) for place in places], dtype=np.int64) if peaks else None,
            on_imagenet=None if judged == list(places) else cls.of_places(judged),
        )


class Place(NamedTuple):
    """A layer in a network: what it reads, and how many classes the network tells apart.

    `imagenet_shape` is what it reads in the network for ImageNet, where that differs: near an image of other channels.
    """

    layer: Layer
    input_shape: Shape
    num_classes: int
    imagenet_shape: Shape | None = None

    def on_imagenet(self, is_head: bool) -> Place:
        """The layer in the network for ImageNet; `is_head` says that it takes the classes."""
        classes = IMAGENET_CLASSES if is_head else self.num_classes
        return Place(self.layer, self.imagenet_shape or self.input_shape, classes)


def places_of(architecture: Architecture) -> list[Place]:
    """The layers of a network in their places, in order."""
    shapes = architecture.layer_inputs()
    if architecture.in_channels == IMAGENET_CHANNELS:
        return [Place(*place, architecture.num_classes) for place in zip(architecture.layers, shapes, strict=True)]
    judged = architecture.on_imagenet().layer_inputs()
    return [
        Place(layer, shape, architecture.num_classes, other if other != shape else None)
        for layer, shape, other in zip(architecture.layers, shapes, judged, strict=True)
    ]


def _takes_classes(layer: Layer) -> bool:
    return BLOCKS.get(layer.block, "layer").takes_classes


def build_batch(
    block: str,
    args: Mapping[str, Any],
    input_shape: tuple[Any, ...],
    count: int,
    num_classes: int,
    *,
    keys: bool,
    runtime: Runtime,
    peaks: bool = False,
) -> LayerBatch:
    """`count` layers of one block as `runtime` executes them, their integer parameters and input sizes given as numbers
    or arrays (count,).

    Raises `ValueError` where a layer does not fit its input.
    """
    params = np.zeros(count, dtype=np.int64)
    macs = np.zeros(count, dtype=np.int64)
    most = np.zeros(count, dtype=np.int64)
    texts: list[str] = [""] * count
    kinds: list[NDArray[np.str_]] = []
    columns = [np.zeros((len(NUMERIC_COLUMNS), 0))]
    owners = [np.zeros(0, dtype=np.int64)]
    marks = [np.zeros(0, dtype=np.bool_)]
    shapes = []
    is_head = BLOCKS.get(block, "layer").takes_classes
    for part in _parts(block, args, input_shape, count, num_classes, runtime, peaks=peaks):
        members, segment = part.members, part.segment
        assert segment is not None
        shapes.append((members, part.shape))
        params[members], macs[members] = _numbers(segment.params), _numbers(segment.macs)
        most[members] = part.peak
        classifies = _classifier(segment) if is_head else np.zeros(len(segment.rows), dtype=np.bool_)
        marks.append(np.repeat(classifies, len(members)))
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
        classifier=np.concatenate(marks),
        params=params,
        macs=macs,
        output=_joined(shapes, count),
        keys=texts if keys else None,
        peaks=most if peaks else None,
    )


def _classifier(segment: Segment) -> NDArray[np.bool_]:
    """Which rows of a head give the logits, shape (rows,): all members of a batch have those of the first."""
    first = [(row[0], *(float(np.ravel(_numbers(value))[0]) for value in row[1:])) for row in segment.rows]
    return classifier_rows(OperatorTable.from_rows(first))


def output_shapes(
    block: str, args: Mapping[str, Any], input_shape: tuple[Any, ...], count: int, num_classes: int
) -> tuple[NDArray[np.int64], ...]:
    """The `output` of `build_batch`, without the rest."""
    parts = _parts(block, args, input_shape, count, num_classes, None)
    return _joined([(part.members, part.shape) for part in parts], count)


class _Part(NamedTuple):
    """Members of a batch that have one structure: the sizes they print, the shape of their result, their segment, and
    the most numbers alive at once in each (0 where nobody asked)."""

    members: NDArray[np.int64]
    printed: Printed
    shape: tuple[Any, ...]
    segment: Segment | None
    peak: Any


def _parts(
    block: str,
    args: Mapping[str, Any],
    input_shape: tuple[Any, ...],
    count: int,
    num_classes: int,
    runtime: Runtime | None,
    *,
    peaks: bool = False,
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
            graph = builder.build()
            segment = runtime.segments(graph)[0] if runtime else None
            peak = peak_elements(graph.nodes) if peaks else 0
        except MixedSizes as mixed:
            waiting += [members[mixed.mask], members[~mixed.mask]]
            continue
        except ValueError as error:
            raise ValueError(fill(str(error), printed, len(members))[0]) from error
        yield _Part(members, printed, result.shape, segment, peak)


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
