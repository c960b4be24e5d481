"""Devices and networks that take next to no time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto

from nas.latency.device import device_folder
from nas.space import parse_architecture
from tests.graph.onnx_files import node, save

TINY = parse_architecture(
    {
        "schema": 1,
        "name": "tiny",
        "resolution": 16,
        "num_classes": 4,
        "layers": [{"block": "conv", "out": 4, "stride": 2}, {"block": "head"}],
    },
    "tiny",
)


def tiny_file(folder: Path) -> Path:
    """`TINY` as an architecture file."""
    path = folder / "tiny.yaml"
    path.write_text(TINY.to_yaml(), encoding="utf-8")
    return path


def tiny_onnx(path: Path, kind: str = "Relu", batch: int | str = 1, domain: str = "") -> Path:
    """A network of one operator, in a form that every runtime of these days reads."""
    weights = {"w": np.ones((1, 3, 16, 16))}
    save(path, [node("Mul", ["x", "w"], "m"), node(kind, ["m"], "y", domain=domain)], (batch, 3, 16, 16), weights)
    model = onnx.load(str(path))
    model.ir_version = 8
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT
    onnx.save(model, str(path))
    return path


def add_device(workspace: Path, name: str, *, like: str = "local", **changes: str) -> Path:
    """A device of the workspace: the shipped `like` under another name, lines of its file changed."""
    text = (device_folder(like) / "device.yaml").read_text("utf-8")
    for key, value in {"name": name, **changes}.items():
        text = "".join(
            f"{key}: {value}\n" if line.startswith(f"{key}:") else line for line in text.splitlines(keepends=True)
        )
    place = workspace / "latency_tables" / name / "device.yaml"
    place.parent.mkdir(parents=True)
    place.write_text(text, encoding="utf-8")
    return place
