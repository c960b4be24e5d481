"""Training on real photographs, small enough for every run of the long proofs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from nas.jobs.train import train
from nas.space import Architecture, parse_architecture
from nas.zoo import check_accuracy, find_entry, held_out_of_files
from tests.extras import needs
from tests.shared_data import shared_data

LAYERS = [
    {"block": "conv", "out": 16, "act": "relu6"},
    {"block": "mbconv", "out": 16, "hidden": 16, "act": "relu6"},
    {"block": "mbconv", "out": 24, "hidden": 64, "stride": 2, "act": "relu6"},
    {"block": "mbconv", "out": 24, "hidden": 96, "act": "relu6"},
    {"block": "mbconv", "out": 48, "hidden": 96, "stride": 2, "act": "relu6"},
    {"block": "mbconv", "out": 48, "hidden": 192, "act": "relu6"},
    {"block": "head"},
]


def network() -> Architecture:
    """A MobileNetV2 of six layers for 32 x 32 images and ten classes."""
    document = {"schema": 1, "name": "six", "resolution": 32, "num_classes": 10, "layers": LAYERS}
    return parse_architecture(document, "six")


@pytest.mark.slow
def test_it_learns_photographs_and_the_files_know_as_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs("litert_torch")
    monkeypatch.setenv("NAS_WORKSPACE", str(tmp_path))
    with np.load(shared_data("cifar10/cifar10_15k.npz")) as data:
        train_part = {name: data[name][:4000] for name in ("x_train", "y_train")}
        test_part = {name: data[name][:1000] for name in ("x_test", "y_test")}
    np.savez(tmp_path / "photos.npz", **train_part, **test_part)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    outcome = train(network(), data=tmp_path / "photos.npz", epochs=3, formats=("onnx", "litert"), pixels=True)
    torch.set_num_threads(before)
    # Guessing is right for a tenth; its share of 1,000 images is below 0.13 in all but one of a thousand.
    assert outcome.held_out.interval[0] > 0.2
    entry = find_entry(outcome.zoo)
    found = held_out_of_files(entry, tmp_path / "photos.npz")
    assert sorted(found) == ["litert", "onnx", "pixels.onnx", "pixels.tflite"]
    for name, held_out in found.items():
        check_accuracy(entry, held_out, name)
