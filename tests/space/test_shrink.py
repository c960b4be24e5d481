from __future__ import annotations

from typing import Any

import pytest

from nas.space import Architecture, Layer, known_networks
from nas.space.architecture import make_layer
from nas.space.shrink import WidthChange, inner_places, shrink_moves, tied_widths, width_changes


def _network(*layers: dict[str, Any], resolution: int = 32) -> Architecture:
    made = tuple(make_layer(layer["block"], {k: v for k, v in layer.items() if k != "block"}) for layer in layers)
    return Architecture(name="hand", family="test", resolution=resolution, layers=made, num_classes=10)


HAND = _network(
    {"block": "conv", "out": 16, "stride": 2},
    {"block": "mbconv", "out": 16, "hidden": 16},  # no expansion; a residual with the stem's result
    {"block": "mbconv", "out": 24, "hidden": 64, "stride": 2},
    {"block": "mbconv", "out": 24, "hidden": 72, "se": 20},  # a residual with the layer before
    {"block": "conv", "out": 48, "kernel": 1},
    {"block": "head", "hidden": 20, "act": "relu"},
)


def test_ties_by_hand() -> None:
    assert tied_widths(HAND) == [[0, 1], [2, 3], [4]]
    assert list(inner_places(HAND)) == [(2, "hidden"), (3, "hidden"), (5, "hidden")]


def test_changes_by_hand() -> None:
    found: dict[str, list[WidthChange]] = {}
    for change in width_changes(HAND):
        found.setdefault(change.width, []).append(change)
    widths = {
        name: [next(iter(change.layers.values())).arg(name.split(".")[1]) for change in changes]
        for name, changes in found.items()
    }
    # Multiples of 8 one by one, from the fifth on in steps of 16.
    assert widths == {
        "2.hidden": [56, 48, 40, 32, 16], "3.hidden": [64, 56, 48, 40, 24, 8], "5.hidden": [16, 8],
        "0.out": [8], "2.out": [16, 8], "4.out": [40, 32, 24, 16],
    }  # fmt: skip


def test_wider_is_the_next_multiple_in_all_that_is_tied() -> None:
    changes = {change.width: change for change in width_changes(HAND, wider=True)}
    widths = {name: next(iter(change.layers.values())).arg(name.split(".")[1]) for name, change in changes.items()}
    # The next multiples of 8 after 64, 72, 20 inside and 16, 24, 48 between blocks.
    assert widths == {"2.hidden": 72, "3.hidden": 80, "5.hidden": 24, "0.out": 24, "2.out": 32, "4.out": 56}
    assert changes["2.out"].inputs == {3: 32, 4: 32}


def test_a_bottleneck_shrinks_in_all_its_layers_and_the_expansion_that_equals_it_follows() -> None:
    layers = HAND.layers
    changes = {(change.width, change.inputs.get(4, 0)): change for change in width_changes(HAND)}
    stem = changes["0.out", 0]
    assert stem.layers == {0: layers[0].with_args(out=8), 1: layers[1].with_args(out=8, hidden=8)}
    assert stem.inputs == {1: 8, 2: 8}
    pair = changes["2.out", 16]
    assert pair.layers == {2: layers[2].with_args(out=16), 3: layers[3].with_args(out=16)}
    assert pair.inputs == {3: 16, 4: 16}


def test_an_inner_width_shrinks_alone_and_its_squeeze_stays() -> None:
    change = next(change for change in width_changes(HAND) if change.width == "3.hidden")
    assert change.layers == {3: HAND.layers[3].with_args(hidden=64)}
    assert change.layers[3].arg("se") == 20
    assert not change.inputs


def test_moves_are_the_changes_applied() -> None:
    moves = list(shrink_moves(HAND))
    assert [name for name, _ in moves] == [change.width for change in width_changes(HAND)]
    for (_, network), change in zip(moves, width_changes(HAND), strict=True):
        for i, (layer, shape) in enumerate(zip(network.layers, network.layer_inputs(), strict=True)):
            assert layer == change.layers.get(i, HAND.layers[i])
            assert shape[0] == change.inputs.get(i, HAND.layer_inputs()[i][0])
        assert not network.genes


def test_widths_around_divided_channels_stay() -> None:
    network = _network(
        {"block": "shufflenet_stem", "out": 24},
        {"block": "shufflenetv2", "out": 48, "stride": 2},
        {"block": "shufflenetv2", "out": 48},
        {"block": "conv", "out": 64, "kernel": 1},
        {"block": "head"},
    )
    assert tied_widths(network) == [[3]]


def test_the_widths_of_image_and_result_stay() -> None:
    on_image = _network({"block": "repvit", "hidden": 8}, {"block": "conv", "out": 16}, {"block": "head"})
    assert tied_widths(on_image) == [[1]]
    backbone = _network({"block": "conv", "out": 16}, {"block": "conv", "out": 24}, {"block": "repvit", "hidden": 48})
    assert tied_widths(backbone) == [[0]]
    assert {name for name, _ in shrink_moves(backbone)} == {"0.out", "2.hidden"}


def _representatives() -> list[Architecture]:
    """The smallest and the largest network of each family."""
    families: dict[str, list[Architecture]] = {}
    for network in known_networks():
        families.setdefault(network.family, []).append(network)
    return [
        extreme
        for members in families.values()
        for extreme in {n.digest: n for n in (min(members, key=_params), max(members, key=_params))}.values()
    ]


def _params(network: Architecture) -> int:
    return network.params


@pytest.mark.parametrize("network", _representatives(), ids=lambda network: network.name)
def test_every_move_builds_and_is_smaller(network: Architecture) -> None:
    widths = [_widths(layer) for layer in network.layers]
    for _, narrower in shrink_moves(network):
        assert narrower.params < network.params
        assert narrower.macs < network.macs
        for layer, before in zip(narrower.layers, widths, strict=True):
            changed = {key: value for key, value in _widths(layer).items() if value != before[key]}
            assert all(value % 8 == 0 and value < before[key] for key, value in changed.items())


def _widths(layer: Layer) -> dict[str, int]:
    return {key: value for key, value in layer.args if type(value) is int}
