"""What is exported is in the zoo whatever a file calls it: nothing that was searched for is lost over a name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nas.jobs.export import export_to_zoo
from nas.jobs.search_run import export_answer
from nas.progress import silent
from nas.space import Architecture
from tests.measure.devices import TINY


@dataclass(frozen=True)
class Best:
    """The network of an answer."""

    architecture: Architecture
    name: str = "my space-1ms-8bdb3afe"
    latency: None = None
    accuracy: None = None


@dataclass(frozen=True)
class Answer:
    """As much of an answer as an export reads."""

    best: Best
    device: str = "iphone12"


def test_an_answer_of_a_space_of_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_WORKSPACE", str(tmp_path))
    answer: Any = Answer(Best(TINY))
    folder = export_answer(answer, "run", 0, formats=("onnx",), progress=silent)
    assert folder == tmp_path / "runs" / "zoo" / "my-space-1ms-8bdb3afe-untrained"


def test_an_architecture_file_of_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_WORKSPACE", str(tmp_path))
    file = tmp_path / "net.yaml"
    file.write_text(TINY.named("my net").to_yaml(), encoding="utf-8")
    assert export_to_zoo(str(file)).folder == tmp_path / "runs" / "zoo" / "my-net-untrained"
