from __future__ import annotations

from pathlib import Path

from nas.jobs.study import Row, Study
from nas.latency import Estimate, device_home
from nas.report.study import study_text, write_report


def _threads() -> Study:
    """Two networks with one and two threads, of which the second takes 0.6 times as long."""
    rows = []
    for threads, factor in ((1, 1.0), (2, 0.6)):
        for name, ms in (("a", 10.0), ("b", 20.0)):
            latency = Estimate(mean_ms=factor * ms, low_ms=factor * ms, high_ms=factor * ms + 1.0, source="measured")
            rows.append(
                Row(
                    name=name, group=name, params=1, macs=1, resolution=224, threads=threads, latency=latency,
                    ratio=factor,
                )
            )  # fmt: skip
    return Study(
        kind="threads",
        title="threads",
        device=device_home("local").device,
        rows=tuple(rows),
        environment={"chip": "some", "runtime": "ONNX Runtime 1"},
        rounds=3,
        warnings=("something was busy.",),
    )


def test_threads_are_columns() -> None:
    lines = study_text(_threads()).splitlines()
    assert " ".join(lines[2].split()) == "name 1 thread, ms 2 threads, ms 2 threads / 1 thread"
    assert lines[4].split() == ["a", "10.00", "[10.00,", "11.00]", "6.00", "[6.00,", "7.00]", "0.60"]


def test_the_page_says_where_and_how_it_was_measured(tmp_path: Path) -> None:
    page, picture = write_report(_threads(), tmp_path)
    text = page.read_text("utf-8")
    for words in ("nas study threads --device local --rounds 3 --report DIR", "chip: some", "wall clock", "was busy"):
        assert words in text
    assert picture.read_bytes().startswith(b"\x89PNG")
