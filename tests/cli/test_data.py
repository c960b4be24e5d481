"""`nas data`: the report of a data set, and one message for each that cannot be trained on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.cli.main import main
from nas.report.data_text import data_text
from nas.report.page import Page
from tests.data.pictures import folder_of, picture, save


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NAS_WORKSPACE", str(tmp_path))
    return tmp_path


def run(capfd: pytest.CaptureFixture[str], path: Path, *words: str, code: int = 0) -> tuple[str, str]:
    assert main(["data", "show", str(path), *words]) == code
    return capfd.readouterr()


def test_a_folder_for_people(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    root = folder_of(Path("photos"), {"cats": 10, "dogs\n": 30})
    (root / "cats" / "text.jpg").write_text("no picture")
    (root / "cats" / "list.txt").touch()
    save(root / "cats" / "tall.png", picture(77, 30, 20))
    save(root / "dogs\n" / "again.png", picture(20))
    save(root / "dogs\n" / "000.png", picture(20))
    out, err = run(capfd, root)
    assert err == ""
    # Of 11 cats 2 and 1 are held back, of 29 different dogs 6 and 3; one of the dogs is there three times, to train on.
    assert (
        out.rstrip()
        == r"""photos: 42 images in 2 classes, a folder of classes

  splits    train 30, val 4 (drawn here), test 8 (drawn here)
  pixels    12 × 8 to 20 × 30, in the middle 12 × 8
  channels  42 color
  formats   42 png
  copies    2 of another image in the same split
  besides   1 file that is no image: cats/list.txt

class   train  val  test
------  -----  ---  ----
cats        8    1     2
dogs\n     22    3     6

warning: left out, as they cannot be read: cats/text.jpg is no image of a known format"""
    )


def test_json(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    root = folder_of(tmp_path / "photos\n", {"cats": 10, "dogs": 10})
    record = json.loads(run(capfd, root, "--json")[0])
    assert record["path"] == f"{tmp_path}/photos\\n"
    assert record["classes"][1] == {"name": "dogs", "train": 7, "val": 1, "test": 2}
    assert list(record) == [
        "path", "form", "images", "classes", "splits", "imbalance", "sizes", "channels", "formats", "notes",
        "unreadable", "other_files", "copies_left_out", "copies", "contradictions", "warnings",
    ]  # fmt: skip


def test_the_text_fits_a_page(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    names = {f"a class with a rather long name, the one of number {i} among several": 4 for i in range(4)}
    root = folder_of(tmp_path / "photos", names)
    for name in names:
        (root / name / "some long name of a text that is no picture.jpg").write_text("no picture")
        (root / name / "some long name of a text.txt").touch()
    text = data_text(json.loads(run(capfd, root, "--json")[0]), Page(width=80))
    # A path is not broken.
    assert [line for line in text.splitlines() if len(line) > 80 and str(root) not in line] == []
    assert "photos: 16 images" in text.replace("\n", " ")


def npz(**arrays: Any) -> Callable[[Path], Path]:
    def make(root: Path) -> Path:
        np.savez(root / "set.npz", **arrays)
        return root / "set.npz"

    return make


def csv(rows: str) -> Callable[[Path], Path]:
    def make(root: Path) -> Path:
        folder_of(root, {"a": 3, "b": 3})
        (root / "list.csv").write_text(rows)
        return root / "list.csv"

    return make


def folder(**counts: int) -> Callable[[Path], Path]:
    return lambda root: folder_of(root, counts)


def links_out(root: Path) -> Path:
    folder_of(root, {"a": 3, "b": 3})
    (root / "a" / "link.png").symlink_to("/etc/passwd")
    return root


X, Y = np.zeros((6, 4, 4, 3), np.uint8), np.arange(6) % 2


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (folder(), "there is nothing"),
        (folder(cats=5), "at least two classes"),
        (links_out, "a link that leads out"),
        (npz(x_train=X, y_train=np.array([None] * 6)), "Python objects"),
        (npz(x_train=X.astype(float), y_train=Y), "must be uint8"),
        (npz(x_train=X[0], y_train=Y), "(n, height, width, 1 or 3)"),
        (npz(x_train=X, y_train=Y, classes=["only", "two"], x_test=X, y_test=Y + 1), "positions in its classes"),
        (csv("path,label\na/000.png,a\nb/nowhere.png,b\n"), "1 are not: b/nowhere.png"),
        (csv("path,label\na/000.png,a\n../b/000.png,b\n"), "without .."),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_one_clear_message_and_nothing_written(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], make: Callable[[Path], Path], text: str
) -> None:
    (tmp_path / "data").mkdir()
    out, err = run(capfd, make(tmp_path / "data"), code=2)
    assert out == "" and text in err
    assert err.startswith("error: ") and err.count("\n") == 1
    assert not (tmp_path / "runs").exists()
