"""From the pixels of an image to what a network takes: a scale and a shift a channel, in training as after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """value = (pixel / 255 − mean) / std, with a mean and a std for each channel."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def scale(self) -> tuple[float, ...]:
        """What a pixel (0 to 255) is multiplied with, a number a channel."""
        return tuple(1 / (255 * std) for std in self.std)

    @property
    def shift(self) -> tuple[float, ...]:
        """What is added then, a number a channel."""
        return tuple(-mean / std for mean, std in zip(self.mean, self.std, strict=True))

    def as_json(self) -> dict[str, Any]:
        """{"mean": [...], "std": [...]}, of pixels divided by 255."""
        return {"mean": list(self.mean), "std": list(self.std)}


def preprocessing_for(channels: int) -> Preprocessing:
    """ImageNet's means and deviations for colour, as published weights expect; 0.5 and 0.25 for each other channel."""
    if channels == 3:
        return Preprocessing(mean=_IMAGENET_MEAN, std=_IMAGENET_STD)
    extra = channels - 3 if channels > 3 else channels
    colour = (_IMAGENET_MEAN, _IMAGENET_STD) if channels > 3 else ((), ())
    return Preprocessing(mean=(*colour[0], *(0.5,) * extra), std=(*colour[1], *(0.25,) * extra))


def read_preprocessing(document: Mapping[str, Any]) -> Preprocessing:
    """What `as_json` wrote."""
    return Preprocessing(mean=tuple(map(float, document["mean"])), std=tuple(map(float, document["std"])))


class Normalize:
    """Pixels (n, h, w, c) → values (n, c, h, w) in float32, channels last in memory: one pass without a copy."""

    def __init__(self, preprocessing: Preprocessing) -> None:
        self._scale = torch.tensor(preprocessing.scale)
        self._shift = torch.tensor(preprocessing.shift)

    def __call__(self, pixels: NDArray[np.uint8] | Tensor) -> Tensor:
        """The values of `pixels`, uint8 or any other numbers from 0 to 255."""
        x = torch.from_numpy(np.require(pixels, requirements="W")) if isinstance(pixels, np.ndarray) else pixels
        count, height, width, channels = x.shape
        # Rows of all channels at once: broadcasting along three values alone is many times slower.
        scale, shift = (one.to(x.device).repeat(width) for one in (self._scale, self._shift))
        values = torch.addcmul(shift, x.reshape(count, height, width * channels), scale)
        return values.view(count, height, width, channels).permute(0, 3, 1, 2)
