import csv
import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import nas
from nas.errors import InputError
from nas.latency.transfer.codes import Before
from nas.space.codes import CodeSpace, Point
from tests.shared_data import shared_data

SPACE = CodeSpace(
    name="five", description="", genes={f"layer{i}": ("a", "b", "c", "none") for i in range(5)}, source="here"
)
WORK = np.array([[1.0, 2.0, 4.0, 0.0]]) * np.array([[1.0], [2.0], [3.0], [4.0], [5.0]])
"""What a choice costs in each layer."""


class Additive:
    """A device whose latency is a sum of choices."""

    def __init__(self, fixed_ms: float, table: NDArray[np.float64]) -> None:
        self.fixed_ms, self.table = fixed_ms, table

    def latency_ms(self, points: Sequence[Point]) -> NDArray[np.float64]:
        codes = np.array([point.code for point in points])
        return np.asarray(self.fixed_ms + self.table[np.arange(5), codes].sum(axis=1))


KNOWN = (Additive(10.0, WORK), Additive(20.0, WORK + 3.0 * (WORK > 0)))
NEW = Additive(5.0, 0.4 * WORK + 0.5 * (WORK > 0))


def _points(count: int, seed: int) -> list[Point]:
    return SPACE.sample(count, np.random.default_rng(seed))


def test_a_device_between_two_others_is_known_from_six_points() -> None:
    measured, others = _points(6, 0), _points(200, 1)
    model = nas.fit_latency(SPACE, measured, NEW.latency_ms(measured), KNOWN)
    alone = nas.fit_latency(SPACE, measured, NEW.latency_ms(measured))
    true = NEW.latency_ms(others)
    error, without = (np.abs(m.latency_ms(others) / true - 1.0).mean() for m in (model, alone))
    assert error < 0.02
    assert error < 0.5 * without


def test_costs_stand_for_devices() -> None:
    measured, others = _points(6, 0), _points(200, 1)
    physics = Additive(0.0, WORK), Additive(0.0, (WORK > 0).astype(float))
    model = nas.fit_latency(
        SPACE, measured, NEW.latency_ms(measured), costs=lambda p: np.stack([d.latency_ms(p) for d in physics], axis=1)
    )
    true = NEW.latency_ms(others)
    assert np.abs(model.latency_ms(others) / true - 1.0).mean() < 0.02


def test_timed_points_of_a_device_are_as_good_as_its_model() -> None:
    measured, others, timed = _points(6, 0), _points(50, 1), _points(1000, 2)
    pairs = [(timed, device.latency_ms(timed)) for device in KNOWN]
    model = nas.fit_latency(SPACE, measured, NEW.latency_ms(measured), pairs)
    assert np.abs(model.latency_ms(others) / NEW.latency_ms(others) - 1.0).mean() < 0.02


def test_the_interval_is_of_the_posterior() -> None:
    """By the definition: half of it is the quantile times the deviation of mean and noise."""
    measured, others = _points(8, 0), _points(5, 1)
    model = Before(SPACE, KNOWN).fit(measured, NEW.latency_ms(measured))
    found = model.predict(others)
    for i, point in enumerate(others):
        places = [4 * gene + choice for gene, choice in enumerate(point.code)]
        variance = ((model.root[places].sum(axis=0) + model.root[-1]) ** 2).sum() + model.noise_ms**2
        mean = model.constant_ms + model.choices_ms[places].sum()
        assert found[i] == pytest.approx(mean)
        assert found.high[i] - found[i] == pytest.approx(model.factor * np.sqrt(variance))
        estimate = model.estimate(point)
        assert (estimate.mean_ms, estimate.high_ms) == pytest.approx((mean, found.high[i]))
        assert estimate.source == "predicted"


def test_nine_in_ten_are_inside_of_intervals() -> None:
    rng, inside, count = np.random.default_rng(5), 0, 0
    before = Before(SPACE, KNOWN)
    others = _points(300, 1)
    for seed in range(10):
        table = 0.4 * WORK * np.exp(rng.normal(0.0, 0.3, WORK.shape))
        device, measured = Additive(5.0, table), _points(15, 100 + seed)
        noisy = device.latency_ms(measured) * np.exp(rng.normal(0.0, 0.03, 15))
        found = before.fit(measured, noisy).predict(others)
        true = device.latency_ms(others) * np.exp(rng.normal(0.0, 0.03, 300))
        inside += int(((found.low <= true) & (true <= found.high)).sum())
        count += 300
    assert 0.82 < inside / count < 0.98


def test_points_that_tell_most_differ() -> None:
    """Of copies of one point and one other, both are chosen."""
    first, second = SPACE.decode([0] * 5), SPACE.decode([2] * 5)
    assert set(Before(SPACE, KNOWN).choose([first, first, first, second], 2)) & {3}


def test_codes_and_points_get_the_same() -> None:
    measured, others = _points(6, 0), _points(20, 1)
    model = nas.fit_latency(SPACE, measured, NEW.latency_ms(measured), KNOWN)
    codes = np.array([point.code for point in others])
    assert np.array_equal(model.codes_ms(codes), model.latency_ms(others))
    assert type(model.predict(others)[0:2]) is np.ndarray


@pytest.mark.parametrize("kind", [np.float32, np.int64])
def test_latencies_are_numbers_of_any_type(kind: Any) -> None:
    class Typed(Additive):
        def latency_ms(self, points: Sequence[Point]) -> NDArray[Any]:
            return np.rint(super().latency_ms(points)).astype(kind)

    points = _points(6, 0)
    found, plain = (
        nas.fit_latency(SPACE, points, [number(ms) for ms in Typed(5.0, WORK).latency_ms(points)], [Typed(10.0, WORK)])
        for number in (kind, float)
    )
    assert found.latency_ms(points).tolist() == plain.latency_ms(points).tolist()


def test_bad_measurements_are_errors() -> None:
    points = _points(4, 0)
    other = CodeSpace(name="x", description="", genes={"a": (1, 2)}, source="here").decode([0])
    for given, latency, message in (
        (points[:2], [1.0, 2.0], "at least 3 points"),
        (points, [1.0, 2.0, 3.0], "3 for 4"),
        (points, [1.0, 2.0, 3.0, -1.0], "positive"),
        ([*points[:3], other], [1.0] * 4, "must have the genes"),
    ):
        with pytest.raises(InputError, match=message):
            nas.fit_latency(SPACE, given, latency)
    with pytest.raises(InputError, match="shape"):
        nas.fit_latency(SPACE, points, [1.0] * 4, costs=lambda p: np.ones(3))


def test_a_search_takes_the_model(tmp_path: Path) -> None:
    measured = _points(12, 0)
    model = nas.fit_latency(SPACE, measured, NEW.latency_ms(measured), KNOWN)
    target = float(np.median(NEW.latency_ms(_points(200, 1))))
    result = nas.search(
        SPACE, latency=model, evaluate=lambda points: [0.1 + 0.01 * NEW.latency_ms([p])[0] for p in points], budget=12,
        target_ms=target, reward="hard", seed=0, noisy=False, storage=f"sqlite:///{tmp_path}/trials.db",
    )  # fmt: skip
    assert NEW.latency_ms([Point(code=result.best.codes, genes=result.best.genes)])[0] <= 1.05 * target


def test_twenty_measurements_order_real_networks() -> None:
    """Half of the FBNet devices of one task, from the others: rank correlation far above what one of these gives."""
    path = shared_data("fbnet_latency/latency.csv.gz")
    with gzip.open(path, "rt", encoding="utf-8", newline="") as stream:
        rows = [row for _, row in zip(range(1500), csv.DictReader(stream), strict=False)]
    space = CodeSpace(
        name="fbnet", description="", genes={f"l{i}": tuple(range(9)) for i in range(22)}, source="data folder"
    )
    points = [space.decode([int(v) for v in row["arch"].split("_")]) for row in rows]
    timed = {
        name: np.array([float(row[f"lat_{name}"]) for row in rows]) for name in ("1080ti_1", "gold_6240", "raspi4")
    }
    known = [(points, timed[name]) for name in ("gold_6240", "raspi4")]
    before = Before(space, known)
    chosen = before.choose(points[:500], 20)
    model = before.fit([points[i] for i in chosen], timed["1080ti_1"][chosen])

    def rank(values: NDArray[np.float64]) -> NDArray[np.int64]:
        return np.argsort(np.argsort(values))

    true = rank(timed["1080ti_1"])
    found = np.corrcoef(rank(model.latency_ms(points)), true)[0, 1]
    best = max(np.corrcoef(rank(timed[name]), true)[0, 1] for name in ("gold_6240", "raspi4"))
    assert found > 0.8
    assert 1.0 - found < 0.7 * (1.0 - best)
