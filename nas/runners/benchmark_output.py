"""The benchmark programs of runtimes on phones: how they are called, and what they print, read strictly.

They tell no runs, only what became of a few. What a program of another version prints is refused rather than guessed;
how long loading and the first run took is told where it stands in the form that is known, and not else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nas.errors import NasError
from nas.figures import entering

_NUMBER = r"([0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?)"
_PHASE = re.compile(r"^(?:INFO: )?Running benchmark for at least ", re.M)
_COUNT = re.compile(rf"^(?:INFO: )?count=([0-9]+) (?:curr={_NUMBER}(?: p5=.*)?$|first=.* avg={_NUMBER} std=)", re.M)
_TIMINGS = re.compile(
    r"^(?:INFO: )?Inference timings in us: Init: ([^,]+), First inference: ([^,]+), Warmup \(avg\): [^,]+,"
    rf" Inference \(avg\): {_NUMBER}\s*$",
    re.M,
)
_CREATION = re.compile(rf"^Session creation time cost: {_NUMBER} s\s*$", re.M)
_FIRST = re.compile(rf"^First inference time cost: {_NUMBER} ms\s*$", re.M)
_AVERAGE = re.compile(rf"^Average inference time cost(?: total)?: {_NUMBER} ms\s*$", re.M)
_REQUESTS = re.compile(r"^Total inference requests: ([0-9]+)\s*$", re.M)
_LEAST, _GREATEST = (re.compile(rf"^{name} Latency: {_NUMBER} s\s*$", re.M) for name in ("Min", "Max"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a call tells, in ms: the mean of its runs, what loading and the first run took (None where it does not)."""

    mean_ms: float
    load_ms: float | None = None
    first_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A benchmark program: the runtime's `title`, the program's usual `name`, the `suffix` of its files, its arguments
    (file, threads, runs of warm-up, runs) and how what it tells is read (text, runs)."""

    title: str
    name: str
    suffix: str
    arguments: Callable[[str, int, int, int], list[str]]
    read: Callable[[str, int], Told]


def litert_arguments(path: str, threads: int, warm_up: int, runs: int) -> list[str]:
    """Those of LiteRT's `benchmark_model`; threads 0: its own number."""
    own = [f"--num_threads={threads}"] if threads else []
    return [
        f"--graph={path}", *own, f"--warmup_runs={warm_up}", f"--num_runs={runs}", "--warmup_min_secs=0",
        "--min_secs=0",
    ]  # fmt: skip


def read_litert(text: str, runs: int) -> Told:
    """The mean of the timed runs, of `benchmark_model`'s two phases (warm-up, then these) and its last line.

    The form is that of TensorFlow Lite 2.2 and newer, and of LiteRT. Raises `NasError` for any other.
    """
    phases, counts, timings = _PHASE.findall(text), _COUNT.findall(text), _TIMINGS.findall(text)
    if len(phases) != 2 or len(counts) != 2 or len(timings) != 1:
        raise _other("benchmark_model", "two phases, a count= line each, and `Inference timings in us: Init: …`", text)
    count, same, mean = counts[1]
    load, first, told = timings[0]
    mean_us, told_us = entering(mean or same), entering(told)
    if int(count) < runs or told_us <= 0 or abs(mean_us / told_us - 1.0) > 1e-3:
        raise _other("benchmark_model", f"at least {runs} runs, and one mean of them", text)
    return Told(mean_ms=told_us / 1e3, load_ms=_scaled([load], 1e-3), first_ms=_scaled([first], 1e-3))


def onnx_arguments(path: str, threads: int, warm_up: int, runs: int) -> list[str]:
    """Those of ONNX Runtime's `onnxruntime_perf_test`, which runs a network once before it counts."""
    own = ["-x", str(threads), "-y", "1"] if threads else []
    return ["-I", "-s", "-m", "times", "-r", str(runs), *own, path]


def read_onnx(text: str, runs: int) -> Told:
    """The mean of the runs, of `onnxruntime_perf_test`'s lines. Raises `NasError` for any other form."""
    found = [pattern.findall(text) for pattern in (_AVERAGE, _REQUESTS, _LEAST, _GREATEST)]
    if any(len(one) != 1 for one in found):
        raise _other("onnxruntime_perf_test", "`Average inference time cost`, requests, `Min` and `Max Latency`", text)
    mean_ms, count, least_s, greatest_s = (entering(one[0]) for one in found)
    if count != runs or not 0.999e3 * least_s <= mean_ms <= 1.001e3 * greatest_s:
        raise _other("onnxruntime_perf_test", f"{runs} runs, their mean between the least and the greatest", text)
    load_ms, first_ms = _scaled(_CREATION.findall(text), 1e3), _scaled(_FIRST.findall(text), 1.0)
    return Told(mean_ms=mean_ms, load_ms=load_ms, first_ms=first_ms)


def _scaled(found: Sequence[str], factor: float) -> float | None:
    """A positive number that stands once, times a factor; None for what is none."""
    value = entering(found[0].strip()) if len(found) == 1 else 0.0
    return factor * value if value > 0.0 else None


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
