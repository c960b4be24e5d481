"""An operator's shape as a CPU runtime feels it: the terms of a roofline, and coordinates in which like costs like.

Kernels work on blocks of channels, so a width that fills its last block badly costs as the next full one; both
readings know that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from nas.graph.operators import LAYOUTS, OperatorTable
from nas.latency.published.cost_model import Floats
from nas.runtimes.layouts import CHANNEL_BLOCK

TERMS = ("macs", "input", "output", "weights", "operator", "stalls")
"""What a roofline charges for: 10⁹ multiply-adds, 10⁶ elements read, written and of weights (or pieces, where a value
is worked piece by piece), 10³ calls: one an operator, or one a group; 10⁹ multiply-adds for which there was time while
others waited."""
NUM_TERMS, STALLS = len(TERMS), TERMS.index("stalls")
NUM_COORDINATES = 10
_SPATIAL_WEIGHT, _FILL_WEIGHT, _RAGGED_WEIGHT = 2.0, 2.0, 1.5

_PIXELS, _BLOCKS, _SUMS = 6.0, 4.0, 8.0
"""Pixels and blocks of a whole pass, and how many sums keep two units busy whose products take four cycles."""
_KERNEL_CLASSES = ("", " 3", " 5", " 7", " 9+")
_RAGGED = " ragged"
_BY_KERNEL = ("dense", "dw", "grp")
_CONVOLUTIONS = (*_BY_KERNEL, "pw")
_POOLS = ("pool", "avgpool", "avgpool:ceil")
_ALIGNED: Mapping[str, int] = {"dw": 4, "grp": CHANNEL_BLOCK, "pool": CHANNEL_BLOCK, "avgpool": CHANNEL_BLOCK}
"""Kinds that ONNX Runtime computes in blocks only where the channels of a group are a multiple of this number
(onnxruntime/core/optimizer/nchwc_transformer.cc, and times of single operators); its other path is many times slower.
XNNPACK makes no such difference, and a fit to its times finds none."""


def groups(table: OperatorTable) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """What operators share a roofline with: the groups' names (g,), and the number of each operator's group (n,).

    A group is a kind, for convolutions with the class of their kernel, for the kinds of `_ALIGNED` also whether their
    channels are not aligned ("ragged").
    """
    kinds, kind = np.unique(table.kind, return_inverse=True)
    kernel = np.searchsorted([1.5, 4.5, 6.5, 8.5], _kernel(table), side="right")
    kernel = np.where(np.isin(table.kind, _BY_KERNEL), kernel, 0)
    ragged = _ragged(table)
    classes = len(_KERNEL_CLASSES)
    codes, number = np.unique((kind.reshape(-1) * classes + kernel) * 2 + ragged, return_inverse=True)
    names = tuple(
        f"{kinds[code // (2 * classes)]}{_KERNEL_CLASSES[code // 2 % classes]}{_RAGGED * (code % 2)}"
        for code in codes.tolist()
    )
    return names, number.reshape(-1)


def group_numbers(table: OperatorTable, known: Sequence[str]) -> NDArray[np.int64]:
    """The position of each operator's group in `known`, shape (n,): of the group most like it where that is not there,
    -1 where there is none of its kind."""
    names, number = groups(table)
    found = np.array([_position(name, known) for name in names], dtype=np.int64)
    return found[number] if len(found) else number


def _position(name: str, known: Sequence[str]) -> int:
    """The position in `known` of `name`, or of the group of its kind with the nearest kernel."""
    if name in known:
        return known.index(name)
    kind, kernel, ragged = _parts(name)
    parts = [(i, _parts(other)) for i, other in enumerate(known)]
    alike = [(abs(k - kernel), r != ragged, i) for i, (other, k, r) in parts if other == kind]
    return min(alike)[2] if alike else -1


def _parts(name: str) -> tuple[str, int, bool]:
    """Kind, kernel class and raggedness of a group."""
    whole = name.removesuffix(_RAGGED)
    kernel = next((i for i, suffix in enumerate(_KERNEL_CLASSES) if suffix and whole.endswith(suffix)), 0)
    return whole.removesuffix(_KERNEL_CLASSES[kernel]), kernel, name.endswith(_RAGGED)


def _kernel(table: OperatorTable) -> Floats:
    """The side of a square kernel of the same area, shape (n,); that of a pool as it is."""
    pairs = table.in_channels * table.out_channels
    area = table.weight_elements * np.maximum(table.groups, 1.0) / np.maximum(pairs, 1.0)
    return np.asarray(np.where((area >= 1.0) & (pairs > 0.0), np.sqrt(area), table.kernel))


def _filled(channels: Floats) -> Floats:
    """`channels` rounded up to whole blocks, over `channels`."""
    channels = np.maximum(channels, 1.0)
    return np.ceil(channels / CHANNEL_BLOCK) * CHANNEL_BLOCK / channels


def _in_a_group(channels: Floats, table: OperatorTable) -> Floats:
    """Channels that a kernel blocks together: those of a group, or all of a depthwise operator."""
    depthwise = table.groups == np.maximum(table.in_channels, table.out_channels)
    return np.where(depthwise, channels, channels / np.maximum(table.groups, 1.0))


def _is_depthwise(table: OperatorTable) -> NDArray[np.bool_]:
    """Which operators have a group for each channel that they read, shape (n,)."""
    return np.asarray((table.groups > 1) & (table.groups == table.in_channels))


def _ragged(table: OperatorTable) -> NDArray[np.bool_]:
    """Whether the channels of each operator's groups are not aligned as its kind wants, shape (n,)."""
    kind, read, made = table.kind, _in_a_group(table.in_channels, table), _in_a_group(table.out_channels, table)
    found = (kind == "cat") & (read % CHANNEL_BLOCK > 0)
    for name, alignment in _ALIGNED.items():
        found |= (kind == name) & (made % alignment > 0)
    found |= (kind == "grp") & (read % CHANNEL_BLOCK > 0)
    found |= (kind == "dw") & (table.out_channels > table.groups)
    found |= np.isin(kind, ("pw", "dense")) & (read >= CHANNEL_BLOCK) & (read % 4 > 0)
    return np.asarray(found)


def roofline_terms(table: OperatorTable) -> Floats:
    """What a roofline charges each operator for, shape (n, NUM_TERMS), in the units of `TERMS`, none negative.

    Multiply-adds count with the blocks that they fill; an image's three channels are not blocked. A convolution whose
    groups do not fit the blocks is a product for each group, of what is gathered for it where the kernel is larger than
    1; a pool gathers as well.
    """
    depthwise = _is_depthwise(table)
    inner = table.in_channels / np.maximum(table.groups, 1.0)
    blocked = np.where(depthwise | (table.in_channels <= 3), 1.0, _filled(inner))
    ragged = _ragged(table)
    gathered = ragged & (table.kind == "grp")
    pixels = table.out_height * table.out_width
    macs = table.macs * np.where(gathered, _filled(pixels), blocked * _filled(table.out_channels))
    calls = np.where(ragged & (table.in_channels > 0), np.maximum(table.groups, 1.0), 1.0)
    read = np.maximum(table.input_elements, _gathered(table, ragged))
    weights = table.weight_elements + _pieces(table)
    stalls = np.where(ragged, 0.0, _stalls(table))
    return np.column_stack([
        macs / 1e9, read / 1e6, table.output_elements / 1e6, weights / 1e6, calls / 1e3, stalls / 1e9
    ])  # fmt: skip


def _stalls(table: OperatorTable) -> Floats:
    """Multiply-adds that a convolution in blocks could have made while its sums waited for each other, shape (n,).

    A pass makes some pixels of a row for some blocks of channels: six and four, or what is left of them. Each of its
    sums takes a product for every place of the kernel and channel read, and each product waits for the one before: with
    fewer than eight sums a vector unit idles. Pixels at the ends of a row, where the kernel reaches into the padding,
    are passes of their own (MLAS, onnxruntime/core/mlas/lib/x86_64/SconvKernelAvx512F.S).
    """
    depthwise = _is_depthwise(table)
    pointwise = table.kind == "pw"
    pixels = np.where(pointwise, table.out_height, 1.0) * table.out_width
    rows = np.where(pointwise, 1.0, table.out_height)
    reach, stride = np.floor((_kernel(table) - 1.0) / 2.0), np.maximum(table.stride, 1.0)
    ends = np.minimum(np.ceil(reach / stride) + np.ceil(np.maximum(reach - stride + 1.0, 0.0) / stride), pixels)
    sixes, left = np.divmod(pixels - ends, _PIXELS)
    threes, left = np.divmod(left, 3.0)
    twos, ones = np.divmod(left, 2.0)
    groups = np.where(depthwise, 1.0, np.maximum(table.groups, 1.0))
    blocks = np.ceil(table.out_channels / groups / CHANNEL_BLOCK)
    fours, rest = np.divmod(np.where(depthwise, 0.0, blocks), _BLOCKS)
    clusters = ((fours, _BLOCKS), (np.minimum(rest, 1.0), rest), (np.where(depthwise, blocks, 0.0), 1.0))
    passes = ((sixes, _PIXELS), (threes, 3.0), (twos, 2.0), (ones + ends, 1.0))
    idle = np.zeros(len(table))
    for (often, high), (times, wide) in product(clusters, passes):
        idle += often * times * np.maximum(_SUMS - high * wide, 0.0)
    chain = table.macs / np.maximum(table.out_channels * table.out_height * table.out_width, 1.0)
    return np.where(np.isin(table.kind, _CONVOLUTIONS), CHANNEL_BLOCK * groups * rows * chain * idle, 0.0)


def _gathered(table: OperatorTable, ragged: NDArray[np.bool_]) -> Floats:
    """Elements that are copied out of the map for each place of the kernel, shape (n,): rows go by fours and the rest
    one by one, with a stride all cost about twice as much (times of single convolutions under ONNX Runtime)."""
    width = np.maximum(table.out_width, 1.0)
    cost = np.where(table.stride > 1, 2.0, 4.0 * (width // 4.0 + width % 4.0) / width)
    columns = table.macs * table.groups / np.maximum(table.out_channels, 1.0)
    found = np.where(ragged & (table.kernel > 1), columns * cost, 0.0)
    return np.asarray(np.where(np.isin(table.kind, _POOLS), table.output_elements * table.kernel**2, found))


def _pieces(table: OperatorTable) -> Floats:
    """In how many pieces an operator without weights works, shape (n,): rows of a norm, blocks of a transposition."""
    kind = table.kind
    pieced = np.isin(kind, ("softmax", "scale", "se_mul", *LAYOUTS)) | np.char.startswith(kind, "norm:")
    pieces = table.output_elements / np.maximum(table.in_channels, 1.0)
    return np.asarray(np.where(pieced & (table.in_channels > 0), pieces, 0.0))


def coordinates(table: OperatorTable) -> Floats:
    """The operators as points, shape (n, NUM_COORDINATES): logarithms (base 2) of their sizes, and how badly their
    channels fill blocks, or do not. A unit is about a doubling."""

    def log2(values: Floats) -> Floats:
        return np.asarray(np.log2(np.maximum(values, 1.0)))

    return np.column_stack([
        log2(table.in_channels),
        log2(table.out_channels),
        log2(table.out_height * table.out_width),
        _SPATIAL_WEIGHT * log2(_kernel(table)),
        _SPATIAL_WEIGHT * log2(table.stride),
        log2(table.groups) / 2.0,
        log2(table.input_elements),
        _FILL_WEIGHT * (_filled(_in_a_group(table.in_channels, table)) - 1.0),
        _FILL_WEIGHT * (_filled(_in_a_group(table.out_channels, table)) - 1.0),
        _RAGGED_WEIGHT * _ragged(table),
    ])  # fmt: skip


def distinct(table: OperatorTable) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions of the first of equal operators (u,), and which of these each operator equals (n,)."""
    _, kinds = np.unique(table.kind, return_inverse=True)
    numbers = np.column_stack([kinds.reshape(-1), roofline_terms(table), coordinates(table)])
    rows = np.ascontiguousarray(numbers).view(np.dtype((np.void, numbers.shape[1] * numbers.itemsize))).reshape(-1)
    _, first, inverse = np.unique(rows, return_index=True, return_inverse=True)
    return first, inverse.reshape(-1)
