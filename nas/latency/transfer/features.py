"""What a new device's latency is put together of: costs on other devices, their average by class, and plain physics.

All of it is additive, so operators and whole networks have the same features: those of a network are the sums over its
operators, and a fixed part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas.graph.operators import OperatorTable
from nas.latency.operator_model import OperatorModel
from nas.latency.published.cost_model import Floats

CLASSES = ("dense", "pw", "dw", "dw of 5 and more", "other")
NUM_PHYSICS = len(CLASSES) + 3
"""Multiply-adds of each class, elements moved, weights, a count."""
_DEAREST = 50.0
"""Times the average that a multiply-add of any class costs at most, before anything is known of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """n operators or networks: what those of each class cost on each of d devices, `by_class` (n, classes, d) in ms,
    and their `physics` (n, NUM_PHYSICS); `fixed` (d,) is what a network without operators takes there, in ms."""

    by_class: Floats
    physics: Floats
    fixed: Floats

    @property
    def elsewhere(self) -> Floats:
        """Milliseconds of each whole network on each device, shape (n, d)."""
        return np.asarray(self.by_class.sum(axis=1) + self.fixed)

    def select(self, rows: NDArray[np.bool_]) -> Costs:
        """The networks where the mask is true."""
        return Costs(by_class=self.by_class[rows], physics=self.physics[rows], fixed=self.fixed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Brings features to ms of the new device: `levels` (d,) are times of it over times of the others, `shares` (d,)
    what each has of their average, `scales` (NUM_PHYSICS,) bring physics to that level; `unit_ms` is a fixed time that
    weighs as much as these."""

    levels: Floats
    shares: Floats
    scales: Floats
    unit_ms: float

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """How many features are of devices, of classes, of physics and of the fixed time."""
        return len(self.levels), len(CLASSES), len(self.scales), 1

    def additive(self, costs: Costs) -> Floats:
        """Features of operators, or of networks without their fixed time, shape (n, k + 1), in ms: each other device
        against the average, the average by class, physics, none for the fixed time, and the average itself."""
        levelled = costs.by_class * self.levels
        own = levelled.sum(axis=1)
        average = own @ self.shares
        against = (own - average[:, None]) / np.sqrt(len(self.levels))
        physics = costs.physics * self.scales / np.sqrt(len(self.scales))
        return np.column_stack([against, levelled @ self.shares, physics, np.zeros(len(own)), average])

    def fixed(self, fixed: Floats) -> Floats:
        """Features of a network without operators, shape (k + 1,), which takes `fixed` (d,) ms on the others."""
        own = fixed * self.levels
        found = np.zeros(sum(self.sizes) + 1)
        found[: len(own)] = (own - own @ self.shares) / np.sqrt(len(own))
        found[-2:] = self.unit_ms, own @ self.shares
        return found

    def networks(self, costs: Costs) -> Floats:
        """Features of whole networks, shape (n, k + 1), in ms."""
        return np.asarray(self.additive(costs) + self.fixed(costs.fixed))


def frame_of(costs: Costs, levels: Floats, shares: Floats) -> Frame:
    """The frame in which physics and a fixed time weigh as much, over these networks, as the other devices' average;
    a multiply-add of a class that they hardly have, no more than `_DEAREST` average ones."""
    before = (costs.elsewhere * levels) @ shares
    amounts = (costs.physics / before[:, None]).mean(axis=0)
    macs = amounts[: len(CLASSES)]
    macs[:] = np.maximum(macs, macs.sum() / _DEAREST)
    return Frame(
        levels=levels,
        shares=shares,
        scales=1.0 / np.maximum(amounts, 1e-9),
        unit_ms=1.0 / float((1.0 / before).mean()),
    )


def costs_of_operators(others: Sequence[OperatorModel], table: OperatorTable) -> Costs:
    """The costs of each operator on the other devices."""
    each = np.column_stack([model.costs(table)[0] for model in others])
    classes = _classes(table)
    # A ReLU is joined to the operator before it: it moves nothing and is no call.
    calls = ~np.isin(table.kind, ("act:relu", "act:relu6"))
    moved = (table.input_elements + table.output_elements) * calls
    physics = np.column_stack([classes * table.macs[:, None], moved, table.weight_elements, calls])
    fixed = np.array([model.fixed_ms for model in others])
    return Costs(by_class=classes[:, :, None] * each[:, None, :], physics=physics, fixed=fixed)


def owners(networks: Sequence[OperatorTable]) -> NDArray[np.int64]:
    """The position of the network that each of their operators belongs to, shape (operators,)."""
    return np.repeat(np.arange(len(networks)), [len(table) for table in networks])


def costs_of_networks(others: Sequence[OperatorModel], networks: Sequence[OperatorTable]) -> Costs:
    """The costs of whole networks on the other devices, in one go."""
    return summed(costs_of_operators(others, OperatorTable.concatenate(networks)), owners(networks))


def summed(each: Costs, owner: NDArray[np.int64]) -> Costs:
    """The costs of networks, of those of `each` operator and its `owner`."""

    def of_networks(values: Floats) -> Floats:
        found = np.zeros((int(owner.max()) + 1, *values.shape[1:]))
        np.add.at(found, owner, values)
        return found

    return Costs(by_class=of_networks(each.by_class), physics=of_networks(each.physics), fixed=each.fixed)


def _classes(table: OperatorTable) -> Floats:
    """One where an operator is of a class, shape (n, classes). Linear layers are with whatever waits for memory: at
    batch 1 a classifier waits for its weights."""
    dense, pointwise, depthwise = (np.isin(table.kind, kinds) for kinds in (("dense", "grp"), ("pw",), ("dw",)))
    large = depthwise & (table.kernel >= 5)
    other = ~(dense | pointwise | depthwise)
    return np.column_stack([dense, pointwise, depthwise & ~large, large, other]).astype(np.float64)
