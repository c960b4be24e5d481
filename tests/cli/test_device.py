from __future__ import annotations

import json
from pathlib import Path

import pytest

from nas.cli.main import main
from nas.latency.way import WAYS
from tests.jobs.simulated import simulate
from tests.measure.devices import SimulatedRunner


@pytest.fixture(autouse=True)
def workspace(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("NAS_WORKSPACE", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("reach", WAYS)
def test_a_new_device_says_what_comes_next(reach: str, workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["device", "new", "mine", "--reach", reach]) == 0
    out = capsys.readouterr().out
    assert str(workspace / "latency_tables" / "mine" / "device.yaml") in out
    assert ("nas lut bundle --device mine" if reach == "bundle" else "nas device check mine") in out
    assert main(["device", "show", "mine"]) == 0 and reach in capsys.readouterr().out
    assert main(["device", "new", "other", "--reach", reach, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["reach"] == reach


def test_a_check_tells_what_is_there(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runner = SimulatedRunner()
    simulate(monkeypatch, workspace, runner)
    monkeypatch.setattr("nas.jobs.device_check.find_runner", lambda home: runner)
    assert main(["device", "check", "local"]) == 0
    out = capsys.readouterr().out
    assert "local is there (local)" in out and "Numbers 1" in out and "straying by" in out
    assert "there is no table to compare its speed with: `nas lut build --device local` makes one" in out
    assert main(["device", "check", "local", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["level"] is None and record["environment"]["chip"] == "numbers"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check", "iphone12"], "iphone12/device.yaml: reach must be local, ssh, adb or ios"),
        (["check", "locl"], "nearest: local"),
        (["new", "local", "--reach", "local"], "local is there already"),
        (["new", "mine", "--reach", "radio"], "'--reach'"),
        (["new", "mine"], "--reach"),
    ],
)
def test_wrong_usage_is_one_paragraph(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["device", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: ") and words in err and err.count("\n") == 1


def test_a_device_that_is_not_there_is_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["device", "new", "far", "--reach", "ssh", "--host", "me@nobody.invalid"]) == 0
    capsys.readouterr()
    assert main(["device", "check", "far"]) == 1
    assert "me@nobody.invalid must be there, but: ssh: Could not resolve" in capsys.readouterr().err
