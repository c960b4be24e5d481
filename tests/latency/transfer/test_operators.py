import csv
import gzip
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import nas
from nas.errors import InputError
from nas.latency.transfer.boosting import fit_trees
from nas.latency.transfer.milliseconds import Milliseconds
from nas.latency.transfer.operator_rows import read_rows, rooflines
from tests.shared_data import shared_data

ROW = {"kind": "conv", "in_channels": 16, "out_channels": 32, "height": 14, "width": 14, "kernel": 3}


def _rows(count: int, seed: int) -> tuple[list[dict[str, Any]], NDArray[np.float64]]:
    """Convolutions of a device that does 10⁹ multiply-adds in a millisecond, and needs 0.01 ms for a call."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = [
        {
            "kind": "conv", "in_channels": 8 * int(rng.integers(1, 33)), "out_channels": 32 * int(rng.integers(1, 9)),
            "height": (side := int(rng.integers(4, 60))), "width": side, "kernel": int(rng.choice([1, 3])),
        }
        for _ in range(count)
    ]  # fmt: skip
    sizes = {name: np.array([row[name] for row in rows], dtype=np.float64) for name in rows[0] if name != "kind"}
    macs = sizes["in_channels"] * sizes["out_channels"] * sizes["height"] ** 2 * sizes["kernel"] ** 2
    return rows, 0.01 + macs / 1e9


def test_a_roofline_is_found() -> None:
    rows, timed = _rows(200, 0)
    others, true = _rows(300, 1)
    found = nas.fit_operators(rows, timed).predict(others)
    assert found.shape == (300,)
    assert np.abs(found / true - 1.0).mean() < 0.02
    assert (found.low < found).all() and (found < found.high).all()


def test_a_factor_of_one_kernel_is_learnt_and_noise_is_in_the_interval() -> None:
    rng = np.random.default_rng(2)
    rows, timed = _rows(400, 0)
    others, true = _rows(1000, 1)

    def disturbed(rows: list[dict[str, Any]], timed: NDArray[np.float64]) -> NDArray[np.float64]:
        wide = np.array([1.5 if row["in_channels"] > 128 else 1.0 for row in rows])
        return np.asarray(timed * wide * np.exp(rng.normal(0.0, 0.05, len(rows))))

    found = nas.fit_operators(rows, disturbed(rows, timed)).predict(others)
    true = disturbed(others, true)
    assert np.abs(found / true - 1.0).mean() < 0.08
    assert 0.84 < ((found.low <= true) & (true <= found.high)).mean() < 0.97


def test_larger_than_anything_measured_is_the_roofline_and_less_sure() -> None:
    rows, timed = _rows(300, 0)
    rng = np.random.default_rng(1)
    timed = timed * np.exp(rng.normal(0.0, 0.05, 300) + 0.2 * np.sin([row["height"] / 5.0 for row in rows]))
    model = nas.fit_operators(rows, timed)
    inside, beyond = ({**ROW, "in_channels": 128, "out_channels": 128, "height": s, "width": s} for s in (40, 2000))
    found = model.predict([inside, beyond])
    assert found[1] == pytest.approx(128 * 128 * 9 * 2000**2 / 1e9, rel=0.5)
    width = np.log(found.high / found.low)
    assert width[1] > width[0]


def test_columns_are_rows_and_the_same_rows_give_the_same() -> None:
    rows, timed = _rows(60, 0)
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    first, second = nas.fit_operators(rows, timed), nas.fit_operators(columns, timed)
    assert np.array_equal(first.predict(rows[:5]), second.predict(rows[:5]))
    assert len(first.predict([])) == 0


def test_times_are_numbers_of_any_type() -> None:
    rows, timed = _rows(30, 0)
    short: NDArray[Any] = timed.astype(np.float32)
    found, plain = (nas.fit_operators(rows, times).predict(rows) for times in (short, short.astype(np.float64)))
    assert found.tolist() == plain.tolist()


def test_terms_of_a_roofline() -> None:
    """A 3x3 convolution of stride 2, 14 pixels, 16 to 32 channels, two images; a depthwise one."""
    table = read_rows([{**ROW, "stride": 2, "batch": 2}, {**ROW, "kind": "Depthwise", "stride": 1, "batch": 1}])
    first, second = rooflines(table)
    assert first[:5] == pytest.approx(
        [1.0, 2 * 49 * 9 * 16 * 32 / 1e9, 2 * 196 * 16 / 1e6, 2 * 49 * 32 / 1e6, 9 * 16 * 32 / 1e6]
    )
    assert second[1] == pytest.approx(196 * 9 * 32 / 1e9)
    assert table.depthwise.tolist() == [False, True]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kernel": 0}, "kernel of an operator must be positive"),
        ({"in_channels": "many"}, "in_channels of an operator must be a number"),
        ({"fused": float("nan")}, "fused of an operator must be finite"),
    ],
)
def test_bad_records_are_errors(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        nas.fit_operators([{**ROW, **change}] * 30, np.ones(30))


def test_other_attributes_and_too_few_rows_are_errors() -> None:
    rows, timed = _rows(40, 0)
    with pytest.raises(InputError, match="at least 20 rows"):
        nas.fit_operators(rows[:10], timed[:10])
    with pytest.raises(InputError, match="positive and finite"):
        nas.fit_operators(rows, np.append(timed[1:], 0.0))
    with pytest.raises(InputError, match="the same attributes"):
        nas.fit_operators([*rows[1:], {**rows[0], "fused": 1}], timed)
    with pytest.raises(InputError, match=r"fitted \(none\), but have fused"):
        nas.fit_operators(rows, timed).predict([{**rows[0], "fused": 1}])


def test_milliseconds_are_an_array_and_lose_their_intervals_in_sums() -> None:
    found = Milliseconds(np.array([1.0, 2.0]), np.array([0.5, 1.5]), np.array([2.0, 3.0]))
    assert found.high.tolist() == [2.0, 3.0]
    assert type(found * 2.0) is np.ndarray and (found * 2.0).tolist() == [2.0, 4.0]
    assert float(found.sum()) == 3.0


def test_trees_find_a_step_and_a_product() -> None:
    points = np.random.default_rng(0).uniform(-1.0, 1.0, (2000, 6))

    def truth(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray((points[:, 1] > 0.3) + points[:, 2] * points[:, 3])

    trees = fit_trees(points, truth(points), trees=300, depth=4)
    others = np.random.default_rng(1).uniform(-1.0, 1.0, (500, 6))
    off = trees.predict(others) - truth(others)
    assert off.std() < 0.6 * np.std(others[:, 2] * others[:, 3])
    assert trees.leaves.shape == (300, 16)


def test_real_convolutions_within_a_tenth() -> None:
    """Seven hundred convolutions that a V100 was timed on tell others of their kernels."""
    path = shared_data("conv_latency_v100/conv_fp32.csv.gz")
    with gzip.open(path, "rt", encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["kernel"] == "3" and row["batch"] == "32"]
    order = np.random.default_rng(7).permutation(len(rows))[:2500]
    timed = np.array([float(rows[i]["latency_ms"]) for i in order])
    records = [{k: v if k == "kind" else float(v) for k, v in rows[i].items() if k != "latency_ms"} for i in order]
    found = nas.fit_operators(records[:700], timed[:700]).predict(records[700:])
    true = timed[700:]
    assert np.abs(found / true - 1.0).mean() < 0.1
    assert 0.83 < ((found.low <= true) & (true <= found.high)).mean() < 0.97
