"""Networks given one by one, by models that can be worked by hand: two rows and one modelled segment."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nas.accuracy.model import AccuracyModel
from nas.accuracy.selection import SELECTION
from nas.evaluate import Limits, Models
from nas.space import known_network
from nas.testing.accuracy import AccuracyModelConformance
from tests.evaluate.hand import HandAccuracy, mixed_latency, rows_for, three_layers

ROWS = {0: (0.8, 1.0, 1.25), 2: (1.6, 2.0, 2.5)}
"""Low, mean and high of stem and head, which are measured; the block between them is modelled."""


class TestHandAccuracy(AccuracyModelConformance):
    @pytest.fixture
    def model(self) -> AccuracyModel:
        return HandAccuracy()


def _models(limits: Limits) -> Models:
    return Models(mixed_latency(rows_for(three_layers(), ROWS)), HandAccuracy(), limits)


def test_rows_and_model_are_summed_and_their_widths_joined() -> None:
    network, models = three_layers(), _models(Limits())
    block = network.graph().segments[1].operators
    operators = models.latency.operators
    assert operators is not None
    each, features = operators.costs(block)
    figures = models.figures([network])
    mean = operators.fixed_ms + 1.0 + 2.0 + each.sum()
    assert figures.latency_ms[0] == pytest.approx(mean, rel=1e-12)
    # Both rows reach 1.25 times their mean either way: log 1.25 of 3 of the milliseconds, joined with the model's half.
    rows = math.log(1.25) * 3.0 / mean
    model = float(operators.half_width(np.array([mean]), features.sum(axis=0)[None, :], np.zeros(1))[0])
    half = math.hypot(rows, model)
    low, high = figures.interval_ms
    assert (low[0], high[0]) == pytest.approx((mean * math.exp(-half), mean * math.exp(half)), rel=1e-12)


@pytest.mark.parametrize(("confidence", "deviations"), [(0.6, 0.253347), (0.8, 0.841621), (0.99, 2.326348)])
def test_the_bounded_latency_is_at_the_confidence_asked_for(confidence: float, deviations: float) -> None:
    network = three_layers()
    figures = _models(Limits(confidence=confidence)).figures([network])
    record = _models(Limits()).latency.estimate(network.graph())
    expected = record.mean_ms * (record.high_ms / record.mean_ms) ** (deviations / 1.644854)
    assert figures.bounded_ms[0] == pytest.approx(expected, rel=1e-6)
    assert figures.standing.feasible(expected * 1.0001).tolist() == [True]
    assert figures.standing.feasible(expected * 0.9999).tolist() == [False]


def test_limits_on_parameters_and_multiply_adds_are_part_of_feasible() -> None:
    network = three_layers()
    params, macs = network.params, network.macs
    for limits, excess in (
        (Limits(max_params=params, max_macs=macs), 0.0),
        (Limits(max_params=params - 1), params / (params - 1) - 1),
        (Limits(max_macs=macs - 1), macs / (macs - 1) - 1),
    ):
        figures = _models(limits).figures([network])
        assert figures.evaluation.excess[0] == pytest.approx(excess, rel=1e-6)
        assert figures.standing.feasible(1e9).tolist() == [excess == 0.0]


def test_the_score_takes_novelty_from_the_bound() -> None:
    network = three_layers()
    # 112 px are half as far from 224 as is allowed; 56 px a quarter too far.
    half, quarter = network.at_resolution(112), network.at_resolution(56)
    models = _models(Limits(max_novelty=0.5))
    figures = models.figures([network, half, quarter])
    assert figures.score == pytest.approx(figures.accuracy.low - 0.02 * np.array([0.0, 0.0, 0.25]))
    assert figures.believed is figures.accuracy


def test_claims_are_measured_against_the_known_networks_of_their_latency() -> None:
    network = three_layers()
    half, quarter = network.at_resolution(112), network.at_resolution(56)
    models = _models(Limits(max_novelty=0.5))
    known = Models(models.latency, models.accuracy, models.limits, known=[quarter])
    figures = known.figures([network, half])
    error = 0.1 + 50.0 / np.sqrt([one.macs for one in (network, half, quarter)])
    # Slower than all that is known, they are compared with the slowest. The one at 224 px is no novelty, and keeps all;
    # the logarithm of the other's gain is multiplied by the kept part.
    kept = 1 / (1 + math.sqrt(0.5) * (SELECTION.level + SELECTION.growth * SELECTION.candidates * 0.5))
    assert 1 - figures.believed.mean == pytest.approx([error[0], error[1] ** kept * error[2] ** (1 - kept)])
    assert figures.believed.low[0] == pytest.approx(figures.accuracy.low[0])
    assert figures.believed.low[1] < figures.accuracy.low[1] - (figures.accuracy.mean - figures.believed.mean)[1]
    assert figures.score == pytest.approx(figures.believed.low)
    assert figures.evaluation.accuracy == pytest.approx(figures.believed.mean)


def test_gains_are_of_what_is_believed_over_networks_as_they_are() -> None:
    network = three_layers()
    half, quarter = network.at_resolution(112), network.at_resolution(56)
    models = _models(Limits())
    known = Models(models.latency, models.accuracy, models.limits, known=[quarter])
    believed, as_it_is = known.figures([half]).believed.mean[0], known.figures([quarter]).accuracy.mean[0]
    found = known.gains(half, [quarter])
    assert found.mean == pytest.approx([believed - as_it_is])
    assert found.low[0] < found.mean[0] < found.high[0]
    # Nobody chose it: the model's own difference.
    error = 50.0 / np.sqrt([half.macs, quarter.macs])
    assert known.gains(half, [quarter], chosen=False).mean == pytest.approx([error[1] - error[0]])


def test_figures_of_many_are_those_of_each() -> None:
    names = ("mobilenetv2-1.0", "repvit-m1.0", "mobileone-s1")
    networks = [known_network(name) for name in names]
    networks.append(networks[0].at_resolution(320))
    models = _models(Limits(max_params=4_000_000, confidence=0.9))
    together = models.figures(networks)
    for i, network in enumerate(networks):
        record, alone = models.latency.estimate(network.graph()), models.figures([network])
        assert (together.params[i], together.macs[i]) == (network.params, network.macs)
        assert together.latency_ms[i] == pytest.approx(record.mean_ms, rel=1e-12)
        assert [end[i] for end in together.interval_ms] == pytest.approx([record.low_ms, record.high_ms], rel=1e-12)
        for name in ("bounded_ms", "excess", "accuracy", "score"):
            one, all_ = getattr(alone.evaluation, name)[0], getattr(together.evaluation, name)[i]
            assert one == pytest.approx(all_, rel=1e-9)


def test_differences_are_those_of_the_others_over_the_network() -> None:
    models = _models(Limits())
    small, large = known_network("mobilenetv1-0.25"), known_network("mobilenetv1-1.0")
    found = models.differences(small, [large, small])
    gain = 50.0 / math.sqrt(small.macs) - 50.0 / math.sqrt(large.macs)
    assert found.mean == pytest.approx([gain, 0.0])
    assert found.told_apart.tolist() == [True, False]
