"""The nodes of which graphs are made."""

from __future__ import annotations

from typing import NamedTuple

from nas.graph.ops import Op
from nas.graph.rows import Shape


class Node(NamedTuple):
    """One operator in a graph; its value is known by its position there.

    `layer` numbers the layer (block) of the architecture that it belongs to; 0 for the input. `feature` marks a map
    inside a layer that a backbone may hand out, as it does the results of layers.
    """

    op: Op
    inputs: tuple[int, ...]
    shape: Shape
    layer: int
    feature: bool = False
