from __future__ import annotations

from pathlib import Path

import pytest

from nas.errors import InputError
from nas.latency.table.timings import Timing, read_timed_texts

TEXT = "15x15x8-8x8x12-expand:3-kernel:5-stride:2"


def timings(folder: Path, name: str, content: str) -> list[tuple[str, float, float | None, int | None]]:
    path = folder / name
    path.write_bytes(content.encode())
    found: list[Timing] = [row.timing() for row in read_timed_texts(path)]
    return [(row.name, row.mean_ms, row.std_ms, row.count) for row in found]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (f"{TEXT},5.5\n", (5.5, None, None)),
        (f"{TEXT},5\r\n", (5.0, None, None)),
        (f"\ufeff{TEXT}, 5.5e-1\n", (0.55, None, None)),
        (f"block,ms\n{TEXT},5.5\n", (5.5, None, None)),
        (f"block,count,mean,var\n{TEXT},40,5.5,0.25\n", (5.5, 0.5, 40)),
        (f"block,mean,std,count\n{TEXT},5.5,,\n", (5.5, None, None)),
    ],
)
def test_csv_has_the_mean_alone_or_what_its_header_names(
    tmp_path: Path, content: str, expected: tuple[float, float | None, int | None]
) -> None:
    assert timings(tmp_path, "t.csv", content) == [(TEXT, *expected)]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (f"block,latency_us\n{TEXT},5500", "row 1: times must be in ms, but 'latency_us' names another unit"),
        (f"block,mean (s)\n{TEXT},0.0055\n", "row 1: times must be in ms, but 'mean (s)' names another unit"),
        (f"block,speed\n{TEXT},5.5\n", "row 1: keys must be known, but got 'speed'"),
        (f"{TEXT};5.5\n", "row 1: a row must have its text and its mean with a comma between"),
        (f"block,std\n{TEXT},5.5\n", "row 1: the key 'mean' must be given"),
        (f"block,mean,mean\n{TEXT},5.5,5.5\n", "row 1: a column must come once"),
        (f"{TEXT},5.5\n{TEXT},4.75", "row 2: rows must end with a line break"),
        (f"{TEXT},5.5\n{TEXT}", "row 2: rows must end with a line break"),
        (f"{TEXT},5.5\n{TEXT}\n", "row 2: a row must have 2 columns (its text, mean), but has 1"),
        (f"{TEXT},5.5\n{TEXT},fast\n", "row 2: mean must be a positive finite number of ms, but got 'fast'"),
        (f"{TEXT},nan\n", "row 1: keys must be known, but got 'nan'"),
        (f'{TEXT},5.5\n"{TEXT},5.5\n', "must be a CSV row"),
    ],
)
def test_a_bad_csv_file_is_refused_naming_row_and_rule(tmp_path: Path, content: str, words: str) -> None:
    with pytest.raises(InputError, match=r"t\.csv, row") as caught:
        timings(tmp_path, "t.csv", content)
    assert words in str(caught.value)


def test_json_is_the_same_document(tmp_path: Path) -> None:
    content = f'{{"{TEXT}": {{"count": 40, "mean": 5.5, "std": 0.5}},\n\t"other": 2}}'
    assert timings(tmp_path, "t.json", content) == [(TEXT, 5.5, 0.5, 40), ("other", 2.0, None, None)]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (f'{{"{TEXT}": {{"mean": 5.5', "must be valid JSON, but: .*; is it whole?"),
        (f'{{"{TEXT}": 5.5, "{TEXT}": 5.5}}', "a key must be given once"),
        (f'{{"{TEXT}": {{"mean": NaN}}}}', "mean must be a positive finite number of ms, but got nan"),
        ("[1, 2]", "must hold a mapping of rows to figures"),
        ("[" * 100_000, "must be valid JSON"),
    ],
)
def test_a_bad_json_file_is_refused(tmp_path: Path, content: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        timings(tmp_path, "t.json", content)


def test_a_file_that_is_no_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(f"{TEXT},5.5\n".encode("utf-16"))
    with pytest.raises(InputError, match=r"t\.csv must be a CSV file in UTF-8"):
        read_timed_texts(path)
