"""A user's folder of pictures, drawn: six classes, uneven sizes, some files that are damaged.

python -m tests.jobs.pictures FOLDER      draws FOLDER/photos, 1,200 pictures: the data of README.md's second search
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Draw = Callable[[ImageDraw.ImageDraw, NDArray[np.float64], tuple[int, int, int]], None]


def _ellipse(draw: ImageDraw.ImageDraw, box: NDArray[np.float64], colour: tuple[int, int, int]) -> None:
    draw.ellipse(box.tolist(), fill=colour)


def _square(draw: ImageDraw.ImageDraw, box: NDArray[np.float64], colour: tuple[int, int, int]) -> None:
    draw.rectangle(box.tolist(), fill=colour)


def _triangle(draw: ImageDraw.ImageDraw, box: NDArray[np.float64], colour: tuple[int, int, int]) -> None:
    left, top, right, bottom = box
    draw.polygon([(left, bottom), (right, bottom), ((left + right) / 2, top)], fill=colour)


def _ring(draw: ImageDraw.ImageDraw, box: NDArray[np.float64], colour: tuple[int, int, int]) -> None:
    draw.ellipse(box.tolist(), outline=colour, width=max(2, int((box[2] - box[0]) / 6)))


def _stripes(draw: ImageDraw.ImageDraw, box: NDArray[np.float64], colour: tuple[int, int, int]) -> None:
    left, top, right, bottom = box
    for i in range(3):
        y = top + (bottom - top) * (2 * i + 1) / 6
        draw.line([(left, y), (right, y)], fill=colour, width=max(2, int((bottom - top) / 8)))


def _cross(draw: ImageDraw.ImageDraw, box: NDArray[np.float64], colour: tuple[int, int, int]) -> None:
    left, top, right, bottom = box
    width = max(2, int((right - left) / 5))
    draw.line([(left, top), (right, bottom)], fill=colour, width=width)
    draw.line([(left, bottom), (right, top)], fill=colour, width=width)


SHAPES: Mapping[str, Draw] = {
    "balls": _ellipse, "boxes": _square, "crosses": _cross, "rings": _ring, "stripes": _stripes, "tents": _triangle,
}  # fmt: skip


def draw_pictures(folder: Path, count: int = 1200, *, damaged: int = 3, seed: int = 11) -> Path:
    """`count` pictures in a folder for each of six classes, the first classes somewhat larger; JPEG and PNG, 24 to 60
    pixels a side; `damaged` further files that are none."""
    rng = np.random.default_rng(seed)
    names = list(SHAPES)
    for name in names:
        (folder / name).mkdir(parents=True)
    shares = np.linspace(1.2, 0.8, len(names))
    labels = rng.permutation(np.repeat(np.arange(len(names)), np.round(count * shares / len(names)).astype(int)))
    for number, label in enumerate(labels[:count].tolist()):
        width, height = rng.integers(24, 61, 2).tolist()
        dark = rng.integers(0, 110, 3)
        image = Image.new("RGB", (width, height), tuple(dark.tolist()))
        side = min(width, height) * rng.uniform(0.6, 0.9)
        corner = rng.uniform(0, [width - side, height - side])
        box = np.array([*corner, *(corner + side)])
        colour = tuple((dark + rng.integers(90, 145, 3)).tolist())
        SHAPES[names[label]](ImageDraw.Draw(image), box, colour)
        suffix = "png" if number % 4 == 0 else "jpg"
        image.save(folder / names[label] / f"{number:04}.{suffix}")
    for number in range(damaged):
        place = folder / names[number % len(names)]
        whole = next(iter(sorted(place.glob("*.jpg")))).read_bytes()
        (place / f"damaged{number}.jpg").write_bytes(whole[: len(whole) // 3] if number % 2 else b"not a picture")
    return folder


if __name__ == "__main__":
    draw_pictures(Path(sys.argv[1]) / "photos")
