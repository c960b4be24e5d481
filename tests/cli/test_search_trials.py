"""`nas search --evaluate`: accuracies that cost, on the command line."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from nas.cli.main import main
from nas.jobs.trials_run import run_trials
from nas.report.page import Page
from nas.report.trials_text import trials_text
from nas.runs import RunStore
from nas.space.architecture import parse_architecture
from tests.jobs.small import tiny_document
from tests.trials.disk import no_waiting_for_the_disk  # noqa: F401

SCORES = """
import os, time
from pathlib import Path

def score(networks):
    with Path("calls").open("a") as file:
        file.write(networks[0].digest + "\\n")
    time.sleep(float(os.environ.get("SLEEP", "0")))
    return [networks[0].params % 1000 / 1000]

def broken(networks):
    raise ValueError("no data")

def moody(networks):
    if Path("full").exists():
        raise OSError("no space left on device")
    return score(networks)
"""
COMMAND = [
    "search", "--target-latency", "1ms", "--device", "iphone12", "--space", "./tiny.yaml",
    "--evaluate", "my_scores:score", "--asker", "random",
]  # fmt: skip


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(tiny_document()))
    (tmp_path / "my_scores.py").write_text(SCORES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    monkeypatch.delitem(sys.modules, "my_scores", raising=False)
    return tmp_path


def calls() -> list[str]:
    return Path("calls").read_text().splitlines() if Path("calls").exists() else []


def document(capsys: pytest.CaptureFixture[str], *more: str) -> dict[str, Any]:
    assert main([*COMMAND, "--json", *more]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_the_answer_is_exported_whatever_the_space_is_called(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (workspace / "tiny.yaml").write_text(yaml.safe_dump(tiny_document("my space/2")))
    found = document(capsys, "--trials", "2", "--noiseless")
    assert found["best"]["name"] == f"my space/2-{found['best']['digest'][:8]}"
    folder = workspace / "runs" / "zoo" / f"my-space-2-{found['best']['digest'][:8]}-untrained"
    assert Path(found["best"]["zoo"]) == folder and (folder / "model.onnx").is_file()


def test_the_document_has_the_answer_and_every_trial(capsys: pytest.CaptureFixture[str]) -> None:
    found = document(capsys, "--trials", "8", "--noiseless")
    assert [trial["number"] for trial in found["trials"]] == list(range(8)) and len(set(calls())) == len(calls()) == 8
    keys = {"number", "digest", "name", "state", "accuracy", "epochs", "latency_ms", "seconds", "worker", "reason"}
    for trial, called in zip(found["trials"], calls(), strict=True):
        assert keys <= trial.keys() and trial["digest"] == called and trial["state"] == "done"
        assert trial["name"] == f"tiny-{called[:8]}" and trial["latency_ms"] <= 1.0
    best = found["best"]
    assert best["accuracy"]["mean"] == max(trial["accuracy"] for trial in found["trials"])
    assert best["accuracy"]["source"] == "measured" and best["latency"]["source"] == "modelled"
    assert "Every trial" in Path("runs", found["run"], "page.html").read_text()
    assert parse_architecture(best["architecture"], "best").digest == best["digest"]
    assert best["params"] % 1000 / 1000 == best["accuracy"]["mean"] == best["reward"]
    assert (found["schema"], found["evaluated"], found["failed"], found["reused"]) == (2, 8, 0, 0)
    assert (found["how_sure"], found["baselines"], found["gain"]) == (None, [], None)
    assert (Path(best["zoo"]) / "model.onnx").is_file()
    front = [(one["latency"]["mean_ms"], one["accuracy"]["mean"]) for one in found["front"]]
    assert front == sorted(front) and best["digest"] in {one["digest"] for one in found["front"]}


def test_a_run_goes_on_and_shows_its_trials(capsys: pytest.CaptureFixture[str]) -> None:
    first = document(capsys, "--trials", "5")
    assert main(["search", "--resume", first["run"], "--trials", "7", "--json"]) == 0
    more = json.loads(capsys.readouterr().out)
    assert len(calls()) == 7 and more["study"] == first["study"] and more["run"] != first["run"]
    assert [trial["digest"] for trial in more["trials"]][:4] == [trial["digest"] for trial in first["trials"]][:4]
    assert main(["runs", "show", more["run"], "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["trials"] == more["trials"] and shown["inputs"]["study"] == more["study"]
    assert main(["runs", "show", more["run"]]) == 0
    text = capsys.readouterr().out
    assert all(trial["name"] in text for trial in more["trials"])
    # What the record says repeats it, and costs nothing.
    repeat = next(line for line in text.splitlines() if line.startswith("repeat")).partition("nas ")[2]
    assert main([*shlex.split(repeat), "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["trials"] == more["trials"] and len(calls()) == 7


def test_what_failed_is_tried_again_by_the_same_command_and_by_its_run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = [word if word != "my_scores:score" else "my_scores:moody" for word in COMMAND]
    full = Path("full")
    full.touch()
    assert main([*ask, "--trials", "3", "--noiseless"]) == 1
    assert "search again: what failed is tried again" in " ".join(capsys.readouterr().err.split())
    full.unlink()
    assert main([*ask, "--trials", "2", "--noiseless", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["failed"], found["evaluated"], len(calls())) == (0, 3, 3)
    full.touch()
    assert main(["search", "--resume", found["run"], "--trials", "5", "--json"]) == 0
    torn = json.loads(capsys.readouterr().out)
    assert (torn["failed"], torn["evaluated"]) == (2, 5)
    full.unlink()
    assert main(["search", "--resume", torn["run"], "--json"]) == 0
    whole = json.loads(capsys.readouterr().out)
    assert (whole["failed"], whole["study"], len(calls())) == (0, found["study"], 5)


def test_a_run_goes_on_with_an_evaluator_that_was_mended(capsys: pytest.CaptureFixture[str]) -> None:
    ask = [word if word != "my_scores:score" else "./mended.py:score" for word in COMMAND]
    Path("mended.py").write_text("def score(networks):\n    return [nets[0].params % 1000 / 1000]\n")
    assert main([*ask, "--trials", "3"]) == 1
    assert "all 3 failed; the first one: NameError: name 'nets' is not defined" in capsys.readouterr().err
    (run,) = RunStore().records()
    Path("mended.py").write_text("def score(networks):\n    return [networks[0].params % 1000 / 1000]\n")
    assert main(["search", "--resume", run.id, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["failed"], found["evaluated"]) == (0, 3)


def test_a_search_that_is_gone_on_with_is_asked_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    found = document(capsys, "--trials", "2")
    resume, before = ["search", "--resume", found["run"]], len(calls())
    asked = (
        ["--data", "photos", "--target-latency", "1ms"],
        ["--evaluate", "my_scores:score"],
        ["--device", "pixel3-cpu"],
        ["--target-latency", "2ms"],
        ["--asker", "random"],
        ["--set", "act=relu"],
        ["--format", "onnx"],
        ["--seed", "0"],
        ["--budget", "3h"],  # of one with --data
        ["--dry-run"],
        ["--verify"],
    )
    for words in asked:
        assert main([*resume, *words]) == 2
        out, errors = capsys.readouterr()
        said = " ".join(errors.split())
        assert f"must be asked what {found['run']} was asked, but came with --" in said and "Traceback" not in said
        assert words[0] in said or words[2] in said
        assert not out
    assert len(calls()) == before
    # How far, how long and where it goes on may change; --wide and --json are of its output.
    assert main([*resume, "--trials", "4", "--workers", "2", "--time-limit", "10m", "--json", "--wide"]) == 0
    more = json.loads(capsys.readouterr().out)
    assert (more["study"], more["evaluated"], len(calls())) == (found["study"], 4, 4)
    assert main(["runs", "show", more["run"], "--json"]) == 0
    request = json.loads(capsys.readouterr().out)["inputs"]["request"]
    assert (request["trials"], request["workers"], request["time_limit"]) == (4, 2, 600.0)


def test_a_search_whose_table_changed_meanwhile_says_how_to_begin_another(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = document(capsys, "--trials", "2")
    monkeypatch.setattr("nas.jobs.trials._latency_digest", lambda domain: "another")
    assert main(["search", "--resume", found["run"]]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "its latency was" in said and "leave its name out (study=, or --resume), and another search begins" in said


def test_the_text_fits_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes = []

    def noted(*arguments: Any, **options: Any) -> Any:
        outcomes.append(run_trials(*arguments, **options))
        return outcomes[-1]

    monkeypatch.setattr("nas.jobs.trials_run.run_trials", noted)
    assert main([*COMMAND, "--trials", "6"]) == 0
    out = capsys.readouterr().out
    (outcome,) = outcomes
    text, _, page = out.partition("Page: ")
    assert text.strip() == trials_text(outcome).strip() and page.strip().endswith("page.html")
    for words in ("measured by my_scores:score", "6 of 6 trials", "The asker random has no model", "Files: ", "Run: "):
        assert words in out
    narrow = trials_text(outcome, Page(width=80))
    files = [line for line in narrow.splitlines() if len(line) > 80]
    assert all(line.startswith("Files: ") for line in files)


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["--evaluate", "my_scores:broken", "--trials", "3"], 1, "all 3 failed; the first one: ValueError: no data"),
        (["--evaluate", "my_scores"], 2, 'evaluate must be "module:function"'),
        (["--evaluate", "no_scores:score"], 2, "no_scores must be a module that can be imported"),
        (["--evaluate", "torn.py:score"], 2, "torn.py must be a module that can be imported, but: KeyError: 'MY_DATA'"),
        (["--evaluate", "over.py:score"], 2, "over.py must be a module that can be imported, but: SystemExit: usage"),
        (["--max-novelty", "2"], 2, "--max-novelty belongs to a search by predicted accuracy"),
        (["--no-shrink"], 2, "--no-shrink belongs to a search by predicted accuracy"),
        (["--gpus", "1"], 2, "cpus and gpus are what a trial has on a Ray cluster, but got cpus=1 and gpus=1"),
        (["--baselines", "0"], 2, "--baselines says how networks are trained on --data, but there is none"),
        (["--asker", "rndom"], 2, "asker must be a known name"),
        (["--also", "pixel3-cpu:30ms"], 2, "--also belongs to a search by predicted accuracy"),
        (["--strategy", "random"], 2, "--strategy belongs to a search by predicted accuracy"),
        (["--time-limit", "5"], 2, "--time-limit must be a positive number with a unit"),
        (["--resume", "20261123-101502-0000"], 2, "run must be a known name"),
        (["--target-latency", "0.0001ms"], 1, "must meet the target of 0.0001 ms, but the fastest of the space, tiny-"),
    ],
)
def test_bad_questions_are_refused(
    words: Sequence[str], code: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("torn.py").write_text("import os\nHOME = os.environ['MY_DATA']\n")
    Path("over.py").write_text("import sys\nsys.exit('usage: over.py DATA')\n")
    assert main([*COMMAND, *words]) == code
    out, errors = capsys.readouterr()
    assert text in " ".join(errors.split()) and not out and calls() == []


def test_what_belongs_to_trials_needs_an_evaluator(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "--target-latency", "1ms", "--device", "iphone12", "--trials", "5"]) == 2
    assert "there is none; add it" in capsys.readouterr().err
    free = ["search", "--targets", "1ms,1.2ms", "--device", "iphone12"]
    for words in (["--workers", "8"], ["--asker", "surrogate"], ["--time-limit", "1s"], ["--ray", "local"],
                  ["--gpus", "0"], ["--cpus", "1"], ["--noiseless"]):  # fmt: skip
        assert main([*free, *words]) == 2
        said = " ".join(capsys.readouterr().err.split())
        assert f"{words[0]} says how networks are tried by --evaluate or --data, but there is none; add it." in said
    assert main(["search", "--target-latency", "1ms"]) == 2
    assert "Missing option '--device'" in capsys.readouterr().err
    assert main([*COMMAND[:3], "--device", "iphone12", "--evaluate", "my_scores:score", "--space", "./codes.yaml"]) == 2


def test_a_space_of_codes_has_no_latency_on_a_device(capsys: pytest.CaptureFixture[str]) -> None:
    Path("codes.yaml").write_text("schema: 1\nname: my-codes\ngenes: {layer0: [0, 1]}\n")
    assert main([*COMMAND, "--space", "./codes.yaml"]) == 2
    assert "my-codes is a space of codes" in capsys.readouterr().err


def test_an_interrupted_search_says_in_one_line_how_to_go_on() -> None:
    environment = os.environ | {"SLEEP": "0.1", "PYTHONPATH": os.pathsep.join(sys.path)}
    # A job in the background inherits that interrupts are ignored; a person at a terminal does not.
    heard = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    process = subprocess.Popen(
        [sys.executable, "-c", f"{heard}from nas.__main__ import main\nsys.exit(main())", *COMMAND, "--trials", "30"],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while len(calls()) < 3:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=60)
    line = errors.strip().splitlines()[-1]
    assert process.returncode == 130 and not out and "of 30 trials are kept; go on with: nas search --resume" in line
    words = line.partition("go on with: nas ")[2].split()
    before = len(calls())
    assert main([*words, "--trials", "5", "--json"]) == 0
    assert len(calls()) in (5, 6) and before in (3, 4)
