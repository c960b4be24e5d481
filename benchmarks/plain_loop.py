"""Times ONNX files as somebody would who has never seen this program: a plain loop in which they take turns.

    python benchmarks/plain_loop.py ROUNDS FILE.onnx ...

In each round each network has one run that is warm and two that are timed, on one thread. A line of JSON a file: what
the wall clock and the thread's clock said of each timed run, in ms. Nothing of the program is imported.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np
import onnxruntime


def main(rounds: int, paths: list[str]) -> None:
    """Time every file, and say so on stdout."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    sessions: list[tuple[Any, dict[str, Any]]] = []
    for path in paths:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        feeds = {
            value.name: np.random.default_rng(1).standard_normal(value.shape).astype(np.float32)
            for value in session.get_inputs()
        }
        sessions.append((session, feeds))
    wall: list[list[float]] = [[] for _ in paths]
    own: list[list[float]] = [[] for _ in paths]
    for _ in range(rounds):
        for place, (session, feeds) in enumerate(sessions):
            session.run(None, feeds)
            for _ in range(2):
                wall_start, own_start = time.perf_counter(), time.thread_time()
                session.run(None, feeds)
                wall[place].append(1e3 * (time.perf_counter() - wall_start))
                own[place].append(1e3 * (time.thread_time() - own_start))
    for wall_ms, thread_ms in zip(wall, own, strict=True):
        print(json.dumps({"wall_ms": wall_ms, "thread_ms": thread_ms}))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
