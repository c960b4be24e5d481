"""Why no network of a space meets target and limits: which of them cannot be met, and the smallest that there is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nas.errors import TargetError
from nas.evaluate import Aim, Models, SpaceProblem
from nas.evaluate.limits import LATENCY
from nas.evaluate.smallest import smallest
from nas.units import bytes_text, count_text

_NOUNS = {
    "params": ("parameters", "--max-params"),
    "macs": ("multiply-adds", "--max-macs"),
    "size_bytes": ("of parameters at the device's precision", "--max-size"),
    "memory_bytes": ("of maps alive at once", "--max-memory"),
}


def unmet(problem: SpaceProblem, models: Models, aim: Aim, *, within: Sequence[int], seed: int) -> TargetError:
    """The error that names what cannot be met.

    `within` is the point that exceeds the limits least, and of those the one with the least of what is aimed at.
    """
    limits: dict[str, float] = dict(models.limits.caps)
    if aim.target_ms is not None:
        limits = {LATENCY: aim.target_ms, **limits}
    words = _Words(problem, models)
    clauses, met, remedies = [], [], []
    codes: Sequence[int]
    for column, at_most in limits.items():
        value, codes = words.value(column, within), within
        if len(limits) > 1 and value > at_most:
            alone = smallest(problem, column, seed=seed)
            value, codes = min((value, codes), (alone.value, alone.codes))
        if value > at_most:
            clauses.append(f"{words.rule(column, at_most)}, but {words.smallest(column, codes)}")
            remedies.append(words.remedy(column))
        else:
            met.append(words.figure(column, value))
    if clauses:
        text, what = "; and ".join(clauses), " and ".join(remedies)
        remedy = f"raise {what} or take a space with smaller networks."
        return TargetError(f"a network of the space {problem.space.name} {text}; {remedy}")
    rules = " and ".join(words.rule(column, at_most) for column, at_most in limits.items())
    return TargetError(
        f"a network of the space {problem.space.name} {rules}, but none was found that does all of it, though the space"
        f" goes down to {', '.join(met)}, each for itself; of those found the nearest is {words.network(within)}; raise"
        " one of the limits or take a space with smaller networks."
    )


class _Words:
    """Limits and networks as sentences say them."""

    def __init__(self, problem: SpaceProblem, models: Models) -> None:
        self._problem, self._models = problem, models

    def value(self, column: str, codes: Sequence[int]) -> float:
        """A column of one point."""
        return float(self._problem.column(column, np.array([codes]))[0])

    def rule(self, column: str, at_most: float) -> str:
        """must …"""
        if column == LATENCY:
            confidence = self._models.limits.confidence
            sure = f" with a probability of {confidence:g}" if confidence else ""
            return f"must take at most {at_most:g} ms on {self._models.latency.device.name}{sure}"
        return f"must have at most {self.figure(column, at_most)}"

    def figure(self, column: str, value: float) -> str:
        """A value with its unit."""
        if column == LATENCY:
            return f"{value:.3g} ms"
        text = bytes_text(value) if column.endswith("_bytes") else count_text(value)
        return f"{text} {_NOUNS[column][0]}"

    def smallest(self, column: str, codes: Sequence[int]) -> str:
        """The smallest network of one column."""
        network = self._problem.space.decode(np.array(codes))
        if column != LATENCY:
            return f"the smallest one found, {network.name}, has {self.figure(column, self.value(column, codes))}"
        latency = self._models.latency.estimate(network)
        return (
            f"the fastest one found, {network.name}, takes {latency.mean_ms:.3g} ms"
            f" [{latency.low_ms:.3g}, {latency.high_ms:.3g}] ({latency.source})"
        )

    def remedy(self, column: str) -> str:
        """What is to be raised."""
        return "the target" if column == LATENCY else _NOUNS[column][1]

    def network(self, codes: Sequence[int]) -> str:
        """A network with all that is limited."""
        columns = [LATENCY, *self._models.limits.caps]
        figures = ", ".join(self.figure(column, self.value(column, codes)) for column in columns)
        return f"{self._problem.space.decode(np.array(codes)).name} ({figures})"
