"""The fit against devices whose true costs are known: every statement is about networks that were not fitted."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from nas.errors import InputError
from nas.graph import Segment
from nas.graph.operators import OperatorTable
from nas.latency.device import Device
from nas.latency.estimate import Estimate
from nas.latency.model import LatencyModel
from nas.latency.table.rows import TableRow
from nas.latency.timed import scales
from nas.latency.timed.regression import MIN_NETWORKS, Regression, fit_networks
from tests.latency.timed.networks import NOISE, Floats, Network, Timed, known, sampled, timed, true_ms

DEVICE = Device(
    name="numbers", chip="c", runtime="r", compute_unit="u", precision="p", protocol="p", date="2026", source="me"
)


def device_model(found: Regression, *, rows: bool) -> LatencyModel:
    """What a table of the fit would answer; without its rows, what operators alone would."""
    parts = found.segments
    spread = np.exp(1.645 * parts.log_sd)
    served = {
        key: TableRow(
            segment=key, mean_ms=ms, low_ms=ms / wide, high_ms=ms * wide, count=count, source="measured", date="2026"
        )
        for key, ms, wide, count in zip(
            parts.keys, parts.mean_ms.tolist(), spread.tolist(), parts.networks.tolist(), strict=True
        )
    }  # fmt: skip
    return LatencyModel(device=DEVICE, rows=served if rows else {}, operators=found.operators)


def predicted(found: Regression, networks: tuple[Network, ...], *, rows: bool) -> list[Estimate]:
    model = device_model(found, rows=rows)
    return [model.estimate_segments(network) for network in networks]


def errors(found: Regression, networks: tuple[Network, ...], *, rows: bool) -> Floats:
    """Predicted over true, less 1."""
    means = np.array([estimate.mean_ms for estimate in predicted(found, networks, rows=rows)])
    return np.asarray(means / true_ms(networks) - 1.0)


@cache
def training() -> Timed:
    return timed(sampled(120, 0), 0)


@cache
def fitted() -> Regression:
    return training().fit()


@cache
def small() -> Timed:
    return timed(sampled(30, 3), 3)


@cache
def small_fit() -> Regression:
    return small().fit()


@cache
def fresh() -> tuple[Network, ...]:
    digests = {tuple(s.key for s in network) for network in training().networks}
    return tuple(network for network in sampled(160, 1000) if tuple(s.key for s in network) not in digests)


@pytest.mark.parametrize("rows", [True, False])
def test_fresh_networks_are_predicted_within_a_few_per_cent(rows: bool) -> None:
    # Of twelve other seeds the worst had a median of 1.4 % and nine tenths within 3.7 %.
    strayed = np.abs(errors(fitted(), fresh(), rows=rows))
    assert np.median(strayed) < 0.02
    assert np.quantile(strayed, 0.9) < 0.05


@pytest.mark.parametrize("rows", [True, False])
def test_about_nine_tenths_of_fresh_timings_lie_in_their_intervals(rows: bool) -> None:
    # Were the intervals exact, 82 to 97 % of 160 would lie inside but for one seed in 600 (binomial); four fits to as
    # many other draws had 84 to 90 %. Each network is timed three times.
    estimates = predicted(fitted(), fresh(), rows=rows)
    measured = [timed(fresh(), seed, together=1).latency_ms for seed in (77, 78, 79)]
    inside = [e.low_ms <= ms <= e.high_ms for times in measured for e, ms in zip(estimates, times, strict=True)]
    assert 0.82 <= np.mean(inside) <= 0.97
    width = np.log([e.high_ms / e.low_ms for e in estimates]) / 2.0
    assert width.max() < 0.15


def test_the_errors_of_networks_left_out_are_those_of_fresh_ones() -> None:
    own = fitted()
    for left_out, rows in ((own.left_out, True), (own.left_out_operators, False)):
        assert left_out.shape == (120,)
        strayed = np.abs(np.log1p(errors(own, fresh(), rows=rows)))
        # What is left out carries the noise and the batch of its own timing, a fresh truth does not.
        assert np.median(strayed) < 1.3 * np.median(np.abs(left_out)) + 0.002
        assert np.median(np.abs(left_out)) < 1.5 * np.hypot(np.median(strayed), NOISE)


def test_the_rows_add_up_to_the_networks_that_were_timed() -> None:
    data, found = training(), fitted()
    cost = dict(zip(found.segments.keys, found.segments.mean_ms.tolist(), strict=True))
    sums = np.array([found.operators.fixed_ms + sum(cost[s.key] for s in network) for network in data.networks])
    assert np.median(np.abs(sums / true_ms(data.networks) - 1.0)) < NOISE
    model = device_model(found, rows=True)
    assert model.estimate_segments(data.networks[0]).mean_ms == pytest.approx(sums[0])


def test_every_segment_has_a_row_with_the_number_of_its_networks() -> None:
    data, found = training(), fitted()
    expected = Counter(key for network in data.networks for key in {s.key for s in network})
    assert dict(zip(found.segments.keys, found.segments.networks.tolist(), strict=True)) == expected
    assert (found.segments.mean_ms > 0.0).all() and np.isfinite(found.segments.log_sd).all()


def test_timing_the_same_again_makes_segments_surer(monkeypatch: pytest.MonkeyPatch) -> None:
    # More timings may also say that segments differ more than it had seemed; here, the scales are given.
    monkeypatch.setattr(scales, "_GRID", {})
    data, again = small(), timed(small().networks, 30)
    once = data.fit()
    twice = Timed(
        networks=data.networks + again.networks,
        latency_ms=np.concatenate([data.latency_ms, again.latency_ms]),
        batch=np.concatenate([data.batch, again.batch + 100]),
    ).fit()
    assert twice.segments.keys == once.segments.keys
    assert np.array_equal(twice.segments.networks, 2 * once.segments.networks)
    assert np.median(twice.segments.log_sd / once.segments.log_sd) < 1.0


def test_rows_alone_are_measured_and_operators_alone_are_predicted() -> None:
    found, network = fitted(), training().networks[5]
    served = device_model(found, rows=True).estimate_segments(network)
    assert served.source == "measured"
    assert served.shares == pytest.approx({"measured": 1.0})
    alone = device_model(found, rows=False).estimate_segments(network)
    assert alone.source == "predicted"
    assert alone.shares == pytest.approx({"predicted": 1.0})


def test_a_network_with_one_segment_of_its_own_is_predicted_and_its_shares_add_up() -> None:
    found, network = fitted(), list(training().networks[5])
    network[3] = replace(network[3], key="nobody timed this")
    mixed = device_model(found, rows=True).estimate_segments(network)
    served = device_model(found, rows=True).estimate_segments(training().networks[5])
    assert mixed.source == "predicted"
    assert sum(mixed.shares.values()) == pytest.approx(1.0)
    assert 0.0 < mixed.shares["predicted"] < 0.5 < mixed.shares["measured"]
    assert mixed.high_ms / mixed.low_ms > served.high_ms / served.low_ms


def _of_kind(network: Network, kind: str, called: str) -> Network:
    """The network with the operators of one kind under another name, its segments without a row."""
    return tuple(
        replace(
            segment,
            key=f"{called} {segment.key}",
            rows=tuple((called, *row[1:]) if row[0] == kind else row for row in segment.rows),
        )
        for segment in network
    )


def test_a_kind_that_was_never_timed_costs_widens_and_is_named() -> None:
    model = device_model(fitted(), rows=False)
    network = fresh()[0]
    foreign = _of_kind(network, "pw", "resize")
    assert isinstance(foreign[0], Segment)
    usual, guessed = model.estimate_segments(network), model.estimate_segments(foreign)
    assert guessed.high_ms / guessed.low_ms > usual.high_ms / usual.low_ms
    assert guessed.mean_ms > 0.1 * usual.mean_ms
    assert usual.warnings == ()
    assert "resizing" in guessed.warnings[0]
    operators = OperatorTable.concatenate([segment.operators for segment in foreign])
    assert fitted().operators.costs(operators)[0][operators.kind == "resize"].min() > 0.0


def test_a_family_that_was_never_timed_is_less_sure_than_the_space_that_was() -> None:
    strange = tuple(n for n in known() if any("mm" in s.operators.kind.tolist() for s in n))[:5]
    assert strange
    model = device_model(fitted(), rows=False)
    width = [e.high_ms / e.low_ms for e in map(model.estimate_segments, strange)]
    usual = [e.high_ms / e.low_ms for e in map(model.estimate_segments, fresh())]
    assert min(width) > np.median(usual)


def test_the_same_timings_give_the_same_bytes() -> None:
    first, second = small_fit(), small().fit()
    assert first.operators.to_json() == second.operators.to_json()
    assert np.array_equal(first.segments.mean_ms, second.segments.mean_ms)
    assert np.array_equal(first.left_out, second.left_out)


def test_the_order_of_the_batches_numbers_means_nothing() -> None:
    data = small()
    renamed = replace(data, batch=7 - 2 * data.batch)
    assert renamed.fit().segments.mean_ms == pytest.approx(small_fit().segments.mean_ms)


def test_one_network_gone_wrong_does_not_spoil_the_others() -> None:
    data = small()
    latency_ms = data.latency_ms.copy()
    latency_ms[7] *= 1.5
    spoiled = replace(data, latency_ms=latency_ms).fit()
    others = tuple(network for i, network in enumerate(data.networks) if i != 7)
    before = errors(small_fit(), others, rows=True)
    after = errors(spoiled, others, rows=True)
    assert np.median(np.abs(after)) < 0.02
    assert np.abs(after - before).max() < 0.05


def test_a_slow_batch_is_not_taken_for_dear_operators() -> None:
    data = timed(sampled(60, 5), 5, drift=0.04)
    mixed = replace(data, batch=np.arange(len(data.batch)))

    def strays(fitted: Regression) -> float:
        """How far errors stray from their median: the level is that of so few batches."""
        found = errors(fitted, fresh(), rows=True)
        return float(np.median(np.abs(found - np.median(found))))

    assert strays(data.fit()) < strays(mixed.fit())


def test_a_network_may_come_in_every_batch() -> None:
    reference = known()[0]
    networks = [n for i, n in enumerate(small().networks) for n in ([reference, n] if i % 10 == 0 else [n])]
    data = timed(networks, 4)
    found = replace(data, batch=np.arange(len(networks)) // 11).fit()
    assert abs(errors(found, (reference,), rows=True)[0]) < 0.02


def test_too_few_networks_and_times_that_are_none_are_refused() -> None:
    data = small()
    few = MIN_NETWORKS - 1
    with pytest.raises(InputError, match=f"at least {MIN_NETWORKS} timed networks, but got {few}"):
        fit_networks(data.networks[:few], data.latency_ms[:few], data.batch[:few], {})
    for wrong in (0.0, -1.0, float("nan"), float("inf")):
        latency_ms = data.latency_ms.copy()
        latency_ms[3] = wrong
        with pytest.raises(InputError, match="positive finite"):
            fit_networks(data.networks, latency_ms, data.batch, {})


def test_as_many_networks_as_are_needed_are_enough() -> None:
    data = small()
    n = MIN_NETWORKS
    found = fit_networks(data.networks[:n], data.latency_ms[:n], data.batch[:n], {"device": "numbers"})
    assert np.median(np.abs(errors(found, fresh(), rows=False))) < 0.2
    assert found.operators.manifest["device"] == "numbers"


def test_the_known_networks_and_a_space_are_fitted_together() -> None:
    data = timed([*known()[::2], *sampled(60, 8)], 8)
    found = data.fit()
    others = known()[1::2]
    assert np.median(np.abs(errors(found, others, rows=True))) < 0.05
    assert np.median(np.abs(errors(found, fresh(), rows=True))) < 0.03
