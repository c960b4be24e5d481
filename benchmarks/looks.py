"""What networks take in a loop of their own, many looks at each in turns: for reports that compare latencies."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from nas.nets import export_onnx
from nas.space import Architecture
from nas.zoo.check import onnx_runner

INTERVAL, BATCH_MS, LOOKS = 0.015, 20.0, 45
FEW_LOOKS, MOST_LOOKS = 3 * LOOKS, 40 * LOOKS
"""The most looks at a network: while something is chosen, and in the session of a report."""


def measured(networks: Sequence[Architecture], *, most: int = FEW_LOOKS) -> list[tuple[float, float]]:
    """Of each network the median ms of a run, and half its 90 % interval as a share of it.

    One thread of ONNX Runtime by the thread's own clock; the networks take turns, until every interval is narrow enough
    or there were `most` looks.
    """
    with tempfile.TemporaryDirectory() as folder:
        runners = []
        for i, one in enumerate(networks):
            export_onnx(one, Path(folder) / f"{i}.onnx")
            image = np.zeros((1, *one.input_shape), np.float32)
            runners.append(partial(onnx_runner(Path(folder) / f"{i}.onnx"), image))
        looks: list[list[float]] = [[] for _ in networks]
        while True:
            for runner, own in zip(runners, looks, strict=True):
                began, count = time.thread_time(), 0
                while (spent := time.thread_time() - began) * 1e3 < BATCH_MS:
                    runner()
                    count += 1
                own.append(1e3 * spent / count)
            if len(looks[0]) > LOOKS and len(looks[0]) % LOOKS == 0:
                found = [_median(own[1:]) for own in looks]
                if max(half for _, half in found) <= INTERVAL or len(looks[0]) >= most:
                    return found


def _median(values: Sequence[float]) -> tuple[float, float]:
    """The median and half its 90 % interval as a share of it, by order statistics (the sign test)."""
    kept = np.sort(values)
    reach, middle = round(1.645 * math.sqrt(len(kept)) / 2), len(kept) // 2
    low, median, high = (float(kept[middle + step]) for step in (-reach, 0, reach))
    return median, (high - low) / (2 * median)
