import functools
from dataclasses import replace

import numpy as np
import pytest

import nas
from nas.errors import InputError
from nas.latency.model import LatencyModel
from nas.latency.transfer.networks import TransferredOperators
from nas.space.load import load_space
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
