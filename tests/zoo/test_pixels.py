from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray

from nas.errors import NasError
from nas.nets import GraphModule, build
from nas.nets.module import set_statistics
from nas.nets.pixels import PixelForm, export_pixels_onnx
from nas.zoo.pixels import PIXEL_FORMATS, check_pixels
from tests.extras import needs
from tests.training.examples import network

FORM = PixelForm(scale=(0.01, 0.02, 0.03), shift=(-1.0, 0.5, 0.25), classes=("a", "Brot ß", "c\nd"))


def module() -> GraphModule:
    found = build(network())
    set_statistics(found, (3, 16, 16))
    return found


def expected(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """By hand: every pixel scaled and shifted, planes first, through the training form, and a softmax."""
    values = pixels.astype(np.float64) * np.array(FORM.scale) + np.array(FORM.shift)
    with torch.no_grad():
        logits = module()(torch.from_numpy(values.transpose(0, 3, 1, 2)).float()).double().numpy()
    found: NDArray[np.float64] = np.exp(logits) / np.exp(logits).sum()
    return found


@pytest.mark.parametrize("name", ["onnx", pytest.param("litert", marks=pytest.mark.slow)])
def test_pixels_in_probabilities_out(name: str, tmp_path: Path) -> None:
    if name == "litert":
        needs("litert_torch")
    path = tmp_path / PIXEL_FORMATS[name].file
    PIXEL_FORMATS[name].write(module(), path, FORM)
    runner = PIXEL_FORMATS[name].runner
    assert runner is not None
    run = runner(path)
    for seed in range(3):
        pixels = np.random.default_rng(seed).integers(0, 256, (1, 16, 16, 3), dtype=np.uint8)
        assert np.abs(run(pixels) - expected(pixels)).max() < 1e-5
    assert check_pixels(name, module(), path, FORM)["max_error"] < 1e-5


def test_the_onnx_file_knows_its_classes(tmp_path: Path) -> None:
    path = export_pixels_onnx(module(), tmp_path / "pixels.onnx", FORM)
    onnx.checker.check_model(onnx.load(path), full_check=True)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert json.loads(session.get_modelmeta().custom_metadata_map["classes"]) == list(FORM.classes)
    (taken,), (given,) = session.get_inputs(), session.get_outputs()
    assert (taken.name, taken.type, taken.shape) == ("pixels", "tensor(uint8)", [1, 16, 16, 3])
    assert (given.name, given.shape) == ("probabilities", [1, 3])


def test_another_network_fails_the_check(tmp_path: Path) -> None:
    path = export_pixels_onnx(module(), tmp_path / "pixels.onnx", FORM)
    with pytest.raises(NasError, match="must say the probabilities"):
        check_pixels("onnx", build(network(), seed=3), path, FORM)


@pytest.mark.slow
def test_core_ml_is_a_classifier_of_an_image(tmp_path: Path) -> None:
    needs("coremltools")
    from nas.nets.coreml import read_coreml

    path = tmp_path / "pixels.mlpackage"
    PIXEL_FORMATS["coreml"].write(module(), path, FORM)
    description = read_coreml(path).description
    (taken,) = description.input
    assert taken.name == "image" and taken.type.WhichOneof("Type") == "imageType"
    assert (taken.type.imageType.width, taken.type.imageType.height) == (16, 16)
    assert description.predictedFeatureName
    assert check_pixels("coreml", module(), path, FORM) == {"max_error": None}
