"""`nas adapt`: the contract of its JSON, its text, its record, and bad input; and the limits of `nas search`."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from nas.cli.main import main
from nas.space import known_network, read_architecture

ADAPT = ("adapt", "mobilenetv3-small-minimalistic-1.0@128", "--device", "iphone12")


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NAS_WORKSPACE", str(tmp_path))
    return tmp_path


def test_json_is_that_of_a_search_with_rounds(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*ADAPT, "--max-params", "2M", "--max-memory", "1MB", "--divisor", "16", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    keys = {
        "schema", "run", "space", "device", "target_ms", "reward", "seed", "seconds", "evaluated", "space_size", "best",
        "front", "baselines", "gain", "rounds",
    }  # fmt: skip
    assert set(document) >= keys
    assert document["target_ms"] is None
    assert document["best"]["params"] <= 2_000_000
    assert document["best"]["peak_memory_bytes"] <= 1_000_000
    assert document["rounds"][-1]["latency_ms"] == pytest.approx(document["best"]["latency"]["mean_ms"])
    exported = read_architecture(Path(document["best"]["zoo"]) / "architecture.yaml")
    assert exported.digest == document["best"]["digest"]
    assert main(["runs", "show", document["run"], "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["result"]["best"]["digest"] == document["best"]["digest"]
    # The recorded command gives the same again; a folder of the zoo is a network to begin from.
    assert main([*shlex.split(record["command"])[1:], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["best"]["digest"] == document["best"]["digest"]
    assert main(["adapt", document["best"]["zoo"], "--max-params", "2M", "--device", "iphone12"]) == 0
    assert "as it is" in capsys.readouterr().out


def test_text_tells_the_rounds(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start = known_network("mobilenetv3-small-minimalistic-1.0@128")
    assert main([*ADAPT, "--max-macs", f"{start.macs // 1000 * 95 // 100}k"]) == 0
    text = capsys.readouterr().out
    for words in ("untrained", "before", "after", "rounds", "points", "maps alive", "modelled"):
        assert words in text
    rounds = text.partition("networks looked at:")[2].partition("\n\n")[0].splitlines()
    assert len(rounds) > 3
    assert max(map(len, rounds)) <= 80
    page = Path(text.splitlines()[-1].removeprefix("Page: "))
    assert "The way of the shrinking" in page.read_text()


def test_a_target_out_of_reach_tells_what_was_reached(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*ADAPT, "--max-memory", "10B"]) == 1
    error = capsys.readouterr().err
    assert "at most 10 B of maps" in error and "the smallest one found" in error and "--max-memory" in error


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([*ADAPT], ("target latency or a limit", "--max-memory")),
        ([*ADAPT, "--target-latency", "1"], ("--target-latency must be",)),
        ([*ADAPT, "--max-params", "3MB"], ("--max-params must be", "3M")),
        ([*ADAPT, "--max-size", "5M"], ("--max-size must be", "2MB")),
        (["adapt", "mobilenetv9", "--target-latency", "1ms", "--device", "iphone12"], ("mobilenetv9", "nas arch list")),
        ([*ADAPT, "--max-params", "2M", "--epochs", "3"], ("--epochs says how networks are trained on --data",)),
        ([*ADAPT, "--max-params", "2M", "--seed", "0"], ("--seed says how networks are trained on --data", "add it")),
        ([*ADAPT, "--max-params", "2M", "--step", "0.1"], ("--step says how networks are trained on --data",)),
        (
            [*ADAPT, "--max-params", "2M", "--data", "photos", "--max-novelty", "2"],
            ("--max-novelty belongs to", "--data"),
        ),
        (["search", "--device", "iphone12"], ("target latency or a limit", "--target-latency")),
        (["search", "--device", "iphone12", "--max-memory", "2"], ("--max-memory must be",)),
        (["search", "--device", "iphone12", "--max-params", "3M", "--verify"], ("--verify", "--target-latency")),
        (["search", "--device", "iphone12", "--max-params", "3M", "--confidence", "0.9"], ("confidence", "target")),
    ],
)
def test_bad_input_is_one_paragraph(
    workspace: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: tuple[str, ...]
) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err.strip()
    assert "\n\n" not in error and "Traceback" not in error
    assert all(word in error for word in words)
    assert not (workspace / "runs").exists()
