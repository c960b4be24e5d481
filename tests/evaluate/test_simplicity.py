"""What networks are made of, counted by hand from the tables of their papers."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from nas.evaluate import Simplicity, simplicity
from nas.space import known_network
from nas.space.architecture import make_layer


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # Depthwise-separable blocks, ReLU6, 3x3, widths from 32 by doubling.
        ("mobilenetv1-1.0", (1, 1, 1, 0)),
        # arXiv 1905.02244, table 1: ReLU then h-swish, 3x3 and 5x5; of the widths 24 and 40, of the expansions 72, 120,
        # 200 and 184 are no multiples of 16. The ReLU inside squeeze-and-excitation does not count.
        ("mobilenetv3-large-1.0", (1, 2, 2, 6)),
        # GELU and 3x3; 56 wide at first, behind a stem of half as much.
        ("repvit-m1.0", (1, 1, 1, 2)),
        # ReLU, 3x3; widths 96, 96, 192, 512, 1280.
        ("mobileone-s1", (1, 1, 1, 0)),
        # PReLU by the block's own code: no parameter names it.
        ("espnetv2-1.25", None),
    ],
)
def test_known_networks(name: str, expected: tuple[int, int, int, int] | None) -> None:
    found = simplicity(known_network(name))
    if expected is None:
        assert found.activations == 1
    else:
        assert (found.kinds, found.activations, found.kernels, found.irregular_widths) == expected


def test_a_mixture_counts_each_thing_once() -> None:
    """MobileNetV1 with one block of RepViT and one of MobileOne in it."""
    network = known_network("mobilenetv1-1.0")
    width = network.layer_inputs()[3][0]
    layers = list(network.layers)
    layers[3:3] = [
        make_layer("repvit", {"hidden": 2 * width, "kernel": 5, "act": "gelu", "se": 8}),
        make_layer("repvit", {"hidden": 200, "kernel": 5, "act": "gelu"}),
        make_layer("mobileone", {"out": width, "kernel": 7, "act": "relu"}),
    ]
    # ReLU6 of MobileNetV1, GELU, ReLU. 200 = 12.5 * 16; the 8 channels inside squeeze-and-excitation are no width.
    assert simplicity(replace(network, layers=tuple(layers))) == Simplicity(
        kinds=3, activations=3, kernels=3, irregular_widths=1
    )


def test_fewer_kinds_come_before_fewer_activations_kernels_and_irregular_widths() -> None:
    order = [(1, 1, 1, 9), (1, 1, 2, 0), (1, 2, 1, 0), (1, 2, 1, 1), (2, 1, 1, 0)]
    names = ("kinds", "activations", "kernels", "irregular_widths")
    found = [Simplicity(**dict(zip(names, counts, strict=True))) for counts in order]
    assert all(one < other for one, other in itertools.pairwise(found))
    assert [one.is_uniform for one in found] == [True, True, False, False, False]
