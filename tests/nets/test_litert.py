from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import torch

from nas.errors import InputError
from nas.installed import extra_remedy
from nas.nets import build
from nas.nets.litert import export_litert, litert_metadata, litert_operators, run_litert
from nas.nets.litert_writer import write_litert
from nas.space.seeds import families
from tests.extras import needs
from tests.nets.readings import image, relative_error, with_random_numbers
from tests.nets.shortened import shortened
from tests.nets.test_litert_writer import CONVERTED_OTHERWISE
from tests.zoo.networks import small


@pytest.mark.slow
@pytest.mark.parametrize("family", list(families()))
def test_the_interpreter_computes_what_torch_does(family: str, tmp_path: Path) -> None:
    needs("litert_torch")
    network = shortened(family)
    module = with_random_numbers(build(network))
    path = export_litert(module, tmp_path / "model.tflite")
    x = image(module)
    with torch.no_grad():
        assert relative_error(run_litert(path, x.numpy()), module(x)) <= 1e-3
    # The interpreter's own operators alone, since apps ship no others.
    used = litert_operators(path)
    assert used.keys() & {"CONV_2D", "DEPTHWISE_CONV_2D"}
    assert not any(name.startswith(("CUSTOM", "FLEX", "STABLEHLO")) for name in used)
    if family not in CONVERTED_OTHERWISE:
        assert litert_operators(write_litert(module, tmp_path / "timed.tflite")) == used
    assert litert_metadata(path) == {"untrained": "true", "name": network.name, "digest": network.digest}


@pytest.mark.slow
def test_a_trained_network_is_called_so(tmp_path: Path) -> None:
    needs("litert_torch")
    path = export_litert(build(small(), seed=1), tmp_path / "model.tflite", trained=True)
    assert litert_metadata(path)["untrained"] == "false"


def test_without_the_converter_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "litert_torch", None)
    with pytest.raises(
        InputError, match=r"litert needs litert_torch, which is not installed; " + re.escape(extra_remedy("litert"))
    ):
        export_litert(build(small()), tmp_path / "model.tflite")
    assert not list(tmp_path.iterdir())
