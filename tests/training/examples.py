"""A small network, and small sets of images whose classes can be told."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from nas.data.prepared import Prepared, Split
from nas.space import Architecture, parse_architecture

CLASSES = ("dark", "green", "bright")
LAYERS = [
    {"block": "conv", "out": 8, "stride": 2},
    {"block": "mbconv", "out": 8, "hidden": 16},
    {"block": "mobileone", "out": 16, "stride": 2, "branches": 2},
    {"block": "head"},
]


def network(*, classes: int = len(CLASSES), resolution: int = 16, **change: Any) -> Architecture:
    """A few thousand weights; re-parameterised in one layer."""
    document = {"schema": 1, "name": "tiny", "resolution": resolution, "num_classes": classes, "layers": LAYERS}
    return parse_architecture({**document, **change}, "tiny")


def data(train: int = 96, *, val: int = 24, test: int = 24, side: int = 16, seed: int = 5) -> Prepared:
    """Noise around a colour for each class: after some epochs a network tells most of them."""
    rng = np.random.default_rng(seed)
    colours = np.array([[60, 60, 60], [90, 150, 90], [170, 170, 170]])

    def split(count: int, name: str) -> Split:
        labels = rng.integers(0, len(CLASSES), count)
        noise = rng.normal(0, 40, (count, side, side, 3))
        images = np.clip(colours[labels][:, None, None] + noise, 0, 255).astype(np.uint8)
        return Split(images=images, labels=labels.astype(np.int64), names=tuple(f"{name}/{i}" for i in range(count)))

    parts = {"train": split(train, "train"), "val": split(val, "val"), "test": split(test, "test")}
    digest = hashlib.sha256(b"".join(part.images.tobytes() for part in parts.values())).hexdigest()[:16]
    return Prepared(
        classes=CLASSES, digest=digest, train=parts["train"], val=parts["val"], test=parts["test"]
    )  # fmt: skip
