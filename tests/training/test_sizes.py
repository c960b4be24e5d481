from __future__ import annotations

import pytest
import torch

from nas.errors import InputError
from nas.nets import build
from nas.space import Architecture, load_architecture
from nas.training.sizes import Sizes
from tests.training.examples import LAYERS, network


def test_another_size_has_the_same_weights() -> None:
    module = build(network(resolution=32)).eval()
    form = Sizes(module).form(0.75)
    assert form.definition.input_shape == (3, 24, 24)
    assert {id(one) for one in form.parameters()} == {id(one) for one in module.parameters()}
    assert Sizes(module).form(1.0) is module
    with torch.no_grad():
        assert torch.equal(form.eval()(torch.ones(1, 3, 24, 24)), module(torch.ones(1, 3, 24, 24)))


@pytest.mark.parametrize(
    "name", ["mobilenetv1-0.25@64", "mobilevit-xxs@128", "efficientnet-lite0@64", "repvit-m0.9@64"]
)
def test_networks_of_the_families_run_at_other_sizes(name: str) -> None:
    module = build(load_architecture(name), num_classes=3).eval()
    for share in (0.625, 1.25):
        form = Sizes(module).form(share).eval()
        size = form.definition.input_shape
        assert abs(size[1] - share * module.definition.input_shape[1]) <= 32
        with torch.no_grad():
            assert form(torch.ones(1, *size)).shape == (1, 3)


def test_nothing_is_smaller_than_sixteen_pixels() -> None:
    assert Sizes(build(network(resolution=32))).form(0.1).definition.input_shape == (3, 16, 16)


def test_what_cannot_be_another_size_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    module = build(network(resolution=32))
    narrower = network(resolution=32, layers=[*LAYERS[:1], *LAYERS[2:]])
    monkeypatch.setattr(Architecture, "at_resolution", lambda self, size: narrower)
    with pytest.raises(InputError, match="same layers at 0.5 of its size"):
        Sizes(module).form(0.5)
