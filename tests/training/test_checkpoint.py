from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from nas.errors import InputError, NasError
from nas.training.checkpoint import Checkpoint, check_question, read_checkpoint, write_checkpoint

CHECKPOINT = Checkpoint(
    question={"network": "abc", "epochs": 3, "sizes": (1, 2)},
    document={"epoch": 1, "seconds": 0.1 + 0.2},
    tensors={"model.a": torch.randn(3, 2, 2, 2).to(memory_format=torch.channels_last), "n": torch.tensor(7)},
)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "run" / "c", CHECKPOINT)
    read = read_checkpoint(tmp_path / "run" / "c")
    assert read.document == CHECKPOINT.document
    assert read.tensors.keys() == CHECKPOINT.tensors.keys()
    assert all(torch.equal(read.tensors[name], value) for name, value in CHECKPOINT.tensors.items())
    check_question(tmp_path, read, CHECKPOINT.question)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["c"]


def test_another_training_is_named(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "c", CHECKPOINT)
    read = read_checkpoint(tmp_path / "c")
    with pytest.raises(InputError, match="its epochs is 3 and that asked for is 4"):
        check_question(tmp_path / "c", read, {**CHECKPOINT.question, "epochs": 4})
    with pytest.raises(InputError, match="its teacher is null"):
        check_question(tmp_path / "c", read, {**CHECKPOINT.question, "teacher": "x"})


def _bomb(path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (path.with_name("exploded"),))

    path.write_bytes(pickle.dumps(Bomb()))


@pytest.mark.parametrize("kind", ["absent", "empty", "cut", "pickle", "other", "folder", "nothing"])
def test_what_is_no_checkpoint_is_refused_and_nothing_runs(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "c"
    write_checkpoint(path, CHECKPOINT)
    whole = path.read_bytes()
    path.unlink()
    if kind == "empty":
        path.touch()
    elif kind == "cut":
        path.write_bytes(whole[:-5])
    elif kind == "pickle":
        _bomb(path)
    elif kind == "other":
        save_file({"a": torch.zeros(1)}, path, metadata={"nas": json.dumps({"schema": 2})})
    elif kind == "nothing":
        path.write_bytes(bytes(100))
    elif kind == "folder":
        path.mkdir()
    with pytest.raises(InputError, match="must be the checkpoint of a training"):
        read_checkpoint(path)
    assert not (tmp_path / "exploded").exists()


def test_a_place_that_cannot_be_written_keeps_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "c"
    write_checkpoint(path, CHECKPOINT)
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(NasError, match="must have room"):
        write_checkpoint(path, CHECKPOINT)
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["c"]


def test_a_missing_tensor_is_found(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "c", CHECKPOINT)
    with safe_open(tmp_path / "c", framework="pt") as file:
        metadata = file.metadata()
    save_file({"n": torch.tensor(7)}, tmp_path / "c", metadata=metadata)
    with pytest.raises(InputError, match="must hold every tensor that it names"):
        read_checkpoint(tmp_path / "c")
