from __future__ import annotations

import numpy as np
import pytest

from nas.latency.published.cost_model import COEFFICIENTS, NAMES, CostModel
from nas.latency.published.fit import Observations, fit
from nas.latency.published.priors import PACE_SD, PRIOR_SETS, scaled
from tests.latency.examples import calibration, model


def in_unit(rows: Observations, unit: float) -> Observations:
    return Observations(
        network=rows.network, source=rows.source, latency_ms=unit * rows.latency_ms, rounding_ms=unit * rows.rounding_ms
    )


@pytest.mark.parametrize("kind", PRIOR_SETS)
def test_scaled_priors_give_the_median_row_its_latency(kind: str) -> None:
    data = calibration(13, model(), noise=0.02)
    priors = scaled(PRIOR_SETS[kind], data.workload, data.observations)
    centres = CostModel(values=np.array([priors[name][0] for name in NAMES]))
    without_fixed = data.workload.network_ms(centres) - centres.fixed_ms
    ratio = data.observations.latency_ms / without_fixed[data.observations.network]
    assert np.median(ratio) == pytest.approx(1.0)


@pytest.mark.parametrize("kind", PRIOR_SETS)
@pytest.mark.parametrize("unit", [1e-3, 5e3])
def test_another_unit_changes_times_and_rates_and_nothing_else(kind: str, unit: float) -> None:
    data = calibration(13, model(), noise=0.02)
    first, second = (scaled(PRIOR_SETS[kind], data.workload, in_unit(data.observations, u)) for u in (1.0, unit))
    for name, coefficient in COEFFICIENTS.items():
        power = 1 if name == "fixed" else coefficient.pace
        assert second[name][0] == pytest.approx(first[name][0] * unit**power), name
        assert second[name][1] == first[name][1]


def test_a_unit_is_a_time_or_a_rate_by_its_meaning() -> None:
    for name, coefficient in COEFFICIENTS.items():
        a_rate, a_time = "a ms" in coefficient.meaning, coefficient.meaning.startswith("ms a")
        assert coefficient.pace == (-1 if a_rate else 1 if a_time and name != "fixed" else 0), name


def test_rows_in_another_unit_are_fitted_alike() -> None:
    data = calibration(13, model(), noise=0.02)
    found = []
    for unit in (1.0, 700.0):
        rows = in_unit(data.observations, unit)
        priors = scaled(PRIOR_SETS["GPU"], data.workload, rows)
        found.append(fit(data.workload, rows, 2, (), priors=priors, pace_sd=PACE_SD))
    first, second = (data.workload.network_ms(one.model) for one in found)
    assert second == pytest.approx(700.0 * first, rel=1e-4)
    assert np.diag(found[1].covariance) == pytest.approx(np.diag(found[0].covariance), rel=1e-2, abs=1e-6)
