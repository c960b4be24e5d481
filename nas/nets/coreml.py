"""Core ML files: a network in inference form, converted by coremltools, which is an extra."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from nas.files import writing
from nas.nets.extras import converting, quiet, require
from nas.nets.module import GraphModule
from nas.nets.onnx_writer import INPUT_NAME, OUTPUT_NAME, properties

PACKAGE = "coremltools"
EXTRA = "coreml"


def export_coreml(module: GraphModule, path: str | Path, *, trained: bool = False) -> Path:
    """Write a network (in either form) to `path`, a folder `*.mlpackage`, as an ML program; returns the path.

    Weights and arithmetic are float16, which the Neural Engine takes; one input "image" (1, C, H, W) and one output
    "logits" are float32; the metadata are those of `export_onnx`. Runs on iOS 15, macOS 12 and newer. Raises
    `InputError` where coremltools is not installed, `ConversionError` where it refuses the network, `NasError` where
    `path` cannot be written.
    """
    coremltools = require(PACKAGE, EXTRA)
    fused = module.fuse().requires_grad_(requires_grad=False)
    trace: Callable[..., torch.jit.ScriptModule] = torch.jit.trace
    image = torch.zeros(1, *module.definition.input_shape)
    with converting(PACKAGE), torch.no_grad():
        model = coremltools.convert(
            trace(fused, image, check_trace=False),
            inputs=[coremltools.TensorType(INPUT_NAME, image.shape)],
            outputs=[coremltools.TensorType(OUTPUT_NAME)],
            convert_to="mlprogram",
            minimum_deployment_target=coremltools.target.iOS15,
            skip_model_load=True,
        )
        model.user_defined_metadata.update(properties(module, trained=trained))
    return save_package(model, Path(path))


def save_package(model: Any, path: Path) -> Path:
    """Write a converted model to the folder `path`, in place of what is there; returns the path."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
            whole = Path(folder) / path.name
            with quiet():
                model.save(str(whole))
            if path.exists():
                shutil.rmtree(path)
            os.replace(whole, path)
    return path


def read_coreml(path: Path) -> Any:
    """The specification (a protobuf message) of the Core ML model at `path`; raises as `export_coreml` does."""
    coremltools = require(PACKAGE, EXTRA)
    with quiet():
        return coremltools.utils.load_spec(str(path))


def coreml_operators(spec: Any) -> dict[str, int]:
    """How often an ML program uses each operator, by name; constants are none."""
    found = Counter(
        operator.type
        for function in spec.mlProgram.functions.values()
        for block in function.block_specializations.values()
        for operator in block.operations
    )
    return {name: found[name] for name in sorted(found) if name != "const"}
