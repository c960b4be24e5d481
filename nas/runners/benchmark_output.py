"""The benchmark programs of runtimes on phones: how they are called, and what they print, read strictly.

They tell no runs, only what became of a few. What a program of another version prints is refused rather than guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from nas.errors import NasError
from nas.figures import entering

_NUMBER = r"([0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?)"
_PHASE = re.compile(r"^(?:INFO: )?Running benchmark for at least ", re.M)
_COUNT = re.compile(rf"^(?:INFO: )?count=([0-9]+) (?:curr={_NUMBER}(?: p5=.*)?$|first=.* avg={_NUMBER} std=)", re.M)
_TIMINGS = re.compile(
    r"^(?:INFO: )?Inference timings in us: Init: [^,]+, First inference: [^,]+, Warmup \(avg\): [^,]+,"
    rf" Inference \(avg\): {_NUMBER}\s*$",
    re.M,
)
_AVERAGE = re.compile(rf"^Average inference time cost(?: total)?: {_NUMBER} ms\s*$", re.M)
_REQUESTS = re.compile(r"^Total inference requests: ([0-9]+)\s*$", re.M)
_LEAST, _GREATEST = (re.compile(rf"^{name} Latency: {_NUMBER} s\s*$", re.M) for name in ("Min", "Max"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A benchmark program: the runtime's `title`, the program's usual `name`, the `suffix` of its files, its arguments
    (file, threads, runs of warm-up, runs) and how its mean is read (text, runs), in ms."""

    title: str
    name: str
    suffix: str
    arguments: Callable[[str, int, int, int], list[str]]
    read: Callable[[str, int], float]


def litert_arguments(path: str, threads: int, warm_up: int, runs: int) -> list[str]:
    """Those of LiteRT's `benchmark_model`; threads 0: its own number."""
    own = [f"--num_threads={threads}"] if threads else []
    return [
        f"--graph={path}", *own, f"--warmup_runs={warm_up}", f"--num_runs={runs}", "--warmup_min_secs=0",
        "--min_secs=0",
    ]  # fmt: skip


def read_litert(text: str, runs: int) -> float:
    """The mean of the timed runs in ms, of `benchmark_model`'s two phases (warm-up, then these) and its last line.

    The form is that of TensorFlow Lite 2.2 and newer, and of LiteRT. Raises `NasError` for any other.
    """
    phases, counts, timings = _PHASE.findall(text), _COUNT.findall(text), _TIMINGS.findall(text)
    if len(phases) != 2 or len(counts) != 2 or len(timings) != 1:
        raise _other("benchmark_model", "two phases, a count= line each, and `Inference timings in us: Init: …`", text)
    count, same, mean = counts[1]
    mean_us, told_us = entering(mean or same), entering(timings[0])
    if int(count) < runs or told_us <= 0 or abs(mean_us / told_us - 1.0) > 1e-3:
        raise _other("benchmark_model", f"at least {runs} runs, and one mean of them", text)
    return told_us / 1e3


def onnx_arguments(path: str, threads: int, warm_up: int, runs: int) -> list[str]:
    """Those of ONNX Runtime's `onnxruntime_perf_test`, which runs a network once before it counts."""
    own = ["-x", str(threads), "-y", "1"] if threads else []
    return ["-I", "-s", "-m", "times", "-r", str(runs), *own, path]


def read_onnx(text: str, runs: int) -> float:
    """The mean of the runs in ms, of `onnxruntime_perf_test`'s lines. Raises `NasError` for any other form."""
    found = [pattern.findall(text) for pattern in (_AVERAGE, _REQUESTS, _LEAST, _GREATEST)]
    if any(len(one) != 1 for one in found):
        raise _other("onnxruntime_perf_test", "`Average inference time cost`, requests, `Min` and `Max Latency`", text)
    mean_ms, count, least_s, greatest_s = (entering(one[0]) for one in found)
    if count != runs or not 0.999e3 * least_s <= mean_ms <= 1.001e3 * greatest_s:
        raise _other("onnxruntime_perf_test", f"{runs} runs, their mean between the least and the greatest", text)
    return mean_ms


PROGRAMS = (
    Program(
        title="LiteRT", name="benchmark_model", suffix=".tflite", arguments=litert_arguments, read=read_litert
    ),
    Program(
        title="ONNX Runtime", name="onnxruntime_perf_test", suffix=".onnx", arguments=onnx_arguments, read=read_onnx
    ),
)  # fmt: skip


def _other(name: str, rule: str, text: str) -> NasError:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return NasError(
        f"{name} on the phone must print what this program reads ({rule}), but its last words are"
        f" {' / '.join(lines[-2:])!r}; its version prints another form: use one of LiteRT 1.0 or newer, or of ONNX"
        " Runtime 1.18 or newer."
    )
