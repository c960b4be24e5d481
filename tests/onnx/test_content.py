from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nas.cli.main import main
from nas.errors import InputError
from nas.onnx.content import kind_of_file
from nas.onnx.reader import read_onnx
from nas.space import load_architecture
from tests.onnx.onnx_files import node, save

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"
BYTES: dict[str, tuple[bytes, str]] = {
    "lfs": (LFS, "git lfs pull"),
    "tflite": (b"\x1c\0\0\0TFL3" + bytes(100), "--device local-litert"),
    "ort": (b"\x1c\0\0\0ORTM" + bytes(100), "the .onnx file"),
    "html": (b"\n<!DOCTYPE html><html></html>", "download the file itself"),
    "zip": (b"PK\x03\x04" + bytes(100), "torch.onnx.export"),
    "pickle": (b"\x80\x02}q" + bytes(100), "never read"),
    "safetensors": (b"\x02\0\0\0\0\0\0\0" + b'{"a":{}}', "weights alone"),
    "hdf5": (b"\x89HDF\r\n" + bytes(100), "tf2onnx"),
    "gzip": (b"\x1f\x8b" + bytes(100), "gunzip"),
}


def onnx_file(path: Path) -> Path:
    return save(path, [node("Relu", ["x"], "y")], (1, 3, 8, 8))


@pytest.mark.parametrize("kind", BYTES)
@pytest.mark.parametrize("name", ["m.onnx", "M.ONNX", "m"])
def test_a_file_is_known_by_its_content(kind: str, name: str, tmp_path: Path) -> None:
    content, remedy = BYTES[kind]
    path = tmp_path / name
    path.write_bytes(content)
    assert kind_of_file(path) == kind
    with pytest.raises(InputError, match=f"{name} must be an ONNX file, but is .*{remedy}"):
        read_onnx(path)
    with pytest.raises(InputError, match=f"{name} must be an architecture file or a zoo folder, but is .*{remedy}"):
        load_architecture(path)


@pytest.mark.parametrize("name", ["M.ONNX", "m", "m.bin", "m.tflite"])
def test_a_network_is_read_whatever_it_is_called(name: str, tmp_path: Path) -> None:
    path = onnx_file(tmp_path / name)
    assert kind_of_file(path) == "onnx"
    assert read_onnx(path).operators().kind.tolist() == ["act:relu"]


def test_text_and_nothing_are_no_network(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("schema: 1\n")
    (tmp_path / "array.txt").write_bytes(np.arange(3).tobytes())
    assert [kind_of_file(tmp_path / name) for name in ("a.yaml", "array.txt", "absent")] == ["", "", ""]
    assert kind_of_file("a\0b") == ""


COMMANDS = [
    ["lut", "predict", "m", "--device", "pixel3-cpu"], ["measure", "m", "--device", "local"], ["arch", "show", "m"],
    ["arch", "export", "m"], ["zoo", "export", "m"], ["space", "from", "m"],
    ["adapt", "m", "--target-latency", "1ms", "--device", "pixel3-cpu"],
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command[:2]))
@pytest.mark.parametrize("kind", ["lfs", "ort", "zip"])
def test_every_command_says_what_a_file_is(
    command: list[str], kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("m").write_bytes(BYTES[kind][0])
    assert main(command) == 2
    assert BYTES[kind][1] in capsys.readouterr().err
