"""Damaged files, of every format that is read: numbers or a sentence, and soon (`benchmarks/fuzz.py` reads more)."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from nas.errors import InputError
from nas.testing.fuzzing import FuzzError, Reader, fuzz
from nas.testing.mutation import mutated
from nas.testing.pace import pace_s
from nas.testing.readers import READERS

COUNT = 2000


@pytest.mark.filterwarnings("ignore")  # what libraries say of damaged files is not what is asked here
@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_a_damaged_file_is_read_or_refused(reader: Reader, tmp_path: Path) -> None:
    found = fuzz(reader, tmp_path, count=COUNT, seed=1)
    assert found.read + found.refused == COUNT
    assert found.refused


def careless(answer: object) -> Reader:
    """A reader that gives (or raises) `answer` for whatever is not the healthy file."""

    def read(folder: Path) -> Iterable[float]:
        if (folder / "a").read_bytes() == b"a: 12":
            return [1.0]
        if isinstance(answer, Exception):
            raise answer
        if answer == "slow":
            end = time.process_time() + 4 * pace_s()
            while time.process_time() < end:
                pass
            return [1.0]
        return [answer]  # type: ignore[list-item]

    def write(folder: Path) -> Path:
        (folder / "a").write_bytes(b"a: 12")
        return folder / "a"

    return Reader(name="careless", kind="text", write=write, read=read)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (KeyError("a"), "KeyError"), (MemoryError(), "MemoryError"), (float("inf"), "not finite"),
        (float("nan"), "not finite"), ("slow", "took 0"),
    ],
)  # fmt: skip
def test_a_careless_reader_is_found(
    answer: object, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nas.testing.fuzzing.PACES", 1.0)
    with pytest.raises(FuzzError, match=words) as caught:
        fuzz(careless(answer), tmp_path, count=3, seed=0)
    assert caught.value.content != b"a: 12"


def test_a_careful_reader_is_counted(tmp_path: Path) -> None:
    found = fuzz(careless(InputError("it must be whole.")), tmp_path, count=20, seed=0)
    assert (found.read + found.refused, found.refused > 15) == (20, True)


@pytest.mark.parametrize("kind", ["bytes", "text", "json"])
def test_the_same_seed_damages_alike(kind: str) -> None:
    healthy = b'{"a": [1, 2.5, "x"], "b": {"c": null}}'
    first, second, other = ([mutated(healthy, random.Random(s), kind) for _ in range(20)] for s in (1, 1, 2))
    assert first == second != other
    many = random.Random(3)
    assert len({mutated(healthy, many, kind) for _ in range(100)}) > 50
