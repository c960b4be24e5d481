"""Why no network meets target and limits: which of them cannot be met, and the smallest that there is."""

from __future__ import annotations

from collections.abc import Sequence

from nas.errors import TargetError
from nas.evaluate import Aim, Models, SpaceProblem
from nas.evaluate.limits import LATENCY
from nas.evaluate.smallest import Values, smallest
from nas.space import Architecture
from nas.units import bytes_text, count_text

_NOUNS = {
    "params": ("parameters", "--max-params"),
    "macs": ("multiply-adds", "--max-macs"),
    "size_bytes": ("of parameters at the device's precision", "--max-size"),
    "memory_bytes": ("of maps alive at once", "--max-memory"),
}


def unmet(
    problem: SpaceProblem, models: Models, aim: Aim, *, reach: float = 1.0, within: Sequence[int], seed: int
) -> TargetError:
    """The error that names what no network of a space can meet.

    `within` is the point that exceeds the limits least, and of those the one with the least of what is aimed at;
    `reach` is how many times the target the reward pays for.
    """
    words, space = _Words(models, reach), problem.space
    nearest = space.decode(within)
    if not models.covered([nearest]):
        devices = " and of ".join(latency.device.name for latency, _ in models.tables)
        return TargetError(
            f"a network of the space {space.name} must have a row in the table of {devices} for each of its layers, but"
            " none was found; import more rows."
        )
    clauses, met, remedies = [], [], []
    limits = _limits(models, aim, reach)
    for column, at_most in limits.items():
        least = nearest
        if len(limits) > 1:
            alone = space.decode(smallest(problem, words.values(problem, column), seed=seed).codes)
            least = min(nearest, alone, key=lambda network: words.value(column, network))
        if words.value(column, least) > at_most:
            clauses.append(f"{words.rule(column, at_most)}, but {words.smallest(column, least)}")
            remedies.append(words.remedy(column))
        else:
            met.append(words.figure(column, words.value(column, least)))
    if clauses:
        text, what = "; and ".join(clauses), " and ".join(remedies)
        remedy = f"raise {what} or take a space with smaller networks."
        return TargetError(f"a network of the space {space.name} {text}; {remedy}")
    rules = " and ".join(words.rule(column, at_most) for column, at_most in limits.items())
    return TargetError(
        f"a network of the space {space.name} {rules}, but none was found that does all of it, though the space goes"
        f" down to {', '.join(met)}, each for itself; of those found the nearest is {words.network(nearest)}; raise one"
        " of the limits or take a space with smaller networks."
    )


def unmet_by_shrinking(start: Architecture, least: Architecture, models: Models, aim: Aim) -> TargetError:
    """The error that names what shrinking `start` did not come down to; `least` is the smallest that was reached."""
    words = _Words(models)
    over = {column: cap for column, cap in _limits(models, aim).items() if words.value(column, least) > cap}
    clauses = "; and ".join(
        f"{words.rule(column, cap)}, but {words.smallest(column, least)}" for column, cap in over.items()
    )
    remedies = " and ".join(map(words.remedy, over))
    return TargetError(f"{start.name} made narrower {clauses}; raise {remedies}, or begin from a smaller network.")


def _limits(models: Models, aim: Aim, reach: float = 1.0) -> dict[str, float]:
    """Column of `Figures`, or name of a further device → the most that is allowed, the target among them."""
    target = {} if aim.target_ms is None else {LATENCY: reach * aim.target_ms}
    return {**target, **{one.device: one.target_ms for one in models.also}, **models.limits.caps}


class _Words:
    """Limits and networks as sentences say them."""

    def __init__(self, models: Models, reach: float = 1.0) -> None:
        self._models, self._reach = models, reach
        self._also = {one.device: i for i, one in enumerate(models.also)}

    def values(self, problem: SpaceProblem, column: str) -> Values:
        """A column of the points of a space, or their latency on a further device."""
        if column in self._also:
            return lambda codes: problem.also_ms(codes)[:, self._also[column]]
        return lambda codes: problem.column(column, codes)

    def value(self, column: str, network: Architecture) -> float:
        """The same of one network."""
        figures = self._models.figures([network])
        if column in self._also:
            return float(figures.also_ms[0, self._also[column]])
        return float(getattr(figures, column)[0])

    def rule(self, column: str, at_most: float) -> str:
        """must …"""
        confidence = self._models.limits.confidence
        sure = f" with a probability of {confidence:g}" if confidence else ""
        if column == LATENCY:
            above = f" ({self._reach:g} times the target, as far as the reward pays)" if self._reach > 1.0 else ""
            return f"must take at most {at_most:g} ms{above} on {self._models.latency.device.name}{sure}"
        if column in self._also:
            return f"must take at most {at_most:g} ms on {column}{sure}"
        return f"must have at most {self.figure(column, at_most)}"

    def figure(self, column: str, value: float) -> str:
        """A value with its unit."""
        if column == LATENCY:
            return f"{value:.3g} ms"
        if column in self._also:
            return f"{value:.3g} ms on {column}"
        text = bytes_text(value) if column.endswith("_bytes") else count_text(value)
        return f"{text} {_NOUNS[column][0]}"

    def smallest(self, column: str, network: Architecture) -> str:
        """The smallest network of one column."""
        if column != LATENCY and column not in self._also:
            return f"the smallest one found, {network.name}, has {self.figure(column, self.value(column, network))}"
        model = self._models.also[self._also[column]].latency if column in self._also else self._models.latency
        latency, there = model.estimate(network), " there" if column in self._also else ""
        return (
            f"the fastest one found{there}, {network.name}, takes {latency.mean_ms:.3g} ms"
            f" [{latency.low_ms:.3g}, {latency.high_ms:.3g}] ({latency.source})"
        )

    def remedy(self, column: str) -> str:
        """What is to be raised."""
        if column in self._also:
            return f"the target on {column}"
        return "the target" if column == LATENCY else _NOUNS[column][1]

    def network(self, network: Architecture) -> str:
        """A network with all that is limited."""
        columns = [LATENCY, *self._also, *self._models.limits.caps]
        figures = ", ".join(self.figure(column, self.value(column, network)) for column in columns)
        return f"{network.name} ({figures})"
