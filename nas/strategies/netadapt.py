"""NetAdapt: shrink a network layer by layer until it meets a latency.

Yang et al., "NetAdapt: Platform-Aware Neural Network Adaptation for Mobile Applications", arXiv:1804.03230, section 3;
with the choices of MobileNetV3 (arXiv:1905.02244, section 4.2): expansions and tied bottleneck widths shrink, the best
ratio of accuracy change to latency change wins instead of the best accuracy, a round's budget is 1 % of the start.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, Literal, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from nas.errors import InputError
from nas.strategies.goal import Goal
from nas.strategies.problem import Standing

S = TypeVar("S", bound=Hashable)

Rule = Literal["smallest", "every"]
RULES: tuple[Rule, ...] = get_args(Rule)


@dataclass(frozen=True, slots=True, kw_only=True)
class Move(Generic[S]):
    """A shrink of one `layer` (a name; its moves are alternatives) and the state that it leads to."""

    layer: str
    state: S


@dataclass(frozen=True, slots=True, kw_only=True)
class Shrunk(Generic[S]):
    """A state with the latency that must meet the target, whether it is an answer (`Goal.feasible`), its score.

    `layer` is the one whose shrink led to it, from the state `parent` (None for a start).
    """

    state: S
    bounded_ms: float
    feasible: bool
    score: float
    layer: str = field(default="", compare=False)
    parent: Shrunk[S] | None = field(default=None, compare=False, repr=False)

    def path(self) -> tuple[Shrunk[S], ...]:
        """The states from the start to this one, both included."""
        found = [self]
        while (before := found[-1].parent) is not None:
            found.append(before)
        return tuple(reversed(found))


@dataclass(frozen=True, slots=True, kw_only=True)
class NetAdaptResult(Generic[S]):
    """What shrinking one start gave.

    `met` are all remembered answers, best first by the reward of their scores, of equal ones the faster; `best` is the
    first of them, None where no way led to one. `rounds` are the states kept by each round, best first. `timed` counts
    the states whose latency was asked.
    """

    start: Shrunk[S]
    best: Shrunk[S] | None
    met: tuple[Shrunk[S], ...]
    rounds: tuple[tuple[Shrunk[S], ...], ...]
    timed: int = field(compare=False)

    @property
    def least(self) -> Shrunk[S]:
        """The fastest of all states that were kept."""
        kept = (shrunk for kept in self.rounds for shrunk in kept)
        return min([self.start, *self.met, *kept], key=lambda shrunk: shrunk.bounded_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetAdapt(Generic[S]):
    """Shrinks states by `moves` until they meet a target.

    A state has *arrived* that keeps all limits at or under the target. A round looks at every state of the beam. A move
    is *enough* if it is faster and wins at least the round's budget (`step` times the latency of the start) or has
    arrived; it wins latency, or `height` where that is given. The candidates that a layer offers are, by `rule`:

    * "smallest": its first move that is enough (NetAdapt: the largest layer that meets the round's constraint). `moves`
      must give the moves of a layer from the smallest shrink to the largest.
    * "every": all of its moves that are enough.

    A layer without such a move offers none. Candidates are ordered by the change of score over the latency won: the
    least loss per millisecond is best, a gain better still. Of equal ones the first offered is better: states in the
    order of the beam, layers and moves in the order of `moves`. A state that several ways lead to counts once, by the
    best of them. Then:

    * with `remember_all` every candidate that is an answer is remembered, and the best `beam` of those that have not
      arrived go on;
    * without, the best `beam` of all candidates are kept: the answers are remembered, what has not arrived goes on.

    With the hard reward the two are one: what has arrived is an answer, and nothing else. With a reward that pays for
    latency there are answers on the way.

    It ends when none goes on; each move wins latency, so it always ends. With `persist` a round in which no layer
    offers a candidate is had again with half the budget, down to a thousandth of the first, so that a target far from
    the start is not missed for want of large steps. `beam=1, remember_all=False` is the plain greedy rule. `standing`
    and `score` (an array of shape (states,), higher is better) take a list of states; each is asked about a state once
    in a run, and the score only about candidates.

    `height` (of states and the target; an array of shape (states,)) takes the place of the latency in what a move wins:
    for what has plateaus, as the greatest of many parts, which does not fall where one of two equal ones does.
    """

    moves: Callable[[S], Iterable[Move[S]]]
    standing: Callable[[list[S]], Standing]
    score: Callable[[list[S]], NDArray[np.float64]]
    rule: Rule = "smallest"
    beam: int = 5
    step: float = 0.01
    remember_all: bool = True
    persist: bool = False
    height: Callable[[list[S], float], NDArray[np.float64]] | None = None

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise InputError(f"rule must be one of {', '.join(RULES)}, but got {self.rule!r}.")
        if self.beam < 1:
            raise InputError(f"beam must be at least 1, but got {self.beam}.")
        if not 0 < self.step < 1:
            raise InputError(f"step must be a share of the start's latency between 0 and 1, but got {self.step}.")

    def shrink(
        self,
        start: S,
        *,
        target_ms: float,
        goal: Goal | None = None,
        progress: Callable[[float], None] = lambda share: None,
    ) -> NetAdaptResult[S]:
        """The answers that shrinking to `target_ms` leads to; a start that has arrived is its own answer.

        `goal` says what is an answer, and ranks them; by default the hard reward at `target_ms`. `progress` is told
        after each round what share of the latency above the target its fastest state has lost.
        """
        return _Descent(self, start, target_ms, goal or Goal(target_ms=target_ms)).run(progress)


class _Descent(Generic[S]):
    """One run: what is known of states, and the states remembered."""

    def __init__(self, settings: NetAdapt[S], start: S, target_ms: float, goal: Goal) -> None:
        self._settings = settings
        self._target_ms, self._goal = target_ms, goal
        self._standing: dict[S, tuple[float, bool]] = {}
        """Of each state the bounded latency, and whether it is an answer."""
        self._height: dict[S, float] = {}
        """Of each state what its moves win of: the bounded latency, or what `NetAdapt.height` says."""
        self._arrived: set[S] = set()
        self._score: dict[S, float] = {}
        self._start = self._known([start])[0]
        self._budget = settings.step * self._height[start]
        self._least_budget = self._budget / 1000

    def run(self, progress: Callable[[float], None]) -> NetAdaptResult[S]:
        above_ms = self._start.bounded_ms - self._target_ms
        met: dict[S, Shrunk[S]] = {}
        rounds: list[tuple[Shrunk[S], ...]] = []
        if self._start.feasible:
            met[self._start.state] = self._start
        beam = [] if self._start.state in self._arrived else [self._start]
        reached = {self._start.state}
        while beam:
            children = [child for child in self._children(beam) if child.state not in reached]
            if not children and self._settings.persist and self._budget > self._least_budget:
                self._budget /= 2
                continue
            if self._settings.remember_all:
                met.update((child.state, child) for child in children if child.feasible)
                kept = [child for child in children if child.state not in self._arrived][: self._settings.beam]
            else:
                kept = children[: self._settings.beam]
                met.update((child.state, child) for child in kept if child.feasible)
            beam = [child for child in kept if child.state not in self._arrived]
            reached.update(child.state for child in kept)
            if kept:
                rounds.append(tuple(kept))
                won_ms = self._start.bounded_ms - min(child.bounded_ms for child in kept)
                progress(min(1.0, won_ms / above_ms) if above_ms > 0 else 0.0)
        answers = sorted(met.values(), key=lambda shrunk: (-self._value(shrunk), shrunk.bounded_ms))
        return NetAdaptResult(
            start=self._start,
            best=answers[0] if answers else None,
            met=tuple(answers),
            rounds=tuple(rounds),
            timed=len(self._standing),
        )

    def _value(self, shrunk: Shrunk[S]) -> float:
        return float(self._goal.reward.reward(shrunk.score, shrunk.bounded_ms, self._goal.target_ms))

    def _children(self, beam: Sequence[Shrunk[S]]) -> list[Shrunk[S]]:
        """The distinct candidates of all states of the beam, best first."""
        offers = self._offers(beam)
        known = dict(zip((one for _, _, one in offers), self._known([one for _, _, one in offers]), strict=True))
        rates: dict[S, float] = {}
        for parent, layer, state in offers:
            child = known[state]
            rate = (child.score - parent.score) / (self._height[parent.state] - self._height[state])
            if state not in rates or rate > rates[state]:
                rates[state] = rate
                known[state] = replace(child, layer=layer, parent=parent)
        return [known[state] for state in sorted(rates, key=lambda state: -rates[state])]

    def _offers(self, beam: Sequence[Shrunk[S]]) -> list[tuple[Shrunk[S], str, S]]:
        """(parent, layer, state that it offers), in the order of `moves`."""
        queues: list[dict[str, list[S]]] = []
        for parent in beam:
            layers: dict[str, list[S]] = {}
            for move in self._settings.moves(parent.state):
                layers.setdefault(move.layer, []).append(move.state)
            queues.append(layers)
        if self._settings.rule == "every":
            self._time([state for layers in queues for states in layers.values() for state in states])
            return [
                (parent, layer, state)
                for parent, layers in zip(beam, queues, strict=True)
                for layer, states in layers.items()
                for state in states
                if self._enough(parent, state)
            ]
        chosen = zip(beam, self._smallest(beam, queues), strict=True)
        return [(parent, layer, state) for parent, found in chosen for layer, state in found.items()]

    def _smallest(self, beam: Sequence[Shrunk[S]], queues: list[dict[str, list[S]]]) -> list[dict[str, S]]:
        """For each parent, layer → the first of its states that is enough.

        Timed a few at a time, twice as many each turn: most layers need only their first.
        """
        chosen: list[dict[str, S]] = [{} for _ in beam]
        waiting = [(i, layer) for i, layers in enumerate(queues) for layer in layers]
        begin, end = 0, 2
        while waiting:
            self._time([state for i, layer in waiting for state in queues[i][layer][begin:end]])
            rest = []
            for i, layer in waiting:
                states = queues[i][layer]
                enough = next((state for state in states[begin:end] if self._enough(beam[i], state)), None)
                if enough is not None:
                    chosen[i][layer] = enough
                elif end < len(states):
                    rest.append((i, layer))
            waiting, begin, end = rest, end, 2 * end
        # In the order of the layers, not in the order in which they were settled.
        return [
            {layer: found[layer] for layer in layers if layer in found}
            for found, layers in zip(chosen, queues, strict=True)
        ]

    def _enough(self, parent: Shrunk[S], state: S) -> bool:
        won = self._height[parent.state] - self._height[state]
        return won > 0 and (won >= self._budget or state in self._arrived)

    def _time(self, states: Iterable[S]) -> None:
        unknown = list(dict.fromkeys(state for state in states if state not in self._standing))
        if unknown:
            found = self._settings.standing(unknown)
            columns = zip(found.bounded_ms.tolist(), self._goal.feasible(found).tolist(), strict=True)
            self._standing.update(zip(unknown, columns, strict=True))
            height = self._settings.height
            heights = found.bounded_ms if height is None else height(unknown, self._target_ms)
            self._height.update(zip(unknown, heights.tolist(), strict=True))
            arrived = found.feasible(self._target_ms).tolist()
            self._arrived.update(state for state, there in zip(unknown, arrived, strict=True) if there)

    def _known(self, states: list[S]) -> list[Shrunk[S]]:
        self._time(states)
        unknown = list(dict.fromkeys(state for state in states if state not in self._score))
        if unknown:
            self._score.update(zip(unknown, map(float, self._settings.score(unknown)), strict=True))
        known = ((state, *self._standing[state]) for state in states)
        return [
            Shrunk(state=state, bounded_ms=bounded_ms, feasible=feasible, score=self._score[state])
            for state, bounded_ms, feasible in known
        ]


def shrink_choices(channels: int, *, multiple: int = 8, minimum: int = 8) -> tuple[int, ...]:
    """The multiples of `multiple` below `channels` and not below `minimum`, largest first (the smallest shrink)."""
    if multiple < 1 or minimum < 1:
        raise InputError(f"multiple and minimum must be at least 1, but got {multiple} and {minimum}.")
    largest = (channels - 1) // multiple * multiple
    return tuple(range(largest, minimum - 1, -multiple))


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelMoves:
    """The moves of a chain whose state is its channel counts, a tuple of integers.

    `layers` maps a layer to the positions that change together: one for an expansion, all that a residual ties together
    for a bottleneck width. A move sets all positions of a layer to one smaller multiple of `multiple`.
    """

    layers: Mapping[str, Sequence[int]]
    multiple: int = 8
    minimum: int = 8

    def __call__(self, state: tuple[int, ...]) -> list[Move[tuple[int, ...]]]:
        """All moves, layers in their order, smallest shrink first; `InputError` where tied positions differ."""
        moves = []
        for layer, positions in self.layers.items():
            widths = {state[position] for position in positions}
            if len(widths) != 1:
                raise InputError(f"positions tied in {layer} must have one width, but have {sorted(widths)}.")
            for width in shrink_choices(widths.pop(), multiple=self.multiple, minimum=self.minimum):
                tied = set(positions)
                shrunk = tuple(width if i in tied else channels for i, channels in enumerate(state))
                moves.append(Move(layer=layer, state=shrunk))
        return moves
