"""Readers of what a training reads: images, lists of them, arrays, recipes, checkpoints."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from nas.data.csv_file import read_csv
from nas.data.image import draw, examine
from nas.data.npz import read_npz
from nas.resources import shipped_room
from nas.testing.fuzzing import Reader
from nas.training.recipe import load_recipe

_SIDE = 12


def _pixels() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(0).integers(0, 256, (_SIDE, _SIDE, 3), dtype=np.uint8)


def _picture(form: str) -> Reader:
    def write(folder: Path) -> Path:
        buffer = io.BytesIO()
        Image.fromarray(_pixels()).save(buffer, format=form)
        (folder / "picture").write_bytes(buffer.getvalue())
        return folder / "picture"

    def read(folder: Path) -> Iterable[float]:
        content = (folder / "picture").read_bytes()
        examine(content)
        return [float(draw(content, (8, 8), 3).sum())]

    return Reader(name=f"picture, {form}", kind="bytes", write=write, read=read)


def _list(folder: Path) -> Path:
    for number in range(4):
        (folder / f"{number}.png").write_bytes(b"not looked at")
    lines = [f"{number}.png,{'ab'[number % 2]},{('train', 'test')[number // 2]}" for number in range(4)]
    path = folder / "list.csv"
    path.write_text("\n".join(["path,label,split", *lines]) + "\n", encoding="utf-8")
    return path


def _list_read(folder: Path) -> Iterable[float]:
    found = read_csv(folder / "list.csv")
    return [len(found.files), len(found.classes)]


def _arrays(folder: Path) -> Path:
    images = np.stack([_pixels()] * 6)
    labels = np.arange(6) % 2
    np.savez_compressed(folder / "a.npz", x_train=images, y_train=labels, x_test=images[:2], y_test=labels[:2])
    return folder / "a.npz"


def _arrays_read(folder: Path) -> Iterable[float]:
    found = read_npz(folder / "a.npz")
    return [float(found.images.sum()), float(found.labels.sum())]


def _recipe(folder: Path) -> Path:
    path = folder / "recipe.yaml"
    path.write_bytes((shipped_room("training_recipes") / "mobileone.yaml").read_bytes())
    return path


def _recipe_read(folder: Path) -> Iterable[float]:
    return [load_recipe(folder / "recipe.yaml").epochs]


def _checkpoint(folder: Path) -> Path:
    import torch

    from nas.training.checkpoint import FILE, Checkpoint, write_checkpoint

    tensors = {"weight": torch.ones(3, 4), "steps": torch.arange(3)}
    write_checkpoint(folder / FILE, Checkpoint(question={"seed": 0}, document={"epoch": 1}, tensors=tensors))
    return folder / FILE


def _checkpoint_read(folder: Path) -> Iterable[float]:
    from nas.training.checkpoint import FILE, check_finite, read_checkpoint

    found = read_checkpoint(folder / FILE)
    check_finite(found.tensors)
    return [len(found.tensors), len(found.document)]


DATA_READERS: tuple[Reader, ...] = (
    _picture("PNG"),
    _picture("JPEG"),
    Reader(name="list of images", kind="text", write=_list, read=_list_read),
    Reader(name="arrays of images", kind="bytes", write=_arrays, read=_arrays_read),
    Reader(name="recipe", kind="text", write=_recipe, read=_recipe_read),
    Reader(name="checkpoint", kind="bytes", write=_checkpoint, read=_checkpoint_read),
)
