from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nas.runners.worker import _ENGINES, answer
from tests.measure.devices import tiny_onnx


def request(*files: Path, **changes: Any) -> dict[str, Any]:
    return {
        "engine": "onnxruntime", "files": [str(file) for file in files], "rounds": 3, "runs_a_visit": 2, "warm_up": 1,
        "threads": 1, **changes,
    }  # fmt: skip


def test_it_says_what_it_loads_and_then_the_results(tmp_path: Path) -> None:
    bad = tmp_path / "bad.onnx"
    bad.write_text("no network")
    said: list[dict[str, Any]] = []
    answer(request(tiny_onnx(tmp_path / "a.onnx"), bad, tiny_onnx(tmp_path / "b.onnx")), said.append)
    assert said[:-1] == [{"loading": 0}, {"loading": 1}, {"loading": 2}, {"loading": None}]
    first, second, third = said[-1]["results"]
    assert [len(found[clock]) for found in (first, third) for clock in ("wall_ms", "cpu_ms")] == [6] * 4
    assert all(found[name] > 0.0 for found in (first, third) for name in ("load_ms", "first_ms"))
    assert second.keys() == {"error"}


@pytest.mark.parametrize(("settle_ms", "before"), [(0.0, 1), (50.0, 50)])
def test_a_network_settles_before_the_runs_that_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settle_ms: float, before: int
) -> None:
    runs = 0

    def run() -> None:  # takes a millisecond
        nonlocal runs
        runs += 1

    monkeypatch.setitem(_ENGINES, "onnxruntime", lambda *asked: run)
    monkeypatch.setattr("nas.runners.worker.time.perf_counter_ns", lambda: 1_000_000 * runs)
    said: list[dict[str, Any]] = []
    answer(request(tmp_path / "any.onnx", settle_ms=settle_ms), said.append)
    assert runs == 1 + 3 * (before + 2) and said[-1]["results"][0]["wall_ms"] == [1.0] * 6


def test_several_threads_have_the_wall_clock_alone(tmp_path: Path) -> None:
    for threads in (0, 2):
        said: list[dict[str, Any]] = []
        answer(request(tiny_onnx(tmp_path / "a.onnx"), threads=threads), said.append)
        (found,) = said[-1]["results"]
        assert (len(found["wall_ms"]), found["cpu_ms"]) == (6, [])


def test_its_process_holds_nothing_else_of_ours() -> None:
    code = "import sys, nas.runners.worker; print(*sorted(name for name in sys.modules if name.startswith('nas')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["nas", "nas.runners", "nas.runners.worker"]
