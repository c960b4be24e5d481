from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas.data import open_data
from nas.errors import InputError
from tests.data.pictures import folder_of, picture, save
from tests.data.test_image import bomb, encoded
from tests.shared_data import shared_data


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NAS_WORKSPACE", str(tmp_path))
    return tmp_path


def test_what_is_found_of_a_folder(tmp_path: Path) -> None:
    root = folder_of(tmp_path / "photos", {"cats": 10, "dogs": 30})
    (root / "cats" / "text.jpg").write_text("no picture")
    (root / "cats" / "cut.jpg").write_bytes(encoded(Image.fromarray(picture(99, 64, 64)), "JPEG")[:900])
    (root / "dogs" / "bomb.png").write_bytes(bomb())
    (root / "dogs" / "cmyk.tif").write_bytes(encoded(Image.new("CMYK", (9, 5), (1, 2, 3, 4)), "TIFF"))
    (root / "dogs" / "deep.png").write_bytes(
        encoded(Image.fromarray(np.arange(6, dtype=np.uint16).reshape(2, 3)), "PNG")
    )
    (root / "dogs" / "list.txt").touch()
    found = open_data(root)
    record = found.as_json()
    assert (record["path"], record["form"], record["images"]) == (str(root), "folder", 42)
    assert record["unreadable"]["first"] == [
        {"name": "cats/cut.jpg", "reason": "is truncated"},
        {"name": "cats/text.jpg", "reason": "is no image of a known format"},
        {"name": "dogs/bomb.png", "reason": "has more than 128 million pixels"},
    ]
    # Of 10 a tenth and a fifth, of 32 the same, rounded.
    assert record["classes"] == [
        {"name": "cats", "train": 7, "val": 1, "test": 2},
        {"name": "dogs", "train": 23, "val": 3, "test": 6},
    ]
    assert record["splits"] == {
        "train": {"images": 30, "drawn": False},
        "val": {"images": 4, "drawn": True},
        "test": {"images": 8, "drawn": True},
    }
    assert record["sizes"] == {"smallest": [2, 3], "median": [8, 12], "largest": [8, 12], "different": 3}
    assert record["channels"] == {"1": 1, "3": 41} and found.channels == 3
    assert record["formats"] == {"png": 41, "tiff": 1}
    assert record["notes"] == {"rotated": 0, "palette": 0, "alpha": 0, "16 bit": 1, "CMYK": 1, "animated": 0}
    assert record["other_files"] == {"count": 1, "first": ["dogs/list.txt"]}
    assert record["imbalance"] == pytest.approx(23 / 7)
    uneven, unreadable = record["warnings"]
    assert uneven == "the classes are uneven: dogs has 3.29 times the training images of cats"
    assert unreadable.startswith("left out, as they cannot be read: cats/cut.jpg is truncated, cats/text.jpg is")


def test_copies_across_given_splits_stay_in_one(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    folder_of(root / "train", {"a": 4, "b": 4})
    save(root / "val" / "a" / "v.png", picture(50))
    save(root / "val" / "b" / "v.png", picture(51))
    save(root / "test" / "a" / "t.png", picture(52))
    save(root / "test" / "b" / "t.png", picture(53))
    shutil.copy(root / "test" / "a" / "t.png", root / "train" / "a" / "copy of test.png")
    Image.open(root / "test" / "b" / "t.png").save(root / "val" / "b" / "other format.bmp")
    Image.open(root / "val" / "b" / "v.png").save(root / "train" / "b" / "copy of val.tiff")
    shutil.copy(root / "train" / "a" / "000.png", root / "train" / "a" / "again.png")
    shutil.copy(root / "train" / "a" / "001.png", root / "train" / "b" / "of a.png")
    found = open_data(root)
    assert found.findings.copies_left_out == (
        "train/a/copy of test.png",
        "train/b/copy of val.tiff",
        "val/b/other format.bmp",
    )
    assert [name for name, split in zip(found.names, found.given, strict=True) if split] == [
        "val/a/v.png", "val/b/v.png", "test/a/t.png", "test/b/t.png",
    ]  # fmt: skip
    assert found.findings.copies == 2
    assert found.findings.contradictions == ("train/a/001.png", "train/b/of a.png")
    assert found.findings.counts == ((5, 1, 1), (5, 1, 1))
    assert np.array_equal(found.splits(0), found.given) and found.findings.drawn == ()
    assert [text.split(":")[0] for text in found.as_json()["warnings"]] == [
        "left out, as copies are held back for val or test", "the same image stands in two classes",
    ]  # fmt: skip


def test_a_class_that_is_not_held_back(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    folder_of(root / "train", {"a": 3, "b": 3})
    save(root / "test" / "a" / "t.png", picture(50))
    assert open_data(root).as_json()["warnings"] == ["test has no image of b"]


def test_a_csv_is_a_folder_in_rows(tmp_path: Path) -> None:
    root = folder_of(tmp_path / "photos", {"cats": 10, "dogs": 10})
    rows = [f"{path.relative_to(tmp_path).as_posix()},{path.parent.name}" for path in sorted(root.rglob("*.png"))]
    (tmp_path / "list.csv").write_text("path,label\n" + "\n".join(rows))
    listed, whole = open_data(tmp_path / "list.csv"), open_data(root)
    assert listed.findings == whole.findings
    assert np.array_equal(listed.splits(3), whole.splits(3))


def all_text(root: Path) -> None:
    for name in ("a", "b"):
        (root / name).mkdir(parents=True)
        (root / name / "x.jpg").write_text("text")


def one_class_of_text(root: Path) -> None:
    folder_of(root, {"a": 5})
    (root / "b").mkdir()
    (root / "b" / "x.jpg").write_text("text")


def one_image(root: Path) -> None:
    folder_of(root, {"a": 5, "b": 1})


def nothing(root: Path) -> None:
    pass


def a_file(root: Path) -> None:
    root.write_text("text")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (all_text, ["no file of", "photos is: a/x.jpg is no image of a known format", "export them again"]),
        (one_class_of_text, ["no file of class b of", "b/x.jpg is no image"]),
        (one_image, ["at least 3 different images", "b (1)"]),
        (nothing, ["an .npz or a .csv file", "is not there"]),
        (a_file, ["an .npz or a .csv file", "is another file"]),
    ],
)
def test_what_cannot_be_trained_on(tmp_path: Path, make: object, words: list[str]) -> None:
    assert callable(make)
    make(tmp_path / "photos")
    with pytest.raises(InputError) as caught:
        open_data(tmp_path / "photos")
    for word in words:
        assert word in str(caught.value)


def test_cifar() -> None:
    path = shared_data("cifar10/cifar10_15k.npz")
    found = open_data(path)
    assert found.findings.counts == ((1350, 150, 400),) * 10  # a tenth of 1,500 drawn
    assert found.findings.drawn == ("val",)
    assert found.classes[:3] == ("airplane", "automobile", "bird")
