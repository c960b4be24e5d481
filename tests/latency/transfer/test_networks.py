import functools
from dataclasses import replace

import numpy as np
import pytest

import nas
from nas.errors import InputError
from nas.graph import OperatorTable
from nas.latency.model import LatencyModel
from nas.latency.transfer.features import costs_of_operators
from nas.latency.transfer.networks import TransferredOperators, fit_networks_of, leave_out, telling
from nas.space.load import load_architecture, load_space
from nas.space.search_space import SearchSpace
from nas.testing.operator_models import OperatorModelConformance

NAMES = (
    "mobilenetv1-0.5", "mobilenetv2-0.5", "mobilenetv2-1.0", "mobilenetv3-small-1.0", "mobileone-s0", "repvit-m0.9",
    "shufflenetv2-1.0", "efficientnet-lite0",
)  # fmt: skip
OTHERS = ("mobilenetv1-1.0", "mobilenetv2-1.4", "repvgg-a0", "mobileone-s1", "fbnet-c", "mnasnet-a1")


@functools.cache
def _space() -> SearchSpace:
    found = load_space("mobile")
    assert isinstance(found, SearchSpace)
    return found


@functools.cache
def _fitted(factor: float) -> LatencyModel:
    known = [nas.load_latency(name) for name in ("iphone12", "pixel3-cpu")]
    return nas.fit_latency(_space(), NAMES, factor * known[1].latency_ms(NAMES), known)


class TestTransferredOperators(OperatorModelConformance):
    @pytest.fixture
    def model(self) -> TransferredOperators:
        found = _fitted(2.0).operators
        assert isinstance(found, TransferredOperators)
        return found


def test_a_device_like_another_is_told_from_eight_networks() -> None:
    """Twice the Pixel's latencies, with the iPhone's beside them: others are off by far less than scaling the iPhone's
    by one number is."""
    iphone, pixel = (nas.load_latency(name) for name in ("iphone12", "pixel3-cpu"))
    model = _fitted(2.0)
    true = 2.0 * pixel.latency_ms(OTHERS)
    scale = np.exp(np.log(2.0 * pixel.latency_ms(NAMES) / iphone.latency_ms(NAMES)).mean())
    found = model.latency_ms(OTHERS), scale * iphone.latency_ms(OTHERS)
    error, scaled = (np.abs(each / true - 1.0).mean() for each in found)
    assert error < 0.1
    assert error < 0.4 * scaled


def test_of_networks_that_were_measured_a_latency_is_the_sum_of_unraised_operators() -> None:
    """Where depthwise convolutions cost nothing on the new device, the plain posterior has operators below nothing; a
    floor for each alone would raise the sums."""
    pixel = nas.load_latency("pixel3-cpu").operators
    assert pixel is not None
    tables = [load_architecture(name).graph().operators() for name in NAMES]
    without = [pixel.costs(table)[0][table.kind != "dw"].sum() for table in tables]
    model = fit_networks_of([pixel], tables, np.array(without))
    for table in tables:
        features = model.frame.additive(costs_of_operators(model.others, table))
        assert model.costs(table)[0].sum() == pytest.approx(float((features @ model.weights).sum()))
    assert model.fixed_ms >= 0.0


def test_what_is_returned_is_a_latency_model_with_intervals() -> None:
    model = _fitted(1.0)
    estimate = model.estimate("mobilenetv2-1.4")
    assert estimate.low_ms < estimate.mean_ms < estimate.high_ms
    assert estimate.source == "predicted"
    assert model.latency_ms(["mobilenetv2-1.4"])[0] == pytest.approx(estimate.mean_ms)
    assert model.device.name == "new-device"


def test_a_model_without_operator_costs_is_an_error() -> None:
    iphone = nas.load_latency("iphone12")
    for devices in ([], [replace(iphone, operators=None)]):
        with pytest.raises(InputError, match="operator costs"):
            nas.fit_latency(_space(), NAMES, np.ones(8), devices)
    with pytest.raises(InputError, match="costs are of a space of codes"):
        nas.fit_latency(_space(), NAMES, np.ones(8), [iphone], costs=lambda p: p)  # type: ignore[call-overload]


def test_networks_left_out_are_predicted_by_a_fit_without_them() -> None:
    """Of a device twice as slow as another each network is predicted nearly exactly; a time that is wrong by a third is
    seen where it is left out, and of a group none helps another."""
    iphone, pixel = (nas.load_latency(name) for name in ("iphone12", "pixel3-cpu"))
    others = [model.operators for model in (iphone, pixel) if model.operators]
    tables = [pixel.segments(name) for name in NAMES]
    networks = [OperatorTable.concatenate([s.operators for s in segments]) for segments in tables]
    true = 2.0 * pixel.latency_ms(NAMES)
    found = leave_out(others, networks, true)
    assert np.abs(found.ours).max() < 0.06
    assert found.inside == 1.0
    wrong = true.copy()
    wrong[2] *= 1.5
    strayed = leave_out(others, networks, wrong)
    assert strayed.ours[2] == pytest.approx(-np.log(1.5), abs=0.1)
    # By hand: a fit to the others alone.
    kept = [i for i in range(len(NAMES)) if i != 2]
    model = fit_networks_of(others, [networks[i] for i in kept], wrong[kept])
    predicted = model.fixed_ms + model.costs(networks[2])[0].sum()
    assert strayed.ours[2] == pytest.approx(np.log(predicted / wrong[2]), abs=1e-6)
    pair = np.array([0, 0, *range(1, len(NAMES) - 1)])
    together = leave_out(others, networks, wrong, group=pair)
    assert together.ours[2:] == pytest.approx(strayed.ours[2:], abs=1e-6)
    assert together.ours[:2] != pytest.approx(strayed.ours[:2], abs=1e-6)
    assert leave_out(others, networks, wrong, least=0.7).half_width.min() >= 0.7
    with pytest.raises(InputError, match="at least 4"):
        leave_out(others, networks[:3], true[:3])


def test_networks_that_tell_most_are_no_two_alike_and_come_by_turns() -> None:
    others = [model.operators for model in map(nas.load_latency, ("iphone12", "pixel3-cpu")) if model.operators]
    pixel = nas.load_latency("pixel3-cpu")
    tables = [OperatorTable.concatenate([s.operators for s in pixel.segments(name)]) for name in NAMES]
    pool = [*tables, *tables[:2]]  # two come twice
    any_of_them = np.ones(len(pool), dtype=np.bool_)
    found = telling(others, pool, [any_of_them] * 6)
    assert len(set(found)) == 6
    assert len({i % len(tables) for i in found[:5]}) == 5  # a network twice tells little
    assert telling(others, pool, [any_of_them] * 3) == found[:3]
    first = np.arange(len(pool)) == 4
    by_turns = telling(others, pool, [any_of_them, first, first])
    assert by_turns[0] == found[0] and 4 in by_turns[:2] and len(set(by_turns)) == 3
    assert len(telling(others, pool, [any_of_them] * 99)) == len(pool)


def test_a_device_is_said_to_be_modelled_where_its_latencies_are_published() -> None:
    others = [model.operators for model in (nas.load_latency("pixel3-cpu"),) if model.operators]
    pixel = nas.load_latency("pixel3-cpu")
    tables = [OperatorTable.concatenate([s.operators for s in pixel.segments(name)]) for name in NAMES]
    model = fit_networks_of(others, tables, pixel.latency_ms(NAMES), source="modelled", manifest={"device": "mine"})
    assert model.source == "modelled"
    assert model.manifest == {"networks": len(NAMES), "others": ["pixel3-cpu"], "device": "mine"}
    assert model.as_json()["coefficients"]["share of pixel3-cpu"] == 1.0
    assert model.as_json()["coefficients"]["level of pixel3-cpu"] == pytest.approx(1.0)
