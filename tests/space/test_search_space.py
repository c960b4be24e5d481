from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.errors import InputError
from nas.space import SearchSpace, known_network, load_space, space_paths
from nas.space.encode import encode
from nas.strategies.variation import cross, mutate
from tests.space.examples import EARLY, ENDS, LATE, TINY, UncanonicalSpace, all_codes, space_of

SEEDS = st.integers(0, 2**32 - 1)


SHIPPED = {name: load_space(name) for name in space_paths()}
SPACES = {name: space for name, space in SHIPPED.items() if isinstance(space, SearchSpace)}
SPACES |= {"tiny": space_of(TINY), "early": space_of(EARLY), "ends": space_of(ENDS), "late": space_of(LATE)}
MOBILE = SPACES["mobile"]


@pytest.fixture(params=SPACES, scope="module")
def space(request: pytest.FixtureRequest) -> SearchSpace:
    return SPACES[request.param]


@given(seed=SEEDS)
@settings(max_examples=10)
def test_decoding_and_encoding_come_back(space: SearchSpace, seed: int) -> None:
    for code in space.sample_codes(2, np.random.default_rng(seed)):
        network = space.decode(code)
        again = encode(space, network)
        assert space.decode(again).digest == network.digest
        assert (space.canonical(again[None])[0] == again).all()
        assert network.family == space.name
        assert network.genes == space.values(code)


@given(seed=SEEDS)
@settings(max_examples=10)
def test_a_canonical_code_is_the_same_network_and_stays(space: SearchSpace, seed: int) -> None:
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, space.cardinalities, size=(2, len(space.cardinalities)))
    canonical = space.canonical(codes)
    assert (space.canonical(canonical) == canonical).all()
    second = UncanonicalSpace.of(space)
    for code, short in zip(codes, canonical, strict=True):
        assert second.decode(code).digest == second.decode(short).digest


def test_canonical_leaves_its_argument_alone(space: SearchSpace) -> None:
    codes = np.tile(space.cardinalities - 1, (3, 1))
    before = codes.copy()
    space.canonical(codes)
    assert (codes == before).all()


@given(seed=SEEDS)
@settings(max_examples=10)
def test_crossed_and_mutated_codes_are_networks(space: SearchSpace, seed: int) -> None:
    rng = np.random.default_rng(seed)
    children = mutate(
        cross(space.sample_codes(4, rng), space.sample_codes(4, rng), rng), space.cardinalities, rng
    )  # fmt: skip
    assert ((children >= 0) & (children < space.cardinalities)).all()
    for code in children[:2]:
        network = space.decode(code)
        assert network.graph().output_shape == (space.num_classes,)


def test_the_size_is_the_number_of_canonical_codes() -> None:
    tiny = SPACES["tiny"]
    codes = tiny.canonical(all_codes(tiny))
    # Stage 1 (a kind that knows neither kernel, expansion, act nor SE): absent, or 2 widths, each the one kind.
    # Stage 2: mbconv with 4 choices a block, and separable. Depth 1: none and late have the same flag (0): 4 + 1.
    # Depth 3: two patterns, two free blocks: 2 · 4² + 1.
    assert tiny.size == 1 * 1 * (1 + 2) * (4 + 1 + 32 + 1) * 2
    assert len(np.unique(codes, axis=0)) == tiny.size


def test_the_size_of_a_space_with_everything_is_the_number_of_canonical_codes() -> None:
    """Stage by stage: the other genes at 0, every combination of one stage's."""
    early = SPACES["early"]
    product = 1
    for stage in early.stages:
        columns = [early.columns[f"{stage.name}.{gene}"] for gene in stage.genes]
        own = np.indices(tuple(early.cardinalities[columns])).reshape(len(columns), -1).T
        codes = np.zeros((len(own), len(early.cardinalities)), dtype=np.int64)
        codes[:, columns] = own
        product *= len(np.unique(early.canonical(codes), axis=0))
    assert early.size == product * 2 * 5 * 3


def test_mobile_holds_at_least_1e20_different_networks() -> None:
    """Codes whose networks differ for certain: all stages mbconv with ReLU, one depth, no SE.

    With depth 2 in the first stage, 4 in the others and the fifth absent, a block's layer states its kernel size,
    expansion (integer ratios of widths that are multiples of 8) and width, and the strides part the stages.
    """
    count = 1
    for stage, depth in zip(MOBILE.stages, (2, 4, 4, 4, 0, 4), strict=True):
        assert depth in stage.depth and "mbconv" in stage.kinds
        ratios = [ratio for ratio in stage.expansion if ratio == int(ratio)]
        blocks = (len(stage.kernel) * len(ratios)) ** min(depth, stage.num_free)
        count *= blocks * (len(stage.width) if depth else 1)
    assert count >= 10**20
    assert MOBILE.size > count


@pytest.mark.parametrize("name", ["mobilenetv3-large-1.0", "mobileone-s1", "repvit-m1.0"])
def test_known_networks_are_points_of_mobile(name: str) -> None:
    network = known_network(name)
    code = encode(MOBILE, network)
    again = MOBILE.decode(code)
    assert again.digest == network.digest
    assert again.layers == network.layers
    assert (encode(MOBILE, again) == code).all()


def test_repvits_stage_ratios_are_genes() -> None:
    genes = MOBILE.decode(encode(MOBILE, known_network("repvit-m1.0"))).genes
    assert [genes[f"stage{i}.depth"] for i in range(1, 7)] == [0, 3, 3, 15, 0, 2]
    assert {genes[f"stage{i}.se"] for i in (2, 3, 4)} == {"alternate"}


def test_a_network_of_another_space_is_refused() -> None:
    with pytest.raises(InputError, match=r"mobilenetv2-1.0 must be a network of the space mobile, but is none; .*show"):
        encode(MOBILE, known_network("mobilenetv2-1.0"))
    with pytest.raises(InputError, match="must be a network of the space mobile"):
        encode(MOBILE, known_network("repvit-m1.0").at_resolution(320))


def test_a_network_for_other_images_or_classes_is_refused() -> None:
    space = SPACES["ends"]
    network = space.decode(space.sample_codes(1, np.random.default_rng(0))[0])
    for other in (network.adapted(in_channels=3), network.adapted(num_classes=11), network.at_resolution((96, 64))):
        with pytest.raises(InputError, match="must be a network of the space ends"):
            encode(space, other)


def test_sampling_is_that_of_its_generator() -> None:
    first, again = (MOBILE.sample(2, np.random.default_rng(7)) for _ in range(2))
    assert [network.digest for network in first] == [network.digest for network in again]
    assert first[0].name == f"mobile-{first[0].digest[:8]}"


def test_genes_leave_identity_alone() -> None:
    code = encode(MOBILE, known_network("repvit-m1.0"))
    point, network = MOBILE.decode(code, name="x"), known_network("repvit-m1.0")
    assert point.genes["resolution"] == 224
    assert not network.genes
    assert point.digest == network.digest
    bare = MOBILE.decode(code, name="x")
    assert point == bare and hash(point) == hash(bare)


def test_widths_before_each_stage() -> None:
    # Stems leave 16, 20, 16, 24 and 16; stage 1 has 16 and 20 and may be absent, as stage 3.
    assert SPACES["early"].widths_before == (
        (16, 20, 24), (16, 20, 24), (24, 28), (24, 28, 32), (32, 48),
    )  # fmt: skip
    assert SPACES["early"].stem_strides == (2, 2, 4, 4, 4)


def test_early_stems_take_the_first_down_sampling() -> None:
    early = SPACES["early"]
    assert [early.stage_stride(i, 2) for i in range(4)] == [1, 2, 1, 2]
    assert [early.stage_stride(i, 4) for i in range(4)] == [1, 1, 1, 2]
    assert [early.reduction(i, 2) for i in range(5)] == [2, 2, 4, 4, 8]
    assert [early.reduction(i, 4) for i in range(5)] == [4, 4, 4, 4, 8]
    # Stage 2 reads maps of two sizes and leaves one.
    assert [early.telling_strides(i) for i in range(5)] == [(2, 4), (2, 4), (2,), (2,), (2,)]
    assert [early.telling_strides(i, behind=True) for i in range(4)] == [(2, 4), (2,), (2,), (2,)]


def test_behind_stems_that_keep_the_size_all_maps_are_larger() -> None:
    late = SPACES["late"]
    assert late.stem_strides == (1, 2, 1, 2, 4)
    assert [late.reduction(i, 1) for i in range(4)] == [1, 1, 2, 4]
    assert [late.reduction(i, 2) for i in range(4)] == [2, 2, 4, 8]
    assert [late.reduction(i, 4) for i in range(4)] == [4, 4, 4, 8]
    assert [late.telling_strides(i) for i in range(4)] == [(1, 2, 4)] * 4
