"""A latency is a record with an interval and a source, never a bare number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from nas.figures import leaving

Source = Literal["measured", "predicted", "modelled", "published"]
"""*measured* on the device, here or by whoever made an imported table; *predicted* by a model of measured rows;
*modelled* from published whole-network figures; *published* by others."""

SOURCES: tuple[Source, ...] = get_args(Source)
WEAKNESS: Mapping[Source, int] = {"measured": 0, "predicted": 1, "published": 2, "modelled": 3}
"""The larger, the further from a stopwatch on the device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A latency in milliseconds with its central 90 % interval and where it comes from.

    `shares` maps each source to its part of `mean_ms` (summing to 1); `source` is the weakest one of them. Raises
    `NasError` for numbers that are not finite: nothing shows or keeps such a one.
    """

    mean_ms: float
    low_ms: float
    high_ms: float
    source: Source
    shares: Mapping[Source, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        leaving("a latency", (self.mean_ms, self.low_ms, self.high_ms, *self.shares.values()))

    def as_json(self) -> dict[str, object]:
        """The record of the contract: mean_ms, low_ms, high_ms, source, shares, warnings."""
        return {
            "mean_ms": self.mean_ms,
            "low_ms": self.low_ms,
            "high_ms": self.high_ms,
            "source": self.source,
            "shares": dict(self.shares),
            "warnings": list(self.warnings),
        }
