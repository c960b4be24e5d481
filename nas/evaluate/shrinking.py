"""NetAdapt on networks: explicit channels, costs updated by what a change touches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from nas.evaluate.figures import Figures
from nas.evaluate.models import Models
from nas.graph.rows import Shape
from nas.space.architecture import Architecture, Layer
from nas.space.compile.batch import Place, places_of
from nas.space.compile.compiled import Floats
from nas.space.shrink import width_changes
from nas.strategies import Goal, Move, NetAdapt, NetAdaptResult

_Place = tuple[int, Layer, Shape]
"""A layer in a network by its position, with the shape of its input."""


class ShrunkNetwork:
    """A network on its way down: its layers, the shapes of their inputs, and its additive costs, shape (columns,)."""

    __slots__ = ("_hash", "inputs", "layers", "sums")

    def __init__(self, layers: tuple[Layer, ...], inputs: tuple[Shape, ...], sums: Floats, key: int) -> None:
        self.layers, self.inputs, self.sums, self._hash = layers, inputs, sums, key

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ShrunkNetwork) and self._hash == other._hash and self.layers == other.layers


class ChannelAdaptation:
    """Shrinks networks of one input size by NetAdapt, ranking by `Figures.score`.

    Widths become multiples of `divisor`; those at which a segment has no latency are left out.
    `persist` is that of `NetAdapt`.
    """

    def __init__(
        self, models: Models, *, divisor: int = 8, beam: int = 5, step: float = 0.01, persist: bool = False
    ) -> None:
        self._models, self._divisor = models, divisor
        self._frame: Architecture | None = None
        self._imagenet_shapes: dict[int, Shape | None] = {}
        self._netadapt = NetAdapt(
            moves=self._moves,
            standing=lambda states: self._figures(states).standing,
            score=lambda states: self._figures(states).score,
            beam=beam,
            step=step,
            persist=persist,
        )

    def shrink(
        self,
        start: Architecture,
        *,
        target_ms: float,
        goal: Goal | None = None,
        progress: Callable[[float], None] = lambda share: None,
    ) -> NetAdaptResult[ShrunkNetwork]:
        """The answers that shrinking `start` leads to (`NetAdapt.shrink`); `network` turns them into networks.

        `progress` is told after each round how much of the way is done, from 0 to 1.
        """
        self._frame = start
        self._imagenet_shapes = {i: place.imagenet_shape for i, place in enumerate(places_of(start))}
        sums = self._models.sums([start])[0]
        state = ShrunkNetwork(start.layers, start.layer_inputs(), sums, _key(enumerate(start.layers)))
        return self._netadapt.shrink(state, target_ms=target_ms, goal=goal, progress=progress)

    @staticmethod
    def network(state: ShrunkNetwork, start: Architecture) -> Architecture:
        """The network of a state that `start` led to, named by its digest."""
        network = replace(start, layers=state.layers, genes={})
        return network.named(f"{start.family}-{network.digest[:8]}")

    def _architecture(self, state: ShrunkNetwork) -> Architecture:
        assert self._frame is not None
        return replace(self._frame, layers=state.layers)

    def _moves(self, state: ShrunkNetwork) -> Iterable[Move[ShrunkNetwork]]:
        moves = list(self._changes(state))
        if self._models.latency.operators is not None or not moves:
            return moves
        uncovered = self._figures([move.state for move in moves]).uncovered.tolist()
        return [move for move, lacks in zip(moves, uncovered, strict=True) if not lacks]

    def _changes(self, state: ShrunkNetwork) -> Iterable[Move[ShrunkNetwork]]:
        """Every way to narrow a width or several that are tied."""
        changes = list(width_changes(self._architecture(state), self._divisor))
        if not changes:
            return
        touched = [sorted({*change.layers, *change.inputs}) for change in changes]
        places: list[list[_Place]] = []
        for change, positions in zip(changes, touched, strict=True):
            places.append(
                [
                    (
                        i,
                        change.layers.get(i, state.layers[i]),
                        (change.inputs[i], *state.inputs[i][1:]) if i in change.inputs else state.inputs[i],
                    )
                    for i in positions
                ]
            )
        old = self._costs(list(zip(range(len(state.layers)), state.layers, state.inputs, strict=True)))
        new = self._costs([place for changed in places for place in changed])
        at = 0
        for change, positions, changed in zip(changes, touched, places, strict=True):
            sums = self._models.replaced(state.sums, old, positions, new[at : at + len(positions)])
            at += len(positions)
            layers, inputs = list(state.layers), list(state.inputs)
            for i, layer, shape in changed:
                layers[i], inputs[i] = layer, shape
            key = hash(state) ^ _key((i, state.layers[i]) for i in positions) ^ _key((i, layers[i]) for i in positions)
            yield Move(layer=change.width, state=ShrunkNetwork(tuple(layers), tuple(inputs), sums, key))

    def _costs(self, places: Sequence[_Place]) -> Floats:
        assert self._frame is not None
        classes, side = self._frame.num_classes, self._frame.side
        return self._models.layer_costs(
            [(Place(layer, shape, classes, self._imagenet_shapes[i]), side) for i, layer, shape in places]
        )

    def _figures(self, states: list[ShrunkNetwork]) -> Figures:
        assert self._frame is not None
        resolution = np.full(len(states), self._frame.side)
        return self._models.figures_of_sums(np.stack([state.sums for state in states]), resolution)


def _key(layers: Iterable[tuple[int, Layer]]) -> int:
    """A hash that changes layer by layer (the exclusive or of the layers' own)."""
    key = 0
    for i, layer in layers:
        key ^= hash((i, hash(layer)))
    return key


__all__ = ["ChannelAdaptation", "ShrunkNetwork"]
