"""The files that take pixels and say probabilities: which there are, how they are written, run and checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nas.errors import NasError

if TYPE_CHECKING:
    from nas.nets import GraphModule
    from nas.nets.pixels import PixelForm

Pixels = NDArray[np.uint8]
Run = Callable[[Pixels], NDArray[np.float32]]
"""The pixels of one image (1, h, w, c) → probabilities (1, classes)."""

LIMIT = 1e-4
"""How far a probability may be from torch's."""


class PixelFormat(NamedTuple):
    """One format: the name of its file, how it is written, and how it is run here (None: it cannot be)."""

    file: str
    what: str
    write: Callable[[GraphModule, Path, PixelForm], object]
    runner: Callable[[Path], Run] | None


def pixel_form(training: Mapping[str, Any]) -> PixelForm:
    """What is added to a network by what is recorded of its training."""
    from nas.nets.pixels import PixelForm
    from nas.training.preprocessing import read_preprocessing

    preprocessing = read_preprocessing(training["preprocessing"])
    return PixelForm(scale=preprocessing.scale, shift=preprocessing.shift, classes=tuple(training["classes"]))


def check_pixels(name: str, module: GraphModule, path: Path, form: PixelForm) -> dict[str, Any]:
    """Run the file at `path` on random pixels beside torch: the greatest difference of a probability, and its limit.

    A Core ML file is read, and not run. Raises `NasError` where the difference is above the limit.
    """
    import torch

    from nas.nets.coreml import read_coreml
    from nas.nets.pixels import PixelModule

    runner = PIXEL_FORMATS[name].runner
    if runner is None:
        read_coreml(path)
        return {"max_error": None}
    channels, height, width = module.definition.input_shape
    pixels = np.random.default_rng(0).integers(0, 256, (1, height, width, channels), dtype=np.uint8)
    with torch.no_grad():
        expected = PixelModule(module.fuse(), form).eval()(torch.from_numpy(pixels)).numpy()
    found = runner(path)(pixels)
    error = float(np.abs(found - expected).max()) if found.shape == expected.shape else float("nan")
    if not error <= LIMIT:
        raise NasError(
            f"{path} must say the probabilities that the network says in torch within {LIMIT:g}, but differs by"
            f" {error:.1e}; export the network again."
        )
    return {"max_error": error, "limit": LIMIT}


def _write_onnx(module: GraphModule, path: Path, form: PixelForm) -> object:
    from nas.nets.pixels import export_pixels_onnx

    return export_pixels_onnx(module, path, form)


def _write_litert(module: GraphModule, path: Path, form: PixelForm) -> object:
    from nas.nets.pixels import export_pixels_litert

    return export_pixels_litert(module, path, form)


def _write_coreml(module: GraphModule, path: Path, form: PixelForm) -> object:
    from nas.nets.pixels import export_pixels_coreml

    return export_pixels_coreml(module, path, form)


def _onnx_runner(path: Path) -> Run:
    from nas.zoo.check import onnx_runner

    return onnx_runner(path)  # type: ignore[return-value]


def _litert_runner(path: Path) -> Run:
    from nas.nets.litert import signature_runner
    from nas.nets.pixels import PIXELS, PROBABILITIES

    return signature_runner(path, PIXELS, PROBABILITIES)


_SIGNATURE = "takes pixels and says probabilities: "
PIXEL_FORMATS = {
    "onnx": PixelFormat(
        "pixels.onnx",
        _SIGNATURE + "input `pixels` uint8 (1, height, width, channels), output `probabilities` (1, classes)",
        _write_onnx,
        _onnx_runner,
    ),
    "coreml": PixelFormat("pixels.mlpackage", _SIGNATURE + "a classifier of an image", _write_coreml, None),
    "litert": PixelFormat("pixels.tflite", _SIGNATURE + "as `pixels.onnx`", _write_litert, _litert_runner),
}
