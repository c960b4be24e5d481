"""Several targets in one search, and the front over all latencies."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import nas
from nas.cli.main import main
from nas.errors import InputError
from nas.evaluate import Limits
from nas.jobs.search import search
from nas.jobs.search_answer import SearchAnswer
from nas.strategies import Evolution
from tests.evaluate.hand import HandAccuracy
from tests.jobs.small import small_space, tiny_document


def _run(target_ms: float) -> SearchAnswer:
    strategy = Evolution(evaluations=6000, population=64, offspring=512)
    return search(
        small_space(), latency=nas.load_latency("iphone12"), accuracy=HandAccuracy(), target_ms=target_ms,
        limits=Limits(max_novelty=None), strategy=strategy, starts=1,
    )  # fmt: skip


def test_the_front_is_one_by_what_is_printed_and_spans_the_space() -> None:
    answer = _run(0.65)
    latency = [network.latency.mean_ms for network in answer.front]
    accuracy = [network.accuracy.mean for network in answer.front]
    assert latency == sorted(latency)
    assert accuracy == sorted(accuracy)
    assert len(set(accuracy)) == len(accuracy)
    # From below the target to above it, and nothing known lies above it, since what would is on it.
    assert {network.name for network in answer.front} & {network.name for network in answer.baselines}
    assert latency[0] < 0.6 and latency[-1] > 0.7
    for found in answer.front:
        faster = [known for known in answer.baselines if known.latency.mean_ms < found.latency.mean_ms]
        assert all(known.accuracy.mean < found.accuracy.mean for known in faster)


def test_each_target_is_answered_and_what_cannot_be_met_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "search_spaces"
    folder.mkdir()
    (folder / "tiny.yaml").write_text(json.dumps({**tiny_document(), "name": "tiny"}), encoding="utf-8")
    arguments = ["search", "--device", "iphone12", "--space", "tiny", "--targets", "0.001ms,0.6ms,0.7ms", "--json"]
    assert main(arguments) == 1
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert (found["schema"], [answer["target_ms"] for answer in found["answers"]]) == (2, [0.6, 0.7])
    for answer in found["answers"]:
        assert answer["best"]["latency"]["mean_ms"] <= answer["target_ms"]
        assert (tmp_path / answer["best"]["zoo"] / "model.onnx").exists() and answer["seconds"] > 0
    assert found["seconds"] >= sum(answer["seconds"] for answer in found["answers"])
    assert "must take at most 0.001 ms" in err
    assert main([*arguments[:-1], "--target-latency", "1ms"]) == 2
    assert "--targets asks for several answers" in capsys.readouterr().err


def test_answers_are_not_lost_where_none_can_be_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(json.dumps(tiny_document("tiny")), encoding="utf-8")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "zoo").write_text("no folder")
    arguments = ["search", "--device", "iphone12", "--space", "./tiny.yaml", "--targets", "0.001ms,0.6ms,0.7ms"]
    assert main([*arguments, "--json"]) == 1
    out, err = capsys.readouterr()
    answers = json.loads(out)["answers"]
    assert [answer["target_ms"] for answer in answers] == [0.6, 0.7]
    assert [answer["best"]["zoo"] for answer in answers] == [None, None]
    assert "must take at most 0.001 ms" in err and "zoo" in err


def test_what_keeps_an_answer_from_being_exported_keeps_its_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> Path:
        raise InputError("a network must be another, but is this one.")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("nas.jobs.search_run.export_answer", refuse)
    (tmp_path / "tiny.yaml").write_text(json.dumps(tiny_document("tiny")), encoding="utf-8")
    words = ["search", "--device", "iphone12", "--space", "./tiny.yaml", "--target-latency", "0.6ms", "--json"]
    assert main(words) == 2
    assert json.loads(capsys.readouterr().out)["target_ms"] == 0.6
