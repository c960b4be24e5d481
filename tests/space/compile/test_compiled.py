from __future__ import annotations

import zlib

import numpy as np
import pytest
from numpy.typing import NDArray

from nas.graph import OperatorTable
from nas.space import Codes, SearchSpace, load_space, space_paths
from nas.space.compile.batch import LayerBatch
from nas.space.compile.compiled import CompiledSpace, Floats, layer_sums
from tests.space.examples import EARLY, ENDS, LATE, TINY, all_codes, space_of

NAMES = ("time", "mixture", "keys")


def _contributions(table: OperatorTable, resolution: NDArray[np.float64]) -> Floats:
    """Two additive costs of each operator that read every column, shape (operators, 2)."""
    time = np.sqrt(1.0 + table.macs) * table.kernel / table.stride + np.log1p(table.weight_elements) * table.groups
    mixture = table.input_elements / resolution + table.output_elements * 1e-3 + table.in_channels * table.out_channels
    mixture += (
        table.out_height * np.sqrt(table.out_width) + 7.5 * (table.kind == "act:gelu") + 0.1 * (table.kind == "dw")
    )
    return np.stack((time, mixture), axis=1)


def _costs(batch: LayerBatch, sides: Floats) -> Floats:
    sums = layer_sums(_contributions(batch.operators, sides[batch.owner]), batch)
    assert batch.keys is not None
    return np.concatenate(
        (sums, np.array([[zlib.crc32(key.encode())] for key in batch.keys], dtype=np.float64)), axis=1
    )


def _compile(space: SearchSpace) -> CompiledSpace:
    return CompiledSpace(space, _costs, names=NAMES, keys=True)


def test_progress_counts_every_layer_of_the_stages_to_the_end() -> None:
    space = space_of(TINY)
    told: list[tuple[int, int]] = []
    CompiledSpace(space, _costs, names=NAMES, keys=True, progress=lambda done, of: told.append((done, of)))
    done, of = zip(*told, strict=True)
    assert list(done) == sorted(done) and len(set(of)) == 1
    assert done[-1] == of[0] > 0


def _sums(compiled: CompiledSpace, codes: Codes) -> Floats:
    total = np.zeros((len(codes), len(compiled.names)))
    for rows, times in compiled.rows(codes):
        found = compiled.table[rows]
        total += found if times is None else found * times[:, None]
    return total


def _check(compiled: CompiledSpace, codes: Codes) -> None:
    """The table's sums are those of networks built one by one, operators and segments read from their graphs."""
    sums = _sums(compiled, codes)
    for code, found in zip(codes, sums, strict=True):
        network = compiled.space.decode(code)
        graph = network.graph()
        operators = OperatorTable.concatenate([segment.operators for segment in graph.segments])
        floats = _contributions(operators, np.full(len(operators), network.side)).sum(axis=0)
        assert found[0] == graph.params
        assert found[1] == graph.macs
        assert found[2:4] == pytest.approx(floats, rel=1e-9)
        assert found[4] == sum(zlib.crc32(segment.key.encode()) for segment in graph.segments)


SHIPPED = [space for space in map(load_space, space_paths()) if isinstance(space, SearchSpace)]


@pytest.mark.parametrize("space", SHIPPED, ids=lambda space: space.name)
def test_shipped_spaces(space: SearchSpace) -> None:
    compiled = _compile(space)
    _check(compiled, np.random.default_rng(0).integers(0, space.cardinalities, size=(25, len(space.cardinalities))))
    assert compiled.table.shape[0] < 1_000_000


def test_sides_of_any_size() -> None:
    """Maps of odd sizes are padded: a half of 75 is 38, of 38 19, of 19 10."""
    space = space_of(EARLY.replace("[64, 96]", "[75, [65, 102], 96]"))
    codes = np.random.default_rng(2).integers(0, space.cardinalities, size=(60, len(space.cardinalities)))
    _check(_compile(space), codes)


def test_early_stems_transitions_and_tails() -> None:
    space = space_of(EARLY)
    codes = np.random.default_rng(1).integers(0, space.cardinalities, size=(150, len(space.cardinalities)))
    _check(_compile(space), codes)


def test_stems_behind_which_all_maps_differ() -> None:
    space = space_of(LATE)
    codes = np.random.default_rng(4).integers(0, space.cardinalities, size=(100, len(space.cardinalities)))
    _check(_compile(space), codes)


def test_rectangles_and_other_channels() -> None:
    space = space_of(ENDS)
    codes = np.random.default_rng(3).integers(0, space.cardinalities, size=(60, len(space.cardinalities)))
    _check(_compile(space), codes)


def test_a_tiny_space_in_full() -> None:
    space = space_of(TINY)
    codes = all_codes(space)
    _check(_compile(space), codes[:: max(1, len(codes) // 150)])


def test_sums_are_those_of_canonical_codes() -> None:
    space = space_of(EARLY)
    compiled = _compile(space)
    codes = np.random.default_rng(2).integers(0, space.cardinalities, size=(500, len(space.cardinalities)))
    np.testing.assert_allclose(_sums(compiled, codes), _sums(compiled, space.canonical(codes)), rtol=1e-14)


def test_one_stage_at_its_stems_size_by_hand() -> None:
    """One 3x3 convolution to 8 channels with stride 2, one separable block to 16, a classifier of 10."""
    space = space_of("""
schema: 1
name: hand
num_classes: 10
resolution: [32]
stems: [[{block: conv, out: 8, stride: 2}]]
kinds: {separable: {block: {block: separable, out: width, stride: stride}}}
stages: [{stride: 2, depth: [1], width: [16]}]
heads: [[{block: head}]]
""")
    compiled = CompiledSpace(space, lambda batch, sides: np.zeros((len(batch.params), 0)), names=())
    assert compiled.names == ("params", "macs")
    sums = _sums(compiled, np.zeros((1, len(space.genes)), dtype=np.int64))
    # Weights and a bias a channel: stem 3·3·3·8 + 8, depthwise 3·3·8 + 8, pointwise 8·16 + 16, classifier 16·10 + 10.
    assert sums[0, 0] == (216 + 8) + (72 + 8) + (128 + 16) + (160 + 10)
    # The stem leaves 16x16, the block 8x8.
    assert sums[0, 1] == 216 * 256 + 72 * 64 + 128 * 64 + 160


def test_columns_are_contiguous_and_in_the_order_asked_for() -> None:
    compiled = _compile(space_of(TINY))
    assert compiled.names == ("params", "macs", *NAMES)
    one, two = compiled.columns(["macs"]), compiled.columns(["mixture", "params"])
    assert one.flags.c_contiguous and np.array_equal(one, compiled.table[:, 1])
    assert two.flags.c_contiguous and np.array_equal(two, compiled.table[:, [3, 0]])


def test_the_first_row_stands_for_what_is_absent() -> None:
    compiled = _compile(space_of(TINY))
    assert not compiled.table[0].any()
    assert compiled.table[1:, 0].all()


def test_rows_take_any_integers_and_no_codes() -> None:
    space = space_of(TINY)
    compiled = _compile(space)
    codes = space.sample_codes(5, np.random.default_rng(0))
    assert np.array_equal(_sums(compiled, codes), _sums(compiled, codes.astype(np.int8)))
    assert _sums(compiled, codes[:0]).shape == (0, 5)
