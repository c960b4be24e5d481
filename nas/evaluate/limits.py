"""What an answer must keep, and what networks are ranked by."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from nas.accuracy.estimate import AccuracyFigures
from nas.errors import InputError

Floats = NDArray[np.float64]

LATENCY = "bounded_ms"
"""The column of `Figures` that a target latency is for."""

MEMORY = "memory_bytes"
"""The column of what the greatest layer needs; all others that may be aimed at are sums over layers."""

NOVELTY_PENALTY = 0.02
"""What a unit of novelty beyond the limit costs in the score, as a fraction of accuracy.

More than is believed of a farther network but where little is known, so that the best beyond the limit ranks below the
best within; no more than that, since published networks are islands, and a search must cross from one to another: with
twice as much it ends on the first one it finds."""

_ROUNDING = 1e-5
"""By how much an exact interval may exceed its limit: sums that are read quickly stray by less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """What a search must meet first, and NetAdapt wins: a `column` of `Figures` that is to be `at_most` so much.

    A target latency (`LATENCY`), or, in a search by limits alone, the first of these: then it takes the place of the
    latency wherever strategies speak of one (`Standing.bounded_ms`), in its own unit.
    """

    column: str
    at_most: float

    @property
    def target_ms(self) -> float | None:
        """The target latency, if there is one."""
        return self.at_most if self.column == LATENCY else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What an answer must keep besides the latency.

    `max_params` and `max_macs` limit parameters and multiply-adds. `max_size_bytes` limits the bytes of the parameters
    at the device's precision (float32 4, float16 2, int8 1 byte each): what a file holds of them, without its
    description of the operators (tens of kilobytes). `max_memory_bytes` limits the maps that are alive at once, at the
    same precision (`nas.graph.memory`).
    `confidence`: the latency must stay at or under the target with this one-sided probability (None: its mean must).
    `max_novelty`: how far from networks of published accuracy an answer may lie, in the typical distance between these
    (`nas.accuracy.novelty`); None: anywhere. Only where nothing within meets the target, the answer lies beyond.
    `max_interval`: how wide the 90 % interval of the latency may be, log(high / low), in the usual width for known
    networks of the latency (`nas.evaluate.usual`); None: as wide as it comes out.
    """

    max_params: int | None = None
    max_macs: int | None = None
    max_size_bytes: int | None = None
    max_memory_bytes: int | None = None
    confidence: float | None = None
    max_novelty: float | None = 1.0
    max_interval: float | None = 1.3

    def __post_init__(self) -> None:
        for name in ("max_params", "max_macs", "max_size_bytes", "max_memory_bytes", "max_novelty"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise InputError(f"{name} must be positive and finite, but got {value}; leave it out for no limit.")
        if self.confidence is not None and not 0.5 <= self.confidence < 1:
            raise InputError(f"confidence must be at least 0.5 and below 1, but got {self.confidence}.")
        if self.max_interval is not None and not 1 <= self.max_interval < math.inf:
            raise InputError(
                f"max_interval must be at least 1 and finite, but got {self.max_interval}; None is no limit."
            )

    @property
    def caps(self) -> Mapping[str, int]:
        """The most that a network may have of a column of `Figures`, for those that are limited, in a fixed order."""
        caps = {
            "params": self.max_params,
            "macs": self.max_macs,
            "size_bytes": self.max_size_bytes,
            MEMORY: self.max_memory_bytes,
        }
        return {name: cap for name, cap in caps.items() if cap is not None}

    def aim(self, target_ms: float | None) -> Aim:
        """What a search is for: the target latency in milliseconds, or, without one, the first of the caps.

        Raises `InputError` where there is neither, or a target that is not positive and finite.
        """
        if target_ms is None:
            for name, cap in self.caps.items():
                if self.confidence is not None:
                    raise InputError("a confidence is that of keeping a target latency, but there is none; state both.")
                return Aim(column=name, at_most=cap)
            raise InputError(
                "a target latency or a limit must be given, but there is neither; add --target-latency 1ms, or one of"
                " --max-params, --max-macs, --max-size and --max-memory."
            )
        if not (math.isfinite(target_ms) and target_ms > 0):
            raise InputError(f"the target must be positive and finite, but got target_ms={target_ms}.")
        return Aim(column=LATENCY, at_most=target_ms)

    def excess(self, column: Callable[[str], Floats], count: int, *, but: str = "") -> Floats:
        """How far `count` networks exceed the caps, relative to them, summed, shape (count,); 0 where all are kept.

        `column` gives the values of a column by its name, shape (count,). The cap of the column `but` is left out.
        """
        total = np.zeros(count)
        for name, cap in self.caps.items():
            if name != but:
                total += np.maximum(column(name) / cap - 1.0, 0.0)
        return total

    def interval_excess(self, ratio: Floats, *, quick: bool = False) -> Floats:
        """How far intervals exceed `max_interval`, relative to it, shape (n,); `ratio` (n,) are their widths in usual
        ones, `quick` whether from sums that were read quickly: whatever keeps the limit then keeps it exactly too."""
        if self.max_interval is None:
            return np.zeros(len(ratio))
        return np.maximum(ratio / self.max_interval - 1.0 - (0.0 if quick else _ROUNDING), 0.0)

    def bounded_ms(self, mean_ms: Floats, high_ms: Floats) -> Floats:
        """The quantile of the latency at `confidence`, by a lognormal through mean and upper end of the central 90 %
        interval, which is the quantile at 0.95; the mean itself without a confidence."""
        if self.confidence is None:
            return mean_ms
        quantile = NormalDist().inv_cdf(self.confidence) / NormalDist().inv_cdf(0.95)
        return np.asarray(mean_ms * (high_ms / mean_ms) ** quantile)

    def score(self, accuracy: AccuracyFigures) -> Floats:
        """The lower bound of accuracy, less a penalty for novelty beyond the limit, shape (n,)."""
        if self.max_novelty is None:
            return accuracy.low
        return np.asarray(accuracy.low - NOVELTY_PENALTY * np.maximum(accuracy.novelty - self.max_novelty, 0.0))
