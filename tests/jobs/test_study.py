from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from nas.errors import InputError
from nas.graph import Graph
from nas.jobs import study as job
from nas.jobs.study import EXPERIMENTS, Row, correlations, study
from nas.jobs.study_networks import Subject
from nas.latency import Estimate, device_home
from nas.nets.untrained import write_untrained
from nas.progress import Step
from nas.space import parse_architecture
from tests.measure.devices import TINY, add_device


def _tiny_subjects() -> Iterator[Subject]:
    """Two networks, the second of them larger."""
    layers = [{**layer.as_mapping(), **({"out": 64} if layer.block == "conv" else {})} for layer in TINY.layers]
    large = parse_architecture({**TINY.as_mapping(), "resolution": 64, "layers": layers}, "large")
    for name, network in (("tiny", TINY), ("large", large)):
        yield Subject(name=name, group="test", graph=network.graph(), base=name)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with the devices `mine`, measured here, and `far`, which nothing reaches; studies of two networks."""
    monkeypatch.setenv("NAS_WORKSPACE", str(tmp_path))
    add_device(tmp_path, "mine")
    for kind, experiment in EXPERIMENTS.items():
        monkeypatch.setitem(EXPERIMENTS, kind, replace(experiment, subjects=_tiny_subjects))
    return tmp_path


def test_a_device_that_is_reached_is_measured(here: Path) -> None:
    said: list[Step] = []
    found = study("blocks", device_home("mine"), rounds=2, progress=said.append)
    assert [(row.name, row.threads, row.ratio) for row in found.rows] == [("tiny", 1, 1.0), ("large", 1, 1.0)]
    assert (found.source, found.rounds) == ("measured", 2)
    assert {"chip", "runtime"} <= found.environment.keys()
    assert said == [Step(doing="timing the networks of blocks", done=0, of=2)]


def test_threads_are_compared_with_one_by_the_wall_clock(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "_thread_counts", lambda environment: (1, 2))
    found = study("threads", device_home("mine"), rounds=1)
    assert [(row.name, row.threads) for row in found.rows] == [("tiny", 1), ("large", 1), ("tiny", 2), ("large", 2)]
    assert [row.ratio for row in found.rows[:2]] == [1.0, 1.0]
    one, two = found.rows[0], found.rows[2]
    assert two.ratio == pytest.approx(two.latency.mean_ms / one.latency.mean_ms)


def test_a_network_that_cannot_be_timed_is_left_out_with_what_is_compared_with_it(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def subjects() -> Iterator[Subject]:
        tiny, large = _tiny_subjects()
        yield replace(tiny, base="")
        yield replace(large, base="large")
        yield replace(tiny, name="other", base="large")

    def refusing(graph: Graph, path: Path, *, seed: int = 0) -> Path:
        if graph.input_shape[1] == 64:
            raise InputError("large must have operators of this runtime, but has others; leave it out.")
        return write_untrained(graph, path, seed=seed)

    monkeypatch.setitem(EXPERIMENTS, "blocks", replace(EXPERIMENTS["blocks"], subjects=subjects))
    monkeypatch.setattr("nas.nets.untrained.write_untrained", refusing)
    found = study("blocks", device_home("mine"), rounds=2)
    assert [(row.name, row.ratio) for row in found.rows] == [("tiny", None)]
    assert found.warnings[:2] == (
        "large is left out: large must have operators of this runtime, but has others; leave it out.",
        "other is left out, as large is, with which it is compared.",
    )


@pytest.mark.parametrize(
    ("cores", "counts"), [("1", (1,)), ("2", (1, 2)), ("4", (1, 2, 4)), ("6", (1, 2, 4, 6)), ("8", (1, 2, 4, 8))]
)
def test_threads_double_up_to_all_cores(cores: str, counts: tuple[int, ...]) -> None:
    assert job._thread_counts({"cores": cores}) == counts


def test_a_device_that_nothing_reaches_is_predicted_with_intervals() -> None:
    found = study("blocks", device_home("iphone12"))
    assert (found.source, found.rounds, dict(found.environment)) == ("modelled", 0, {})
    assert all(row.latency.low_ms < row.latency.mean_ms < row.latency.high_ms for row in found.rows)
    assert found.rows[1].ratio == pytest.approx(found.rows[1].latency.mean_ms / found.rows[0].latency.mean_ms)
    assert found.warnings and "--json" in found.warnings[0]


def test_what_no_model_knows_is_refused(here: Path) -> None:
    with pytest.raises(InputError, match=r"iphone12/device\.yaml: reach must say how to get to the device"):
        study("threads", device_home("iphone12"))
    add_device(here, "far", runtime="TensorFlow")
    with pytest.raises(InputError, match=r"far/device\.yaml: runtime must be"):
        study("blocks", device_home("far"))


def _row(macs: int, params: int, ms: float) -> Row:
    latency = Estimate(mean_ms=ms, low_ms=ms, high_ms=ms, source="measured")
    return Row(
        name="n", group="g", params=params, macs=macs, resolution=224, threads=1, latency=latency, ratio=None
    )  # fmt: skip


def test_correlations_are_of_ranks() -> None:
    found = correlations([_row(10**i, 100 - i, float(i)) for i in range(1, 20)])
    assert (found["macs"].spearman, found["macs"].low) == pytest.approx((1.0, 1.0))
    assert found["params"].spearman == pytest.approx(-1.0)


def test_the_document_of_a_correlation_has_scores_and_all_networks() -> None:
    record = study("correlation", device_home("iphone12")).as_json()
    keys = ["study", "title", "device", "source", "environment", "rounds", "rows", "scores", "warnings"]
    assert sorted(keys) == sorted(record)
    assert {"macs", "params"} == set(record["scores"])
    for score in record["scores"].values():
        assert -1.0 <= score["low"] <= score["spearman"] <= score["high"] <= 1.0
    assert {"name", "group", "params", "macs", "resolution", "threads", "latency", "ratio"} == set(record["rows"][0])
