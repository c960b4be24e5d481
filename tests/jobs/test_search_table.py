"""Searches on devices that have a table and no operator costs, beside a plain look at every network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nas
from nas.errors import TargetError, UnknownOperatorError
from nas.evaluate import ChannelAdaptation, Limits, Models
from nas.jobs.lut_import import import_tables
from nas.jobs.search import free_search as search
from nas.jobs.search_answer import SearchAnswer
from nas.jobs.search_run import SearchOutcome, SearchRequest, run_search
from nas.latency import LatencyModel, device_home
from nas.latency.table.rows import read_table
from nas.space import Architecture, known_names, known_network, load_architecture, space_paths
from nas.space.reading import parse_search_space
from nas.space.search_space import SearchSpace
from nas.strategies import RandomSearch
from tests.evaluate.tables import all_codes, keys_of, rows_alone
from tests.jobs.small import tiny_document
from tests.latency.test_device import TEXT
from tests.shared_data import shared_data

FREE = Limits(max_novelty=None)


@pytest.fixture(scope="module")
def space() -> SearchSpace:
    return parse_search_space(tiny_document(), "tiny")


@pytest.fixture(scope="module")
def networks(space: SearchSpace) -> list[Architecture]:
    return [space.decode(code) for code in all_codes(space)]


@pytest.fixture(scope="module")
def times(networks: list[Architecture]) -> dict[str, float]:
    """Every layer of the space with a time of its own."""
    return {key: 0.01 * i for i, key in enumerate(keys_of(networks), start=1)}


def run(space: SearchSpace, latency: LatencyModel, target_ms: float, **options: Any) -> SearchAnswer:
    accuracy = nas.load_accuracy("imagenet")
    arguments = {"limits": FREE, "starts": 0, **options}
    return search(space, latency=latency, accuracy=accuracy, target_ms=target_ms, **arguments)


def total_ms(network: Architecture, times: dict[str, float]) -> float:
    """The sum of the table's rows; infinite where one lacks."""
    return sum(times.get(segment.key, np.inf) for segment in network.segments())


def best_score(networks: list[Architecture], times: dict[str, float], target_ms: float) -> float:
    """The greatest lower bound of accuracy of all networks at or under the target."""
    under = [network for network in networks if total_ms(network, times) <= target_ms]
    figures = Models(rows_alone(times), nas.load_accuracy("imagenet"), FREE).figures(under)
    return float(figures.accuracy.low.max())


def middle_ms(networks: list[Architecture], times: dict[str, float]) -> float:
    found = [ms for network in networks if np.isfinite(ms := total_ms(network, times))]
    return float(np.median(found))


def test_a_table_of_the_whole_space_is_searched(
    space: SearchSpace, networks: list[Architecture], times: dict[str, float]
) -> None:
    target_ms = middle_ms(networks, times)
    answer = run(space, rows_alone(times), target_ms)
    assert answer.best.latency.mean_ms == pytest.approx(total_ms(answer.best.architecture, times), rel=1e-12)
    assert answer.best.latency.source == "measured"
    assert answer.best.accuracy.low == pytest.approx(best_score(networks, times, target_ms), abs=1e-9)
    count = len(list(known_names()))
    assert (answer.baselines, len(answer.notes)) == ((), 1)
    assert f"{count} of {count} known networks are left out of the comparison: the table of mine" in answer.notes[0]


def test_a_known_network_with_rows_is_compared(space: SearchSpace, times: dict[str, float]) -> None:
    known = known_network("mobilenetv2-0.35")
    more = times | dict.fromkeys(keys_of([known]), 0.1)
    answer = run(space, rows_alone(more), 100.0)
    assert [network.name for network in answer.baselines] == [known.name]
    assert answer.baselines[0].latency.mean_ms == pytest.approx(0.1 * len(known.layers))


def test_what_lacks_rows_is_named_or_left_out(
    space: SearchSpace, networks: list[Architecture], times: dict[str, float]
) -> None:
    # Without the layers of stage 2 at its larger width.
    kept = {key: ms for key, ms in times.items() if "24x4x4" not in key}
    latency = rows_alone(kept)
    with pytest.raises(
        UnknownOperatorError, match=r"stage2\.width 24.*or search in what is covered \(--covered-only\)"
    ):
        run(space, latency, 100.0)
    target_ms = middle_ms(networks, kept)
    answer = run(space, latency, target_ms, covered_only=True)
    assert answer.best.accuracy.low == pytest.approx(best_score(networks, kept, target_ms), abs=1e-9)
    assert all(np.isfinite(total_ms(network.architecture, kept)) for network in (answer.best, *answer.front))
    assert any(note.startswith("Searched only in what the table covers: ") for note in answer.notes)
    with pytest.raises(TargetError, match="but the fastest one found"):
        run(space, latency, 0.01, covered_only=True)


def test_where_nothing_is_covered_there_is_nothing_to_search(space: SearchSpace, times: dict[str, float]) -> None:
    latency = rows_alone({key: ms for key, ms in times.items() if not key.startswith("gap")})
    for covered_only in (False, True):
        with pytest.raises(UnknownOperatorError, match=r"no network of the space has rows.* coefficients\.$"):
            run(space, latency, 100.0, covered_only=covered_only)


def test_shrinking_keeps_to_widths_that_have_rows(networks: list[Architecture], times: dict[str, float]) -> None:
    start = max(networks, key=lambda network: total_ms(network, times))
    position = next(i for i, layer in enumerate(start.layers) if int(dict(layer.args).get("hidden", 0)) > 16)
    narrow = start.layers[position].with_args(hidden=8)
    smaller = replace(start, layers=(*start.layers[:position], narrow, *start.layers[position + 1 :]))
    more = times | {key: 0.001 for key in keys_of([smaller]) if key not in times}
    models = Models(rows_alone(more), nas.load_accuracy("imagenet"), FREE)
    found = ChannelAdaptation(models).shrink(start, target_ms=0.999 * total_ms(start, times))
    met = [ChannelAdaptation.network(shrunk.state, start) for shrunk in found.met]
    assert smaller.layers in [network.layers for network in met]
    assert all(np.isfinite(total_ms(network, more)) for network in met)


@pytest.fixture
def note10(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a phone with the lookup tables of its users."""
    files = sorted(shared_data("note10").glob("*_lookup_table.yaml"))
    monkeypatch.setenv("NAS_WORKSPACE", str(tmp_path))
    folder = tmp_path / "latency_tables" / "note10"
    folder.mkdir(parents=True)
    (folder / "device.yaml").write_text(TEXT.replace("name: mine", "name: note10"), encoding="utf-8")
    import_tables(device_home("note10"), files)
    return folder


def test_once_for_alls_space_is_searched_with_its_users_tables(note10: Path) -> None:
    space = nas.load_space("ofa-mobilenetv3")
    assert isinstance(space, SearchSpace)
    rows = {key: row.mean_ms for key, row in read_table(note10 / "table.csv").items()}
    answer = search(
        space,
        latency=nas.load_latency("note10"),
        accuracy=nas.load_accuracy("imagenet"),
        target_ms=25.0,
        strategy=RandomSearch(evaluations=20_000),
        starts=1,
    )
    assert answer.best.latency.mean_ms == pytest.approx(total_ms(answer.best.architecture, rows), rel=1e-12)
    assert answer.best.latency.mean_ms <= 25.0
    # The one network whose sum the authors' tables give: 29.965 ms.
    (known,) = answer.baselines
    assert known.name == "ofa-mobilenetv3-note10-30ms"
    assert known.latency.mean_ms == pytest.approx(29.965345915208594)


def test_from_tables_to_files(note10: Path, tmp_path: Path) -> None:
    """The shortest networks of the space, at one size: few enough for an exhaustive search."""
    (tmp_path / "search_spaces").mkdir()
    shipped = space_paths()["ofa-mobilenetv3"].read_text("utf-8")
    for old, new in (
        ("[160, 176, 192, 208, 224]", "[224]"),
        ("[2, 3, 4]", "[2]"),
        ("[3, 5, 7]", "[3]"),
        ("[3, 4, 6]", "[3, 6]"),
    ):
        assert old in shipped
        shipped = shipped.replace(old, new)
    (tmp_path / "search_spaces" / "ofa-mobilenetv3.yaml").write_text(shipped, encoding="utf-8")
    outcome = run_search(SearchRequest(target_ms=25.0, device="note10", space="ofa-mobilenetv3"))
    assert isinstance(outcome, SearchOutcome)
    assert outcome.fault is None
    assert (outcome.answer.exact, outcome.answer.evaluated) == (True, 4**5)
    best = outcome.answer.best
    rows = {key: row.mean_ms for key, row in read_table(note10 / "table.csv").items()}
    assert best.latency.mean_ms == pytest.approx(total_ms(load_architecture(str(best.zoo)), rows), rel=1e-12)
    assert best.latency.mean_ms <= 25.0
