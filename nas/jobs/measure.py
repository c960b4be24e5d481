"""Timing one network on a device: what is behind `nas measure`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.errors import InputError
from nas.graph import Graph
from nas.graph.rows import Shape
from nas.latency import Device, DeviceHome, Estimate, load_latency
from nas.latency.load import is_onnx
from nas.latency.model import COEFFICIENTS_FILE, TABLE_FILE
from nas.measure.build import reference_item
from nas.measure.stopwatch import Network, Stopwatch
from nas.onnx.content import LITERT, ONNX, kind_of_file
from nas.onnx.file import MAX_BYTES, input_shapes
from nas.onnx.reader import read_onnx
from nas.onnx.sizes import OPTION, InputShapes, parse_input_shapes
from nas.progress import OnProgress, Step, silent
from nas.runners.find import find_runner
from nas.runners.interval import measured
from nas.runners.protocol import RUNS_A_VISIT, Runner, timed
from nas.runners.timing import Timing, run_statistics
from nas.space import load_architecture

MAX_SPREAD = 0.1
"""Runs whose median lies further above their least time than this share are said to stray."""

_SUFFIXES: Mapping[str, str] = {ONNX: ".onnx", LITERT: ".tflite"}
_LOCAL: Mapping[str, str] = {ONNX: "local", LITERT: "local-litert"}
"""Kind of file → the shipped device that runs it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One network timed on `device`: a timing for each number of threads, in rounds of `RUNS_A_VISIT` runs, each of
    `images` (None where the file does not say how many those are).

    `predicted` is what the device's latency model says of it, at the number of threads of `device.yaml`; None where it
    has no model, or the model cannot say.
    """

    network: str
    device: Device
    environment: Mapping[str, str]
    rounds: int
    timings: Mapping[int, Timing]
    predicted: Estimate | None
    warnings: tuple[str, ...]
    images: int | None = 1

    def as_json(self) -> dict[str, Any]:
        """The document of `nas measure --json`; times in milliseconds."""
        return {
            "network": self.network,
            "device": self.device.name,
            "source": "measured",
            "environment": dict(self.environment),
            "rounds": self.rounds,
            "runs": self.rounds * RUNS_A_VISIT,
            "images_a_run": self.images,
            "timings": [
                {
                    "threads": threads,
                    **run_statistics(timing),
                    "spread": timing.spread,
                    "latency": measured(timing).as_json(),
                }
                for threads, timing in self.timings.items()
            ],
            "predicted": self.predicted.as_json() if self.predicted else None,
            "warnings": list(self.warnings),
        }


def measure(
    home: DeviceHome,
    network: str,
    *,
    threads: Sequence[int] = (),
    rounds: int = 30,
    input_shape: InputShapes = (),
    progress: OnProgress = silent,
) -> Measurement:
    """Time `network` (a file that the runtime reads, a known name, an architecture file, a zoo folder) on a device.

    It takes turns with the reference network, as whatever a table is of has: in a loop of its own a network of less
    than three milliseconds is faster than its table says, since nobody else uses the caches (`benchmarks/visits.md`).
    `threads` are the numbers of threads to time it with; by default the device's own. An architecture is written with
    random weights; a file is timed as it is, its inputs of the sizes of `input_shape` where it leaves them open. Raises
    `InputError` for a device that nothing reaches, a file that its runtime cannot run, and numbers that make no sense.
    """
    device, runner = home.device, find_runner(home)
    counts = tuple(dict.fromkeys(threads)) or (device.threads,)
    if threads:
        check_threads(counts, runner.abilities.max_threads)
    own = network_to_time(network, runner, device)
    shapes = sizes_of_inputs(own, input_shape)
    together = [reference_item().graph, own]
    timings = {}
    environment: Mapping[str, str] = {}
    with Stopwatch(home, runner, patience_s=()) as watch:
        for done, count in enumerate(counts):
            progress(Step(doing=f"timing {network}", done=done, of=len(counts), note=count_text(count)))
            session = watch.time(together, rounds=rounds, threads=count, input_shapes=shapes)
            timings[count], environment = timed(session.results[1]), session.environment
    graph, doubts = _graph(own, input_shape)
    predicted = None
    if not doubts:
        predicted, doubts = _predicted(home, network if graph is None else graph)
    return Measurement(
        network=network,
        device=device,
        environment=environment,
        rounds=rounds,
        timings=timings,
        predicted=predicted,
        warnings=(*oversubscribed(counts, environment), *_strays(timings), *doubts),
        images=graph.batch if graph is not None else None if isinstance(own, Path) else 1,
    )


def check_threads(counts: Sequence[int], most: int) -> None:
    """Raises `InputError` for a number of threads that no runtime takes."""
    for count in counts:
        if not 1 <= count <= most:
            raise InputError(f"a number of threads must be from 1 to {most}, but got {count}.")


def count_text(threads: int) -> str:
    """ "1 thread", "2 threads", or what 0 stands for."""
    return f"{threads} thread{'s' * (threads > 1)}" if threads else "the runtime's own threads"


def oversubscribed(counts: Sequence[int], environment: Mapping[str, str]) -> tuple[str, ...]:
    """A warning for the numbers of threads that the machine has no cores for; they are timed all the same."""
    cores = int(environment["cores"])
    beyond = [count for count in counts if count > cores]
    if not beyond:
        return ()
    listed = " and ".join(map(str, beyond))
    return (f"{listed} threads share {cores} cores, so their times say little of a machine with more cores.",)


def _strays(timings: Mapping[int, Timing]) -> tuple[str, ...]:
    return tuple(
        f"with {count_text(count)} the median run takes {100 * timing.spread:.0f} % longer than the least: something"
        " else keeps the machine busy, or its clock changes; close other programs, or raise --rounds."
        for count, timing in timings.items()
        if timing.spread > MAX_SPREAD
    )


def network_to_time(network: str, runner: Runner, device: Device) -> Network:
    """What to time: the file `network` itself where it is one, else the graph of the architecture. Raises `InputError`
    for a file that the runtime does not read."""
    kind = kind_of_file(network)
    if kind not in _SUFFIXES or (kind == ONNX and not is_onnx(network)):
        return load_architecture(network).graph
    path = Path(network)
    if _SUFFIXES[kind] != runner.suffix:
        raise InputError(
            f"{path} must be a {runner.suffix} file to be timed on {device.name} ({device.runtime}), but is a"
            f" {_SUFFIXES[kind]} file, which `--device {_LOCAL[kind]}` times; or convert it, or name an architecture,"
            " which is written for the runtime."
        )
    if not path.is_file():
        raise InputError(f"{path} must be a file, but there is none.")
    if path.stat().st_size >= MAX_BYTES:
        raise InputError(
            f"{path} must be smaller than 2 GB, but has {path.stat().st_size} bytes; export it with external weights."
        )
    return path


def sizes_of_inputs(network: Network, given: InputShapes) -> dict[str, Shape]:
    """The sizes of a file's inputs. Raises `InputError` where they are open and not given, or given and fixed."""
    shapes = parse_input_shapes(given)
    if isinstance(network, Path) and kind_of_file(network) == ONNX:
        return input_shapes(network, shapes)
    if shapes:
        raise InputError(f"{OPTION} must come with an ONNX file, whose inputs may be open, but got {shapes}.")
    return {}


def _graph(network: Network, given: InputShapes) -> tuple[Graph | None, tuple[str, ...]]:
    """The graph of an ONNX file; None with the reason where it cannot be read, or is no such file."""
    if not isinstance(network, Path):
        return None, ()
    if kind_of_file(network) == LITERT:
        return None, ("a .tflite file is timed, but not predicted; predict the architecture or its ONNX file.",)
    try:
        return read_onnx(network, given or None), ()
    except InputError as error:
        return None, (f"there is no prediction beside it: {error}",)


def _predicted(home: DeviceHome, network: str | Graph) -> tuple[Estimate | None, tuple[str, ...]]:
    """What the device's latency model says, and what there is to doubt about it."""
    if not any((home.folder / name).exists() for name in (TABLE_FILE, COEFFICIENTS_FILE)):
        return None, ()
    try:
        estimate = load_latency(home).estimate(network)
    except InputError as error:
        return None, (f"there is no prediction beside it: {error}",)
    return estimate, estimate.warnings
