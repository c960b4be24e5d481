from __future__ import annotations

import numpy as np
import pytest

from nas.errors import InputError
from nas.graph import OperatorTable
from nas.latency.table.operator_times import OperatorTimes, read_operator_times
from nas.latency.timed.alone import fit_alone
from nas.latency.timed.regressor import OperatorRegressor
from nas.space import known_network
from tests.latency.table.test_operator_times import operator_table


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> OperatorTimes:
    path = tmp_path_factory.mktemp("table") / "operators.txt"
    path.write_text(operator_table(), encoding="utf-8")
    return read_operator_times(path)


def fit(table: OperatorTimes, count: int) -> OperatorRegressor:
    times = table.times[:count]
    return fit_alone([time.segment for time in times], np.array([time.mean_ms for time in times]), {"device": "x"})


def test_a_network_is_the_sum_of_what_its_operators_take(table: OperatorTimes) -> None:
    model = fit(table, 40)
    operators = known_network("mobilenetv2-0.5").graph().operators()
    known = operators.select(np.isin(operators.kind, ("pw", "dw")))
    truth = 0.02 + np.where(known.kind == "dw", 5.0, 1.0) * known.macs / 1e9
    truth += (known.input_elements + known.output_elements) / 1e7
    assert model.costs(known)[0].sum() == pytest.approx(truth.sum(), rel=0.1)
    assert model.fixed_ms == 0.0
    assert model.manifest["scores"]["operators"]["median"] < 0.1


def test_kinds_that_were_never_timed_widen_the_interval(table: OperatorTimes) -> None:
    model = fit(table, 40)

    def half_width(name: str) -> float:
        costs, features = model.costs(OperatorTable.concatenate([known_network(name).graph().operators()]))
        return float(model.half_width(np.array([costs.sum()]), features.sum(axis=0)[None], np.zeros(1))[0])

    assert 0.37 < half_width("mobilenetv1-1.0") < half_width("repvgg-a0")


def test_a_dozen_are_needed(table: OperatorTimes) -> None:
    with pytest.raises(InputError, match="at least 12"):
        fit(table, 11)
