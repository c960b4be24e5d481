from __future__ import annotations

import pytest

from nas.graph import Graph
from nas.graph.ops import Conv
from nas.jobs.study_networks import (
    RESOLUTIONS,
    activations,
    all_known,
    attentions,
    blocks,
    plain_network,
    threaded,
    with_separable_attention,
)
from nas.space import known_names, known_network


def _keys(graph: Graph) -> list[str]:
    return [segment.key for segment in graph.segments]


def test_the_plain_network_has_thirty_dense_layers() -> None:
    kernels = [node.op.kernel for node in plain_network().nodes if isinstance(node.op, Conv)]
    assert kernels == [(3, 3)] * 30
    assert plain_network().output_shape == (1000,)


def test_squeeze_and_excitation_before_a_relu_is_one_of_the_activations() -> None:
    assert _keys(plain_network(se=True)) == _keys(plain_network(act="se_relu"))


def test_skip_connections_add_sums_and_nothing_else() -> None:
    plain, skip = plain_network(), plain_network(skip=True)
    assert (skip.params, skip.macs) == (plain.params, plain.macs)
    assert len(skip.nodes) - len(plain.nodes) == 25  # the first layer of each of the five stages changes the map


def test_the_subjects_of_a_study_have_names_of_their_own_and_bases_among_them() -> None:
    for subjects in (activations, blocks, threaded, attentions):
        found = list(subjects())
        names = [subject.name for subject in found]
        assert len(set(names)) == len(names)
        assert {subject.base for subject in found} <= set(names)
    assert [subject.name for subject in all_known()] == list(known_names())
    assert {subject.resolution for subject in attentions()} == set(RESOLUTIONS)


@pytest.mark.parametrize("resolution", [128, 256])
def test_separable_attention_changes_attention_alone(resolution: int) -> None:
    own = known_network("mobilevit-s").at_resolution(resolution)
    separable = with_separable_attention(own)
    assert [x.block.removesuffix("_separable") for x in separable.layers] == [layer.block for layer in own.layers]
    layers = {144: 2, 192: 4, 240: 3}
    # Query, key, value, output: 4 C² + 4 C numbers. Score, key, value, output: C + 1 + 3 (C² + C).
    assert own.params - separable.params == sum(n * (c * c - 1) for c, n in layers.items())
    # Tokens T of 4 pixels each: projections 4 C², products 2 C T / 4; against C + 3 C² and the sum of keys, C.
    side = {144: resolution // 8, 192: resolution // 16, 240: resolution // 32}
    difference = sum(n * side[c] ** 2 * (c * c + c * side[c] ** 2 // 2 - 2 * c) for c, n in layers.items())
    assert own.macs - separable.macs == difference
