"""The shipped spaces: which blocks they offer, which known networks they hold."""

from __future__ import annotations

import numpy as np
import pytest

from nas.space import known_network, load_space
from nas.space.encode import encode
from nas.space.load import space_paths
from nas.space.search_space import SearchSpace

HELD = {
    "mobile": ["mobilenetv3-large-1.0", "mobileone-s1", "repvit-m0.9", "repvit-m1.0"],
    "mobile-core": [],
    "repvgg": ["repvgg-a0", "repvgg-a1", "repvgg-a2", "repvgg-b0", "mobileone-s1", "mobileone-s2", "mobileone-s3"],
    "shufflenet": [],
    "npu": ["repvgg-a2", "repvgg-b0", "mobileone-s1", "mobileone-s2", "mobileone-s3"],
    "ofa-mobilenetv3": [f"ofa-mobilenetv3-note10-{ms}ms@224" for ms in (30, 41, 50, 64)],
    "tiny": [],
    "mobilevit": [f"mobilevitv2-{width}" for width in ("0.5", "0.75", "1.0", "1.25", "1.5", "1.75", "2.0")],
}


def _space(name: str) -> SearchSpace:
    space = load_space(name)
    assert isinstance(space, SearchSpace)
    return space


def test_every_shipped_space_is_named_here() -> None:
    assert set(space_paths()) == set(HELD)


def test_the_spaces_offer_the_blocks_of_the_families() -> None:
    offered = {kind.block.block for name in HELD for kind in _space(name).kinds.values()}
    assert offered >= {"mbconv", "mobileone", "repvit", "repvgg", "shufflenetv2", "fire", "ghostnet", "mobilevitv2"}


@pytest.mark.parametrize(("space", "network"), [(space, network) for space, held in HELD.items() for network in held])
def test_known_networks_are_points(space: str, network: str) -> None:
    code = encode(_space(space), known_network(network))
    assert _space(space).decode(code).digest == known_network(network).digest


def test_npu_offers_relu_no_se_and_multiples_of_32() -> None:
    space = _space("npu")
    for network in space.sample(40, np.random.default_rng(2)):
        for layer in network.layers:
            args = dict(layer.args)
            assert args.get("act", "none") in ("relu", "none")
            assert not any(args.get(se) for se in ("se", "se_depthwise", "se_pointwise"))
            assert all(int(args.get(width, 0)) % 32 == 0 for width in ("out", "hidden"))


def test_ofa_mobilenetv3_has_the_sub_networks_of_the_paper() -> None:
    # Three depths of five stages, each block with three kernel sizes and three ratios, at five sizes of images.
    assert _space("ofa-mobilenetv3").size == 5 * (9**2 + 9**3 + 9**4) ** 5


def test_tiny_keeps_the_size_or_halves_it_once_and_offers_its_five_kinds() -> None:
    space = _space("tiny")
    assert min(space.resolutions) == 32
    assert set(space.stem_strides) == {1, 2}
    # Three stages halve the map behind the stem.
    assert {space.reduction(len(space.stages), stride) for stride in (1, 2)} == {8, 16}
    blocks = {kind.block.block for kind in space.kinds.values()}
    assert blocks == {"mbconv", "mobileone", "repvit", "repvgg", "shufflenetv2"}
    widths = {width for stage in space.stages for width in stage.width} | set(space.stem_widths)
    assert all(width % 16 == 0 for width in widths)


@pytest.mark.parametrize("name", HELD)
def test_random_points_build_and_come_back(name: str) -> None:
    space = _space(name)
    for code in space.sample_codes(5, np.random.default_rng(0)):
        network = space.decode(code)
        assert network.params == network.graph().params > 0
        assert space.decode(encode(space, network)).digest == network.digest


@pytest.mark.parametrize("name", HELD)
def test_every_kind_is_reached(name: str) -> None:
    space = _space(name)
    networks = space.sample(60, np.random.default_rng(1))
    seen = {layer.block for network in networks for layer in network.layers}
    assert seen >= {kind.block.block for kind in space.kinds.values()}
