"""`nas lut bundle`, and `nas lut import` of what comes back, on a device that nothing reaches."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nas.cli.main import main
from tests.jobs.simulated import simulate, write_space
from tests.jobs.small import small_document
from tests.measure.bundles import add_phone, fill_in, rows_of, write_rows
from tests.measure.devices import SimulatedRunner

BUNDLE = ("lut", "bundle", "--device", "phone", "--space", "small", "--networks", "24")
DEVICE = ("--device", "phone")


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with the device `phone` and the space `small`; network files say what their network takes."""
    simulate(monkeypatch, tmp_path, SimulatedRunner())
    write_space(tmp_path, small_document())
    add_phone(tmp_path)
    return tmp_path


def document(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main([*arguments, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def bundle(workspace: Path) -> Path:
    out = workspace / "out"
    assert main([*BUNDLE, "--out", str(out)]) == 0
    return out


def time_all(out: Path, count: int = 99) -> Path:
    def latency(number: int, row: dict[str, str]) -> str:
        return (out / row["file"]).read_text("utf-8").removesuffix(" ms") if number < count else ""

    return fill_in(out, latency)


def test_from_the_bundle_to_the_table_in_words(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = bundle(workspace)
    text = capsys.readouterr().out
    for words in (
        "phone: 24 networks to time (the reference, 8 probes of other operators, 15 networks of small)",
        "24 files (onnx;", "24 were written now", "README.md there says how they are timed",
        f"`nas lut import {out / 'timings.csv'} --device phone`",
    ):  # fmt: skip
        assert words in text
    path = time_all(out, count=5)
    assert main(["lut", "import", str(path), *DEVICE]) == 0
    text, err = capsys.readouterr()
    for words in (
        "phone: times of 4 networks beside the reference read (onnx): 4 new, 0 as before",
        "19 are not filled in: ",
        "5 networks are timed, and a table needs 12, the reference among them: 7 more; what there is is kept",
    ):
        assert words in text
    assert "warning: the reference has one time" in err
    time_all(out)
    assert main(["lut", "import", str(out), *DEVICE]) == 0
    text, err = capsys.readouterr()
    for words in (
        "19 new, 4 as before", "phone: 23 networks timed; wrote", "each timed network predicted from the others",
        "`nas lut bundle --device phone --space small --out DIR` writes further networks",
    ):  # fmt: skip
        assert words in text
    assert "nas lut verify" not in text and "warning" not in err
    assert main(["lut", "import", str(out), *DEVICE]) == 0
    assert "nothing is new: the table is that of these times already" in capsys.readouterr().out
    assert main(["lut", "fit", *DEVICE]) == 0
    assert "phone: 23 networks timed; wrote" in capsys.readouterr().out


def test_bundles_and_imports_as_documents(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = workspace / "out"
    made = document(capsys, *BUNDLE, "--out", str(out), "--format", "onnx,litert", "--seed", "2")
    size = made.pop("size_bytes")
    assert size > 0 and made == {
        "device": "phone", "folder": str(out), "timings": str(out / "timings.csv"), "space": "small", "seed": 2,
        "formats": ["onnx", "litert"], "networks": 24, "roles": {"probe": 8, "reference": 1, "space": 15}, "files": 48,
        "written": 48, "left_out": {},
    }  # fmt: skip
    assert document(capsys, *BUNDLE, "--out", str(out), "--format", "onnx,litert", "--seed", "2")["written"] == 0
    rows = rows_of(out)
    for row in rows:
        if row["format"] == "litert":
            row["latency_ms"] = (out / row["file"]).read_text("utf-8").removesuffix(" ms")
    write_rows(out, rows)
    found = document(capsys, "lut", "import", str(out / "timings.csv"), *DEVICE)
    assert found.keys() == {
        "device", "file", "form", "format", "added", "corrected", "unchanged", "timed_elsewhere", "missing",
        "reference_ms", "timed", "needed", "folder", "table",
    }  # fmt: skip
    assert (found["form"], found["format"], found["added"], found["needed"]) == ("bundle", "litert", 23, 0)
    assert found["table"]["networks"] == 23
    assert document(capsys, "lut", "import", str(out), *DEVICE)["table"] is None


def test_a_device_that_slowed_down_is_warned_of(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = bundle(workspace)
    time_all(out)
    rows = rows_of(out)
    rows[0]["latency_ms"], rows[-1]["latency_ms"] = "8", "10"
    write_rows(out, rows)
    assert main(["lut", "import", str(out), *DEVICE]) == 0
    assert "the reference took 8 ms first and 10 ms last (+25 %): the device did not stay" in " ".join(
        capsys.readouterr().err.split()
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--format", "onx"), "format must be a known name, but got 'onx' (nearest: onnx"),
        (("--space", "smal"), "nearest: small"),
        (("--networks", "3"), "--networks must be at least 4"),
        (("--networks", "0"), "'--networks'"),
        (("--device", "fone"), "nearest: phone"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_written(
    arguments: tuple[str, ...], words: str, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*BUNDLE, "--out", str(workspace / "out"), *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == "" and words in err and err.count("\n") == 1
    assert not (workspace / "out").exists()


def test_a_format_whose_converter_lacks_is_told_before_anything_is_written(
    workspace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nas.zoo.formats.find_spec", lambda package: None)
    assert main([*BUNDLE, "--out", str(workspace / "out"), "--format", "coreml"]) == 2
    assert "the format coreml needs coremltools, which is not installed" in capsys.readouterr().err
    add_phone(workspace, (workspace / "latency_tables/phone/device.yaml").read_text().replace("a runtime", "LiteRT"))
    assert main([*BUNDLE, "--out", str(workspace / "out")]) == 2  # what the device's runtime reads
    assert "the format litert needs litert_torch" in capsys.readouterr().err
    assert not (workspace / "out").exists()


def test_bad_times_are_one_paragraph_with_file_and_line(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = bundle(workspace)
    capsys.readouterr()
    path = fill_in(out, lambda number, row: "-1" if number == 3 else "5")
    assert main(["lut", "import", str(path), *DEVICE]) == 2
    text, err = capsys.readouterr()
    assert text == "" and err.startswith(f"error: {path}, line 5: latency_ms must be") and err.count("\n") == 1
    assert main(["lut", "import", str(path), str(path), *DEVICE]) == 2
    assert "must be imported by themselves, but got 2 files" in capsys.readouterr().err


def test_progress_is_told_on_stderr(
    workspace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("QUIET_S", "EVERY_S"):
        monkeypatch.setattr(f"nas.cli.progress.{name}", 0.0)
    out = bundle(workspace)
    err = capsys.readouterr().err
    assert "choosing networks" in err and "writing networks: 92 %" in err
    time_all(out)
    assert main(["lut", "import", str(out), *DEVICE]) == 0
    assert "fitting what was timed" in capsys.readouterr().err


def test_a_place_that_takes_nothing_is_exit_code_1(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (workspace / "file").write_text("a file", encoding="utf-8")
    assert main([*BUNDLE, "--out", str(workspace / "file" / "out")]) == 1
    assert "must be writable" in capsys.readouterr().err


@pytest.mark.slow
def test_a_search_of_a_device_that_was_timed_elsewhere(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = workspace / "out"
    assert main([*BUNDLE, "--networks", "24", "--out", str(out)]) == 0
    time_all(out)
    assert main(["lut", "import", str(out), *DEVICE]) == 0
    capsys.readouterr()
    found = document(capsys, "search", "--target-latency", "5ms", *DEVICE, "--space", "small")
    assert found["best"]["latency"]["mean_ms"] <= 5.0
    assert found["best"]["latency"]["source"] in ("measured", "predicted")
    assert main(["lut", "verify", *DEVICE]) == 2
    assert "--times must name the times of one that was not imported" in capsys.readouterr().err
    second = workspace / "second"
    assert main([*BUNDLE, "--networks", "12", "--seed", "3", "--out", str(second)]) == 0
    time_all(second)
    capsys.readouterr()
    checked = document(capsys, "lut", "verify", "--times", str(second), *DEVICE)
    assert checked["count"] == 11 and checked["median_error"] < 0.1
