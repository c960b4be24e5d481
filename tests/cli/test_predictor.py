from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nas.accuracy import validate
from nas.accuracy.published import PublishedRows
from nas.accuracy.validate import HeldOut
from nas.cli.main import main
from tests.accuracy.tables import SHIPPED
from tests.accuracy.test_published import write_rows


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(arguments)
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture
def _one_point_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the place of minutes of fits: each row predicted one point too high, half of the rows in the interval.

    Without the data folder, wherever it is.
    """

    def held(published: PublishedRows, progress: validate.Progress) -> HeldOut:
        progress(1, 1)
        mean = published.top1 + 1.0
        half = np.where(np.cumsum(published.scored) % 2 == 0, 0.5, 2.0)
        return HeldOut(mean=mean, low=mean - half, high=mean + half)

    monkeypatch.setattr("nas.jobs.predictor.hold_out_families", held)
    monkeypatch.delenv("NAS_DATA", raising=False)


@pytest.mark.usefixtures("_one_point_off")
def test_eval_prints_errors_coverage_and_the_worst_families(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "predictor", "eval", "imagenet")
    assert code == 0
    assert "447 of 513 rows scored" in out
    assert "size alone" in out and "worst families: " in out
    code, out, err = call(capsys, "predictor", "eval", "imagenet", "--json", "--report", str(tmp_path))
    record = json.loads(out)
    assert code == 0
    assert record["family_out"]["mean_error"] == record["family_out"]["median_error"] == 1.0
    assert record["family_out"]["coverage"] == pytest.approx(0.5, abs=0.002)
    assert sum(part["rows"] for part in record["families"]) == 447
    assert record["order"] == record["one_space"] == {}
    assert "accuracy.md" in err
    assert "| imagenet" in (tmp_path / "accuracy.md").read_text(encoding="utf-8")
    assert (tmp_path / "accuracy.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("_one_point_off")
def test_train_writes_a_predictor_that_a_workspace_can_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NAS_WORKSPACE", str(tmp_path))
    code, out, err = call(capsys, "predictor", "train", "imagenet", "--json")
    assert code == 0, err
    folder = tmp_path / "predictors" / "imagenet"
    assert json.loads(out)["folder"] == str(folder)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    shipped = json.loads((SHIPPED / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["scores"]["mean_error"] == 1.0
    changed = {key for key in manifest if manifest[key] != shipped[key]}
    # Arrays and versions are the same only on the machine that made the shipped ones.
    assert {"scores"} <= changed <= {"scores", "sha256", "versions"}
    for name in ("rows.csv", "operators.csv.gz"):
        assert (folder / name).read_bytes() == (SHIPPED / name).read_bytes()
    assert call(capsys, "predictor", "train", "imagenet")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("predictor", "eval", "imagenett"), "nearest: imagenet"),
        (("predictor", "train", "../imagenet"), "plain name"),
        (("predictor", "eval", "imagenet", "--data", "absent"), "absent"),
        (("predictor", "train"), "NAME"),
    ],
)
def test_bad_input_is_one_paragraph_and_exit_code_2(
    arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = call(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert words in err


@pytest.mark.usefixtures("_one_point_off")
def test_a_data_folder_without_the_data_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = call(capsys, "predictor", "eval", "imagenet", "--data", str(tmp_path))
    assert code == 2
    assert "accel_nasbench.csv" in err


def test_rows_that_are_not_those_of_the_manifest_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "predictors" / "imagenet"
    folder.mkdir(parents=True)
    for path in SHIPPED.iterdir():
        content = path.read_bytes()
        (folder / path.name).write_bytes(content + b"\n" if path.name == "rows.csv" else content)
    monkeypatch.setenv("NAS_WORKSPACE", str(tmp_path))
    code, _, err = call(capsys, "predictor", "eval", "imagenet")
    assert code == 2
    assert "rows.csv must have the checksum" in err


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a predictor of the workspace's, without rows."""
    folder = tmp_path / "predictors" / "own"
    folder.mkdir(parents=True)
    (folder / "operators.csv.gz").write_bytes((SHIPPED / "operators.csv.gz").read_bytes())
    monkeypatch.setenv("NAS_WORKSPACE", str(tmp_path))
    monkeypatch.delenv("NAS_DATA", raising=False)
    return folder


def test_a_few_rows_of_ones_own_are_fitted_and_scored(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is written can be read, and says numbers; spreadsheets write TRUE."""
    write_rows(own / "rows.csv", *[{"scored": "TRUE"}] * 4, families=("MobileNetV1", "MobileNetV2"))
    code, out, err = call(capsys, "predictor", "train", "own", "--json")
    assert code == 0, err
    record = json.loads(out, parse_constant=pytest.fail)
    assert record["family_out"]["rows"] == 4 and record["family_out"]["mean_error"] > 0
    code, out, err = call(capsys, "predictor", "eval", "own", "--json")
    assert code == 0, err
    assert json.loads(out)["family_out"] == record["family_out"]


@pytest.mark.parametrize(
    ("changes", "families", "words"),
    [
        ([{"scored": "False"}] * 4, ("MobileNetV1", "MobileNetV2"), "none of its 4 is scored"),
        ([{}] * 2, ("MobileNetV1",), "must hold two families or more"),
        ([{}, {"family": "other"}], ("FBNet",), "but has 2 and 1"),
    ],
)
def test_rows_that_nothing_can_be_left_out_of_are_refused(
    own: Path,
    changes: list[dict[str, str]],
    families: tuple[str, ...],
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_rows(own / "rows.csv", *changes, families=families)
    code, out, err = call(capsys, "predictor", "train", "own")
    assert (code, out) == (2, "")
    assert words in err and "rows.csv" in err
    assert not (own / "manifest.json").exists()
