from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from nas.runners.worker import answer
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
