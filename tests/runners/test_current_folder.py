"""Nothing that lies in the folder where a command is given is run."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas.runners.engines import ONNX_RUNTIME
from nas.runners.local import LocalRunner
from nas.runners.protocol import TimingJob
from nas.runners.timing import Timing
from tests.measure.devices import tiny_onnx


@pytest.mark.parametrize("path", [None, ".", "", f".:{Path(__file__).parent}"])
def test_a_worker_runs_nothing_of_the_current_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, path: str | None
) -> None:
    network, marker = tiny_onnx(tmp_path / "a.onnx"), tmp_path / "was_run"
    trap = tmp_path / "trap"
    for name in ("onnxruntime.py", "numpy.py", "json.py", "nas/__init__.py", "nas/runners/worker.py"):
        file = trap / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"open({str(marker)!r}, 'a').write({name!r})\n")
    monkeypatch.chdir(trap)
    if path is not None:
        monkeypatch.setenv("PYTHONPATH", path)
    (found,) = LocalRunner(ONNX_RUNTIME).time(TimingJob(files=(network,), rounds=1)).results
    assert isinstance(found, Timing)
    assert not marker.exists()
