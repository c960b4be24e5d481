"""Timing networks on a device as its `device.yaml` says: the one way from networks to their runs."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from nas.errors import ConversionError, InputError, UnreachableError
from nas.files import is_alive, writing
from nas.graph import Graph
from nas.graph.rows import Shape
from nas.latency.home import DeviceHome
from nas.runners.find import find_runner
from nas.runners.protocol import FileFault, Runner, TimingJob, TimingSession, timed
from nas.runners.timing import Timing

_Answer = TypeVar("_Answer")
Network = Path | Callable[[], Graph]
"""A file of the runner's form, timed as it is; or a graph, written with random weights."""

PATIENCE_S = (5.0, 15.0, 30.0, 60.0, 120.0, 300.0)
"""How long a job waits, one time after the other, for a device that is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """Networks timed in one process beside the reference network: its timings (before the others, and behind them where
    that was asked for), what came of each network, in order, and where and how that was."""

    reference: tuple[Timing, ...]
    results: tuple[Timing | FileFault, ...]
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def reference_ms(self) -> float:
        """The reference's typical time, the mean of its timings."""
        return sum(timing.typical_ms for timing in self.reference) / len(self.reference)


class Stopwatch:
    """Times networks with `runner` on the device of `home`: its threads, its precision, its compute unit, as settled.

    Files are written to `scratch`, or to the system's folder for such, and removed once they are timed. A device that
    was there before and is not there now is waited for, `patience_s`. A context manager, which enters and leaves the
    runner.
    """

    def __init__(
        self,
        home: DeviceHome,
        runner: Runner,
        *,
        scratch: Path | None = None,
        patience_s: Sequence[float] = PATIENCE_S,
    ) -> None:
        self.home, self.runner = home, runner
        self._scratch, self._patience_s, self._waited_s = scratch, tuple(patience_s), 0.0
        self._was_there = False

    def __enter__(self) -> Self:
        self.runner.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.runner.__exit__(kind, error, trace)

    def environment(self) -> dict[str, str]:
        """Where and how it times: the runner's account, and the device's threads, precision and compute unit."""
        return {**self._patiently(self.runner.environment), **self.home.device.conditions}

    def now(self) -> float:
        """Seconds on a clock that only goes forward, and stands still while the device is waited for."""
        return time.monotonic() - self._waited_s

    def time(
        self,
        networks: Sequence[Network],
        *,
        rounds: int,
        threads: int | None = None,
        seed: int = 0,
        input_shapes: Mapping[str, Shape] | None = None,
        cool: bool = True,
    ) -> TimingSession:
        """Time `networks` in one process, in `rounds` interleaved rounds; with `threads`, or the device's own; inputs
        of `input_shapes` where a file leaves them open; from a `cool` device on, where it tells how warm it is.

        A network that cannot be written for the runtime, or that it cannot run, has a fault and costs no other its
        timing. Raises `UnreachableError` where the device stays away, `NasError` where the work fails otherwise.
        """
        device = self.home.device
        with self._files() as folder:
            written = [
                _written(network, folder / f"network{position}{self.runner.suffix}", seed + position)
                for position, network in enumerate(networks)
            ]
            job = TimingJob(
                files=tuple(one for one in written if isinstance(one, Path)),
                rounds=rounds,
                settle_ms=device.settle_ms,
                threads=device.threads if threads is None else threads,
                precision=device.precision,
                compute_unit=device.compute_unit,
                input_shapes=input_shapes or {},
                cool=cool,
            )
            session = self._patiently(lambda: self.runner.time(job))
        results = iter(session.results)
        return replace(session, results=tuple(next(results) if isinstance(one, Path) else one for one in written))

    def beside(
        self,
        reference: Network,
        networks: Sequence[Network],
        *,
        rounds: int,
        threads: int | None = None,
        seed: int = 0,
        behind: bool = False,
    ) -> Beside:
        """Time `networks` as `time` does, the reference before them, and `behind` them as well where that is asked for.

        Raises `InputError` where the reference itself cannot be timed: nothing could be compared.
        """
        together = [reference, *networks, *[reference] * behind]
        session = self.time(together, rounds=rounds, threads=threads, seed=seed)
        first, own = session.results[0], session.results[1 : 1 + len(networks)]
        return Beside(
            reference=tuple(timed(result) for result in (first, *session.results[1 + len(networks) :])),
            results=own,
            environment=session.environment,
        )

    def _patiently(self, act: Callable[[], _Answer]) -> _Answer:
        """What `act` gives, asked again where the device was there before, and is not now."""
        for wait_s in self._patience_s:
            try:
                answer = act()
            except UnreachableError:
                if not self._was_there:
                    raise
                time.sleep(wait_s)
                self._waited_s += wait_s
            else:
                self._was_there = True
                return answer
        return act()

    @contextmanager
    def _files(self) -> Iterator[Path]:
        """A folder for network files that is gone when they are timed."""
        if self._scratch is None:
            with tempfile.TemporaryDirectory(prefix="nas-") as folder:
                yield Path(folder)
            return
        try:
            with writing(self._scratch):
                self._scratch.mkdir(parents=True, exist_ok=True)
            yield self._scratch
        finally:
            shutil.rmtree(self._scratch, ignore_errors=True)


def open_stopwatch(home: DeviceHome) -> Stopwatch:
    """A stopwatch for the device of `home` that keeps its files beside the device's timings, one folder a process.

    Raises `InputError` for a device that cannot be measured here as its `device.yaml` says.
    """
    return Stopwatch(home, find_runner(home), scratch=files_folder(home) / str(os.getpid()))


def files_folder(home: DeviceHome) -> Path:
    """Where network files lie while they are timed, a subfolder a process."""
    return home.timings.with_suffix(".files")


def remove_dead_files(home: DeviceHome) -> None:
    """Remove what processes that were killed left there."""
    for own in files_folder(home).glob("*"):
        if own.name.isdecimal() and not is_alive(int(own.name)):
            shutil.rmtree(own, ignore_errors=True)


def _written(network: Network, path: Path, seed: int) -> Path | FileFault:
    """The file to time: `network` itself where it is one, else its graph written to `path`, or why it cannot be."""
    if isinstance(network, Path):
        return network
    from nas.nets.untrained import write_untrained

    try:
        return write_untrained(network(), path, seed=seed)
    except (ConversionError, InputError) as error:
        return FileFault(path=path, text=str(error))
