from __future__ import annotations

import gzip
import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from nas.contents import read_arrays, read_content, read_json, unpacked
from nas.errors import InputError, NasError
from nas.figures import entering, leaving
from nas.latency import Estimate
from nas.latency.load import NETWORKS_FILE, _operators
from nas.testing.readers import NAMES
from nas.zoo.entry import entries_and_faults


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("1.5", 1.5),
        (2, 2.0),
        ("-3e29", -3e29),
        (0, 0.0),
        ("1e-300", 1e-300),
        (1e30, 1e30),
        (np.float32(1.5), 1.5),
        (np.float16(0.5), 0.5),
        (np.int64(-3), -3.0),
        (np.uint8(7), 7.0),
    ],
)
def test_numbers_that_are_meant_enter(value: object, number: float) -> None:
    assert entering(value) == number


@pytest.mark.parametrize(
    "value",
    ["1e308", "nan", "inf", "-inf", "", "x", None, True, np.True_, np.float32(np.inf), [1], 10**400, 2e30, "1e999"],
)
def test_others_do_not(value: object) -> None:
    assert np.isnan(entering(value))


def test_what_is_not_finite_does_not_leave() -> None:
    leaving("a latency", (0.0, 1e300))
    with pytest.raises(NasError, match="a latency must be finite, but came out as inf, nan"):
        leaving("a latency", (float("inf"), float("nan")))
    with pytest.raises(NasError, match="must be finite"):
        Estimate(mean_ms=float("inf"), low_ms=0.0, high_ms=float("inf"), source="measured")


def test_a_packed_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"\0" * 10_000))
    assert unpacked(path, "a list", most=10_000) == b"\0" * 10_000
    with pytest.raises(InputError, match=r"a\.gz must unpack to at most 9999 bytes"):
        unpacked(path, "a list", most=9999)
    path.write_bytes(path.read_bytes() + gzip.compress(b"1"))
    assert len(unpacked(path, "a list")) == 10_001


@pytest.mark.parametrize(
    "change", [lambda c: c[:-9], lambda c: c[:15] + b"\xff" * 4 + c[19:], lambda c: b"", lambda c: b"x"]
)
def test_a_packed_file_that_is_damaged_is_told(tmp_path: Path, change: object) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(change(gzip.compress(bytes(range(256)) * 40)))  # type: ignore[operator]
    if path.stat().st_size:
        with pytest.raises(InputError, match=r"a\.gz must be a list"):
            unpacked(path, "a list")
    else:
        assert unpacked(path, "a list") == b""


def test_what_is_no_file_or_too_large_is_not_read(tmp_path: Path) -> None:
    """A pipe without a writer would wait for ever."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(b"12345")
    for name, words in (
        ("pipe", "is no file"),
        ("large", "at most 4 bytes"),
        ("absent", "No such file"),
        ("a\0", "null"),
    ):
        with pytest.raises(InputError, match=words):
            read_content(tmp_path / name, "a list", most=4)


@pytest.mark.parametrize("text", ["NaN", "[1e999]", '{"a": Infinity}', "1" * 400, "[" * 100_000, "{", "\ufffe"])
def test_json_has_finite_numbers(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"a\.json must be a record, but: .*; write it anew\."):
        read_json(tmp_path / "a.json", "a record", remedy="write it anew")


def npz(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return stream.getvalue()


def npy(shape: str, data: bytes = b"", kind: str = "<f8") -> bytes:
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (npz(a=npy("(350000000000000,)")), "must hold .* numbers, but has 0 bytes"),
        (npz(a=npy("(1,)", b"\0" * 4)), "has 4 bytes"),
        (npz(a=npy("(", b"\0" * 8)), "a.npz must hold arrays"),
        (npz(a=npy("(1,)", b"\0" * 8, "|O")), "a.npz must hold arrays"),
        (npz(a=npy("(1,)", np.array([np.inf]).tobytes())), "a holds numbers that are not finite"),
        (npz(a=b"\0" * 100_000), "more than 64 arrays or 10000 bytes"),
        (npz(a=npy("(1,)", b"\0" * 8))[:-20], "a.npz must hold arrays"),
    ],
)
def test_arrays_take_no_more_memory_than_they_have_bytes(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_arrays(content, tmp_path / "a.npz", remedy="get it again", most=10_000)


def test_arrays_come_as_they_were(tmp_path: Path) -> None:
    found = read_arrays(npz(a=npy("(2,)", np.array([1.5, -2.0]).tobytes())), tmp_path / "a.npz", remedy="")
    assert {name: array.tolist() for name, array in found.items()} == {"a": [1.5, -2.0]}


@pytest.mark.parametrize(
    "name", ["../x.onnx", "/etc/x.onnx", "link.onnx", "a\0.onnx", "../../etc/passwd", "/etc/passwd", "x.yaml/"]
)
def test_a_row_of_networks_opens_nothing_outside_its_folder(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "device"
    folder.mkdir()
    (tmp_path / "x.onnx").write_bytes(b"secret")
    (folder / "link.onnx").symlink_to("../x.onnx")
    with pytest.raises(InputError, match=f"{NETWORKS_FILE}"):
        _operators(folder, name)


def test_one_damaged_folder_hides_no_other(tmp_path: Path) -> None:
    NAMES["zoo"].write(tmp_path)
    for name, text in (("bad", "{"), ("worse", "[1]")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_text(text)
    found, faults = entries_and_faults(tmp_path)
    assert [entry.name for entry in found] == ["net"]
    assert sorted(faults) == ["bad", "worse"]
    assert all(name in str(error) for name, error in faults.items())
