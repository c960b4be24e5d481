"""The process that times networks: a request as JSON on stdin, lines of JSON on stdout, nothing else there.

    {"engine": "onnxruntime", "files": [...], "rounds": 10, "runs_a_visit": 1, "warm_up": 2, "threads": 1}

    {"loading": 0}      before each file is loaded and warmed up: whoever reads knows of which one the process died
    {"loading": null}   all are loaded
    {"results": [{"wall_ms": [...], "cpu_ms": [...]}, {"error": text}, ...]}   the last line: one record a file

It imports the runtime alone, so that what is timed shares its process with nothing of ours.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

Run = Callable[[], object]
Say = Callable[[dict[str, Any]], None]


class _RefusedError(Exception):
    """The network must have what this program times, but has not."""


def _onnxruntime(path: str, threads: int, rng: np.random.Generator) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    feeds = {}
    for value in session.get_inputs():
        if value.type != "tensor(float)":
            raise _RefusedError(f"its input {value.name!r} must be tensor(float), but is {value.type}")
        if not all(isinstance(size, int) and size > 0 for size in value.shape):
            raise _RefusedError(f"its input {value.name!r} must have fixed sizes, but has {value.shape}")
        feeds[value.name] = rng.standard_normal(value.shape, dtype=np.float32)
    outputs = [value.name for value in session.get_outputs()]
    return lambda: session.run(outputs, feeds)


def _litert(path: str, threads: int, rng: np.random.Generator) -> Run:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=path, num_threads=threads or None)
    interpreter.allocate_tensors()
    for value in interpreter.get_input_details():
        if value["dtype"] is not np.float32:
            raise _RefusedError(f"its input {value['name']!r} must be float32, but is {value['dtype'].__name__}")
        if (np.asarray(value["shape_signature"]) < 1).any():
            raise _RefusedError(
                f"its input {value['name']!r} must have fixed sizes, but has {value['shape_signature'].tolist()}"
            )
        interpreter.set_tensor(value["index"], rng.standard_normal(value["shape"], dtype=np.float32))
    invoke: Run = interpreter.invoke
    return invoke


_ENGINES = {"onnxruntime": _onnxruntime, "litert": _litert}


def answer(request: dict[str, Any], say: Say) -> None:
    """Load every file, warm up, time those that run in interleaved rounds; `say` what is done, and the results."""
    rng = np.random.default_rng(0)
    load, threads = _ENGINES[request["engine"]], int(request["threads"])
    runs: dict[int, Run] = {}
    results: list[dict[str, Any]] = [{"wall_ms": [], "cpu_ms": []} for _ in request["files"]]
    for position, path in enumerate(request["files"]):
        say({"loading": position})
        try:
            run = load(path, threads, rng)
            for _ in range(int(request["warm_up"])):
                run()
        # The runtimes raise exceptions of their own, without a common base.
        except Exception as error:  # noqa: BLE001
            results[position] = {"error": f"{error}"}
        else:
            runs[position] = run
    say({"loading": None})
    for _ in range(int(request["rounds"])):
        for position, run in runs.items():
            run()
            for _ in range(int(request["runs_a_visit"])):
                cpu_start, wall_start = time.thread_time_ns(), time.perf_counter_ns()
                run()
                wall_end, cpu_end = time.perf_counter_ns(), time.thread_time_ns()
                results[position]["wall_ms"].append((wall_end - wall_start) / 1e6)
                if threads == 1:  # the clock of this thread sees nothing of what others do
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
