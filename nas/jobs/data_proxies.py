"""What untrained networks say of themselves on a user's images, asked once each."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from nas.jobs.trained import Teaching, images
from nas.space import Architecture
from nas.space.resolution import height_width

if TYPE_CHECKING:
    from nas.training.proxies import Proxies

IMAGES = 16
"""So many training images a network is looked at with; where there are fewer nothing is said."""

COLUMNS = ("naswot", "synflow", "zico", "expressivity", "progressivity", "trainability")
"""What the surrogate reads; parameters and multiply-adds it knows of every network."""

CANNOT_TRAIN = ("synflow", "zico", "trainability")
"""Without these no gradient reaches the weights, whatever the images are."""


class Sheet:
    """The proxies of networks at the initial weights of seed 0, on images as `teaching` has them."""

    def __init__(self, teaching: Teaching) -> None:
        self._teaching = teaching
        self._known: dict[str, Proxies | None] = {}
        self.refused: dict[str, str] = {}
        """Names of networks that cannot be trained, and why."""

    def values(self, network: Architecture) -> dict[str, float]:
        """{proxy: value}, parameters and multiply-adds left out, and what is no number."""
        found = self.proxies(network)
        return {name: value for name in COLUMNS if (value := getattr(found, name, None)) is not None}

    def columns(self, network: Architecture) -> list[float] | None:
        """The values of `COLUMNS`, nan where one is no number; None for a network that cannot be trained."""
        found = self.proxies(network)
        broken = {} if found is None else found.broken
        why = next((broken[name] for name in CANNOT_TRAIN if name in broken), None)
        if why is not None:
            self.refused[network.name] = why
            return None
        values = self.values(network)
        return [values.get(name, math.nan) for name in COLUMNS]

    def proxies(self, network: Architecture) -> Proxies | None:
        """All proxies of a network; None where there are too few images."""
        if network.digest not in self._known:
            self._known[network.digest] = self._proxies(network)
        return self._known[network.digest]

    def note(self) -> str | None:
        """What was refused, in a sentence."""
        if not self.refused:
            return None
        name, why = next(iter(self.refused.items()))
        return f"Refused untrained: {len(self.refused)} of the space; the first, {name}: {why}."

    def _proxies(self, network: Architecture) -> Proxies | None:
        import torch

        from nas.training.feed import resized
        from nas.training.preprocessing import Normalize, preprocessing_for
        from nas.training.proxies import proxies

        teaching, size = self._teaching, height_width(network.resolution)
        part = images(teaching.path, teaching.contents, size, network.in_channels).train
        if len(part) < IMAGES:
            return None
        chosen = np.linspace(0, len(part) - 1, IMAGES).round().astype(np.int64)
        values = resized(Normalize(preprocessing_for(network.in_channels))(part.images[chosen]), size)
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # on several the same network says something else the next time
        try:
            return proxies(network, values, torch.from_numpy(part.labels[chosen]), seed=0)
        finally:
            torch.set_num_threads(threads)
