"""What every model of operators offers; `nas.testing.operator_models` holds the tests that each must pass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from numpy import bool_
from numpy.typing import NDArray

from nas.graph.operators import OperatorTable
from nas.latency.estimate import Source
from nas.latency.published.cost_model import Floats


class OperatorModel(Protocol):
    """What operators cost, for segments without a row: a fixed time for each network, and a sum over its operators."""

    @property
    def source(self) -> Source:
        """*predicted*: it was fitted together with the rows of its device's table; *modelled*: to published figures."""

    @property
    def fixed_ms(self) -> float:
        """The time of a network without operators."""

    @property
    def num_features(self) -> int:
        """k: how many uncertainties an operator has."""

    @property
    def manifest(self) -> Mapping[str, Any]:
        """What it was fitted to."""

    def costs(self, table: OperatorTable) -> tuple[Floats, Floats]:
        """Milliseconds of each operator, shape (n,), none negative, and what each adds to the sums that `half_width`
        reads, shape (n, k), in ms. Neither depends on what stands beside the operator."""

    def half_width(
        self,
        mean_ms: Floats,
        sums: Floats,
        rows_ms: Floats,
        *,
        large: NDArray[bool_] | bool = False,
        whole: bool = True,
    ) -> Floats:
        """Half the width of the 90 % interval of log latency of n networks, shape (n,): all that is unsure, joined.

        `mean_ms` (n,) holds the fixed time, `sums` (n, k) the features of the operators without a row, `rows_ms` (n,)
        half the widths of the rows, in ms. `large` says which inputs are above `nas.latency.published.rows.MAX_PIXELS`.
        Not `whole`: segments by themselves, without the fixed time.
        """

    def warnings(self, table: OperatorTable) -> tuple[str, ...]:
        """A sentence for each reason to doubt what it says of the network with these operators."""

    def as_json(self) -> dict[str, Any]:
        """The document it is read from: coefficients, meaning, manifest among its keys."""
