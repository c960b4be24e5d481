"""`timings.csv` as hands and spreadsheets leave it, and every way in which it may be wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from nas.errors import InputError
from nas.measure.bundle import TIMINGS_FILE, Bundle, BundledFile, checksum
from nas.measure.bundle_times import FilledRow, FilledTimes, read_times, require_believable, timings_text
from tests.measure.bundles import Rows, fill_in, rows_of, small_bundle, write_rows

LATENCY = ("9.5", "4.25", "3", "9.7")
"""Of the reference, mobilenetv2-0.6@192, probe-3, the reference again."""
TWO = small_bundle(("onnx", "litert"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the CSV file of a bundle, filled in."""
    (tmp_path / TIMINGS_FILE).write_text(timings_text(small_bundle()), encoding="utf-8")
    fill_in(tmp_path, lambda number, row: LATENCY[number])
    return tmp_path


def read(folder: Path, bundle: Bundle | None = None) -> FilledTimes:
    return read_times(folder / TIMINGS_FILE, bundle or small_bundle())


def figures(found: FilledTimes) -> tuple[list[float], list[float]]:
    return [row.latency_ms for row in found.reference], [row.latency_ms for row in found.rows]


def change(folder: Path, old: str, new: str, *, count: int = -1) -> None:
    path = folder / TIMINGS_FILE
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, count), encoding="utf-8")


def test_the_reference_is_first_and_last_in_each_format() -> None:
    lines = timings_text(TWO).splitlines()
    assert lines[0] == "network,format,file,latency_ms,sha256"
    assert [line.split(",")[:2] for line in lines[1:]] == [
        [name, form]
        for form in ("onnx", "litert")
        for name in ("mobilenetv3-large-1.0", "mobilenetv2-0.6@192", "probe-3", "mobilenetv3-large-1.0")
    ]
    assert lines[3] == "probe-3,onnx,onnx/002-probe-3.onnx,,onnx2"


def test_what_is_filled_in_is_read(folder: Path) -> None:
    found = read(folder)
    assert figures(found) == ([9.5, 9.7], [4.25, 3.0])
    assert (found.format, found.missing) == ("onnx", ())
    assert [row.where for row in found.rows] == [f"{folder / TIMINGS_FILE}, line {line}" for line in (3, 4)]


def test_rows_that_are_empty_or_gone_are_missing_and_their_order_is_free(folder: Path) -> None:
    rows = rows_of(folder)
    rows[1]["latency_ms"] = ""
    write_rows(folder, list(reversed(rows[1:])))
    found = read(folder)
    assert figures(found) == ([9.7], [3.0]) and found.missing == ("mobilenetv2-0.6@192",)


@pytest.mark.parametrize(
    ("header", "factor"),
    [
        ("latency_us", 1e-3), ("latency (us)", 1e-3), ("Latency [µs]", 1e-3), ("median_microseconds", 1e-3),
        ("latency_s", 1e3), ("seconds", 1e3), ("time (sec)", 1e3), ("latency_ns", 1e-6), ("ms", 1.0), ("avg ms", 1.0),
    ],
)  # fmt: skip
def test_the_unit_of_the_header_is_heeded(folder: Path, header: str, factor: float) -> None:
    change(folder, "latency_ms", header)
    assert figures(read(folder))[1] == [pytest.approx(4.25 * factor), pytest.approx(3.0 * factor)]


@pytest.mark.parametrize(
    ("cell", "ms"),
    [("850us", 0.85), ("850 µs", 0.85), ("0.004 s", 4.0), ("12 ms", 12.0), ("1.2e1", 12.0), (" 12.5 ", 12.5)],
)
def test_the_unit_of_a_cell_is_heeded(folder: Path, cell: str, ms: float) -> None:
    change(folder, "4.25", cell)
    found = read(folder)
    assert figures(found)[1][0] == pytest.approx(ms)
    assert [row.is_sure for row in found.rows] == [cell[-1] == "s", False]


def test_what_a_spreadsheet_writes_is_read(folder: Path) -> None:
    path = folder / TIMINGS_FILE
    text = path.read_text("utf-8").replace(",", ";").replace("4.25", "4,25").replace("\n", "\r\n")
    path.write_bytes(b"\xef\xbb\xbf" + text.rstrip().encode() + b"\r\n;;;;\r\n")
    assert figures(read(folder)) == ([9.5, 9.7], [4.25, 3.0])
    path.write_text(text.replace(";", "\t").replace("4,25", "4.25"), encoding="utf-8")
    assert figures(read(folder)) == ([9.5, 9.7], [4.25, 3.0])


def test_a_last_row_without_a_line_break_is_whole(folder: Path) -> None:
    path = folder / TIMINGS_FILE
    path.write_text(path.read_text("utf-8").rstrip(), encoding="utf-8")
    assert figures(read(folder)) == ([9.5, 9.7], [4.25, 3.0])
    path.write_text(path.read_text("utf-8")[:-1], encoding="utf-8")
    with pytest.raises(InputError, match=r"line 5: sha256 must be that of onnx/000"):
        read(folder)


def set_cell(line: int, **cells: str) -> Callable[[Rows], object]:
    return lambda rows: rows[line - 2].update(cells)


@pytest.mark.parametrize(
    ("change_rows", "words"),
    [
        (set_cell(3, latency_ms="-1"), "line 3: latency_ms must be a positive finite number such as 12.5, but got '-1"),
        (set_cell(3, latency_ms="0"), "line 3: latency_ms must be a positive"),
        (set_cell(4, latency_ms="NaN"), "line 4: latency_ms must be a positive"),
        (set_cell(4, latency_ms="inf"), "line 4: latency_ms must be a positive"),
        (set_cell(4, latency_ms="1e999"), "line 4: latency_ms must be a positive"),
        (set_cell(4, latency_ms="failed"), "but got 'failed'; leave it empty where nothing was timed"),
        (set_cell(4, latency_ms="12,5"), "line 4: latency_ms must be a positive finite number such as 12.5"),
        (set_cell(4, latency_ms="1_0"), "line 4: latency_ms must be a positive"),
        (set_cell(3, network="mobilenetv2-0.6"), "line 3: network must be a known name, but got 'mobilenetv2-0.6'"),
        (set_cell(3, network="mobilenetv2-0.6"), "nearest: mobilenetv2-0.6@192"),
        (set_cell(3, network="probe-3"), "line 3: file must be onnx/002-probe-3.onnx, which is probe-3"),
        (set_cell(3, file="onnx/m.onnx"), "line 3: file must be onnx/001-mobilenetv2-0.6@192.onnx"),
        (set_cell(3, format="litert"), "line 3: format must be one of onnx, but got 'litert'"),
        (set_cell(3, sha256="onnx9"), "line 3: sha256 must be that of onnx/001-mobilenetv2-0.6@192.onnx, onnx1"),
        (set_cell(3, sha256=""), "but got nothing"),
        (lambda rows: rows.insert(2, rows[1]), "line 4: a network must come once, the reference twice, but mobile"),
        (lambda rows: rows.insert(2, rows[1]), "is in line 3 as well; keep one row"),
        (lambda rows: rows.insert(2, rows[0]), "line 6: a network must come once, the reference twice"),
        (lambda rows: [row.update(latency_ms="") for row in rows], "latency_ms must be filled in"),
    ],
)  # fmt: skip
def test_a_bad_row_is_told_with_file_and_line(folder: Path, change_rows: Callable[[Rows], object], words: str) -> None:
    rows = [dict(row) for row in rows_of(folder)]
    change_rows(rows)
    write_rows(folder, rows)
    with pytest.raises(InputError) as caught:
        read(folder)
    assert str(caught.value).startswith(str(folder / TIMINGS_FILE)) and words in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("latency_ms", "latency", "line 1: columns must be network,format,file,latency_ms,sha256, but got 'latency'"),
        ("latency_ms", "latency", "did you mean 'latency_ms'?"),
        ("latency_ms", "times", "but got 'times'"),
        ("latency_ms", "latency_weeks", "line 1: columns must be"),
        ("latency_ms,sha256", "sha256,sha256", "latency_ms is missing"),
        ("latency_ms", "latency_ms,latency_us", "latency_ms comes more than once"),
        ("probe-3,onnx,", "probe-3,onnx,,", "line 4: a row must have 5 columns, but has 6; write decimals"),
        ("4.25", '"4.25', "must be a CSV row"),
    ],
)  # fmt: skip
def test_a_bad_file_is_told_with_its_line(folder: Path, old: str, new: str, words: str) -> None:
    change(folder, old, new, count=1)
    with pytest.raises(InputError) as caught:
        read(folder)
    assert str(caught.value).startswith(str(folder / TIMINGS_FILE)) and words in str(caught.value)


def test_an_empty_file_and_one_of_other_bytes(folder: Path) -> None:
    path = folder / TIMINGS_FILE
    for content, words in ((b"", "line 1: columns must be"), (b"\xff\xfe", "CSV file in UTF-8")):
        path.write_bytes(content)
        with pytest.raises(InputError, match=words):
            read(folder)
    with pytest.raises(InputError, match="must be a CSV file that can be read"):
        read_times(folder / "absent.csv", small_bundle())


def test_times_of_two_formats_do_not_mix(tmp_path: Path) -> None:
    (tmp_path / TIMINGS_FILE).write_text(timings_text(TWO), encoding="utf-8")
    fill_in(tmp_path, lambda number, row: LATENCY[number - 4] if row["format"] == "litert" else "")
    found = read(tmp_path, TWO)
    assert found.format == "litert" and figures(found) == ([9.5, 9.7], [4.25, 3.0])
    fill_in(tmp_path, lambda number, row: "3" if number in (2, 5) else "")
    with pytest.raises(
        InputError, match=r"line 4: all times must be of one format, but this one is of onnx, and .*line 7"
    ):
        read(tmp_path, TWO)


def test_a_file_that_was_replaced_is_told_and_one_that_is_gone_is_not(folder: Path) -> None:
    bundle = small_bundle()
    file = folder / "onnx" / "002-probe-3.onnx"
    file.parent.mkdir()
    file.write_text("the network", encoding="utf-8")
    kept = replace(bundle.networks[2], files={"onnx": BundledFile(path="onnx/002-probe-3.onnx", sha256=checksum(file))})
    bundle = replace(bundle, networks=(*bundle.networks[:2], kept))
    change(folder, "onnx2", checksum(file))
    assert figures(read(folder, bundle)) == ([9.5, 9.7], [4.25, 3.0])
    file.write_text("another", encoding="utf-8")
    with pytest.raises(InputError, match=r"line 4: onnx/002-probe-3\.onnx must be the file that .* was replaced"):
        read(folder, bundle)
    fill_in(folder, lambda number, row: "" if number == 2 else LATENCY[number])
    assert read(folder, bundle).missing == ("probe-3",)  # what was not timed may be anything


def filled(*latency_ms: float) -> FilledTimes:
    networks = small_bundle().networks
    rows = [
        FilledRow(network=network, latency_ms=ms, where=f"t.csv, line {line}")
        for line, (network, ms) in enumerate(zip(networks, latency_ms, strict=False), start=2)
    ]
    return FilledTimes(
        path=Path("t.csv"), format="onnx", reference=tuple(rows[:1]), rows=tuple(rows[1:]), missing=()
    )  # fmt: skip


def sure(times: FilledTimes) -> FilledTimes:
    return replace(
        times,
        rows=tuple(replace(row, is_sure=True) for row in times.rows),
        reference=tuple(replace(row, is_sure=True) for row in times.reference),
    )


MACS = {network.digest: 200_000_000 for network in small_bundle().networks}


@pytest.mark.parametrize(
    ("unit", "ms"), [("CPU", 800.0), ("CPU", 25.0), ("CPU", 0.3), ("Neural Engine", 0.1), ("GPU", 150.0)]
)
def test_times_of_any_device_are_believed(unit: str, ms: float) -> None:
    require_believable(filled(ms, ms, 2 * ms), MACS, unit)


@pytest.mark.parametrize(
    ("unit", "written", "words"),
    [
        ("CPU", 25_000.0, "if they are microseconds, call the column latency_us"),
        ("CPU", 0.025, "if they are seconds, call the column latency_s"),
        ("Neural Engine", 1200.0, "microseconds"),
        ("Neural Engine", 0.0012, "seconds"),
    ],
)
def test_times_in_another_unit_are_recognised(unit: str, written: float, words: str) -> None:
    times = filled(written, written, written)
    with pytest.raises(InputError, match=r"t\.csv, line 1: times must be those of networks of this size") as caught:
        require_believable(times, MACS, unit)
    assert words in str(caught.value) and f"write the unit into the cells ({written:g} ms)" in str(caught.value)
    require_believable(sure(times), MACS, unit)


@pytest.mark.parametrize("factor", [1000.0, 0.001])
def test_one_time_in_another_unit_is_recognised(factor: float) -> None:
    with pytest.raises(InputError, match=r"t\.csv, line 4: latency_ms must be of the unit of the others"):
        require_believable(filled(25.0, 30.0, 20.0 * factor), MACS, "CPU")
    require_believable(sure(filled(25.0, 30.0, 20.0 * factor)), MACS, "CPU")
    require_believable(filled(25.0, 30.0, 20.0 * 50), MACS, "CPU")  # falls off an accelerator
