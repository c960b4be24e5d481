from __future__ import annotations

import os
from pathlib import Path

import pytest

from nas.data.folder import read_folder
from nas.errors import InputError
from tests.data.pictures import folder_of


def test_a_folder_a_class(tmp_path: Path) -> None:
    folder_of(tmp_path, {"dogs": 2, "cats": 1})
    (tmp_path / "cats" / "more").mkdir()
    (tmp_path / "cats" / "000.png").rename(tmp_path / "cats" / "more" / "b.PNG")
    (tmp_path / ".DS_Store").touch()
    (tmp_path / "cats" / "notes.txt").touch()
    (tmp_path / "readme.md").touch()
    found = read_folder(tmp_path)
    assert found.classes == ("cats", "dogs")
    assert found.names == ("cats/more/b.PNG", "dogs/000.png", "dogs/001.png")
    assert (found.labels, found.splits) == ((0, 1, 1), (0, 0, 0))
    assert found.files[0] == tmp_path.resolve() / "cats" / "more" / "b.PNG"
    assert sorted(found.others) == ["cats/notes.txt", "readme.md"]


def test_splits_above_the_classes(tmp_path: Path) -> None:
    folder_of(tmp_path / "train", {"b": 2, "a": 1})
    folder_of(tmp_path / "Validation", {"a": 1})
    folder_of(tmp_path / "test", {"b": 1})
    found = read_folder(tmp_path)
    assert found.names == (
        "train/a/000.png",
        "train/b/000.png",
        "train/b/001.png",
        "Validation/a/000.png",
        "test/b/000.png",
    )
    assert (found.labels, found.splits) == ((0, 1, 1, 0, 1), (0, 0, 0, 1, 2))


def test_names_are_printed_as_text(tmp_path: Path) -> None:
    folder_of(
        tmp_path, {"zw\N{LATIN SMALL LETTER O WITH DIAERESIS}lf": 1, "two\nlines\x1b[31m": 1, "\u202eright to left": 1}
    )
    (tmp_path / "zw\N{LATIN SMALL LETTER O WITH DIAERESIS}lf" / "000.png").rename(
        tmp_path / os.fsdecode(b"two\nlines\x1b[31m/\xff.png")
    )
    folder_of(tmp_path, {"zw\N{LATIN SMALL LETTER O WITH DIAERESIS}lf": 1})
    found = read_folder(tmp_path)
    assert found.classes == (
        r"two\nlines\x1b[31m",
        "zw\N{LATIN SMALL LETTER O WITH DIAERESIS}lf",
        r"\u202eright to left",
    )
    assert found.names[1] == r"two\nlines\x1b[31m/\udcff.png"


def empty(root: Path) -> None:
    pass


def no_classes(root: Path) -> None:
    (root / "a.png").touch()
    (root / "b.png").touch()


def one_class(root: Path) -> None:
    folder_of(root, {"cats": 3})


def one_folder_too_many(root: Path) -> None:
    folder_of(root / "photos", {"cats": 1, "dogs": 1})


def an_empty_class(root: Path) -> None:
    folder_of(root, {"cats": 1, "dogs": 1})
    (root / "owls").mkdir()
    (root / "owls" / "owl.heic").touch()


def splits_beside_classes(root: Path) -> None:
    folder_of(root, {"cats": 1, "dogs": 1, "test": 1})


def no_training(root: Path) -> None:
    folder_of(root / "test", {"cats": 1, "dogs": 1})


def two_validations(root: Path) -> None:
    for name in ("train", "val", "valid"):
        folder_of(root / name, {"cats": 1, "dogs": 1})


def a_link_to_a_file_outside(root: Path) -> None:
    folder_of(root / "..", {"outside": 1})
    folder_of(root, {"cats": 1, "dogs": 1})
    (root / "dogs" / "link.png").symlink_to(root.parent / "outside" / "000.png")


def a_link_to_a_folder_outside(root: Path) -> None:
    folder_of(root / "..", {"outside": 1})
    folder_of(root, {"cats": 1})
    (root / "dogs").symlink_to(root.parent / "outside")


def a_circle(root: Path) -> None:
    folder_of(root, {"cats": 1, "dogs": 1})
    (root / "dogs" / "again").symlink_to(root)


def one_name_twice(root: Path) -> None:
    folder_of(root, {"a\nb": 1, r"a\nb": 1})


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (empty, ["a folder of images for each class", "there is nothing"]),
        (no_classes, ["a folder of images for each class", "no folder in it, but a.png, b.png"]),
        (one_class, ["at least two classes", "holds one (cats)"]),
        (one_folder_too_many, ["at least two classes", "holds one (photos)"]),
        (an_empty_class, ["each class must have images (.avif", "owls in ", "has none"]),
        (splits_beside_classes, ["either classes or train/", "cats/, dogs/ stands beside them"]),
        (no_training, ["train/ is absent"]),
        (two_validations, ["one is there twice"]),
        (a_link_to_a_file_outside, ["must lie inside", "dogs/link.png is a link that leads out"]),
        (a_link_to_a_folder_outside, ["must lie inside", "dogs is a link that leads out"]),
        (a_circle, ["must be folders themselves", "dogs/again"]),
        (one_name_twice, ["a name of its own", r"a\nb stands there twice"]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)  # fmt: skip
def test_other_folders_are_refused(tmp_path: Path, make: object, words: list[str]) -> None:
    root = tmp_path / "data"
    root.mkdir()
    assert callable(make)
    make(root)
    with pytest.raises(InputError) as caught:
        read_folder(root)
    for word in words:
        assert word in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_link_inside_is_a_file(tmp_path: Path) -> None:
    folder_of(tmp_path, {"cats": 1, "dogs": 1})
    (tmp_path / "cats" / "link.png").symlink_to(tmp_path / "dogs" / "000.png")
    assert read_folder(tmp_path).names == ("cats/000.png", "cats/link.png", "dogs/000.png")
