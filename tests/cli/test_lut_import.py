from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.test_lut import call, document
from tests.jobs.test_lut_import import BLOCK, ROWS, lookup, small_network, table
from tests.latency.table.test_lookup import NSGANET
from tests.latency.test_device import TEXT


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """A workspace with the device "mine"."""
    monkeypatch.setenv("NAS_WORKSPACE", str(tmp_path))
    file = tmp_path / "mine.yaml"
    file.write_text(TEXT, encoding="utf-8")
    assert call(capsys, "device", "add", str(file))[0] == 0
    return tmp_path


def test_tables_are_imported_shown_and_served(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [str(lookup(workspace / f"{size}.yaml", size)) for size in (32, 36)]
    code, out, err = call(capsys, "lut", "import", *files, "--device", "mine")
    assert (code, err) == (0, "")
    assert "10 segments read from 2 files; 6 are new, 0 replace" in out
    assert "4 segments are in tables of several image sizes" in out
    shown = call(capsys, "lut", "show", "--device", "mine")[1].splitlines()
    assert next(line for line in shown if line.startswith("measured")).split()[:2] == ["measured", "6"]
    network = workspace / "net.yaml"
    network.write_text(small_network().to_yaml(), encoding="utf-8")
    assert "1.47 ms [" in call(capsys, "lut", "predict", str(network), "--device", "mine")[1]
    network.write_text(small_network(64).to_yaml(), encoding="utf-8")
    code, out, err = call(capsys, "lut", "predict", str(network), "--device", "mine")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "lacks 5 of 5: segment 1 [conv3x3s2 3x64x64>8x32x32+hswish], 2 [" in err


def test_what_was_replaced_is_told(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = str(lookup(workspace / "a.yaml", 32))
    record = document(capsys, "lut", "import", first, "--device", "mine")
    assert (record["device"], record["rows"], record["added"], record["replaced"]) == ("mine", 5, 5, [])
    file = {"file": first, "form": "once-for-all", "image_size": 32, "rows": 5, "without_deviation": 0, "refused": []}
    assert record["files"] == [file]
    again = str(lookup(workspace / "b.yaml", 32, factor=2.0))
    out = call(capsys, "lut", "import", again, "--device", "mine")[1]
    assert "replaced:\n" in out and "0.4 ms (measured) for 0.2 ms (measured): conv1x1s1 16x8x8>96x8x8+hswish" in out
    record = document(capsys, "lut", "import", first, "--device", "mine")
    assert isinstance(record["replaced"], list) and len(record["replaced"]) == 5
    assert {"segment", "taken_ms", "left_ms"} == record["replaced"][0].keys()
    assert json.dumps(record)


def test_every_refused_row_is_listed(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = workspace / "t.csv"
    file.write_text(f"{BLOCK},1.0\n" + "".join(f"stem-{i},2.0\n" for i in range(30)), encoding="utf-8")
    code, out, _ = call(capsys, "lut", "import", str(file), "--device", "mine")
    assert code == 0
    assert (
        "t.csv: 1 segments from the form of ProxylessNAS; 1 without a deviation, taken as 5 % of the mean; 30 rows"
        in out
    )
    assert all(f"    stem-{i}: no text that is known; nearest: " in out for i in range(30))


def test_an_activation_is_asked_for(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = workspace / "t.yaml"
    file.write_text(f"{NSGANET}: {{mean: 0.2}}\n", encoding="utf-8")
    code, out, err = call(capsys, "lut", "import", str(file), "--device", "mine")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "name it: --activation relu" in err
    both = ("--activation", "relu", "--activation", "hswish")
    assert document(capsys, "lut", "import", str(file), "--device", "mine", *both)["rows"] == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("absent.yaml", "--device", "mine"), "absent.yaml must be a readable YAML file"),
        (("absent.csv", "--device", "mine"), "absent.csv must be a CSV file that can be read"),
        (("--device", "mine"), "Missing argument 'FILE...'"),
        (("absent.csv", "--device", "min"), "nearest: mine"),
        (("absent.csv", "--device", "../mine"), "plain name"),
        (("absent.csv",), "--device"),
    ],
)
def test_bad_usage_is_one_paragraph_and_exit_code_2(
    workspace: Path, arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = call(capsys, "lut", "import", *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert words in err


def test_a_folder_that_cannot_be_written_to_is_exit_code_1(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (workspace / "latency_tables" / "iphone12").write_text("in the way", encoding="utf-8")
    file = table(workspace / "a.csv", ROWS)
    code, out, err = call(capsys, "lut", "import", str(file), "--device", "iphone12")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "must be writable" in err
