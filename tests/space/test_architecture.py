from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from nas.documents import parse_yaml
from nas.errors import InputError
from nas.space import Architecture, parse_architecture
from nas.space.architecture import make_layer
from nas.space.resolution import Resolution

HAND = Architecture(
    name="hand",
    family="test",
    resolution=(64, 96),
    layers=(make_layer("conv", {"out": 8, "stride": 2}), make_layer("head", {})),
    num_classes=5,
    in_channels=4,
)


def test_counts_follow_what_goes_in_and_comes_out() -> None:
    assert HAND.input_shape == (4, 64, 96)
    assert HAND.graph().output_shape == (5,)
    # Stem 4 · 9 · 8 weights on a map of 32 x 48, a bias a channel; classifier 8 · 5 and 5 biases.
    assert HAND.params == 288 + 8 + 40 + 5
    assert HAND.macs == 288 * 32 * 48 + 40
    assert HAND.layer_inputs() == ((4, 64, 96), (8, 32, 48))


def test_identity_is_all_that_a_network_takes_and_gives_but_not_its_labels() -> None:
    others = [
        HAND.at_resolution(64),
        HAND.at_resolution((96, 64)),
        HAND.adapted(num_classes=6),
        HAND.adapted(in_channels=3),
        replace(HAND, layers=HAND.layers[1:]),
    ]
    assert len({network.digest for network in (HAND, *others)}) == 6
    assert replace(HAND, name="other", family="other", genes={"resolution": 64}).digest == HAND.digest


@pytest.mark.parametrize(
    ("resolution", "side", "form"), [(64, 64.0, 64), ((64, 64), 64.0, 64), ((64, 16), 32.0, (64, 16))]
)
def test_a_square_has_one_form(resolution: Resolution, side: float, form: Resolution) -> None:
    network = HAND.at_resolution(resolution)
    assert (network.side, network.resolution) == (side, form)
    assert network.digest == HAND.at_resolution(form).digest


def test_a_document_gives_the_network_back() -> None:
    assert "resolution:\n- 64\n- 96\n" in HAND.to_yaml()
    again = parse_architecture(parse_yaml(HAND.to_yaml(), name="hand.yaml"), "hand.yaml")
    assert again == HAND and again.digest == HAND.digest


def test_digests_are_those_of_the_text_that_says_all() -> None:
    """They are in tables, stores and cards, so the text of a square stays as it is."""
    text = (
        '{"in_channels":4,"layers":[{"act":"relu","block":"conv","kernel":3,"out":8,"stride":2},'
        '{"act":"none","block":"head","hidden":0,"norm":false}],"num_classes":5,"resolution":%s}'
    )
    for network, size in ((HAND, "[64,96]"), (HAND.at_resolution(64), "64")):
        assert network.digest == hashlib.sha256((text % size).encode()).hexdigest()[:16]


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("num_classes", 1, "num_classes must be an integer from 2 to 1000000, but got 1"),
        ("num_classes", True, "num_classes must be an integer from 2 to 1000000, but got True"),
        ("in_channels", 2, "in_channels must be one of 1, 3, 4, but got 2"),
        ("in_channels", True, "in_channels must be one of 1, 3, 4, but got True"),
        ("resolution", [64, 8], r"resolution must be an integer from 16 to 4096, or \[height, width\] of such"),
        ("resolution", [64, 64, 64], r"but got \[64, 64, 64\]"),
        ("resolution", 64.0, "but got 64.0"),
    ],
)
def test_what_no_network_takes_or_gives_is_refused(key: str, value: object, words: str) -> None:
    with pytest.raises(InputError, match=f"^hand.yaml: .*{words}"):
        parse_architecture({**HAND.as_mapping(), key: value}, "hand.yaml")


def test_adapting_refuses_the_same_and_is_free_where_nothing_changes() -> None:
    with pytest.raises(InputError, match="hand: num_classes must be an integer from 2 to 1000000, but got 0"):
        HAND.adapted(num_classes=0)
    with pytest.raises(InputError, match="hand: in_channels must be one of 1, 3, 4, but got 5"):
        HAND.adapted(in_channels=5)
    assert HAND.adapted(num_classes=5, in_channels=4) is HAND
    assert (HAND.on_imagenet().num_classes, HAND.on_imagenet().input_shape) == (1000, (3, 64, 96))


def test_a_point_of_a_space_that_is_changed_keeps_no_genes() -> None:
    point = replace(HAND, genes={"resolution": (64, 96)})
    assert not point.at_resolution(64).genes
    assert not point.adapted(num_classes=7).genes
