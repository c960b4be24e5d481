from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from nas.errors import InputError
from nas.onnx.file import MAX_BYTES, read_onnx_network
from tests.onnx.onnx_files import node, save

CONV = node("Conv", ["x", "w"], "y")
WEIGHTS = {"w": np.ones((64, 3, 5, 5))}


@pytest.mark.parametrize("content", [b"", b"not a network", bytes(range(256)) * 10, b"\x00" * 1000])
def test_what_is_no_onnx_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(InputError, match="m.onnx must be an ONNX file"):
        read_onnx_network(path)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.99])
def test_a_file_that_is_cut_off_is_refused(part: float, tmp_path: Path) -> None:
    path = save(tmp_path / "m.onnx", [CONV], (1, 3, 8, 8), WEIGHTS)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(InputError, match="m.onnx"):
        read_onnx_network(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="absent.onnx must be a readable ONNX file"):
        read_onnx_network(tmp_path / "absent.onnx")


def test_a_file_of_two_gigabytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    with path.open("wb") as stream:
        stream.truncate(MAX_BYTES)  # sparse: takes no space
    with pytest.raises(InputError, match="smaller than 2 GB"):
        read_onnx_network(path)


@pytest.mark.parametrize("shape", [("n", 3, 8, 8), (1, 3, "h", 8), (0, 3, 8, 8)])
def test_an_input_of_unknown_size_is_refused(shape: tuple[int | str, ...], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'x' must have a fixed size"):
        read_onnx_network(save(tmp_path / "m.onnx", [CONV], shape, WEIGHTS))


def test_the_error_on_open_sizes_shows_the_option_filled_in(tmp_path: Path) -> None:
    path = save(tmp_path / "m.onnx", [CONV], ("n", 3, "h", "w"), WEIGHTS)
    with pytest.raises(InputError, match="--input-shape x=1x3x224x224$"):
        read_onnx_network(path)


def test_operands_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    nodes = [node("MatMul", ["x", "w"], "m"), node("Relu", ["m"], "y")]
    with pytest.raises(InputError, match="m.onnx"):
        read_onnx_network(save(tmp_path / "m.onnx", nodes, (1, 3, 8, 8), WEIGHTS))


def external(folder: Path) -> Path:
    path = save(folder / "m.onnx", [CONV], (1, 3, 8, 8), WEIGHTS)
    onnx.save(onnx.load(str(path)), str(path), save_as_external_data=True, location="weights.bin", size_threshold=0)
    return path


def test_weights_beside_the_file_are_enough_by_their_shapes(tmp_path: Path) -> None:
    network = read_onnx_network(external(tmp_path))
    assert network.shapes["w"] == (64, 3, 5, 5)
    assert network.shapes["y"] == (1, 64, 4, 4)


def test_missing_or_short_weights_are_refused(tmp_path: Path) -> None:
    path = external(tmp_path)
    (tmp_path / "weights.bin").write_bytes(b"short")
    with pytest.raises(InputError, match="weights.bin"):
        read_onnx_network(path)
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(InputError, match="weights.bin"):
        read_onnx_network(path)


def test_weights_outside_the_folder_are_refused(tmp_path: Path) -> None:
    path = external(tmp_path)
    model = onnx.load(str(path), load_external_data=False)
    for entry in model.graph.initializer[0].external_data:
        if entry.key == "location":
            entry.value = "../../etc/passwd"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(InputError, match="passwd"):
        read_onnx_network(path)
