"""What every way of timing networks on a device offers: a job in, a session out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from nas.errors import InputError
from nas.runners.timing import Timing

RUNS_A_VISIT, WARM_UP = 1, 2
"""Runs that count in a visit to a file, before which goes one that does not; and runs of a file before the rounds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimingJob:
    """What is to be timed, and how: `rounds` interleaved rounds over `files`, all images of a file's inputs a run.

    `warm_up` is how often each file is run before the rounds, `settle_ms` for how long in each visit before the run
    that counts (one run where that is 0). `threads` is 0 where the runtime decides. `precision` and
    `compute_unit` are what the runtime computes in and on. `input_shapes` are sizes of inputs, by name, that a file may
    leave open. `cool` says whether a device that tells how warm it is is given time to cool down first. Raises
    `InputError` for numbers that no runner takes.
    """

    files: tuple[Path, ...]
    rounds: int
    warm_up: int = WARM_UP
    settle_ms: float = 0.0
    threads: int = 1
    precision: str = "float32"
    compute_unit: str = "CPU"
    input_shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    cool: bool = True

    def __post_init__(self) -> None:
        if self.rounds < 1 or self.warm_up < 1:
            raise InputError(
                f"rounds and runs of warm-up must be at least 1, but got rounds={self.rounds}, warm_up={self.warm_up}."
            )
        if self.threads < 0:
            raise InputError(f"threads must be at least 1, or 0 to leave it to the runtime, but got {self.threads}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFault:
    """Why one file was not timed: rule, what came, remedy."""

    path: Path
    text: str

    def error(self) -> InputError:
        """The fault as an error, for whoever needs that file."""
        return InputError(self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimingSession:
    """What came of a job: where it ran, and for each file, in order, its runs or why there are none; and how long it
    waited before for the device to cool."""

    environment: Mapping[str, str]
    results: tuple[Timing | FileFault, ...]
    cooled_s: float = 0.0

    @property
    def faults(self) -> tuple[FileFault, ...]:
        """The files that were not timed, in their order."""
        return tuple(result for result in self.results if isinstance(result, FileFault))

    def timings(self) -> list[Timing]:
        """The timing of every file. Raises `InputError` for the first that was not timed."""
        return [timed(result) for result in self.results]


def timed(result: Timing | FileFault) -> Timing:
    """`result` where it is a timing. Raises `InputError` where it is a fault."""
    if isinstance(result, FileFault):
        raise result.error()
    return result


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities:
    """What a runner can do, and what a file takes it in a round: so many runs, those that do not count among them, and
    seconds beside them."""

    precisions: tuple[str, ...]
    compute_units: tuple[str, ...]
    max_threads: int = 256
    runs_a_round: int = 1 + RUNS_A_VISIT
    beside_a_round_s: float = 0.0

    def require(self, *, threads: int, precision: str, compute_unit: str, where: str) -> None:
        """Raises `InputError`, which begins with `where`, for what is not among them."""
        for name, asked, able in (
            ("precision", precision, self.precisions),
            ("compute_unit", compute_unit, self.compute_units),
        ):
            if asked not in able:
                raise InputError(
                    f"{where}: {name} must be what is timed there ({', '.join(able)}), but got {asked!r}; change it, or"
                    " import a table measured elsewhere with `nas lut import`."
                )
        if threads > self.max_threads:
            raise InputError(f"{where}: threads must be at most {self.max_threads}, but got {threads}; ask for fewer.")


class Runner(Protocol):
    """Times network files on one device. A context manager: what it holds there is let go when it is left.

    A job happens there in one process, so that a remote runner ships files once and gets numbers back once.
    """

    @property
    def suffix(self) -> str:
        """The suffix of the files it runs, such as ".onnx"."""

    @property
    def abilities(self) -> Abilities:
        """What jobs it takes."""

    def environment(self) -> Mapping[str, str]:
        """Where it runs: "chip", "runtime" (with its version), "system", "cores" and "governor" where readable."""

    def time(self, job: TimingJob) -> TimingSession:
        """Do the job in one fresh process: each file `warm_up` times, then rounds that visit every file, with one run
        that does not count, or `settle_ms` of them, and `RUNS_A_VISIT` that do.

        A file that the runtime cannot load or run has a fault, its reason in the text, and costs no other file its
        timing. Raises `InputError` for what is not among `abilities`, `UnreachableError` where the device is not there
        now, and `NasError` where it fails otherwise.
        """

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
