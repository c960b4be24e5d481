from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.errors import InputError
from nas.latency.table.rows import COLUMNS, TableRow, read_table, table_text

HEADER = ",".join(COLUMNS)
LINE = '"conv3x3s2 3x8x8>4x4x4+relu",0.5,0.4,0.6,3,measured,2024-05-01'


def write(folder: Path, text: str) -> Path:
    path = folder / "table.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_rows_are_read_by_segment(tmp_path: Path) -> None:
    rows = read_table(write(tmp_path, f"{HEADER}\n{LINE}\n"))
    key = "conv3x3s2 3x8x8>4x4x4+relu"
    assert rows == {
        key: TableRow(
            segment=key, mean_ms=0.5, low_ms=0.4, high_ms=0.6, count=3, source="measured", date="2024-05-01"
        )
    }  # fmt: skip


@pytest.mark.parametrize(
    "text", [f"\ufeff{HEADER}\n{LINE}\n", f"{HEADER}\r\n{LINE}\r\n", f"{HEADER}\n{LINE}\n{LINE}\n"]
)
def test_other_line_breaks_a_byte_order_mark_and_a_row_that_repeats_are_no_faults(tmp_path: Path, text: str) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(text.encode())
    assert read_table(path) == read_table(write(tmp_path, f"{HEADER}\n{LINE}\n")) != {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "row 1: columns must be"),
        ("a,b\n", "row 1: columns must be"),
        (
            HEADER.replace("mean_ms", "mean_us") + "\n",
            "(times in ms), but 'mean_us' is none of them, mean_ms is missing",
        ),
        (HEADER.replace("date", "date,date") + "\n", "'date' comes more than once"),
        (HEADER.replace("mean_ms", "mean_us") + f"\n{LINE}", "(times in ms), but 'mean_us' is none of them"),
        (HEADER[:-7], "row 1: columns must be"),
        (HEADER, "row 1: rows must end with a line break"),
        ("mean_ms,segment,low_ms,high_ms,count,source,date\n", "but their order is mean_ms,segment"),
        (f"{HEADER}\n{LINE}", "row 2: rows must end with a line break"),
        (f"{HEADER}\n{LINE}\nx,0.5,0.4\n", "row 3: a row must have 7 columns, but has 3"),
        (f"{HEADER}\n{LINE}\n{LINE.replace('0.5', '0.45')}\n", "row 3: a segment that comes again must have the same"),
        (
            f"{HEADER}\nx,-1,0.4,0.6,3,measured,\n",
            "row 2: mean_ms must be a positive finite number of ms, but got '-1'",
        ),
        (f"{HEADER}\nx,nan,0.4,0.6,3,measured,\n", "row 2: mean_ms"),
        (f"{HEADER}\nx,0.5,inf,0.6,3,measured,\n", "row 2: low_ms"),
        (f"{HEADER}\nx,0.5,0.55,0.6,3,measured,\n", "row 2: low_ms must hold"),
        (f"{HEADER}\nx,0.5,0.4,0.45,3,measured,\n", "row 2: high_ms must hold"),
        (f"{HEADER}\nx,0.5,0.4,0.6,-3,measured,\n", "row 2: count"),
        (f"{HEADER}\nx,0.5,0.4,0.6,3,guessed,\n", "row 2: source must be one of"),
        (f"{HEADER}\n,0.5,0.4,0.6,3,measured,\n", "row 2: segment"),
        (f'{HEADER}\n"x,0.5,0.4,0.6,3,measured,\n', "row 2"),
    ],
)
def test_a_bad_table_is_refused_naming_file_row_and_column(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError, match="table.csv") as caught:
        read_table(write(tmp_path, text))
    assert words in str(caught.value)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="UTF-8"):
        read_table(path)


MS = st.floats(min_value=1e-9, max_value=1e6)
ROWS = st.builds(
    lambda name, ms, count: TableRow(
        segment=name, mean_ms=sorted(ms)[1], low_ms=min(ms), high_ms=max(ms), count=count, source="measured", date="x"
    ),
    st.text("abc,;\"x> +'", min_size=1),
    st.tuples(MS, MS, MS),
    st.integers(0, 10**9),
)


@given(st.lists(ROWS, unique_by=lambda row: row.segment))
def test_what_is_written_is_read_back_exactly(tmp_path_factory: pytest.TempPathFactory, rows: list[TableRow]) -> None:
    path = tmp_path_factory.mktemp("table") / "table.csv"
    path.write_text(table_text(rows), encoding="utf-8")
    assert list(read_table(path).values()) == rows
