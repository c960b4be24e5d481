from __future__ import annotations

import typing
from collections.abc import Mapping

import numpy as np
import pytest

from nas.blocks import BLOCKS, Block, Value
from nas.blocks.registry import Channels, OptionalChannels
from nas.graph.operators import NUMERIC_COLUMNS
from nas.runtimes import OWN
from nas.space.architecture import build_layer, make_layer
from nas.space.compile.batch import LayerBatch, Place, build_batch, output_shapes
from tests.nets.variants import Variant, variants

CLASSES = 10
WIDTHS = (typing.get_args(Channels)[1:], typing.get_args(OptionalChannels)[1:])


def _groups(block: Block) -> list[tuple[Mapping[str, Value], list[Variant]]]:
    """Variants that differ in widths only, and what they have in common."""
    widths = [name for name, parameter in block.parameters.items() if parameter.limits in WIDTHS]
    groups: dict[tuple[tuple[str, Value], ...], list[Variant]] = {}
    for variant in variants(block):
        groups.setdefault(tuple((k, v) for k, v in variant.args.items() if k not in widths), []).append(variant)
    return [(dict(common), members) for common, members in groups.items()]


@pytest.mark.parametrize("block", list(BLOCKS), ids=lambda block: block.name)
def test_a_batch_is_its_layers_built_one_by_one(block: Block) -> None:
    """Keys, counts, shapes and operators, at two sizes of the map, whatever structures the widths make."""
    for common, members in _groups(block):
        both = [(variant, side) for side in (16, 32) for variant in members]
        args = {
            name: common[name] if name in common else np.array([variant.args[name] for variant, _ in both])
            for name in block.parameters
        }
        inputs = np.array([variant.width for variant, _ in both])
        side = np.array([side for _, side in both])
        batch = build_batch(block.name, args, (inputs, side, side), len(both), CLASSES, keys=True, runtime=OWN)
        alone = [
            build_layer(make_layer(block.name, variant.args), (variant.width, size, size), CLASSES)
            for variant, size in both
        ]
        assert batch.keys == [result.segment.key for result in alone]
        assert batch.params.tolist() == [result.segment.params for result in alone]
        assert batch.macs.tolist() == [result.segment.macs for result in alone]
        assert np.stack(batch.output, axis=1).tolist() == [list(result.output) for result in alone]
        places = [
            Place(make_layer(block.name, variant.args), (variant.width, size, size), CLASSES) for variant, size in both
        ]
        assert _operators(batch) == _operators(LayerBatch.of_places(places))
        shapes = output_shapes(block.name, args, (inputs, side, side), len(both), CLASSES)
        assert np.array_equal(np.stack(shapes), np.stack(batch.output))


def _operators(batch: LayerBatch) -> list[tuple[object, ...]]:
    """(owner, whether it classifies, kind, numbers …) of each operator, sorted: a batch does not keep their order."""
    columns = [getattr(batch.operators, name).tolist() for name in NUMERIC_COLUMNS]
    marks = batch.classifier.tolist()
    return sorted(zip(batch.owner.tolist(), marks, batch.operators.kind.tolist(), *columns, strict=True))


def test_keys_only_where_they_are_asked_for() -> None:
    batch = build_batch(
        "conv", {"out": np.array([8, 16])}, (np.array([4, 4]), 8, 8), 2, CLASSES, keys=False, runtime=OWN
    )
    assert batch.keys is None
    assert batch.params.tolist() == [4 * 9 * 8 + 8, 4 * 9 * 16 + 16]


def test_a_layer_that_does_not_fit_is_named_with_its_numbers() -> None:
    args = {"out": np.array([16, 24, 18])}
    with pytest.raises(ValueError, match="groups must divide the channels, but got 24 -> 18, groups=4"):
        build_batch("espnetv2_expand", args, (24, 8, 8), 3, CLASSES, keys=False, runtime=OWN)
