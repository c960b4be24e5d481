"""A wrong name is told before anything heavy is imported and before anything is written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nas.cli.main import main

HEAVY = ("torch", "onnxruntime", "onnx", "scipy", "sklearn", "sqlalchemy", "optuna", "matplotlib")
SEARCH = ("search", "--target-latency", "1ms", "--device", "iphone12")
WRONG = (
    (*SEARCH[:-1], "iphone"),
    (*SEARCH, "--space", "mobil"),
    (*SEARCH, "--accuracy", "imagnet"),
    (*SEARCH, "--strategy", "evolutoin"),
    (*SEARCH, "--reward", "sofd"),
    (*SEARCH, "--format", "onnx,gif"),
    ("zoo", "export", "repvit-m0.9", "--format", "onnxx"),
    ("lut", "predict", "repvit-m09", "--device", "iphone12"),
    ("lut", "build", "--device", "local", "--space", "mobil"),
    ("lut", "verify", "--device", "locl"),
    ("measure", "repvit-m09", "--device", "local"),
    ("study", "activations", "--device", "locl"),
    ("predictor", "eval", "imagnet"),
    ("space", "show", "mobil"),
)

# One process for all of them: starting one takes longer than the check.
_PROBE = f"""
import sys
from nas.cli.main import main
for words in {WRONG!r}:
    assert main(words) == 2, words
    assert not set({HEAVY!r}) & set(sys.modules), (words, sorted(set({HEAVY!r}) & set(sys.modules)))
"""


def test_a_wrong_name_is_told_before_anything_heavy_is_imported(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROBE],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(Path(__file__).resolve().parents[2]), "NAS_WORKSPACE": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("error: ") == len(WRONG)
    assert list(tmp_path.iterdir()) == []


def test_a_format_that_cannot_be_written_here_is_told_with_the_remedy(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NAS_WORKSPACE", str(tmp_path))
    monkeypatch.setattr("nas.zoo.formats.find_spec", lambda name: None)
    for words in ((*SEARCH, "--format", "onnx,litert"), ("zoo", "export", "repvit-m0.9", "--format", "litert")):
        assert main(words) == 2
        err = capsys.readouterr().err
        assert "the format litert needs litert_torch, which is not installed; " in err
    assert list(tmp_path.iterdir()) == []
