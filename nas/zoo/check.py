"""Whether an exported file computes what the network computes in torch."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state

from nas.errors import NasError
from nas.nets import GraphModule
from nas.nets.coreml import coreml_operators, read_coreml
from nas.nets.litert import litert_operators, run_litert
from nas.nets.onnx_writer import INPUT_NAME, OUTPUT_NAME

Array = NDArray[np.float32]

LIMIT = 1e-4
LITERT_LIMIT = 1e-3
# ONNX Runtime's errors have no base of their own.
_RUNTIME_ERRORS = tuple(
    kind for kind in vars(onnxruntime_pybind11_state).values() if isinstance(kind, type) and issubclass(kind, Exception)
)


def check_onnx(module: GraphModule, path: Path) -> dict[str, Any]:
    """Run the file at `path` by ONNX Runtime beside `module` in eval mode on a random image.

    Returns max|a - b| / max|b| as `max_relative_error`, its `limit` and the version of `onnxruntime`. Raises `NasError`
    where the file cannot be run or the error is above the limit.
    """
    image, expected = _example(module)
    return {**_compared(path, onnx_runner(path)(image), expected, LIMIT), "onnxruntime": onnxruntime.__version__}


def onnx_runner(path: Path) -> Callable[[Array], Array]:
    """A function from one image (1, C, H, W) to what the file at `path` makes of it in ONNX Runtime, which reads it
    once. Raises `NasError` where it cannot be run."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1

    def told(error: Exception) -> NasError:
        return NasError(f"{path} must run in ONNX Runtime, but: {error}; export the network again.")

    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except _RUNTIME_ERRORS as error:
        raise told(error) from error
    name = session.get_inputs()[0].name

    def run(image: Array) -> Array:
        try:
            (got,) = session.run(None, {name: image})
        except _RUNTIME_ERRORS as error:
            raise told(error) from error
        return np.asarray(got)

    return run


def check_litert(module: GraphModule, path: Path) -> dict[str, Any]:
    """As `check_onnx`, by LiteRT's interpreter; `operators` are the file's, `litert` is the version of LiteRT.

    Raises `InputError` where LiteRT is not installed.
    """
    image, expected = _example(module)
    try:
        got = run_litert(path, image)
    except (RuntimeError, ValueError, KeyError) as error:
        raise NasError(f"{path} must run in LiteRT's interpreter, but: {error}; export the network again.") from error
    facts = _compared(path, got, expected, LITERT_LIMIT)
    return {**facts, "operators": litert_operators(path), "litert": version("ai-edge-litert")}


def check_coreml(module: GraphModule, path: Path) -> dict[str, Any]:
    """Read the ML program at `path`: its input and output must be those of `module`.

    It is not run, which only Apple's systems can do: `max_relative_error` is None. Returns the program's `operators`
    and the version of `coremltools`. Raises `InputError` where that is not installed.
    """
    try:
        spec = read_coreml(path)
    except (OSError, RuntimeError, ValueError) as error:
        raise NasError(f"{path} must be a Core ML model, but: {error}; export the network again.") from error
    got = [
        (value.name, tuple(value.type.multiArrayType.shape))
        for values in (spec.description.input, spec.description.output)
        for value in values
    ]
    wanted = [(INPUT_NAME, (1, *module.definition.input_shape)), (OUTPUT_NAME, (1, *module.definition.output_shape))]
    if got != wanted:
        raise NasError(f"{path} must have the input and output {wanted}, but has {got}; export the network again.")
    return {"max_relative_error": None, "operators": coreml_operators(spec), "coremltools": version("coremltools")}


def _example(module: GraphModule) -> tuple[Array, Array]:
    """A random image (1, C, H, W) and what `module` makes of it in eval mode."""
    image = torch.randn(1, *module.definition.input_shape, generator=torch.Generator().manual_seed(0))
    was_training = module.training
    module.eval()
    with torch.no_grad():
        expected = module(image).numpy()
    module.train(was_training)
    return image.numpy(), expected


def _compared(path: Path, found: Array, expected: Array, limit: float) -> dict[str, Any]:
    largest = float(np.abs(expected).max())
    error = float(np.abs(found - expected).max()) / largest if found.shape == expected.shape else float("nan")
    if not error <= limit:
        raise NasError(
            f"{path} must compute what the network computes in torch within {limit:g} of the largest value, but"
            f" differs by {error:.1e}; export the network again."
        )
    return {"max_relative_error": error, "limit": limit}
