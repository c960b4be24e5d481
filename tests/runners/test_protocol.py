from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nas.errors import InputError, NasError, UnreachableError
from nas.runners.protocol import Abilities, FileFault, TimingJob, TimingSession, timed
from nas.runners.timing import Timing

ABLE = Abilities(precisions=("float32", "float16"), compute_units=("CPU",), max_threads=4)


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ({"rounds": 0}, "at least 1, but got rounds=0, warm_up=2"),
        ({"rounds": -1}, "at least 1"),
        ({"rounds": 1, "warm_up": 0}, "warm_up=0"),
        ({"rounds": 1, "threads": -1}, "at least 1, or 0 to leave it to the runtime, but got -1"),
    ],
)
def test_a_job_whose_numbers_make_no_sense_is_refused(numbers: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        TimingJob(files=(), **numbers)


def test_a_session_gives_all_timings_or_the_first_fault() -> None:
    timing = Timing(wall_ms=(1.0,))
    fault = FileFault(path=Path("b"), text="b must be a network, but is none; leave it out.")
    session = TimingSession(environment={}, results=(timing, fault, timing))
    assert session.faults == (fault,)
    with pytest.raises(InputError, match="^b must be a network"):
        session.timings()
    assert TimingSession(environment={}, results=(timing, timing)).timings() == [timing, timing]
    assert timed(timing) is timing


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"precision": "int8"}, r"^d: precision must be .* \(float32, float16\), but got 'int8'; change it, or import"),
        ({"compute_unit": "GPU"}, r"^d: compute_unit must be .* \(CPU\), but got 'GPU'"),
        ({"threads": 5}, "^d: threads must be at most 4, but got 5"),
    ],
)
def test_what_is_beyond_abilities_is_named(asked: dict[str, Any], words: str) -> None:
    able: dict[str, Any] = {"threads": 4, "precision": "float16", "compute_unit": "CPU"}
    ABLE.require(**able, where="d")
    with pytest.raises(InputError, match=words):
        ABLE.require(**{**able, **asked}, where="d")


def test_a_device_that_is_not_there_is_no_fault_of_the_input() -> None:
    assert issubclass(UnreachableError, NasError) and not issubclass(UnreachableError, InputError)
    assert UnreachableError.exit_code == 1
