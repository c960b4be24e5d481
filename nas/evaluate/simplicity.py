"""How simple a network is to whoever has to build, read and speed it up: how many different things it is made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from nas.blocks import BLOCKS, plain
from nas.graph.operators import OperatorTable
from nas.space.architecture import Architecture, Layer

REGULAR = 16
"""A width is regular where it is a multiple of this: what vector units and accelerators work on without remainder."""

_SPATIAL = ("dense", "grp", "dw")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Simplicity:
    """What a network is made of; the less, the simpler, compared field by field in this order.

    `kinds`: families of blocks (the files of `nas.blocks`), plain convolutions and classifiers apart. `activations`:
    different ones, those inside squeeze-and-excitation apart. `kernels`: sizes of convolutions, 1x1 apart.
    `irregular_widths`: different widths of maps inside the network that are no multiple of `REGULAR`.
    """

    kinds: int
    activations: int
    kernels: int
    irregular_widths: int

    @property
    def is_uniform(self) -> bool:
        """Whether there is one kind of block and one activation at most."""
        return self.kinds <= 1 and self.activations <= 1

    def as_json(self) -> dict[str, int]:
        """The fields."""
        return asdict(self)

    def __str__(self) -> str:
        counts = (
            (self.kinds, "kind", " of block"),
            (self.activations, "activation", ""),
            (self.kernels, "kernel size", ""),
            (self.irregular_widths, "width", f" off multiples of {REGULAR}"),
        )
        return ", ".join(f"{count} {noun}{'' if count == 1 else 's'}{rest}" for count, noun, rest in counts)


def simplicity(network: Architecture) -> Simplicity:
    """The simplicity of a network."""
    return Simplicity(
        kinds=len(families(layer.block for layer in network.layers)),
        activations=len(activations(network)),
        kernels=len(kernels(network)),
        irregular_widths=len({width for layer, operators in _parts(network) for width in _irregular(layer, operators)}),
    )


def families(blocks: Iterable[str]) -> frozenset[str]:
    """The families of blocks with these names, plain convolutions and classifiers apart."""
    found = {BLOCKS.get(block, "layer").function.__module__ for block in blocks}
    return frozenset(found - {plain.__name__})


def activations(network: Architecture) -> frozenset[str]:
    """The activations of a network, those inside squeeze-and-excitation apart."""
    return frozenset(act for layer, operators in _parts(network) for act in _activations(layer, operators))


def kernels(network: Architecture) -> frozenset[int]:
    """The sizes of a network's convolutions, 1x1 apart."""
    return frozenset(kernel for _, operators in _parts(network) for kernel in _kernels(operators))


def named_activations(layer: Layer) -> frozenset[str] | None:
    """The activation that a layer's parameters name; None where they name none and the block has its own."""
    args = dict(layer.args)
    return frozenset({str(args["act"])} - {"none"}) if "act" in args else None


def _parts(network: Architecture) -> list[tuple[Layer, OperatorTable]]:
    return [(layer, segment.operators) for layer, segment in zip(network.layers, network.segments(), strict=True)]


def _activations(layer: Layer, operators: OperatorTable) -> Iterable[str]:
    named = named_activations(layer)
    if named is not None:
        return named
    kinds = operators.kind[_on_maps(operators)].tolist()
    return (kind.removeprefix("act:") for kind in kinds if kind.startswith("act:"))


def _kernels(operators: OperatorTable) -> Iterator[int]:
    return map(int, operators.kernel[np.isin(operators.kind, _SPATIAL) & (operators.kernel > 1)].tolist())


def _irregular(layer: Layer, operators: OperatorTable) -> Iterator[int]:
    if BLOCKS.get(layer.block, "layer").takes_classes:  # as many as there are classes
        return iter(())
    widths = operators.out_channels[np.isin(operators.kind, (*_SPATIAL, "pw")) & _on_maps(operators)]
    return map(int, widths[widths % REGULAR > 0].tolist())


def _on_maps(operators: OperatorTable) -> NDArray[np.bool_]:
    """Which operators give maps, not the single values of squeeze-and-excitation."""
    return np.asarray(operators.out_height * operators.out_width > 1)
