from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import nas
from nas.evaluate import ChannelAdaptation, Limits, Models
from nas.space import Architecture, known_network
from nas.space.shrink import width_changes
from nas.strategies import Goal
from tests.evaluate.hand import HandAccuracy

START = "mobilenetv1-0.25"


def _shrunk(limits: Limits, share: float) -> tuple[Models, Architecture, list[Architecture], list[float], float]:
    """Models, start, what was found with its scores, and the target: a share of the start's bounded latency."""
    models, start = Models(nas.load_latency("iphone12"), HandAccuracy(), limits), known_network(START)
    target_ms = share * float(models.figures([start]).bounded_ms[0])
    adaptation = ChannelAdaptation(models, beam=2)
    met = adaptation.shrink(start, target_ms=target_ms).met
    networks = [adaptation.network(state.state, start) for state in met]
    return models, start, networks, [state.score for state in met], target_ms


@pytest.mark.parametrize("confidence", [None, 0.8])
def test_what_is_found_is_feasible_by_its_own_figures(confidence: float | None) -> None:
    """Widths changed one by one add up to the figures of the network built anew."""
    models, start, networks, scores, target_ms = _shrunk(Limits(max_novelty=None, confidence=confidence), 0.97)
    figures = models.figures(networks)
    assert figures.score == pytest.approx(scores, abs=1e-9)
    assert (figures.bounded_ms <= target_ms * (1 + 1e-9)).all()
    assert figures.bounded_ms.max() > 0.96 * target_ms
    assert (figures.macs < start.macs).all()
    if confidence is not None:
        # Further down than the mean alone would have led.
        high = np.array([models.latency.estimate(network.graph()).high_ms for network in networks])
        deviation = np.log(high / figures.latency_ms) / 1.644854
        assert figures.latency_ms * np.exp(0.841621 * deviation) == pytest.approx(figures.bounded_ms, rel=1e-6)


@pytest.mark.parametrize("name", ["params", "macs"])
def test_shrinking_goes_on_until_limits_are_kept(name: str) -> None:
    """At once fast enough, but a tenth too large: it shrinks all the same."""
    cap = int(getattr(known_network(START), name) / 1.1)
    limits = Limits(max_novelty=None, **{f"max_{name}": cap})
    models, _, networks, _, target_ms = _shrunk(limits, 1.1)
    assert networks
    assert (getattr(models.figures(networks), name) <= cap).all()
    assert models.figures(networks).standing.feasible(target_ms).all()


def test_filling_ends_where_no_change_of_one_width_is_better() -> None:
    """Every neighbour built anew, whatever the widths changed one by one added up to."""
    models, start = Models(nas.load_latency("iphone12"), HandAccuracy(), Limits(max_novelty=None)), known_network(START)
    goal = Goal(target_ms=1.02 * float(models.figures([start]).bounded_ms[0]))
    adaptation = ChannelAdaptation(models, beam=2)
    filled = adaptation.fill(start, goal)
    neighbours = [
        replace(filled, layers=tuple(change.layers.get(i, layer) for i, layer in enumerate(filled.layers)))
        for wider in (False, True)
        for change in width_changes(filled, wider=wider)
    ]
    figures = models.figures([filled, start, *neighbours])
    value = np.where(goal.feasible(figures.standing), goal.value(figures.evaluation), -np.inf)
    assert value[0] > value[1]
    assert value[0] >= value[2:].max() - 1e-12
    assert adaptation.fill(filled, goal) is filled
