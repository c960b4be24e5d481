from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nas.errors import InputError
from nas.latency.published.scores import Plan, kendall_tau_b, read_plan, summary, verify
from tests.latency.examples import calibration, model


def test_kendalls_tau_counts_pairs_and_ties() -> None:
    ordered = np.array([1.0, 2.0, 3.0, 4.0])
    assert kendall_tau_b(ordered, ordered) == pytest.approx(1.0)
    assert kendall_tau_b(ordered, -ordered) == pytest.approx(-1.0)
    # Of six pairs one is tied in the second, four agree and one does not: (4 - 1) / sqrt(6 · 5).
    assert kendall_tau_b(ordered, np.array([1.0, 3.0, 2.0, 3.0])) == pytest.approx(3 / np.sqrt(30))


def test_a_plan_is_read_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "calibration.yaml"
    assert read_plan(path) == Plan()
    path.write_text("aside: [A]\norder: {source: a paper, without: [B, C]}\n", encoding="utf-8")
    assert read_plan(path) == Plan(aside=("A",), order_source="a paper", order_without=("B", "C"))
    path.write_text("priors: {rate: [3e7, 0.5]}\n", encoding="utf-8")
    assert read_plan(path).priors == {"rate": (3e7, 0.5)}
    path.write_text("priors: neural-engine\n", encoding="utf-8")
    assert read_plan(path).priors == {}  # the cost model's own, and nothing to choose
    assert Plan().priors is None
    path.write_text("priors: neural\n", encoding="utf-8")
    with pytest.raises(InputError, match="priors must be a mapping"):
        read_plan(path)
    path.write_text("priors: {rate: 3e7}\n", encoding="utf-8")
    with pytest.raises(InputError, match="rate must be a list of a centre"):
        read_plan(path)
    path.write_text("order: {vary: [gelu]}\n", encoding="utf-8")
    assert read_plan(path).order_vary == ("gelu",)
    path.write_text("asides: [A]\n", encoding="utf-8")
    with pytest.raises(InputError, match="did you mean 'aside'"):
        read_plan(path)
    path.write_text("aside: A\n", encoding="utf-8")
    with pytest.raises(InputError, match="aside must be a list"):
        read_plan(path)


def test_scores_of_exact_rows_are_near_exact() -> None:
    data = calibration(12, model(), noise=0.003)
    calls: list[tuple[int, int]] = []
    found = verify(data, Plan(aside=("f3",)), lambda done, total: calls.append((done, total)))
    record = summary(found)
    assert record["rows"] == {"calibrating": 12, "scored": 12, "networks": 12}
    assert record["network_out"]["median"] < 0.02
    assert record["macs_and_parameters"]["median"] > record["network_out"]["median"]
    assert record["intervals"]["ours"]["coverage"] > 0.8
    assert set(record["families"]) == {"f0", "f1", "f2", "f3"}
    assert record["aside"]["families"] == ["f3"]
    assert found.main.sum() == 9
    assert calls[-1] == (16, 16)  # twelve networks, four families
    assert "order" not in record


def test_a_walk_is_predicted_without_its_families_also_with_other_priors() -> None:
    data = calibration(12, model(), noise=0.003)
    plan = Plan(order_source="here", order_without=("f0", "f1"), order_vary=("gelu",))
    found = verify(data, plan, lambda done, total: None)
    assert list(found.order) == ["", "prior of gelu x 0.5", "prior of gelu x 2"]
    order = summary(found)["order"]
    assert order["without"] == ["f0", "f1"]
    assert len(order["steps"]) == 6
    assert -1.0 <= order["tau_b"] <= 1.0
    assert set(order["varied"]) == {"prior of gelu x 0.5", "prior of gelu x 2"}
    predicted = ~np.isnan(found.order[""].error)
    assert np.array_equal(predicted, np.isin(data.family, ["f0", "f1"]))
