from __future__ import annotations

import pytest

from nas.latency.published.warnings import is_large, warnings_of
from tests.latency.examples import classifier, pointwise, row, table
from tests.latency.published.test_predictor import predictor


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("se_mul", "squeeze-and-excitation"),
        ("act:silu", "SiLU or hard swish"),
        ("act:hswish", "SiLU or hard swish"),
        ("softmax", "attention"),
        ("layout", "shuffles"),
        ("cat", "shuffles"),
        ("grp", "grouped"),
        ("act:mish", "in mish, which no calibrating network has"),
        ("other:Foo", "in Foo, which no calibrating network has"),
    ],
)
def test_what_published_figures_say_little_of_is_named(kind: str, words: str) -> None:
    heavy = row(kind, channels=512, side=112, macs=10**9, weights=1)
    found = warnings_of(table(pointwise(8, 8, 4), heavy), predictor().model, ["pw"])
    assert any(words in text for text in found)


def test_a_large_depthwise_kernel_is_named() -> None:
    heavy = row("dw", kernel=7, macs=10**9, weights=8)
    assert any("kernels of 5" in text for text in warnings_of(table(heavy), predictor().model, []))


def test_a_plain_network_has_no_warnings_and_small_shares_none() -> None:
    little = row("se_mul", channels=8, side=1)
    operators = table(pointwise(256, 256, 28), row("act:relu"), little, classifier(256))
    assert warnings_of(operators, predictor(broadcast=1e-6).model, ["pw", "lin", "act:relu"]) == ()


def test_kinds_that_calibrate_are_doubted_only_where_figures_say_little() -> None:
    operators = table(pointwise(8, 8, 4), row("act:silu", channels=512, side=112), row("norm", channels=512, side=112))
    found = warnings_of(operators, predictor().model, ["pw", "act:silu"])
    assert "on which published figures disagree" in found[0]
    assert "normalisations, which no calibrating network has" in found[1]


def test_the_first_operator_tells_the_size_of_the_input() -> None:
    def stem(out: int, stride: int) -> tuple[str | float, ...]:
        return ("dense", 3, stride, 1, 3, 16, out, out, 1, 1, 1, 1)

    assert is_large(table(stem(160, 2)))
    assert not is_large(table(stem(150, 2)))
    assert not is_large(table(stem(224, 1), stem(400, 1)))
    assert not is_large(table())
