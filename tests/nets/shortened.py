"""One quick network of each family, with every kind of layer that its smallest variant has."""

from __future__ import annotations

from dataclasses import replace

from nas.space import Architecture
from nas.space.seeds import families, instantiate

NUM_CLASSES = 10


def shortened(family_name: str, resolution: int = 64) -> Architecture:
    """The variant of the fewest operators, for 10 classes at `resolution` (or the family's smallest above it).

    Where a layer comes several times in a row it comes once.
    """
    family = families()[family_name]
    size = max(resolution, family.min_resolution)
    variants = [instantiate(family, variant, size).architecture for variant in family.variants]
    network = min(variants, key=lambda variant: (len(variant.graph().nodes), variant.params))
    layers = [layer for i, layer in enumerate(network.layers) if i == 0 or layer != network.layers[i - 1]]
    return replace(network, layers=tuple(layers), num_classes=NUM_CLASSES)
