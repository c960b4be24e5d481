from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.data.npz import read_npz
from nas.errors import InputError, NasError

X = np.random.default_rng(0).integers(0, 256, (6, 4, 5, 3), dtype=np.uint8)
Y = np.array([0, 1, 2, 0, 1, 2])


class Evil:
    """Unpickling it leaves a trace."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.trace,))


def saved(path: Path, **arrays: Any) -> Path:
    file = path / "set.npz"
    np.savez_compressed(file, **arrays)
    return file


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, ">u4"])
def test_arrays(tmp_path: Path, dtype: Any) -> None:
    path = saved(
        tmp_path,
        x_test=X[:2],
        y_test=Y[:2].astype(dtype),
        x_train=X,
        y_train=Y.astype(dtype),
        classes=["a", "b\n", "ü"],
    )
    found = read_npz(path)
    assert np.array_equal(found.images, np.concatenate([X, X[:2]]))
    assert found.labels.tolist() == [0, 1, 2, 0, 1, 2, 0, 1]
    assert found.splits.tolist() == [0] * 6 + [2] * 2
    assert (found.names[0], found.names[-1]) == ("x_train[0]", "x_test[1]")
    assert found.classes == ("a", r"b\n", "ü")


def test_not_compressed_and_without_classes(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", x_train=X[..., :1], y_train=Y, x_val=X[:1, ..., :1], y_val=Y[:1])
    found = read_npz(tmp_path / "set.npz")
    assert (found.classes, found.images.shape, found.splits.tolist()) == (("0", "1", "2"), (7, 4, 5, 1), [0] * 6 + [1])


GOOD: dict[str, Any] = {"x_train": X, "y_train": Y}


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x_train": X}, ["must hold x_train and y_train", "y_train is absent"]),
        ({"x_test": X, "y_test": Y}, ["x_train, y_train is absent"]),
        (GOOD | {"x_valid": X}, ["must be called x_train, y_train", "x_valid"]),
        (GOOD | {"x_train": X / 255}, ["x_train of", "must be uint8", "float64", "round 255 times"]),
        (GOOD | {"x_train": X.astype(np.uint16)}, ["must be uint8", "uint16"]),
        (GOOD | {"x_train": X[..., 0]}, ["(n, height, width, 1 or 3)", "(6, 4, 5)"]),
        (GOOD | {"x_train": X.transpose(0, 3, 1, 2).copy()}, ["(6, 3, 4, 5)"]),
        (GOOD | {"x_train": np.zeros((6, 4, 5, 4), np.uint8)}, ["(6, 4, 5, 4)"]),
        (GOOD | {"x_train": X[:0], "y_train": Y[:0]}, ["(0, 4, 5, 3)"]),
        (GOOD | {"x_train": np.asfortranarray(X)}, ["C order", "x_train"]),
        (GOOD | {"x_test": X[:, :3], "y_test": Y}, ["one shape", "(4, 5, 3)", "(3, 5, 3)"]),
        (GOOD | {"y_train": Y[:5]}, ["y_train of", "(6,)", "(5,)"]),
        (GOOD | {"y_train": Y[:, None]}, ["(6, 1)"]),
        (GOOD | {"y_train": Y / 1}, ["integers", "float64"]),
        (GOOD | {"y_train": Y - 1}, ["positions", "one is -1"]),
        (GOOD | {"classes": ["a", "b"]}, ["0 to 1", "one is 2"]),
        (GOOD | {"classes": ["a", "b"], "y_train": np.full(6, 2**63 + 1, np.uint64)}, ["one is -"]),
        (GOOD | {"classes": ["a", "b", "a"]}, ["a name of its own", "a stands there twice"]),
        (GOOD | {"classes": [1, 2, 3]}, ["a list of texts", "int64"]),
        (GOOD | {"classes": ["", "", ""]}, ["a name of its own", "one has none"]),
        (GOOD | {"y_train": np.zeros(6, int)}, ["at least two classes", "one (0)"]),
        (GOOD | {"y_train": Y + 10**9}, ["positions", "one is 1000000000"]),
    ],
)  # fmt: skip
def test_other_arrays_are_refused(tmp_path: Path, arrays: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        read_npz(saved(tmp_path, **arrays))
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("name", ["x_train", "y_train", "classes"])
def test_objects_are_refused_and_not_run(tmp_path: Path, name: str) -> None:
    trace = tmp_path / "run"
    objects = np.empty(6, object)
    objects[:] = [Evil(trace)] * 6
    path = saved(tmp_path, **{**GOOD, name: objects})
    with pytest.raises(InputError, match=f"{name} holds Python objects"):
        read_npz(path)
    assert not trace.exists()


def test_a_damaged_file(tmp_path: Path) -> None:
    content = saved(tmp_path, **GOOD).read_bytes()
    path = tmp_path / "bad.npz"
    for damaged in (b"", b"PK", content[: len(content) // 2], content[:60] + b"\0\0\0\0" + content[64:]):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"must be a whole \.npz file"):
            read_npz(path)


def test_a_file_that_claims_more_than_it_holds(tmp_path: Path) -> None:
    def write(shape: tuple[int, ...], data: bytes) -> Path:
        path = tmp_path / "set.npz"
        saved(tmp_path, y_train=Y)
        with zipfile.ZipFile(path, "a") as archive, archive.open("x_train.npy", "w") as file:
            np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})  # type: ignore[no-untyped-call]
            file.write(data)
        return path

    with pytest.raises(InputError, match="it is cut off"):
        read_npz(write(X.shape, X.tobytes()[:-1]))
    with pytest.raises(InputError, match="must be a whole"):
        read_npz(write(X.shape, X.tobytes() + b"\0"))
    y = {"x_train": X, "y_train": Y}
    assert len(read_npz(saved(tmp_path, **y)).images) == 6


def test_more_than_the_memory_is_refused_before_anything_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path, **GOOD)
    # 6 · 4 · 5 · 3 bytes and 6 integers of 8.
    monkeypatch.setattr("nas.data.npz.free_memory", lambda: 360 + 48)
    assert len(read_npz(path).labels) == 6
    monkeypatch.setattr("nas.data.npz.free_memory", lambda: 360 + 47)
    with pytest.raises(NasError, match="take 408 B, which must fit the memory"):
        read_npz(path)
