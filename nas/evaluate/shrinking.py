"""NetAdapt on networks, and filling a target: explicit channels, costs updated by what a change touches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from nas.evaluate.figures import Figures
from nas.evaluate.limits import MEMORY
from nas.evaluate.models import Models
from nas.graph.memory import bytes_per_number
from nas.graph.rows import Shape
from nas.space.architecture import Architecture, Layer
from nas.space.compile.batch import Place, places_of
from nas.space.compile.compiled import Floats
from nas.space.shrink import width_changes
from nas.strategies import Goal, Move, NetAdapt, NetAdaptResult
from nas.strategies.problem import Standing

_EXCHANGED = 8
"""How many narrower widths are tried as payment for a wider one."""

Height = Callable[[list["ShrunkNetwork"], float], Floats]
"""What a way down wins (`NetAdapt.height`)."""

_Place = tuple[int, Layer, Shape]
"""A layer in a network by its position, with the shape of its input."""


class ShrunkNetwork:
    """A network on its way down: its layers, the shapes of their inputs, its costs, shape (columns,), and the last of
    these of each layer, shape (layers,): where memory is limited, how many numbers are alive in it at once."""

    __slots__ = ("_hash", "inputs", "layers", "peaks", "sums")

    def __init__(
        self, layers: tuple[Layer, ...], inputs: tuple[Shape, ...], sums: Floats, peaks: Floats, key: int
    ) -> None:
        self.layers, self.inputs, self.sums, self.peaks, self._hash = layers, inputs, sums, peaks, key

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ShrunkNetwork) and self._hash == other._hash and self.layers == other.layers


class ChannelAdaptation:
    """Shrinks networks of one input size by NetAdapt, ranking by `Figures.score`.

    Widths become multiples of `divisor`; those at which a segment has no latency are left out.
    `persist` is that of `NetAdapt`; what aims at memory always does.
    """

    def __init__(
        self, models: Models, *, divisor: int = 8, beam: int = 5, step: float = 0.01, persist: bool = False
    ) -> None:
        self._models, self._divisor = models, divisor
        self._frame: Architecture | None = None
        self._imagenet_shapes: dict[int, Shape | None] = {}
        # Memory is what the greatest layer needs: narrowing one of two equal ones wins nothing of it.
        self.height: Height | None = self._memory_height if models.aim == MEMORY else None
        """`NetAdapt.height` of these networks."""
        self._netadapt = NetAdapt(
            moves=self.moves,
            standing=self.standing,
            score=lambda states: self._figures(states).score,
            beam=beam,
            step=step,
            persist=persist or models.aim == MEMORY,
            height=self.height,
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
        return self._netadapt.shrink(self.state(start), target_ms=target_ms, goal=goal, progress=progress)

    def fill(self, start: Architecture, goal: Goal) -> Architecture:
        """The answer by `goal` that changing widths of `start`, an answer, leads to; `start` where nothing is better.

        NetAdapt takes its last step where a layer happens to win enough, so it may end well below the target. From
        there the best change of one width, narrower or wider, is taken as long as one is better; then a narrower width
        that pays for a wider one.
        """
        state = self.state(start)
        value = self._values([state], goal)[0]
        while True:
            singles = [*self.moves(state), *self.moves(state, wider=True)]
            better = self._best(singles, goal, value)
            if better is None:
                better = self._best(self._exchanges(state, singles), goal, value)
            if better is None:
                return start if state.layers == start.layers else self.network(state, start)
            state, value = better

    def _exchanges(self, state: ShrunkNetwork, singles: Sequence[Move[ShrunkNetwork]]) -> list[Move[ShrunkNetwork]]:
        """Wider widths behind those narrower ones that lose least for the latency that they win."""
        figures = self._figures([state, *(move.state for move in singles)])
        won = figures.standing.bounded_ms[0] - figures.standing.bounded_ms[1:]
        lost = figures.score[0] - figures.score[1:]
        rate = np.where(won > 0, lost / np.maximum(won, 1e-12), np.inf)
        cheapest = [i for i in np.argsort(rate, kind="stable")[:_EXCHANGED].tolist() if won[i] > 0]
        return [wider for i in cheapest for wider in self.moves(singles[i].state, wider=True)]

    def _best(
        self, moves: Sequence[Move[ShrunkNetwork]], goal: Goal, value: float
    ) -> tuple[ShrunkNetwork, float] | None:
        """The best answer among moves that is worth more than `value`."""
        if not moves:
            return None
        values = self._values([move.state for move in moves], goal)
        best = int(np.argmax(values))
        return (moves[best].state, float(values[best])) if values[best] > value else None

    def _values(self, states: list[ShrunkNetwork], goal: Goal) -> Floats:
        """`Goal.value` of answers, and minus infinity of what is none."""
        figures = self._figures(states)
        value = goal.reward.reward(figures.score, figures.standing.bounded_ms, goal.target_ms)
        return np.where(goal.feasible(figures.standing), value, -np.inf)

    def state(self, network: Architecture) -> ShrunkNetwork:
        """`network` as a start; from now on all states are descendants of it."""
        self._frame = network
        self._imagenet_shapes = {i: place.imagenet_shape for i, place in enumerate(places_of(network))}
        sums = self._models.sums([network])[0]
        inputs = network.layer_inputs()
        peaks = self._costs(list(zip(range(len(inputs)), network.layers, inputs, strict=True)))[:, -1]
        return ShrunkNetwork(network.layers, inputs, sums, peaks, _key(enumerate(network.layers)))

    @staticmethod
    def network(state: ShrunkNetwork, start: Architecture) -> Architecture:
        """The network of a state that `start` led to, named by its digest."""
        network = replace(start, layers=state.layers, genes={})
        return network.named(f"{start.family}-{network.digest[:8]}")

    def _architecture(self, state: ShrunkNetwork) -> Architecture:
        assert self._frame is not None
        return replace(self._frame, layers=state.layers)

    def moves(self, state: ShrunkNetwork, *, wider: bool = False) -> list[Move[ShrunkNetwork]]:
        """Every way to make a width, or several that are tied, narrower or wider."""
        moves = list(self._changes(state, wider))
        if self._models.latency.operators is not None or not moves:
            return moves
        uncovered = self._figures([move.state for move in moves]).uncovered.tolist()
        return [move for move, lacks in zip(moves, uncovered, strict=True) if not lacks]

    def standing(self, states: list[ShrunkNetwork]) -> Standing:
        """How states stand against the aim and the limits."""
        return self._figures(states).standing

    def latency_ms(self, states: list[ShrunkNetwork]) -> Floats:
        """The mean latency of states, shape (states,)."""
        return self._figures(states).latency_ms

    def _memory_height(self, states: list[ShrunkNetwork], at_most: float) -> Floats:
        """The bytes alive at once, and those by which each layer exceeds the limit, summed, shape (states,)."""
        bytes_each = bytes_per_number(self._models.latency.device.precision)
        layers = bytes_each * np.stack([state.peaks for state in states])
        return np.asarray(layers.max(axis=1) + np.maximum(layers - at_most, 0.0).sum(axis=1))

    def _changes(self, state: ShrunkNetwork, wider: bool) -> Iterable[Move[ShrunkNetwork]]:
        changes = list(width_changes(self._architecture(state), self._divisor, wider=wider))
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
            costs = new[at : at + len(positions)]
            sums = self._models.replaced(state.sums, old, positions, costs)
            peaks = state.peaks.copy()
            peaks[positions] = costs[:, -1]
            at += len(positions)
            layers, inputs = list(state.layers), list(state.inputs)
            for i, layer, shape in changed:
                layers[i], inputs[i] = layer, shape
            key = hash(state) ^ _key((i, state.layers[i]) for i in positions) ^ _key((i, layers[i]) for i in positions)
            yield Move(layer=change.width, state=ShrunkNetwork(tuple(layers), tuple(inputs), sums, peaks, key))

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
