from __future__ import annotations

import functools

import pytest

from nas.graph import Graph
from nas.measure.plan import NUM_REPEATS
from nas.measure.repeats import repeat_graph

KINDS = (
    "dense", "grp", "dw", "pw", "lin", "gap", "pool", "avgpool", "avgpool:ceil", "add", "mul", "se_mul", "scale", "cat",
    "slice", "layout", "mm", "softmax", "resize", "norm:layer", "norm:group", "norm:batch",
)  # fmt: skip


@functools.cache
def repeats() -> tuple[Graph, ...]:
    return tuple(repeat_graph(number) for number in range(NUM_REPEATS))


def test_a_number_makes_the_same_repeat_always() -> None:
    for number in (0, 7, 63):
        assert [s.key for s in repeat_graph(number).segments] == [s.key for s in repeats()[number].segments]


def test_all_between_the_stem_and_the_classifier_is_one_block_which_comes_several_times() -> None:
    for graph in repeats():
        keys = [segment.key for segment in graph.segments]
        assert len(keys) >= 5
        assert len(set(keys[1:-1])) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_an_operator_is_in_several_repeats(kind: str) -> None:
    assert sum(kind in graph.segments[1].operators.kind.tolist() for graph in repeats()) >= 3


def test_a_repeat_takes_no_longer_than_a_small_network() -> None:
    assert max(graph.macs for graph in repeats()) < 500e6
    assert max(graph.activation_elements for graph in repeats()) < 20e6


@pytest.mark.parametrize("number", range(0, NUM_REPEATS, 25))
def test_a_repeat_runs(number: int) -> None:
    import torch

    from nas.nets.module import build_graph

    module = build_graph(repeats()[number]).eval()
    with torch.no_grad():
        assert tuple(module(torch.zeros(1, *repeats()[number].input_shape)).shape) == (1, 10)
