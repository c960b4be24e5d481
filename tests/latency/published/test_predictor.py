from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nas.errors import InputError
from nas.latency.operator_file import read_operators
from nas.latency.published.blend import Blend, Costs
from nas.latency.published.calibrate import CONFLICTING, calibrate, errors_of
from nas.latency.published.cost_model import NAMES
from nas.latency.published.counts import NAMES as COUNTS_NAMES
from nas.latency.published.counts import CountsModel
from nas.latency.published.predictor import OperatorPredictor, make_predictor
from nas.latency.published.simple import SimpleModel
from nas.testing.operator_models import OperatorModelConformance
from tests.latency.examples import calibration, model, pointwise, row, table


def predictor(**values: float) -> OperatorPredictor:
    """Two deviations: the rate by ±20 % and the fixed time by ±10 %."""
    root = np.zeros((len(NAMES), 2))
    root[NAMES.index("rate"), 0] = 0.2
    root[NAMES.index("fixed"), 1] = 0.1
    return OperatorPredictor(model=model(**values), root=root, floor=0.05, beyond=0.5)


class TestOperatorPredictor(OperatorModelConformance):
    @pytest.fixture
    def model(self) -> OperatorPredictor:
        return predictor(fixed=0.4)


SIMPLE = SimpleModel(values=np.array([0.5, 1e-6, 0.0, 1e-9]))


def of(costs: Costs) -> OperatorPredictor:
    """A predictor of these costs, unsure by ±10 % of each coefficient."""
    return OperatorPredictor(model=costs, root=0.1 * np.eye(len(costs.names)), floor=0.05, beyond=0.5)


class TestMacsAndParametersAlone(OperatorModelConformance):
    @pytest.fixture
    def model(self) -> OperatorPredictor:
        return of(SIMPLE)


COUNTED = CountsModel(values=np.array([{"moved_cost": 1e-5, "nominal_cost": 1e-9}.get(n, 0.0) for n in COUNTS_NAMES]))


class TestCounts(OperatorModelConformance):
    @pytest.fixture
    def model(self) -> OperatorPredictor:
        return of(COUNTED)


class TestBlend(OperatorModelConformance):
    @pytest.fixture
    def model(self) -> OperatorPredictor:
        return of(Blend(first=model(fixed=0.4), second=SIMPLE, share=0.75))


@pytest.mark.parametrize(
    ("costs", "share"), [(SIMPLE, "100%"), (Blend(first=model(), second=SIMPLE, share=0.75), "25%")]
)
def test_what_is_by_sizes_alone_is_read_back_and_warned_about(costs: Costs, share: str, tmp_path: Path) -> None:
    path = tmp_path / "coefficients.json"
    path.write_text(of(costs).to_json(), encoding="utf-8")
    again = read_back(path)
    assert again.to_json() == of(costs).to_json()
    operators = table(row("act:silu"), pointwise(8, 8, 4))
    assert np.array_equal(again.costs(operators)[0], costs.operator_ms(operators))
    assert again.fixed_ms == costs.fixed_ms
    assert again.warnings(operators)[0].startswith(f"{share} of the time is by MACs and parameters alone")


@pytest.mark.parametrize(
    ("costs", "share"), [(COUNTED, "100%"), (Blend(first=model(), second=COUNTED, share=0.75), "25%")]
)
def test_counts_are_read_back_and_warned_about_where_no_activation_counts(
    costs: Costs, share: str, tmp_path: Path
) -> None:
    path = tmp_path / "coefficients.json"
    path.write_text(of(costs).to_json(), encoding="utf-8")
    again = read_back(path)
    assert again.to_json() == of(costs).to_json()
    operators = table(row("act:silu"), pointwise(8, 8, 4))
    assert np.array_equal(again.costs(operators)[0], costs.operator_ms(operators))
    assert again.warnings(operators)[0].startswith(f"{share} of the time is by counts that know nothing of activations")


def test_counts_that_know_activations_are_not_warned_about() -> None:
    values = COUNTED.values.copy()
    values[COUNTS_NAMES.index("activation_cost")] = 1e-3
    assert not any("of the time is by" in text for text in of(CountsModel(values=values)).warnings(table(row("add"))))


def test_the_fixed_time_of_a_blend_is_unsure_with_both_of_its_parts() -> None:
    one = of(Blend(first=model(fixed=0.4), second=SIMPLE, share=0.75))
    # No operators: 0.75 · 0.4 + 0.25 · 0.5 ms, each ±10 %, independent.
    half = one.half_width(np.array([one.fixed_ms]), np.zeros((1, one.num_features)), np.zeros(1))
    assert half == pytest.approx(np.hypot(0.05, 0.1 * np.hypot(0.3, 0.125) / 0.425))


def test_the_floor_the_rows_and_the_shares_of_what_is_uncertain_join_in_squares() -> None:
    one = predictor(fixed=0.4, rate=1e9, overhead=1e-12, onchip=1e12, memory=1e12)
    operators = table(pointwise(512, 512, 28))  # 512²·28² / 10⁹ = 0.205520896 ms
    ms = 512 * 512 * 28 * 28 / 1e9
    mean = np.array([0.4 + ms])
    sums = one.costs(operators)[1].sum(axis=0)[None, :]
    rate, fixed, rows = 0.2 * ms / mean, 0.1 * 0.4 / mean, np.array([0.03])
    assert one.half_width(mean, sums, 0.0 * rows) == pytest.approx(np.sqrt(0.05**2 + rate**2 + fixed**2))
    joined = np.sqrt(0.05**2 + rate**2 + fixed**2 + (rows / mean) ** 2)
    assert one.half_width(mean, sums, rows) == pytest.approx(joined)
    # A segment by itself has no fixed time.
    alone = one.half_width(np.array([ms]), sums, 0.0 * rows, whole=False)
    assert alone == pytest.approx(np.hypot(0.05, 0.2))


def test_large_inputs_have_at_least_the_width_beyond() -> None:
    one = predictor()
    mean, sums, rows = np.array([1.0, 1.0]), np.zeros((2, 2)), np.zeros(2)
    small, large = one.half_width(mean, sums, rows, large=np.array([False, True]))
    assert large == 0.5
    assert small == one.half_width(mean, sums, rows)[0] < 0.5
    # That width is the model's own: what rows stray by joins it.
    assert one.half_width(mean, sums, rows + 0.12, large=True) == pytest.approx([np.hypot(0.5, 0.12)] * 2)
    # Where more than that is unsure, large inputs are no surer.
    assert one.half_width(mean, sums + 1.0, rows, large=True) == pytest.approx(one.half_width(mean, sums + 1.0, rows))


def test_a_made_predictor_has_the_deviations_of_its_calibration() -> None:
    data = calibration(16, model(), noise=0.02)
    rows = np.ones(16, dtype=np.bool_)
    found = calibrate(data, rows)
    made = make_predictor(found, {})
    mean = data.workload.network_ms(made.model)
    sums = data.workload.counts @ made.costs(data.workload.operators)[1]
    errors = errors_of(data, found.fit, rows)
    expected = found.spread.half_width(errors.deviation, errors.share)
    assert made.half_width(mean, sums, np.zeros_like(mean))[data.observations.network] == pytest.approx(
        expected, rel=1e-6
    )
    assert set(CONFLICTING) <= set(NAMES)


def test_what_is_written_is_read_back_exactly(tmp_path: Path) -> None:
    one = predictor()
    path = tmp_path / "coefficients.json"
    path.write_text(one.to_json(), encoding="utf-8")
    again = read_back(path)
    assert again.to_json() == one.to_json()
    operators = table(row("act:silu"), pointwise(8, 8, 4))
    assert np.array_equal(again.costs(operators)[0], one.costs(operators)[0])


def read_back(path: Path) -> OperatorPredictor:
    found = read_operators(path)
    assert isinstance(found, OperatorPredictor)
    return found


def broken(**changes: object) -> str:
    return json.dumps({**json.loads(predictor().to_json()), **changes})


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "null", "[" * 100_000, broken(schema=99), broken(coefficients={}), broken(interval={}),
        broken(coefficients=dict.fromkeys(NAMES, -1.0)), broken(manifest=3),
        broken(interval={"floor": 0.1, "beyond": 0.2, "root": [[1.0]]}),
        broken(roofline_share=0.5), broken(roofline_share=0.0), broken(roofline_share=-1.0),
        broken(interval={"floor": -0.1, "beyond": 0.2, "root": [[1.0]] * len(NAMES)}),
    ],
)  # fmt: skip
def test_anything_else_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "coefficients.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="coefficients.json"):
        read_operators(path)
