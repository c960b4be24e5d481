from __future__ import annotations

import pytest

from nas.graph import OperatorTable
from nas.graph.classifier import classifier_rows
from nas.space import known_names, known_network

Row = tuple[str | float, ...]


def _conv(kind: str, inputs: int, out: int, side: int) -> Row:
    positions = side * side
    weights = inputs * out
    return (kind, 1, 1, 1, inputs, out, side, side, positions * weights, positions * inputs, positions * out, weights)


def _plain(kind: str, channels: int, side: int) -> Row:
    size = channels * side * side
    return (kind, 1, 1, 1, 0, channels, side, side, 0, size, size, 0)


BODY = (_conv("pw", 8, 16, 4), _plain("act:relu", 16, 4))
POOL, HEAD = _plain("gap", 16, 1), _conv("lin", 16, 7, 1)
SQUEEZE = (POOL, _conv("lin", 16, 4, 1), _plain("act:relu", 4, 1), _conv("lin", 4, 16, 1), _plain("act:sigmoid", 16, 1))

# The rows of a network, and the positions of those that classify.
NETWORKS: dict[str, tuple[tuple[Row, ...], list[int]]] = {
    "linear layer": ((*BODY, POOL, HEAD), [3]),
    "a layer before it": ((*BODY, POOL, _conv("lin", 16, 16, 1), _plain("act:relu", 16, 1), HEAD), [5]),
    "a layer before it, no activation": ((*BODY, POOL, _conv("lin", 16, 16, 1), HEAD), [4]),
    "as wide as the layer before it": ((*BODY, POOL, _conv("lin", 16, 16, 1), _conv("lin", 16, 16, 1)), [4]),
    "two heads": ((*BODY, POOL, HEAD, HEAD, _plain("add", 7, 1)), [3, 4]),
    "convolution, pooled": ((*BODY, _conv("pw", 16, 7, 4), _plain("act:relu", 7, 4), _plain("gap", 7, 1)), [2]),
    "a softmax behind": ((*BODY, POOL, HEAD, _plain("softmax", 7, 1)), [3]),
    "backbone": (BODY, []),
    "backbone, pooled maps before": ((*BODY, *SQUEEZE, _plain("se_mul", 16, 4), _conv("pw", 16, 8, 4)), []),
    "backbone that ends in a gate": ((*BODY, *SQUEEZE, _plain("se_mul", 16, 4)), []),
    "nothing": ((), []),
    "no weights": ((POOL,), []),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_the_classifier_is_told_by_its_place(name: str) -> None:
    rows, expected = NETWORKS[name]
    assert [i for i, marked in enumerate(classifier_rows(OperatorTable.from_rows(rows))) if marked] == expected


@pytest.mark.parametrize("num_classes", [7, 1000])
@pytest.mark.parametrize("name", list(known_names()))
def test_every_known_network_has_one_and_it_is_as_wide_as_its_classes(name: str, num_classes: int) -> None:
    table = known_network(name).at_resolution(224).adapted(num_classes=num_classes).graph().operators()
    marked = table.select(classifier_rows(table))
    assert marked.out_channels.tolist() == [num_classes]
