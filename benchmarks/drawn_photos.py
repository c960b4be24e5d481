"""Draws what docs/your-data.md works with: `python -m benchmarks.drawn_photos FOLDER`.

`photos/` has 1,000 pictures of six shapes, with the faults of a collection of photos; `mobilenetv2_050.safetensors` is
a MobileNetV2 that was trained on pictures of eight other shapes, under the names and shapes of timm's
`mobilenetv2_050`. No photo and no published checkpoint is needed for either.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from safetensors.torch import save_file
from torch import nn

from nas.data import Prepared
from nas.data.prepared import Split
from nas.nets import GraphModule, build
from nas.space import load_architecture
from nas.training import load_recipe
from nas.training.loop import Training

Points = list[tuple[float, float]]

NETWORK, CHECKPOINT = "mobilenetv2-0.5@64", "mobilenetv2_050.safetensors"
PHOTOS = {"cross": 215, "disc": 180, "ring": 160, "square": 150, "star": 175, "triangle": 118}
"""How many pictures of a shape there are, without copies and files that cannot be read."""
OTHERS = ("arrow", "bar", "bolt", "crescent", "hexagon", "house", "kite", "wedge")
ROTATED = 6  # EXIF's number for a picture that must be turned clockwise to stand upright

_SHAPES: Mapping[str, Points] = {
    "arrow": [(-1, -0.25), (0.1, -0.25), (0.1, -0.7), (1, 0), (0.1, 0.7), (0.1, 0.25), (-1, 0.25)],
    "bar": [(-1, -0.2), (1, -0.2), (1, 0.2), (-1, 0.2)],
    "bolt": [(-0.2, -1), (0.5, -1), (0.1, -0.2), (0.6, -0.2), (-0.4, 1), (-0.05, 0.1), (-0.5, 0.1)],
    "cross": [(-0.3, -1), (0.3, -1), (0.3, -0.3), (1, -0.3), (1, 0.3), (0.3, 0.3), (0.3, 1), (-0.3, 1), (-0.3, 0.3),
              (-1, 0.3), (-1, -0.3), (-0.3, -0.3)],
    "house": [(-0.8, 1), (-0.8, -0.1), (0, -1), (0.8, -0.1), (0.8, 1)],
    "kite": [(0, -1), (0.6, -0.3), (0, 1), (-0.6, -0.3)],
    "square": [(-0.8, -0.8), (0.8, -0.8), (0.8, 0.8), (-0.8, 0.8)],
    "wedge": [(-1, 0.5), (1, 0.5), (1, -0.5)],
}  # fmt: skip


def _outline(shape: str) -> Points:
    """The corners of `shape` within a circle of radius 1.4."""
    match shape:
        case "disc" | "ring" | "crescent":
            return _polygon(40)
        case "hexagon":
            return _polygon(6)
        case "triangle":
            return _polygon(3)
        case "star":
            return [(x * (1 if i % 2 else 0.42), y * (1 if i % 2 else 0.42)) for i, (x, y) in enumerate(_polygon(10))]
        case _:
            return _SHAPES[shape]


def _polygon(corners: int) -> Points:
    angles = [2 * np.pi * i / corners for i in range(corners)]
    return [(float(np.cos(one)), float(np.sin(one))) for one in angles]


def picture(shape: str, rng: np.random.Generator, size: tuple[int, int] = (128, 96)) -> Image.Image:
    """`shape` somewhere, of some colour, size and turn, on a ground of two colours with a grain; `size` is (width,
    height)."""
    width, height = size
    ramp = np.linspace(0, 1, width)[None, :, None]
    dark, light = rng.integers(20, 100, (2, 3)), rng.integers(150, 236, (2, 3))
    (left, right), (ink, _) = (dark, light) if rng.random() < 0.5 else (light, dark)
    ground = left * (1 - ramp) + right * ramp + rng.normal(0, 9, (height, width, 3))
    image = Image.fromarray(np.clip(ground, 0, 255).astype(np.uint8))
    radius = rng.uniform(0.28, 0.42) * height
    middle = (rng.uniform(0.4, 0.6) * width, rng.uniform(0.42, 0.58) * height)
    turn = rng.uniform(-0.5, 0.5)

    def placed(points: Points, scale: float = 1.0, shift: float = 0.0) -> Points:
        return [
            (
                middle[0] + scale * radius * ((x + shift) * np.cos(turn) - y * np.sin(turn)),
                middle[1] + scale * radius * ((x + shift) * np.sin(turn) + y * np.cos(turn)),
            )
            for x, y in points
        ]

    draw = ImageDraw.Draw(image)
    draw.polygon(placed(_outline(shape)), fill=tuple(int(one) for one in ink))
    hole = {"ring": (0.55, 0.0), "crescent": (0.9, 0.45)}.get(shape)
    if hole is not None:
        draw.polygon(placed(_outline("disc"), *hole), fill=tuple(int(one) for one in left))
    return image


def draw_photos(folder: Path, rng: np.random.Generator) -> None:
    """Six folders of pictures, of which some are turned, two are copies, two cannot be read, and one is a text."""
    number = 1000
    for shape, count in PHOTOS.items():
        (folder / shape).mkdir(parents=True)
        for i in range(count):
            number += 1
            image, path = picture(shape, rng), folder / shape / f"IMG_{number}.jpg"
            exif = Image.Exif()
            if i % 9 == 0:
                exif[0x0112] = ROTATED
                image = image.transpose(Image.Transpose.ROTATE_90)
            image.save(path, quality=88, exif=exif)
    stars = sorted((folder / "star").iterdir())
    (folder / "star" / "IMG_copy.jpg").write_bytes(stars[0].read_bytes())
    (folder / "triangle" / "IMG_9001.jpg").write_bytes(stars[1].read_bytes())
    (folder / "ring" / "IMG_9002.jpg").write_bytes(stars[2].read_bytes()[:900])
    (folder / "disc" / "IMG_9003.jpg").write_text("This was a photo.\n")
    (folder / "names.txt").write_text("what is what\n")


def other_shapes(rng: np.random.Generator, each: int = 200) -> Prepared:
    """Pictures of the shapes that the checkpoint knows, at its size."""
    images, labels = [], []
    for label, shape in enumerate(OTHERS):
        for _ in range(each):
            cut = picture(shape, rng).crop((16, 0, 112, 96)).resize((64, 64))
            images.append(np.asarray(cut))
            labels.append(label)
    order = rng.permutation(len(images))
    stack: NDArray[np.uint8] = np.stack(images)[order]
    chosen = np.array(labels, np.int64)[order]
    names = tuple(str(i) for i in range(len(stack)))

    def split(places: slice) -> Split:
        return Split(images=stack[places], labels=chosen[places], names=names[places])

    last = len(stack) - 200
    return Prepared(
        classes=OTHERS, digest="", train=split(slice(0, last)), val=split(slice(0, 0)), test=split(slice(last, None))
    )


def timm_names() -> Iterator[str]:
    """The modules of timm's mobilenetv2_050 that hold weights, in the order in which they run."""
    yield from ("conv_stem", "bn1")
    for stage, blocks in enumerate((1, 2, 3, 4, 3, 3, 1)):
        for block in range(blocks):
            inside = "conv_dw bn1 conv_pw bn2" if stage == 0 else "conv_pw bn1 conv_dw bn2 conv_pwl bn3"
            yield from (f"blocks.{stage}.{block}.{name}" for name in inside.split())
    yield from ("conv_head", "bn2", "classifier")


def save_as_timm(module: GraphModule, path: Path) -> None:
    """Write the weights of a MobileNetV2 under timm's names."""
    kinds = (nn.Conv2d, nn.BatchNorm2d, nn.Linear)
    layers = [one for one in module.modules() if isinstance(one, kinds)]
    tensors = {
        f"{name}.{leaf}": value.contiguous()
        for name, layer in zip(timm_names(), layers, strict=True)
        for leaf, value in layer.state_dict().items()
    }
    save_file(tensors, path)


def main(folder: Path, seed: int = 0) -> None:
    """Draw the pictures, train the checkpoint's network, and write both below `folder`."""
    rng = np.random.default_rng(seed)
    draw_photos(folder / "photos", rng)
    network = load_architecture(NETWORK).adapted(num_classes=len(OTHERS))
    small = load_recipe("small").at_batch(16)
    recipe = replace(small, optimizer=replace(small.optimizer, lr=0.025))
    training = Training(build(network, seed=seed), other_shapes(rng), recipe, epochs=6, seed=seed)
    training.run(lambda one: None)
    print(f"{CHECKPOINT}: {100 * training.score(training.data.test).accuracy:.1f} % of other shapes right")
    save_as_timm(training.result(), folder / CHECKPOINT)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
