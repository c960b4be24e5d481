"""The runtimes that a worker times networks with, here and on machines that are reached by ssh."""

from __future__ import annotations

from dataclasses import dataclass

from nas.runners.protocol import Abilities


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """A runtime: `name` for the worker, `title` as device files have it, the `packages` of which one holds it and the
    extra that installs it (None: always there). Versions before `least` do not read the files that are written here.
    """

    name: str
    title: str
    packages: tuple[str, ...]
    suffix: str
    extra: str | None
    abilities: Abilities
    least: tuple[int, ...] = ()

    def is_called(self, runtime: str) -> bool:
        """Whether a device file's `runtime` is this one, with or without its version."""
        return runtime == self.title or runtime.startswith((f"{self.title} ", f"{self.title},"))

    def is_too_old(self, runtime: str) -> bool:
        """Whether the version at the end of `runtime`, as a machine tells it, is one before `least`."""
        parts = runtime.rpartition(" ")[2].split(".")[: len(self.least)]
        return bool(self.least) and all(map(str.isdecimal, parts)) and tuple(map(int, parts)) < self.least


_CPU = Abilities(precisions=("float32",), compute_units=("CPU",))
ONNX_RUNTIME = Engine(
    name="onnxruntime",
    title="ONNX Runtime",
    packages=("onnxruntime", "onnxruntime-gpu"),
    suffix=".onnx",
    extra=None,
    abilities=_CPU,
    least=(1, 18),  # the first that reads IR 10
)
LITERT = Engine(
    name="litert", title="LiteRT", packages=("ai-edge-litert",), suffix=".tflite", extra="litert", abilities=_CPU
)
CORE_ML = Engine(
    name="coreml",
    title="Core ML",
    packages=("coremltools",),
    suffix=".mlpackage",
    extra="coreml",
    abilities=Abilities(
        precisions=("float16",), compute_units=("CPU", "GPU", "Neural Engine"), max_threads=0
    ),
)  # fmt: skip
ENGINES = (ONNX_RUNTIME, LITERT, CORE_ML)
