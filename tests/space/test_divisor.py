"""What the widths of a space have in common."""

from __future__ import annotations

import numpy as np
import pytest

from nas.errors import InputError
from nas.space.search_space import SearchSpace
from nas.space.shrink import width_changes
from tests.space.examples import space_of

TEXT = """
schema: 1
name: even
{divisor}resolution: [64]
stems: [[{{block: conv, out: {stem}, stride: 2}}]]
kinds:
  mbconv:
    block: {{block: mbconv, out: width, hidden: {hidden}, kernel: kernel, stride: stride, se: se*in/4}}
stages:
- {{stride: 2, depth: [2, 3], width: {widths}, kernel: [3, 5], expansion: {expansion}, se: [none, all]}}
heads: [[{{block: head}}]]
"""


def _space(
    *,
    stem: int = 32,
    hidden: str = "expansion*in",
    widths: str = "[64, 96]",
    expansion: str = "[2, 3]",
    divisor: str = "",
) -> SearchSpace:
    return space_of(TEXT.format(stem=stem, hidden=hidden, widths=widths, expansion=expansion, divisor=divisor))


@pytest.mark.parametrize(
    ("changes", "divisor"),
    [
        ({}, 32),  # 64, 96; 2 and 3 times 32, 64, 96
        ({"expansion": "[1.25]"}, 8),  # 1.25 · 32 = 40, 1.25 · 96 = 120
        ({"expansion": "[1.5]"}, 16),  # 48, 96, 144
        ({"stem": 128, "widths": "[128, 256]"}, 64),  # all multiples of 128, but no more than 64
        (
            {"stem": 4, "widths": "[4, 12]", "hidden": "'expansion*in:floor'"},
            8,
        ),  # all multiples of 4, but no less than 8
        ({"divisor": "divisor: 16\n"}, 16),
    ],
)
def test_the_divisor_is_that_of_all_widths_but_se(changes: dict[str, str], divisor: int) -> None:
    assert _space(**changes).divisor == divisor  # type: ignore[arg-type]


def test_a_stated_divisor_rounds_the_widths_of_expressions_but_not_those_of_se() -> None:
    space = _space(expansion="[1.25]", divisor="divisor: 32\n")
    layers = [dict(layer.args) for network in space.sample(40, np.random.default_rng(0)) for layer in network.layers]
    blocks = [args for args in layers if "hidden" in args and "kernel" in args]
    # 1.25 times 32, 64 and 96 is 40, 80 and 120: to multiples of 32 and never below 90 %, 64, 96 and 128.
    assert {args["hidden"] for args in blocks} == {64, 96, 128}
    assert {args["se"] for args in blocks} == {0, 8, 16, 24}  # a quarter of 32, 64 and 96


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"widths": "[64, 80]"}, "stage1: width must be multiples of the divisor 32, but got 80"),
        ({"stem": 16}, "stems, choice 1: conv must be multiples of the divisor 32, but got 16"),
        ({"hidden": "'expansion*in:floor'", "expansion": "[1.5]"}, "widths inside blocks must be multiples of"),
    ],
)
def test_widths_beside_a_stated_divisor_are_refused(changes: dict[str, str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        _space(divisor="divisor: 32\n", **changes)  # type: ignore[arg-type]


def test_shrinking_keeps_the_divisor() -> None:
    network = _space().sample(1, np.random.default_rng(1))[0]
    for change in width_changes(network, 32):
        for layer in change.layers.values():
            assert all(dict(layer.args).get(name, 0) % 32 == 0 for name in ("out", "hidden"))
    assert list(width_changes(network, 32))
