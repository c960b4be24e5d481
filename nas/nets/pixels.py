"""Files that take pixels as decoders give them and say probabilities: preprocessing, network and softmax in one.

An app needs nothing else: pixels (1, height, width, channels) in uint8 → "probabilities" (1, classes), with the names
of the classes in the metadata. Core ML takes an image instead, and is a classifier with labels.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import helper
from torch import Tensor, nn

from nas.files import write_bytes
from nas.nets.coreml import EXTRA as COREML
from nas.nets.coreml import PACKAGE as COREMLTOOLS
from nas.nets.coreml import save_package
from nas.nets.extras import converting, require
from nas.nets.litert import PACKAGE as LITERT_TORCH
from nas.nets.litert import convertible, with_metadata
from nas.nets.litert_model import EXTRA as LITERT
from nas.nets.module import GraphModule
from nas.nets.onnx_operators import Writer
from nas.nets.onnx_writer import INPUT_NAME, IR_VERSION, OPSET, OUTPUT_NAME, properties

PIXELS, PROBABILITIES = "pixels", "probabilities"


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelForm:
    """What is added to a network: a pixel (0 to 255) is multiplied with its channel's `scale`, then `shift` is added;
    `classes` are the names of the outputs."""

    scale: tuple[float, ...]
    shift: tuple[float, ...]
    classes: tuple[str, ...]

    def metadata(self, module: GraphModule) -> dict[str, str]:
        """The metadata of the other files, and the classes as JSON."""
        return {**properties(module, trained=True), "classes": json.dumps(list(self.classes))}


class PixelModule(nn.Module):
    """`module` behind its preprocessing and before a softmax: `pixels` → probabilities, as the files compute it."""

    def __init__(self, module: nn.Module, form: PixelForm, *, channels_last: bool = True) -> None:
        super().__init__()
        self.module = module
        self.channels_last = channels_last
        self.scale = nn.Buffer(torch.tensor(form.scale).view(1, -1, 1, 1))
        self.shift = nn.Buffer(torch.tensor(form.shift).view(1, -1, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        x = pixels.permute(0, 3, 1, 2) if self.channels_last else pixels
        found: Tensor = torch.softmax(self.module(x.float() * self.scale + self.shift), dim=1)
        return found


def export_pixels_onnx(module: GraphModule, path: Path, form: PixelForm) -> Path:
    """Write the inference form of `module` with its preprocessing to `path` as ONNX; returns the path."""
    channels, height, width = module.definition.input_shape
    writer = Writer(module.fuse(), batch=1, input_name=INPUT_NAME, output_name=OUTPUT_NAME)
    before = [
        helper.make_node("Cast", [PIXELS], ["values"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Transpose", ["values"], ["planes"], perm=[0, 3, 1, 2]),
        _constant("scale", form.scale),
        helper.make_node("Mul", ["planes", "scale"], ["scaled"]),
        _constant("shift", form.shift),
        helper.make_node("Add", ["scaled", "shift"], [INPUT_NAME]),
    ]
    after = [helper.make_node("Softmax", [OUTPUT_NAME], [PROBABILITIES], axis=1)]
    body = helper.make_graph(
        [*before, *writer.nodes, *after],
        module.architecture.name if module.architecture else "graph",
        [helper.make_tensor_value_info(PIXELS, onnx.TensorProto.UINT8, (1, height, width, channels))],
        [helper.make_tensor_value_info(PROBABILITIES, onnx.TensorProto.FLOAT, (1, *module.definition.output_shape))],
        writer.initializers,
    )
    opset = helper.make_opsetid("", OPSET)
    model = helper.make_model(body, opset_imports=[opset], ir_version=IR_VERSION, producer_name="nas")
    helper.set_model_props(model, form.metadata(module))
    write_bytes(path, model.SerializeToString())
    return path


def export_pixels_litert(module: GraphModule, path: Path, form: PixelForm) -> Path:
    """As `export_pixels_onnx`, as a LiteRT file. Raises as `nas.nets.litert.export_litert`."""
    litert_torch = require(LITERT_TORCH, LITERT)
    channels, height, width = module.definition.input_shape
    named = _Named(PixelModule(convertible(module.fuse().requires_grad_(requires_grad=False)), form)).eval()
    pixels = torch.zeros(1, height, width, channels, dtype=torch.uint8)
    with converting(LITERT_TORCH), torch.no_grad():
        content = litert_torch.convert(named, sample_kwargs={PIXELS: pixels}).model_content()
    write_bytes(path, with_metadata(content, json.dumps(form.metadata(module))))
    return path


def export_pixels_coreml(module: GraphModule, path: Path, form: PixelForm) -> Path:
    """As `export_pixels_onnx`, as a Core ML classifier of an image. Raises as `nas.nets.coreml.export_coreml`."""
    coremltools = require(COREMLTOOLS, COREML)
    fused = module.fuse().requires_grad_(requires_grad=False)
    whole = PixelModule(fused, form, channels_last=False).eval()
    trace: Callable[..., torch.jit.ScriptModule] = torch.jit.trace
    image = torch.zeros(1, *module.definition.input_shape)
    layout = coremltools.colorlayout.GRAYSCALE if image.shape[1] == 1 else coremltools.colorlayout.RGB
    with converting(COREMLTOOLS), torch.no_grad():
        model: Any = coremltools.convert(
            trace(whole, image, check_trace=False),
            inputs=[coremltools.ImageType(INPUT_NAME, image.shape, color_layout=layout)],
            classifier_config=coremltools.ClassifierConfig(list(form.classes)),
            convert_to="mlprogram",
            minimum_deployment_target=coremltools.target.iOS15,
            skip_model_load=True,
        )
        model.user_defined_metadata.update(form.metadata(module))
    return save_package(model, path)


class _Named(nn.Module):
    """A module whose signature has the name of the output."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        return {PROBABILITIES: self.module(pixels)}


def _constant(name: str, values: tuple[float, ...]) -> onnx.NodeProto:
    """A constant of a number a channel, shaped to broadcast over maps."""
    tensor = helper.make_tensor(name, onnx.TensorProto.FLOAT, (1, len(values), 1, 1), values)
    return helper.make_node("Constant", [], [name], value=tensor)
