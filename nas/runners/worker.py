"""The process that times networks: a request as JSON on stdin, lines of JSON on stdout, nothing else there.

    {"engine": "onnxruntime", "files": [...], "rounds": 10, "runs_a_visit": 1, "warm_up": 2, "settle_ms": 0,
     "threads": 1, "compute_unit": "CPU", "input_shapes": {"x": [1, 3, 224, 224]}}

    {"loading": 0}      before each file is loaded and warmed up: whoever reads knows of which one the process died
    {"loading": null}   all are loaded
    {"results": [{"wall_ms": [...], "cpu_ms": [...]}, {"error": text}, ...]}   the last line: one record a file

It imports the runtime alone, so that what is timed shares its process with nothing of ours. It is sent to other
machines as it is, whose Python may be 3.9.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Run = Callable[[], object]
Shapes = Mapping[str, Sequence[int]]
Say = Callable[[dict[str, Any]], None]


class _RefusedError(Exception):
    """The network must have what this program times, but has not."""


_TYPES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    **{
        f"tensor({name})": name
        for name in (
            "float16", "bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64",
        )
    },
}  # fmt: skip
"""What ONNX Runtime calls the types of numbers that it can be fed."""


def random_input(kind: np.dtype[Any], shape: Sequence[int], rng: np.random.Generator) -> NDArray[Any]:
    """Numbers that an input of this type may hold: for wide integers, which may count tokens or say where to look, 0
    and 1."""
    if kind == np.bool_:
        return np.ones(shape, dtype=np.bool_)
    if np.issubdtype(kind, np.floating):
        return np.asarray(rng.standard_normal(shape, dtype=np.float32)).astype(kind)
    return rng.integers(0, 128 if kind.itemsize == 1 else 2, shape).astype(kind)


def _is_fixed(shape: Sequence[object]) -> bool:
    return all(isinstance(size, int) and size >= 0 for size in shape)


def _onnxruntime(path: str, threads: int, unit: str, shapes: Shapes, rng: np.random.Generator) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    feeds = {}
    for value in session.get_inputs():
        if value.type not in _TYPES:
            raise _RefusedError(f"its input {value.name!r} must be a tensor of numbers, but is {value.type}")
        shape = value.shape if _is_fixed(value.shape) else shapes.get(value.name, value.shape)
        if not _is_fixed(shape):
            raise _RefusedError(f"its input {value.name!r} must have fixed sizes, but has {shape}")
        feeds[value.name] = random_input(np.dtype(_TYPES[value.type]), shape, rng)
    outputs = [value.name for value in session.get_outputs()]
    return lambda: session.run(outputs, feeds)


def _litert(path: str, threads: int, unit: str, shapes: Shapes, rng: np.random.Generator) -> Run:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=path, num_threads=threads or None)
    interpreter.allocate_tensors()
    for value in interpreter.get_input_details():
        kind = np.dtype(value["dtype"])
        if not (kind == np.bool_ or np.issubdtype(kind, np.floating) or np.issubdtype(kind, np.integer)):
            raise _RefusedError(f"its input {value['name']!r} must be a tensor of numbers, but is of {kind}")
        if (np.asarray(value["shape_signature"]) < 1).any():
            raise _RefusedError(
                f"its input {value['name']!r} must have fixed sizes, but has {value['shape_signature'].tolist()}"
            )
        interpreter.set_tensor(value["index"], random_input(kind, value["shape"].tolist(), rng))
    invoke: Run = interpreter.invoke
    return invoke


_UNITS = {"CPU": "CPU_ONLY", "GPU": "CPU_AND_GPU", "Neural Engine": "CPU_AND_NE"}
"""What coremltools calls the units, each of which leaves to the CPU what it cannot do itself."""


def _coreml(path: str, threads: int, unit: str, shapes: Shapes, rng: np.random.Generator) -> Run:
    import coremltools

    model = coremltools.models.MLModel(path, compute_units=coremltools.ComputeUnit[_UNITS[unit]])
    feeds = {}
    for value in model.get_spec().description.input:
        if value.type.WhichOneof("Type") != "multiArrayType":
            raise _RefusedError(f"its input {value.name!r} must be an array of numbers, but is none")
        feeds[value.name] = random_input(np.dtype("float32"), list(value.type.multiArrayType.shape), rng)
    return lambda: model.predict(feeds)


_ENGINES = {"onnxruntime": _onnxruntime, "litert": _litert, "coreml": _coreml}
_ONE_THREAD = ("onnxruntime", "litert")
"""Those that work in the thread that asks, where one is asked for; Core ML works in others."""


def answer(request: dict[str, Any], say: Say) -> None:
    """Load every file, warm up, time those that run in interleaved rounds; `say` what is done, and the results."""
    rng = np.random.default_rng(0)
    load, threads = _ENGINES[request["engine"]], int(request["threads"])
    unit, shapes = request.get("compute_unit", "CPU"), request.get("input_shapes", {})
    has_clock = threads == 1 and request["engine"] in _ONE_THREAD
    runs: dict[int, Run] = {}
    results: list[dict[str, Any]] = [{"wall_ms": [], "cpu_ms": []} for _ in request["files"]]
    for position, path in enumerate(request["files"]):
        say({"loading": position})
        try:
            begun = time.perf_counter_ns()
            run = load(path, threads, unit, shapes, rng)
            loaded = time.perf_counter_ns()
            run()
            first = time.perf_counter_ns()
            for _ in range(int(request["warm_up"]) - 1):
                run()
        # The runtimes raise exceptions of their own, without a common base.
        except Exception as error:  # noqa: BLE001
            results[position] = {"error": f"{error}"}
        else:
            runs[position] = run
            results[position] |= {"load_ms": (loaded - begun) / 1e6, "first_ms": (first - loaded) / 1e6}
    say({"loading": None})
    settle_ns = int(1e6 * request.get("settle_ms", 0))
    for _ in range(int(request["rounds"])):
        for position, run in runs.items():
            visited = time.perf_counter_ns()
            run()
            while time.perf_counter_ns() - visited < settle_ns:
                run()
            for _ in range(int(request["runs_a_visit"])):
                cpu_start, wall_start = time.thread_time_ns(), time.perf_counter_ns()
                run()
                wall_end, cpu_end = time.perf_counter_ns(), time.thread_time_ns()
                results[position]["wall_ms"].append((wall_end - wall_start) / 1e6)
                if has_clock:  # the clock of this thread sees nothing of what others do
                    results[position]["cpu_ms"].append((cpu_end - cpu_start) / 1e6)
    say({"results": results})


def main() -> None:
    """Answer the request on stdin. What a runtime prints goes to stderr."""
    sys.stdout.flush()
    out = os.dup(1)
    os.dup2(2, 1)
    with os.fdopen(out, "w") as stream:

        def say(record: dict[str, Any]) -> None:
            stream.write(json.dumps(record) + "\n")
            stream.flush()

        answer(json.load(sys.stdin), say)


if __name__ == "__main__":
    main()
