"""Hardware-aware neural architecture search for mobile devices.

    space = nas.load_space("mobile")
    latency = nas.load_latency("iphone12")
    accuracy = nas.load_accuracy("imagenet")
    result = nas.search(space, latency=latency, accuracy=accuracy, target_ms=1.0, seed=0)
    result.best.architecture

Names load when they are first used, so that importing the package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nas.accuracy import load_accuracy
    from nas.errors import NasError
    from nas.jobs.adapt import adapt
    from nas.jobs.inherit import inherit
    from nas.jobs.search import search
    from nas.jobs.train import train
    from nas.latency import load_latency
    from nas.latency.few import fit_latency
    from nas.latency.transfer.operators import fit_operators
    from nas.nets import build, export_onnx
    from nas.onnx.reader import read_onnx as load_graph
    from nas.space import Architecture, load_architecture, load_space
    from nas.trials.sampler import SurrogateSampler

_HOMES = {
    "Architecture": "nas.space",
    "NasError": "nas.errors",
    "SurrogateSampler": "nas.trials.sampler",
    "adapt": "nas.jobs.adapt",
    "build": "nas.nets",
    "export_onnx": "nas.nets",
    "fit_latency": "nas.latency.few",
    "fit_operators": "nas.latency.transfer.operators",
    "inherit": "nas.jobs.inherit",
    "load_accuracy": "nas.accuracy",
    "load_architecture": "nas.space",
    "load_graph": "nas.onnx.reader:read_onnx",
    "load_latency": "nas.latency",
    "load_space": "nas.space",
    "search": "nas.jobs.search",
    "train": "nas.jobs.train",
}

__all__ = [
    "Architecture",
    "NasError",
    "SurrogateSampler",
    "adapt",
    "build",
    "export_onnx",
    "fit_latency",
    "fit_operators",
    "inherit",
    "load_accuracy",
    "load_architecture",
    "load_graph",
    "load_latency",
    "load_space",
    "search",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'nas' has no attribute {name!r}")
    module, _, own = _HOMES[name].partition(":")
    return getattr(importlib.import_module(module), own or name)


def __dir__() -> list[str]:
    return sorted(_HOMES)
