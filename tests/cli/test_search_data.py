"""`nas search --data`: a folder of pictures becomes a trained network, on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from nas.cli.main import main
from nas.runs import RunStore
from nas.space import load_architecture
from nas.space.architecture import parse_architecture
from nas.training.loop import Training
from nas.zoo import find_entry
from tests.jobs.pictures import draw_pictures
from tests.jobs.simulated import simulate
from tests.jobs.small import tiny_document
from tests.measure.devices import SimulatedRunner

ASK = ["search", "--data", "photos", "--device", "pixel3-cpu", "--target-latency", "0.3ms", "--space", "./small.yaml"]


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with pictures and a space, where one family is known."""
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(tiny_document("small")))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr("nas.jobs.data_space.family_members", lambda: [load_architecture("mobilenetv1-0.25")])
    return tmp_path


def document(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main([*words, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_from_a_folder_of_pictures_to_predictions(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw_pictures(workspace / "photos", 1200)
    shown = document(capsys, "data", "show", "photos")
    assert [one["name"] for one in shown["classes"]] == ["balls", "boxes", "crosses", "rings", "stripes", "tents"]
    assert shown["unreadable"]["count"] == 3
    words = [*ASK, "--trials", "4", "--baselines", "1", "--epochs", "12", "--seeds", "1"]
    found = document(capsys, *words)
    best = found["best"]
    # Guessing has a sixth right; drawn shapes are told apart within a dozen epochs.
    assert best["accuracy"]["mean"] > 0.5 and best["accuracy"]["source"] == "measured"
    assert best["accuracy"]["low"] < best["accuracy"]["mean"] < best["accuracy"]["high"]
    assert parse_architecture(best["architecture"], "best").num_classes == 6
    assert found["rungs"] == [1, 4] and found["epochs"] == 12
    assert found["data"]["images"] == {"train": 840, "val": 120, "test": 240}
    parts = [trial["part"] for trial in found["trials"]]
    assert parts.count("known") == 1 and parts.count("searched") == 4
    assert [trial["number"] for trial in found["trials"]] == list(range(len(parts)))
    assert found["comparison"]["latency"] == "predicted" and "points" in found["comparison"]["sentence"]
    assert {"over", "mean", "low", "high", "ms", "told_apart"} == set(found["gain"]) and found["also"] == []
    # The answer minus the known network, as everywhere: above zero where the answer is slower.
    over = next(one for one in found["finalists"] if one["name"] == found["gain"]["over"])
    slower_ms = best["latency"]["mean_ms"] - over["latency"]["mean_ms"]
    assert found["gain"]["ms"] == pytest.approx(slower_ms) and abs(slower_ms) > 1e-6
    assert all(one["zoo"] == best["zoo"] for one in found["front"] if one["digest"] == best["digest"])
    assert any("predicted" in note for note in found["notes"])
    finalist = next(one for one in found["finalists"] if one["digest"] == best["digest"])
    assert finalist["test"] == [pytest.approx(best["accuracy"]["mean"])] and len(finalist["curves"]["0"]) == 12
    # The zoo holds what was measured, with classes and preprocessing.
    entry = find_entry(best["zoo"])
    assert entry.manifest["untrained"] is False
    assert entry.manifest["training"]["classes"] == found["data"]["classes"]
    assert entry.manifest["accuracy"]["mean"] == finalist["test"][0]
    assert main(["zoo", "verify", entry.name, "--data", "photos"]) == 0
    assert f"{entry.name}: ok" in capsys.readouterr().out
    picture = min((workspace / "photos" / "rings").glob("*.png"))
    assert main(["zoo", "predict", entry.name, str(picture)]) == 0
    assert any(name in capsys.readouterr().out for name in found["data"]["classes"])
    # A run can be shown and gone on with; nothing is trained twice.
    assert main(["runs", "show", found["run"]]) == 0
    assert "nas search --target-latency 0.3ms" in capsys.readouterr().out
    again = document(capsys, "search", "--resume", found["run"])
    assert again["study"] == found["study"] and again["best"]["digest"] == best["digest"]
    assert again["costs"] == found["costs"] and again["seconds"] < found["seconds"]
    # As text.
    assert main(words) == 0
    text = capsys.readouterr().out
    assert best["name"] in text and found["comparison"]["sentence"] in text and "Spearman" not in text.splitlines()[0]


def test_a_dry_run_says_how_long_it_takes(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    timed, time_steps = [], Training.time_steps

    def watched(self: Training, count: int) -> float:
        timed.append((torch.get_num_threads(), self.epochs))
        return time_steps(self, count)

    monkeypatch.setattr(Training, "time_steps", watched)
    monkeypatch.setattr("nas.jobs.data_plan.cores", lambda: 8)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    draw_pictures(workspace / "photos", 90, damaged=0)
    words = [*ASK, "--trials", "6", "--baselines", "2", "--workers", "2", "--dry-run"]
    plan = document(capsys, *words)
    # Rungs of 2 and 8 of 24 epochs. Two known networks of one kind: 2 · 2 + 1 · 8 epochs; six candidates of up to five
    # kinds: 6 · 2 + 5 · 8; two finalists of each part and two further seeds of the best: 8 · 24.
    assert plan["rungs"] == [2, 8] and plan["full_epochs"] == 24
    assert plan["epochs"] == {"known": 12, "searched": 52, "final": 192}
    # Two workers: the rungs of one known network come one after the other, four full trainings in four times two.
    assert plan["seconds"] == pytest.approx((10 + 26) * plan["epoch_s"] + 4 * 24 * plan["full_epoch_s"])
    # Workers have a thread each; what is timed here has as many, for a rung and for a full training.
    assert timed == [(1, 2), (1, 24)] and torch.get_num_threads() == 2
    torch.set_num_threads(before)
    assert not (workspace / "runs" / "nas.db").exists() and not (workspace / "runs" / "checkpoints").exists()
    assert main(words) == 0
    assert "256 epochs in all" in capsys.readouterr().out


def test_a_table_is_built_first_and_a_budget_kept(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a device of this machine without a table: built, used, and the finalists timed on it."""
    runner = SimulatedRunner()
    simulate(monkeypatch, workspace, runner)
    monkeypatch.setattr("nas.jobs.data_finals.find_runner", lambda home: runner)
    draw_pictures(workspace / "photos", 90, damaged=0)
    words = [word if word != "pixel3-cpu" else "local" for word in ASK]
    words += ["--trials", "3", "--baselines", "1", "--epochs", "1", "--seeds", "1", "--build", "1m", "--budget", "10m"]
    found = document(capsys, *words)
    assert (workspace / "latency_tables" / "local" / "table.csv").exists()
    assert {one["latency"]["source"] for one in found["finalists"]} == {"measured"}
    assert found["comparison"]["latency"] == "measured" and not any("budget" in note for note in found["notes"])
    # As fast as its table: the reference beside the finalists says so, and nothing is said of it.
    assert not any("times as long" in note for note in found["notes"])
    # The table is there: the same search again builds none.
    processes = runner.processes
    again = document(capsys, *words)
    assert again["best"]["digest"] == found["best"]["digest"] and runner.processes == processes


def test_a_run_is_gone_on_with_as_it_was_asked(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(search: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("nas.jobs.data_search.DataSearch.answer", interrupted)
    draw_pictures(workspace / "photos", 60, damaged=0)
    assert main([*ASK, "--baselines", "1"]) == 130
    (first,) = RunStore().records()
    resume = ["search", "--resume", first.id]
    for words in (["--data", "photos", "--target-latency", "1ms"], ["--epochs", "3"], ["--device", "pixel3-cpu"]):
        capsys.readouterr()
        assert main([*resume, *words]) == 2
        assert f"must be asked what {first.id} was asked, but came with --" in " ".join(capsys.readouterr().err.split())
    assert main([*resume, "--budget", "3h", "--trials", "50"]) == 130
    second = RunStore().get(RunStore().records()[0].id)
    assert second.inputs["study"] == RunStore().get(first.id).inputs["study"] and second.id != first.id
    assert (second.inputs["request"]["budget"], second.inputs["request"]["trials"]) == (10800.0, 50)
    capsys.readouterr()
    min((workspace / "photos" / "rings").glob("*.png")).unlink()
    assert main(resume) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "but since then the images changed; leave --resume out" in said
    assert len(RunStore().records()) == 2


def test_what_does_not_go_together(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused = {
        "--data says what networks are trained on": [*ASK, "--evaluate", "a:b"],
        "--verify belongs to a search by predicted accuracy": [*ASK, "--verify"],
        "a search with --data compares trainings": [*ASK, "--reward", "soft"],
        "a search with --data needs a target": [word for word in ASK if word not in ("--target-latency", "0.3ms")],
        "--no-shrink belongs to a search by predicted accuracy": [*ASK, "--no-shrink"],
        "--epochs says how networks are trained": ["search", "--device", "iphone12", "--epochs", "3"],
        "photos is not there": ASK,
        "but has none; build it once": [word if word != "pixel3-cpu" else "local" for word in ASK],
    }
    for message, words in refused.items():
        if "build it once" in message:
            draw_pictures(workspace / "photos", 60, damaged=0)
        assert main(words) == 2, message
        assert message in capsys.readouterr().err.replace("\n", " ")
