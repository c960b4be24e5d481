from __future__ import annotations

import pytest

from nas.graph import Builder
from nas.runtimes.neural_engine import leaves_neural_engine
from nas.space import known_network


def test_dilated_convolutions_are_named_and_counted() -> None:
    b = Builder((8, 16, 16))
    x = b.conv(b.conv(b.input, 8, 3), 8, 3, dilation=2)
    b.conv(x, 8, 3, dilation=4)
    (text,) = leaves_neural_engine(b.build())
    assert "Neural Engine: 2 dilated convolutions" in text and "hollance/neural-engine" in text


def test_layers_of_tokens_are_named_but_not_the_vector_of_a_head() -> None:
    b = Builder((8, 4, 4))
    tokens = b.rearrange(b.input, (8, 16), (1, 0), (16, 8))
    b.matmul(b.softmax(b.linear(tokens, 8)), tokens, transpose=True)
    (text,) = leaves_neural_engine(b.build())
    assert "3 layers for tensors of any rank" in text
    b = Builder((8, 4, 4))
    b.linear(b.global_pool(b.input, flatten=True), 5)
    assert leaves_neural_engine(b.build()) == ()


@pytest.mark.parametrize(
    ("name", "words"),
    [("espnetv2-1.0", "dilated"), ("mobilevit-xs", "any rank"), ("mobilevitv2-1.0", "any rank"), ("repvit-m1.0", "")],
)
def test_known_networks(name: str, words: str) -> None:
    found = leaves_neural_engine(known_network(name).graph())
    assert [words in text for text in found] == ([True] if words else [])
