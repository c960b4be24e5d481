"""The file formats that a network is exported to. What they need is imported when they are used."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nas.errors import InputError, unknown_name
from nas.installed import extra_remedy

if TYPE_CHECKING:
    from nas.nets import GraphModule


class Format(NamedTuple):
    """One format: the name of its file, `write(module, path, trained)`, and `check(module, path)`; `needs` is the
    package of an extra, named as the format, without which there is neither.

    `check` says whether the file is what it must be. Its facts: `max_relative_error` and `limit` where a runtime
    compared it with torch (None where none can run here), `operators` (name → count) where the format has its own, and
    the version of the runtime or converter.
    """

    file: str
    what: str
    write: Callable[[GraphModule, Path, bool], object]
    check: Callable[[GraphModule, Path], dict[str, Any]]
    needs: str | None = None


def check_formats(names: Iterable[str]) -> None:
    """Raises `InputError` for a format that is unknown (nearest names shown), or whose converter is not installed."""
    for name in names:
        if name not in FORMATS:
            raise unknown_name("format", name, FORMATS)
        package = FORMATS[name].needs
        if package and find_spec(package) is None:
            raise InputError(f"the format {name} needs {package}, which is not installed; {extra_remedy(name)}.")


def _write_onnx(module: GraphModule, path: Path, trained: bool) -> object:
    from nas.nets import export_onnx

    return export_onnx(module, path, trained=trained)


def _check_onnx(module: GraphModule, path: Path) -> dict[str, Any]:
    from nas.zoo.check import check_onnx

    return check_onnx(module, path)


def _write_coreml(module: GraphModule, path: Path, trained: bool) -> object:
    from nas.nets.coreml import export_coreml

    return export_coreml(module, path, trained=trained)


def _check_coreml(module: GraphModule, path: Path) -> dict[str, Any]:
    from nas.zoo.check import check_coreml

    return check_coreml(module, path)


def _write_litert(module: GraphModule, path: Path, trained: bool) -> object:
    from nas.nets.litert import export_litert

    return export_litert(module, path, trained=trained)


def _check_litert(module: GraphModule, path: Path) -> dict[str, Any]:
    from nas.zoo.check import check_litert

    return check_litert(module, path)


_SIGNATURE = "inference form; input `image` float32 {image}, output `logits` {logits}; "
FORMATS = {
    "onnx": Format("model.onnx", _SIGNATURE + "opset 20, IR version 10", _write_onnx, _check_onnx),
    "coreml": Format(
        "model.mlpackage",
        _SIGNATURE + "ML program in float16, iOS 15 and newer",
        _write_coreml,
        _check_coreml,
        needs="coremltools",
    ),
    "litert": Format(
        "model.tflite", _SIGNATURE + "float32 weights", _write_litert, _check_litert, needs="litert_torch"
    ),
}
