from __future__ import annotations

from pathlib import Path

import pytest

from nas.data.csv_file import read_csv
from nas.errors import InputError
from tests.data.pictures import folder_of


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "set"
    folder_of(folder, {"a": 2, "b": 2})
    folder_of(tmp_path, {"outside": 1})
    (folder / "link.png").symlink_to(tmp_path / "outside" / "000.png")
    (folder / "linked").symlink_to(tmp_path / "outside")
    return folder


def listed(images: Path, text: str) -> Path:
    path = images / "list.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_rows(images: Path) -> None:
    (images / "a" / "000.png").rename(images / "a" / "one, two.png")
    text = '\ufeffsplit,label,path,who\ntest,red,"a/one, two.png",x\ntrain,blue,b/000.png,\nVal,red ,a/001.png,y\n'
    found = read_csv(listed(images, text))
    assert found.names == ("a/one, two.png", "b/000.png", "a/001.png")
    assert found.files[1] == images.resolve() / "b" / "000.png"
    assert (found.classes, found.labels, found.splits) == (("blue", "red"), (1, 0, 1), (2, 0, 1))


def test_without_splits_all_are_of_training(images: Path) -> None:
    found = read_csv(listed(images, "path,label\na/000.png,0\nb/000.png,1\n"))
    assert (found.splits, found.classes) == ((0, 0), ("0", "1"))


HEAD = "path,label\na/000.png,red\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["must name the columns path, label", "names nothing"]),
        ("file,class\na/000.png,red\n", ["names file, class"]),
        ("path,label,label\na/000.png,red,red\n", ["each once"]),
        ("path,label\n", ["no row below its first"]),
        (HEAD, ["at least two classes", "one (red)"]),
        (HEAD + "b/000.png\n", ["row 3", "a value for path, label"]),
        (HEAD + "b/000.png, \n", ["row 3", "a value for path, label"]),
        (HEAD + "b/0,0.png,blue\n", ["row 3", "quotes"]),
        (HEAD + "../outside/000.png,blue\n", ["row 3", "without ..", "'../outside/000.png'"]),
        (HEAD + "b/../../outside/000.png,blue\n", ["row 3", "without .."]),
        (HEAD + "/etc/passwd,blue\n", ["row 3", "relative"]),
        (HEAD + "C:/x.png,blue\n", ["row 3", "relative"]),
        (HEAD + "b\\000.png,blue\n", ["row 3", "relative"]),
        (HEAD + "link.png,blue\n", ["link.png is a link that leads out"]),
        (HEAD + "linked/000.png,blue\n", ["linked/000.png is a link that leads out"]),
        (HEAD + "b/9.png,blue\nb,blue\n\"b/\n.png\",blue\n", ["3 are not: b/9.png, b, b/\\n.png"]),
        ("path,label,split\na/000.png,red,train\nb/000.png,blue,dev\n", ["row 3", "train, val, test", "'dev'"]),
        ("path,label,split\na/000.png,red,train\nb/000.png,blue,\n", ["row 3", "a value for path, label, split"]),
        ('path,label\n"a/000.png,red\n', ["must be a readable CSV file"]),
    ],
)  # fmt: skip
def test_other_files_are_refused(images: Path, text: str, words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        read_csv(listed(images, text))
    for word in words:
        assert word in str(caught.value)
    assert str(caught.value).isprintable()


def test_another_encoding(images: Path) -> None:
    path = images / "list.csv"
    path.write_bytes(HEAD.encode() + b"b/\xe9.png,blue\n")
    with pytest.raises(InputError, match="in UTF-8"):
        read_csv(path)
