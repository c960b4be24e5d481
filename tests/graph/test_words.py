from __future__ import annotations

import pytest

from nas.graph.words import kind_words, kinds_words
from nas.space import known_networks


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("reorder", "copies between layouts"),
        ("layout:channels", "moves of the channels"),
        ("act:hswish", "hard swish"),
        ("act:dynamic_relu_a", "dynamic relu a"),
        ("se_mul", "squeeze-and-excitation products"),
        ("gap", "global average pooling"),
        ("other:my.ops.Fancy", "my.ops.Fancy"),
        ("norm:instance", "normalisations (instance)"),
        ("nonsense", "nonsense"),
    ],
)
def test_a_kind_in_words(kind: str, words: str) -> None:
    assert kind_words(kind) == words


def test_several_are_named_once_in_order() -> None:
    assert kinds_words(["slice", "gap", "gap", "act:relu"]) == "ReLU, copies of a part, global average pooling"


def test_every_kind_of_the_known_networks_has_words() -> None:
    kinds = {str(kind) for network in known_networks()[::7] for kind in network.graph().operators().kind}
    assert len(kinds) > 8
    assert [kind for kind in kinds if kind_words(kind) == kind and kind not in ("softmax",)] == []
