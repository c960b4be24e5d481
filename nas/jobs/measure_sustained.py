"""Running one network for minutes on a device: what is behind `nas measure --sustained`."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.errors import InputError
from nas.jobs.measure import check_threads, count_text, network_to_time, oversubscribed, sizes_of_inputs
from nas.latency import Device, DeviceHome
from nas.latency.way import ADB
from nas.measure.stopwatch import Network, Stopwatch
from nas.measure.sustained import SHORTEST_S, Course, run_on
from nas.onnx.sizes import InputShapes
from nas.progress import OnProgress, Step, silent
from nas.runners.adb import RUNS
from nas.runners.find import find_runner
from nas.runners.timing import Timing


@dataclass(frozen=True, slots=True, kw_only=True)
class SustainedMeasurement:
    """A network that ran for a while on `device`; `runs_a_time` is of how many runs each of its times is the mean."""

    network: str
    device: Device
    asked_s: float
    threads: int
    runs_a_time: int
    course: Course
    warnings: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The document of `nas measure --sustained --json`; times in milliseconds."""
        return {
            "network": self.network,
            "device": self.device.name,
            "source": "measured",
            "sustained_s": self.asked_s,
            "threads": self.threads,
            "runs_a_time": self.runs_a_time,
            **self.course.as_json(),
            "warnings": list(self.warnings),
        }


def measure_sustained(
    home: DeviceHome,
    network: str,
    duration_s: float,
    *,
    threads: int | None = None,
    input_shape: InputShapes = (),
    progress: OnProgress = silent,
) -> SustainedMeasurement:
    """Run `network` (as `nas.jobs.measure.measure` takes it) for `duration_s` on a device, by its own number of threads
    where none is given.

    Where it ends before its time, by Ctrl-C or because the device goes away, what was timed until then comes back, with
    the reason. Raises as `measure` does, and `InputError` for less than `SHORTEST_S`.
    """
    if duration_s < SHORTEST_S:
        raise InputError(f"--sustained must be at least {SHORTEST_S:g}s, but got {duration_s:g} s; 10m tells most.")
    device, runner = home.device, find_runner(home)
    count = device.threads if threads is None else threads
    if threads is not None:
        check_threads((threads,), runner.abilities.max_threads)
    timed = network_to_time(network, runner, device)
    shapes = sizes_of_inputs(timed, input_shape)

    def told(seconds: float, start: Timing | None) -> None:
        note = count_text(count) if start is None else f"{start.typical_ms:.3g} ms at first"
        progress(Step(doing=f"running {network}", done=seconds, of=duration_s, note=note))

    with tempfile.TemporaryDirectory(prefix="nas-") as folder, Stopwatch(home, runner, patience_s=()) as watch:
        file = _written_once(timed, Path(folder) / f"network{runner.suffix}")
        course = run_on(watch, file, duration_s, threads=count, input_shapes=shapes, progress=told)
    early = (f"after {course.seconds:.0f} of {duration_s:.0f} s the runs ended: {course.ended}",) * bool(course.ended)
    return SustainedMeasurement(
        network=network,
        device=device,
        asked_s=duration_s,
        threads=count,
        runs_a_time=RUNS if device.reach == ADB else 1,
        course=course,
        warnings=(*oversubscribed((count,), course.environment), *early),
    )


def _written_once(network: Network, path: Path) -> Path:
    """The file of a network: nothing is written between batches, while the device would rest."""
    if isinstance(network, Path):
        return network
    from nas.nets.untrained import write_untrained

    return write_untrained(network(), path)
