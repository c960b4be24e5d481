"""Two models of operators as one: so much of the roofline, the rest of MACs and parameters alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from nas.graph.operators import OperatorTable
from nas.latency.published.cost_model import Floats


class Costs(Protocol):
    """A fixed time and a sum over operators, with derivatives by the logarithms of k coefficients."""

    @property
    def names(self) -> tuple[str, ...]:
        """The k coefficients."""

    @property
    def values(self) -> Floats:
        """Their values, shape (k,), none negative."""

    @property
    def fixed_ms(self) -> float:
        """The time of a network without operators."""

    @property
    def fixed_gradient(self) -> Floats:
        """Derivatives of `fixed_ms`, shape (k,)."""

    def operator_ms(self, table: OperatorTable) -> Floats:
        """Milliseconds of each operator, shape (n,), all positive."""

    def with_gradient(self, table: OperatorTable) -> tuple[Floats, Floats]:
        """`operator_ms`, and its derivatives, shape (n, k)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blend:
    """`share` of the latency that `first` says, the rest of what `second` says; 0 < share < 1."""

    first: Costs
    second: Costs
    share: float

    @property
    def names(self) -> tuple[str, ...]:
        """The coefficients of both."""
        return self.first.names + self.second.names

    @property
    def values(self) -> Floats:
        """The values of both."""
        return np.append(self.first.values, self.second.values)

    @property
    def fixed_ms(self) -> float:
        """The time of a network without operators."""
        return self.share * self.first.fixed_ms + (1.0 - self.share) * self.second.fixed_ms

    @property
    def fixed_gradient(self) -> Floats:
        """Derivatives of `fixed_ms` by the coefficients' logarithms, shape (k,)."""
        return np.append(self.share * self.first.fixed_gradient, (1.0 - self.share) * self.second.fixed_gradient)

    def operator_ms(self, table: OperatorTable) -> Floats:
        """Milliseconds of each operator, shape (n,), all positive."""
        return self.share * self.first.operator_ms(table) + (1.0 - self.share) * self.second.operator_ms(table)

    def with_gradient(self, table: OperatorTable) -> tuple[Floats, Floats]:
        """`operator_ms`, and its derivatives by the coefficients' logarithms, shape (n, k)."""
        first, first_gradient = self.first.with_gradient(table)
        second, second_gradient = self.second.with_gradient(table)
        gradient = np.concatenate((self.share * first_gradient, (1.0 - self.share) * second_gradient), axis=1)
        return self.share * first + (1.0 - self.share) * second, gradient
