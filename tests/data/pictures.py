"""Small data sets for tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def picture(seed: int, height: int = 8, width: int = 12) -> NDArray[np.uint8]:
    """An image of noise, of shape (height, width, 3)."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def save(path: Path, pixels: NDArray[np.uint8]) -> Path:
    """Write `pixels` without loss."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, format="PNG")
    return path


def folder_of(root: Path, counts: Mapping[str, int], **size: int) -> Path:
    """A folder of classes with so many images each, no two alike: NAME/000.png and so on."""
    seed = 0
    for name, count in counts.items():
        for i in range(count):
            save(root / name / f"{i:03}.png", picture(seed, **size))
            seed += 1
    return root
