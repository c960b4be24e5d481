from __future__ import annotations

import functools

import pytest

from nas.graph import Graph
from nas.measure.plan import NUM_PROBES
from nas.measure.probes import probe_graph

NEEDED = (
    "dense", "grp", "dw", "pw", "lin", "gap", "pool", "avgpool", "avgpool:ceil", "add", "se_mul", "scale", "cat",
    "slice", "layout", "norm:layer", "norm:group", "norm:batch",
)  # fmt: skip
"""What image networks at large are made of, beside activations."""


@functools.cache
def probes() -> tuple[Graph, ...]:
    return tuple(probe_graph(number) for number in range(NUM_PROBES))


def keys(graph: Graph) -> list[str]:
    return [segment.key for segment in graph.segments]


def test_a_number_makes_the_same_probe_always() -> None:
    assert [keys(probe_graph(number)) for number in (0, 7, 63)] == [keys(probes()[number]) for number in (0, 7, 63)]


def test_numbers_make_different_probes() -> None:
    assert len({"\n".join(keys(probe)) for probe in probes()}) == NUM_PROBES


def test_every_probe_ends_in_a_vector_of_classes_and_has_several_segments() -> None:
    for probe in probes():
        assert len(probe.segments) >= 3
        last = probe.operators()
        assert (last.out_height[-1], last.out_width[-1]) == (1, 1)
        assert last.kind[-1] == "lin"


@pytest.mark.parametrize("kind", NEEDED)
def test_an_operator_is_in_several_probes(kind: str) -> None:
    assert sum(kind in probe.operators().kind.tolist() for probe in probes()) >= 3


def test_nothing_in_a_probe_is_without_a_name() -> None:
    kinds = {kind for probe in probes() for kind in probe.operators().kind.tolist()}
    assert not {kind for kind in kinds if kind.startswith("other:")}
    assert len({kind for kind in kinds if kind.startswith("act:")}) >= 6


@pytest.mark.parametrize("number", range(0, NUM_PROBES, 30))
def test_a_probe_runs(number: int) -> None:
    import torch

    from nas.nets.module import build_graph

    probe = probes()[number]
    module = build_graph(probe, seed=0)
    module.eval()
    side = probe.input_shape[-1]
    with torch.no_grad():
        found = module(torch.zeros(1, 3, side, side))
    assert tuple(found.shape) == (1, int(probe.operators().out_channels[-1]))
