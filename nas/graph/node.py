"""The nodes of which graphs are made."""

from __future__ import annotations

from typing import NamedTuple

from nas.graph.ops import Op
from nas.graph.rows import Row, Shape, repeated


class Node(NamedTuple):
    """One operator in a graph; its value is known by its position there.

    `layer` numbers the layer (block) of the architecture that it belongs to; 0 for the input. `feature` marks a map
    inside a layer that a backbone may hand out, as it does the results of layers. `shape` is that of one image; `times`
    is how many there are of it: images of a batch, trips of a loop. `shared` of its learned numbers are those of a node
    before it, or of none: they are counted there, if at all.
    """

    op: Op
    inputs: tuple[int, ...]
    shape: Shape
    layer: int
    feature: bool = False
    times: int = 1
    shared: int = 0

    def params(self, inputs: tuple[Shape, ...]) -> int:
        """Learned numbers of the inference form that no node before it has."""
        return self.op.params(inputs) - self.shared

    def training_params(self, inputs: tuple[Shape, ...]) -> int:
        """Those of the training form."""
        return self.op.training_params(inputs) - self.shared

    def rows(self, inputs: tuple[Shape, ...]) -> tuple[Row, ...]:
        """The rows that a runtime executes, of all `times`, given the operands' shapes: maps one below the other."""
        return tuple(repeated(row, self.times) for row in self.op.rows(inputs, self.shape))

    def macs(self, inputs: tuple[Shape, ...]) -> int:
        """Multiply-adds of all `times`."""
        return self.op.macs(inputs, self.shape) * self.times
