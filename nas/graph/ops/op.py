"""What every primitive operator knows: its shape rule, parameters, MACs, lowering and canonical text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nas.graph.rows import Row, Shape


@dataclass(frozen=True, slots=True)
class Op:
    """Base of the primitive operators. `inputs` are always the shapes of the operands, `out` the result's."""

    name: ClassVar[str] = "op"

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        """The shape of the result. Raises `ValueError` where the operands do not fit."""
        return inputs[0]

    def params(self, inputs: tuple[Shape, ...]) -> int:
        """Learned numbers of the inference form."""
        return 0

    def training_params(self, inputs: tuple[Shape, ...]) -> int:
        """Learned numbers of the training form (batch norm: scale and shift, no running statistics)."""
        return self.params(inputs)

    def macs(self, inputs: tuple[Shape, ...], out: Shape) -> int:
        """Multiply-adds of convolutions, linear layers and matrix products; 0 for everything else."""
        return 0

    def training_macs(self, inputs: tuple[Shape, ...], out: Shape) -> int:
        """Multiply-adds of the training form (every branch of a re-parameterisable convolution counts)."""
        return self.macs(inputs, out)

    def rows(self, inputs: tuple[Shape, ...], out: Shape) -> tuple[Row, ...]:
        """The operator rows that a runtime executes; empty where nothing is left to do."""
        return ()

    def text(self) -> str:
        """Canonical text of the operator and its attributes, without shapes."""
        return self.name


@dataclass(frozen=True, slots=True)
class Input(Op):
    """The image, or the input of a segment that is built alone."""

    name: ClassVar[str] = "input"
    shape: Shape

    def infer(self, inputs: tuple[Shape, ...]) -> Shape:
        return self.shape
