"""LiteRT files: a network in inference form, converted by litert-torch, which is an extra, and run by LiteRT."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from nas.files import write_bytes
from nas.nets.extras import converting, require
from nas.nets.litert_model import EXTRA, RUNTIME
from nas.nets.module import GraphModule
from nas.nets.onnx_writer import INPUT_NAME, OUTPUT_NAME, properties

PACKAGE = "litert_torch"
METADATA = "nas"
"""The key under which a file holds its metadata, as JSON."""


class _Named(nn.Module):
    """A network whose signature has the names of the other formats."""

    def __init__(self, module: GraphModule) -> None:
        super().__init__()
        self.module = module

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        return {OUTPUT_NAME: self.module(image)}


def convertible(module: GraphModule) -> GraphModule:
    """`module` itself, changed so that litert-torch takes all of it."""
    for parent in list(module.modules()):
        for name, part in parent.named_children():
            if isinstance(part, nn.Linear):
                parent.add_module(name, _Pointwise(part))
    return module


class _Pointwise(nn.Module):
    """A linear layer over the last axis, on (1, pixels, patches, channels) as a 1x1 convolution.

    litert-torch 0.10 refuses the linear layer where there is one patch: "invalid output rank". LiteRT's maps have
    their channels last, so the axes are not moved in the file.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.linear = linear

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() != 4:
            y: Tensor = self.linear(x)
            return y
        weight = self.linear.weight[:, :, None, None]
        return functional.conv2d(x.movedim(-1, 1), weight, self.linear.bias).movedim(1, -1)


def export_litert(module: GraphModule, path: str | Path, *, trained: bool = False) -> Path:
    """Write a network (in either form) to `path`, a `*.tflite` file in float32; returns the path.

    Its only signature takes "image" (1, C, H, W) and returns "logits"; the metadata of `export_onnx` are there as JSON
    under the key "nas". Raises `InputError` where litert-torch is not installed, `ConversionError` where it
    refuses the network, and `NasError` where `path` cannot be written.
    """
    litert_torch = require(PACKAGE, EXTRA)
    named = _Named(convertible(module.fuse().requires_grad_(requires_grad=False))).eval()
    image = torch.zeros(1, *module.definition.input_shape)
    with converting(PACKAGE), torch.no_grad():
        content = litert_torch.convert(named, sample_kwargs={INPUT_NAME: image}).model_content()
    write_bytes(Path(path), with_metadata(content, json.dumps(properties(module, trained=trained))))
    return Path(path)


def run_litert(path: Path, image: NDArray[np.float32]) -> NDArray[np.float32]:
    """The logits of the file at `path` for one image, by LiteRT's interpreter in one thread.

    Raises `InputError` where LiteRT is not installed, and `ValueError` or `RuntimeError` (LiteRT's own) for a file that
    cannot be run.
    """
    return litert_runner(path)(image)


def litert_runner(path: Path) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """A function from one image to its logits by the file at `path`, which is read once. Raises as `run_litert`."""
    return signature_runner(path, INPUT_NAME, OUTPUT_NAME)


def signature_runner(path: Path, takes: str, gives: str) -> Callable[[NDArray[Any]], NDArray[np.float32]]:
    """A function from the input called `takes` to the output called `gives` of the file at `path`, in one thread."""
    interpreter = require(f"{RUNTIME}.interpreter", EXTRA).Interpreter(model_path=str(path), num_threads=1)
    signature = interpreter.get_signature_runner()
    # The interpreter lives as long as what runs it.
    return lambda values, _=interpreter: np.array(signature(**{takes: values})[gives])  # type: ignore[misc]


def litert_operators(path: Path) -> dict[str, int]:
    """How often the file at `path` uses each operator, by name."""
    schema = require(f"{RUNTIME}.schema_py_generated", EXTRA)
    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if type(code) is int}
    model = schema.Model.GetRootAs(path.read_bytes())
    codes = [names[model.OperatorCodes(i).BuiltinCode()] for i in range(model.OperatorCodesLength())]
    found: Counter[str] = Counter()
    for i in range(model.SubgraphsLength()):
        graph = model.Subgraphs(i)
        found.update(codes[graph.Operators(j).OpcodeIndex()] for j in range(graph.OperatorsLength()))
    return dict(sorted(found.items()))


def litert_metadata(path: Path) -> dict[str, Any]:
    """The metadata that `export_litert` wrote to the file at `path`; empty for a file of another's."""
    schema = require(f"{RUNTIME}.schema_py_generated", EXTRA)
    model = schema.Model.GetRootAs(path.read_bytes())
    for i in range(model.MetadataLength()):
        if model.Metadata(i).Name().decode() == METADATA:
            buffer = model.Buffers(model.Metadata(i).Buffer())
            found: dict[str, Any] = json.loads(buffer.DataAsNumpy().tobytes())
            return found
    return {}


def with_metadata(content: bytes, text: str) -> bytes:
    """A model with `text` as one more buffer, named `METADATA`."""
    schema = require(f"{RUNTIME}.schema_py_generated", EXTRA)
    flatbuffers = require("flatbuffers", EXTRA)
    model = schema.ModelT.InitFromPackedBuf(content)
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = np.frombuffer(text.encode(), dtype=np.uint8)
    entry.name, entry.buffer = METADATA, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or ()), entry]
    builder = flatbuffers.Builder(len(content) + 4096)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
