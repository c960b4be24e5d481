"""`nas lut plan`, `build`, `verify`, `fit`, `show` and `nas search --verify` on a simulated device."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.cli.main import main
from nas.jobs.device_record import device_record
from nas.jobs.lut_build import measured_environment, measured_space
from nas.latency import device_home
from nas.measure.store import REFERENCE, TimingStore
from nas.runners.find import find_runner
from tests.jobs.simulated import simulate, write_space
from tests.jobs.small import small_document, tiny_document
from tests.latency.timed.networks import true_ms
from tests.measure.devices import SimulatedRunner

DEVICE = ("--device", "local")
ESTIMATE = {"mean_ms", "low_ms", "high_ms", "source", "shares", "warnings"}
CHECKED = {"name", "digest", "macs", "predicted", "measured_ms", "processes_ms", "clock_ms", "error", "inside"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A workspace whose simulated device `local` has a table of the space `small`."""
    workspace = tmp_path_factory.mktemp("workspace")
    patch = pytest.MonkeyPatch()
    simulate(patch, workspace, SimulatedRunner())
    write_space(workspace, small_document())
    write_space(workspace, tiny_document())
    assert main(["lut", "build", *DEVICE, "--space", "small", "--budget", "60s"]) == 0
    yield workspace
    patch.undo()


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with the space `tiny` and nothing timed."""
    simulate(monkeypatch, tmp_path, SimulatedRunner())
    write_space(tmp_path, tiny_document())
    return tmp_path


def document(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main([*arguments, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_plan_in_words_and_as_a_document(fresh: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ("lut", "plan", *DEVICE, "--space", "tiny", "--budget", "5m")
    assert main(command) == 0
    out = capsys.readouterr().out
    for words in (
        "local (numbers, Numbers 1)",
        "would time",
        "networks of tiny",
        "segments that networks of tiny may have",
    ):
        assert words in out
    found = document(capsys, *command)
    assert found.keys() == {
        "device", "space", "environment", "roles", "space_segments", "covered", "covered_thrice", "seconds",
        "timed_before", "spent_before_s", "chosen", "others",
    }  # fmt: skip
    assert found["covered"] == found["space_segments"]
    assert not (fresh / "latency_tables").exists()


def test_a_build_in_words_with_progress_on_stderr(
    fresh: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("QUIET_S", "EVERY_S"):
        monkeypatch.setattr(f"nas.cli.progress.{name}", 0.0)
    assert main(["lut", "build", *DEVICE, "--space", "tiny", "--budget", "40s"]) == 0
    out, err = capsys.readouterr()
    for words in (
        "networks timed; wrote",
        "each timed network predicted from the others",
        "within 5 %",
        "nas lut verify",
    ):
        assert words in out
    page = Path(out.splitlines()[-1].removeprefix("Page: "))
    assert "segments of tiny (measured)" in page.read_text()
    assert re.search(r"^timing: \d+ %, about \d+ s left, \d+ networks, reference [\d.]+ ms$", err, re.MULTILINE)
    assert main(["lut", "plan", *DEVICE, "--space", "tiny", "--budget", "40s"]) == 0
    assert "networks were timed before" in capsys.readouterr().out


def test_networks_that_cannot_be_timed_are_named_by_builds_and_checks(
    fresh: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runner = SimulatedRunner()
    simulate(monkeypatch, fresh, runner)
    write_space(fresh, tiny_document("wider", ((24, 32), (32, 48))))
    for command, space in (("build", "tiny"), ("verify", "wider")):
        bad = next(iter(measured_space(space).sample(1, np.random.default_rng(0))))
        runner.unable_ms = frozenset([float(true_ms([bad.graph().segments])[0])])
        options = ("--networks", "4") if command == "verify" else ("--budget", "10m")
        assert main(["lut", command, *DEVICE, "--space", space, *options]) == 0
        out = capsys.readouterr().out
        assert "could not be timed and left out: 1 (--json names all), first" in out
        assert "must be a whole network for numbers" in out


def test_a_build_as_a_document(fresh: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = document(capsys, "lut", "build", *DEVICE, "--space", "tiny", "--budget", "5m")
    assert found.keys() == {
        "device", "folder", "networks", "rows", "space", "space_segments", "covered", "left_out", "half_width",
        "half_width_any_day", "faults", "manifest",
    }  # fmt: skip
    assert Path(found["folder"]) == fresh / "latency_tables" / "local"
    assert found["left_out"].keys() == {"rows", "operators"}
    assert 0.0 < found["half_width"] < found["half_width_any_day"]
    again = document(capsys, "lut", "build", *DEVICE, "--space", "tiny", "--budget", "5m", "--restart", "--seed", "3")
    assert again["networks"] == found["networks"]


def test_what_a_table_holds(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lut", "show", *DEVICE]) == 0
    out = capsys.readouterr().out
    for words in ("segments in the table", "measured", "fitted to", "left out, by operators alone"):
        assert words in out
    found = document(capsys, "lut", "show", *DEVICE)
    assert {part["source"] for part in found["coverage"]} == {"measured"}
    assert found["manifest"]["space"] == "small"


def test_a_known_network_and_its_onnx_file_are_predicted_alike(
    built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "network.onnx"
    assert main(["arch", "export", "mobilenetv2-0.6@192", "--out", str(path)]) == 0
    capsys.readouterr()
    named = document(capsys, "lut", "predict", "mobilenetv2-0.6@192", *DEVICE)
    read = document(capsys, "lut", "predict", str(path), *DEVICE)
    assert named["latency"].keys() == ESTIMATE
    assert read["latency"]["mean_ms"] == pytest.approx(named["latency"]["mean_ms"], rel=0.02)


def test_a_fit_again_is_told_as_a_build_is(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lut", "fit", *DEVICE]) == 0
    assert "networks timed; wrote" in capsys.readouterr().out


def test_a_check_in_words_with_a_page_and_a_picture(
    built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["lut", "verify", *DEVICE, "--networks", "8", "--seed", "2", "--report", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    for words in ("8 fresh networks of small (seed 2)", "median error", "within 5 %", "by MACs", "farthest off"):
        assert words in out
    page = (tmp_path / "local-small.md").read_text("utf-8")
    assert "`nas lut verify --device local --space small --networks 8 --seed 2 --report DIR`" in page
    assert "local-small.png" in page and page.count("\n| small-") == 8
    assert (tmp_path / "local-small.png").read_bytes().startswith(b"\x89PNG")
    assert f"wrote {tmp_path / 'local-small.md'}" in err


def test_a_check_as_a_document_of_another_space(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = document(capsys, "lut", "verify", *DEVICE, "--space", "tiny", "--networks", "5")
    assert found.keys() == {
        "device", "space", "seed", "environment", "count", "median_error", "p90_error", "worst_error",
        "within_5_percent", "within_10_percent", "bias", "inside_interval", "span", "spearman", "speed",
        "by_the_clock", "networks", "faults",
    }  # fmt: skip
    assert (found["space"], found["count"]) == ("tiny", 5)
    assert found["networks"][0].keys() == CHECKED and found["networks"][0]["predicted"].keys() == ESTIMATE


def test_a_check_of_a_device_without_a_table_says_how_to_get_one(
    fresh: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["lut", "verify", *DEVICE]) == 2
    assert "nas lut build --device local" in capsys.readouterr().err


@pytest.mark.slow
def test_a_search_whose_answer_is_timed(built: Path, capsys: pytest.CaptureFixture[str]) -> None:
    networks = document(capsys, "lut", "verify", *DEVICE, "--networks", "9")["networks"]
    target_ms = sorted(network["measured_ms"] for network in networks)[4]
    command = ("search", "--target-latency", f"{target_ms:.4f}ms", *DEVICE, "--space", "small", "--verify")
    found = document(capsys, *command)
    verification = found["verification"]
    assert verification.keys() == {"accepted", "answer", "rounds"}
    assert verification["answer"].keys() == CHECKED
    assert verification["answer"]["digest"] == found["best"]["digest"]
    assert verification["answer"]["measured_ms"] <= 1.02 * target_ms
    for part in verification["rounds"]:
        assert part.keys() == {"networks", "fault"} and part["networks"][0].keys() == CHECKED
    assert main(["runs", "show", found["run"], "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["command"].endswith(" --verify")
    assert record["result"]["verification"]["answer"] == verification["answer"]
    assert main(command) == 0
    out, err = capsys.readouterr()
    for words in ("measured", "at the table's speed, mean of", "Predicted first, then timed", "round"):
        assert words in out
    assert "timing the answer" in err and "there is no page" not in err
    assert "Timed on the device" in Path(out.splitlines()[-1].removeprefix("Page: ")).read_text()


def test_the_page_of_a_device_holds_what_was_timed_to_what_is_predicted(built: Path) -> None:
    record = device_record(device_home("local"))
    with TimingStore(built / "runs" / "lut" / "local.db", measured_environment(device_home("local"))) as store:
        names = {timing.name for timing in store.timings() if timing.role != REFERENCE}
    assert {one["name"] for one in record["compared"]} == names and record["notes"] == []
    assert {one["source"] for one in record["compared"]} == {"measured"}
    off = sorted(abs(one["predicted"]["mean_ms"] / one["ms"] - 1.0) for one in record["compared"])
    assert off[len(off) // 2] < 0.1  # the fit has seen them all
    assert main(["report", *DEVICE, "--out", str(built / "local.html")]) == 0
    assert "local" in (built / "local.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("lut", "build", *DEVICE, "--budget", "20"), "--budget must be a positive number with a unit"),
        (("lut", "plan", *DEVICE, "--budget", "2s"), "budget must be at least 10 s"),
        (("lut", "build", *DEVICE, "--seed", "-1"), "'--seed'"),
        (("lut", "build", "--space", "tiny"), "--device"),
        (("lut", "plan", "--device", "phone"), "phone"),
        (("lut", "plan", *DEVICE, "--space", "absent"), "absent"),
        (("lut", "verify", *DEVICE, "--networks", "0"), "'--networks'"),
        (("lut", "fit", *DEVICE), "local must have timings to be fitted"),
    ],
)
def test_wrong_usage_is_one_paragraph_and_2(
    arguments: tuple[str, ...], words: str, fresh: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: ") and err.count("\n") == 1
    assert words in err


@pytest.mark.parametrize(
    "arguments",
    [
        ("lut", "plan", "--device", "iphone12"),
        ("lut", "build", "--device", "iphone12"),
        ("search", "--target-latency", "1ms", "--device", "iphone12", "--verify"),
    ],
)
def test_a_device_that_is_not_reached_is_refused_before_anything_is_done(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NAS_WORKSPACE", str(tmp_path))
    for module in ("nas.measure.stopwatch", "nas.jobs.search_verify", "nas.jobs.lut_build"):
        monkeypatch.setattr(f"{module}.find_runner", find_runner)
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == "" and "reach must be local, ssh, adb or ios" in err and err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_takes_nothing_is_exit_code_1(fresh: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (fresh / "runs").write_text("a file")
    assert main(["lut", "build", *DEVICE, "--space", "tiny"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: ") and "runs must be writable" in err


@pytest.mark.parametrize("command", ["plan", "build", "verify"])
def test_help_names_every_option(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lut", command, "--help"]) == 0
    out = capsys.readouterr().out
    for option in ("--device", "--space", "--seed", "--json"):
        assert option in out
