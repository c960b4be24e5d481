"""The figures of networks from sums over their parts: one reading, for one network and for a million."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nas.accuracy.estimate import AccuracyFigures
from nas.accuracy.frontier import Frontier
from nas.accuracy.model import AccuracyModel
from nas.accuracy.selection import SELECTION
from nas.evaluate.also import Also
from nas.evaluate.limits import LATENCY, Limits
from nas.evaluate.usual import UsualWidths
from nas.graph.memory import bytes_per_number
from nas.latency.model import LatencyModel
from nas.latency.published.warnings import is_large_side
from nas.strategies import Evaluation, Standing

Floats = NDArray[np.float64]

Group = Literal["params", "macs", "ms", "latency", "accuracy", "uncovered", "also", "peak"]
"""Columns that are read together: parameters, MACs and milliseconds (n,); what `LatencyModel.bounds` reads (n, k); what
the accuracy model reads (n, columns); how many segments have no latency (n,), there where the device has no cost model;
`Also.columns` of further devices, one after another (n, columns); the most numbers alive at once (n,), there where
memory is limited."""

SINGLE: frozenset[Group] = frozenset(("params", "macs", "ms", "uncovered", "peak"))
"""Groups of one column, which has shape (n,)."""

GREATEST: frozenset[Group] = frozenset(("peak",))
"""Groups of which a network has what its greatest part has; all others are additive."""

Sums = Callable[[Group], NDArray[np.floating]]
"""The columns of a group, summed over the parts of each of n networks; the greatest for those of `GREATEST`."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Figures:
    """What n networks are worth; all columns have shape (n,), and each is worked out when it is first asked for.

    `sums` gives what the parts of the networks add up to, `resolution` (n,) their input sides in pixels. `quick` is
    passed on to `AccuracyModel.figures`. `frontier` is what the claims of chosen networks are measured against; None:
    they are taken as they are. `also` are further devices; `aim` is the column that the target is for
    (`nas.evaluate.limits.Aim`); `usual` is what the widths of intervals are measured against; None: nothing is.
    """

    latency: LatencyModel
    accuracy_model: AccuracyModel
    limits: Limits
    frontier: Frontier | None
    sums: Sums
    resolution: Floats
    quick: bool = False
    also: tuple[Also, ...] = ()
    aim: str = LATENCY
    usual: UsualWidths | None = None

    def __len__(self) -> int:
        return len(self.resolution)

    @cached_property
    def params(self) -> Floats:
        """Parameters."""
        return np.asarray(self.sums("params"), dtype=np.float64)

    @cached_property
    def macs(self) -> Floats:
        """Multiply-adds."""
        return np.asarray(self.sums("macs"), dtype=np.float64)

    @cached_property
    def size_bytes(self) -> Floats:
        """Bytes of the parameters at the device's precision."""
        return self.params * bytes_per_number(self.latency.device.precision)

    @cached_property
    def memory_bytes(self) -> Floats:
        """Bytes of the maps alive at once at the device's precision; only where `Limits` limit them."""
        peaks = np.asarray(self.sums("peak"), dtype=np.float64)
        return peaks * bytes_per_number(self.latency.device.precision)

    @cached_property
    def latency_ms(self) -> Floats:
        """The mean latency in milliseconds."""
        return np.asarray(self.latency.fixed_ms + self.sums("ms"), dtype=np.float64)

    @cached_property
    def interval_ms(self) -> tuple[Floats, Floats]:
        """The ends of the central 90 % interval of the latency, in milliseconds."""
        sums = np.asarray(self.sums("latency"), dtype=np.float64)
        return self.latency.bounds(self.latency_ms, sums, large=is_large_side(self.resolution))

    @cached_property
    def also_ms(self) -> Floats:
        """The latency on each further device that must meet its target there, as `bounded_ms`, shape (n, devices)."""
        large = is_large_side(self.resolution)
        found = [
            one.bounded_ms(sums, self.limits, large=large) for one, sums in zip(self.also, self._also_sums, strict=True)
        ]
        return np.stack(found, axis=1) if found else np.zeros((len(self), 0))

    @cached_property
    def also_beyond(self) -> Floats:
        """How far the latency on each further device is above its target, relative to it, shape (n, devices)."""
        targets_ms = np.array([one.target_ms for one in self.also])
        return np.asarray(np.maximum(self.also_ms / targets_ms - 1.0, 0.0))

    @cached_property
    def _also_sums(self) -> list[Floats]:
        """The sums of the columns of each further device, shape (n, columns) each."""
        if not self.also:
            return []
        ends = np.cumsum([len(one.columns(self.limits)) for one in self.also])
        return np.split(np.asarray(self.sums("also"), dtype=np.float64), ends[:-1], axis=1)

    @cached_property
    def interval_ratio(self) -> Floats:
        """The widths of the intervals of the latencies in usual ones; 0 where nothing says what is usual."""
        if self.usual is None:
            return np.zeros(len(self))
        low, high = self.interval_ms
        return self.usual.ratio(self.latency_ms, np.log(high / low))

    @cached_property
    def bounded_ms(self) -> Floats:
        """The latency that must meet the target: the mean, or the quantile at `Limits.confidence`."""
        if self.limits.confidence is None:
            return self.latency_ms
        return self.limits.bounded_ms(self.latency_ms, self.interval_ms[1])

    @cached_property
    def uncovered(self) -> Floats:
        """How many segments have no latency (`LatencyModel.covers`), on all devices together: where there are any, the
        latency means nothing."""
        found = np.zeros(len(self))
        if self.latency.operators is None:
            found += self.sums("uncovered")
        for one, sums in zip(self.also, self._also_sums, strict=True):
            found += one.uncovered(sums)
        return found

    @cached_property
    def standing(self) -> Standing:
        """How the networks stand against target and limits; each segment without a latency exceeds a limit by 1."""
        standing = self.standing_of_any_width
        if self.usual is None or self.limits.max_interval is None:
            return standing
        beyond = self.limits.interval_excess(self.interval_ratio, quick=self.quick)
        return Standing(bounded_ms=standing.bounded_ms, excess=standing.excess + beyond)

    @cached_property
    def standing_of_any_width(self) -> Standing:
        """The same however wide the intervals of the latencies are."""
        excess = self.limits.excess(self._column, len(self), but=self.aim)
        return Standing(
            bounded_ms=self._column(self.aim), excess=excess + self.also_beyond.sum(axis=1) + self.uncovered
        )

    @cached_property
    def accuracy(self) -> AccuracyFigures:
        """Accuracies with their intervals, and novelties, as the model has them: of networks that nobody chose."""
        return self.accuracy_model.figures(self.sums("accuracy"), self.resolution, quick=self.quick)

    @cached_property
    def believed(self) -> AccuracyFigures:
        """The same of networks that a search chose for them, corrected for that (`nas.accuracy.selection`)."""
        if self.frontier is None:
            return self.accuracy
        return SELECTION.believed(self.accuracy, self.frontier.at(self.latency_ms))

    @cached_property
    def score(self) -> Floats:
        """What networks are ranked by: the believed lower bound of accuracy, less penalties; none to be shown."""
        return self.limits.score(self.believed)

    @cached_property
    def evaluation(self) -> Evaluation:
        """What a strategy sees."""
        return Evaluation(
            bounded_ms=self.standing.bounded_ms,
            excess=self.standing.excess,
            accuracy=self.believed.mean,
            score=self.score,
        )

    def _column(self, name: str) -> Floats:
        column: Floats = getattr(self, name)
        return column
