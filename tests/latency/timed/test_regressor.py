from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.errors import InputError
from nas.graph.operators import OperatorTable
from nas.latency.device import Device
from nas.latency.model import read_latency_model
from nas.latency.timed.operator_shapes import NUM_TERMS, coordinates, roofline_terms
from nas.latency.timed.regressor import GroupResidual, OperatorRegressor, kernel, regressor_of_json
from nas.testing.operator_models import OperatorModelConformance
from tests.latency.examples import classifier, pointwise, row, table

PATH = Path("somewhere/coefficients.json")
ROOFLINE = np.array([
    [20.0, 0.1, 0.2, 0.3, 1.0, 5.0], [10.0, 0.4, 0.2, 0.5, 2.0, 0.0], [15.0, 0.3, 0.3, 0.3, 3.0, 2.0]
])  # fmt: skip
DEVICE = Device(
    name="mine", chip="c", runtime="r", compute_unit="u", precision="p", protocol="p", date="2026", source="me"
)
SEEN = table(pointwise(16, 32, 14), pointwise(32, 64, 14), pointwise(64, 64, 7))
"""The operators that the residual of `regressor` knows."""


def regressor(weight: float = 0.0, certainty: float = 0.0) -> OperatorRegressor:
    """Costs of `pw` and `lin`; g of `pw` is `weight` times the kernel to each of `SEEN`."""
    centres = coordinates(SEEN)
    residual = GroupResidual(
        centres=centres, weights=np.full(len(centres), weight), certainty=certainty * np.eye(len(centres))
    )
    return OperatorRegressor(
        fixed_ms=0.05, groups=("pw", "lin"), roofline=ROOFLINE, residuals={"pw": residual}, scale=0.2, length=1.5,
        floor=0.03, factor=1.5, manifest={"device": "mine", "date": "2026-01-01"},
    )  # fmt: skip


class TestOperatorRegressor(OperatorModelConformance):
    @pytest.fixture
    def model(self) -> OperatorRegressor:
        return regressor(weight=0.3, certainty=0.1)


def test_without_a_residual_an_operator_costs_its_roofline() -> None:
    operators = table(pointwise(16, 32, 14), classifier(32), row("add"), pointwise(16, 32, 14))
    expected = (roofline_terms(operators) * ROOFLINE[[0, 1, 2, 0]]).sum(axis=1)
    assert regressor().costs(operators)[0] == pytest.approx(expected)


def test_the_residual_multiplies_the_roofline() -> None:
    one = regressor(weight=0.5)
    g = 0.5 * kernel(coordinates(SEEN), coordinates(SEEN), one.scale, one.length).sum(axis=1)
    assert (g > 0.01).all()
    assert one.costs(SEEN)[0] == pytest.approx(regressor().costs(SEEN)[0] * (1.0 + g))
    other = table(classifier(32))
    assert one.costs(other)[0] == pytest.approx(regressor().costs(other)[0])


def test_no_operator_is_free_or_earns_time() -> None:
    found = regressor(weight=-1e3).costs(SEEN)[0]
    assert (found > 0.0).all() and (found < regressor().costs(SEEN)[0]).all()


def test_what_was_timed_is_surer_than_what_was_not_and_an_unknown_kind_least_sure() -> None:
    centres = coordinates(SEEN)
    prior = kernel(centres, centres, 0.2, 1.5)
    inverse_root = np.linalg.inv(np.linalg.cholesky(prior)).T
    known = regressor()
    known = replace(known, residuals={"pw": replace(known.residuals["pw"], certainty=inverse_root)})
    operators = table(pointwise(16, 32, 14), pointwise(512, 512, 56), row("add", channels=512, side=56))
    relative = known.costs(operators)[1].sum(axis=1) / known.costs(operators)[0]
    assert relative[0] < 1e-3 < relative[1] < relative[2]
    assert (known.costs(operators)[1] > 0.0).argmax(axis=1).tolist()[1:] == [0, 2]


def test_the_interval_is_a_floor_and_what_is_unsure_in_squares() -> None:
    one = regressor()
    sums = np.array([[0.0, 0.0, 0.0], [0.03, 0.0, 0.04]])
    mean, rows = np.array([1.0, 1.0]), np.zeros(2)
    found = one.half_width(mean, sums, rows)
    # The last column is what was never timed: a guess, which `factor` says nothing of; 1.645 deviations are 45 %.
    assert found == pytest.approx([one.floor, math.hypot(one.floor, one.factor * 0.03, 1.645 * 0.04)])
    # What rows stray by is in the floor; a segment has no fixed time to be left out of it; large inputs were timed.
    assert np.array_equal(one.half_width(mean, sums, rows + 0.5), found)
    assert np.array_equal(one.half_width(mean, sums, rows, large=True, whole=False), found)


def test_a_kind_that_was_never_timed_is_named_where_it_matters() -> None:
    one = regressor()
    assert one.warnings(SEEN) == ()
    large = OperatorTable.concatenate([SEEN, table(row("softmax", channels=512, side=56))])
    (text,) = one.warnings(large)
    assert "softmax" in text and "a guess" in text
    small = OperatorTable.concatenate([*[SEEN] * 20, table(row("add", channels=1, side=1))])
    assert one.warnings(small) == ()
    foreign = OperatorTable.concatenate([*[SEEN] * 20, table(row("other:Fancy", channels=1, side=1))])
    assert "in Fancy, " in one.warnings(foreign)[0]


def test_what_is_written_is_read_back_and_written_the_same() -> None:
    one = replace(regressor(weight=1 / 3, certainty=0.1), fixed_ms=0.1 + 0.2)
    text = one.to_json()
    again = regressor_of_json(json.loads(text), PATH)
    assert again.to_json() == text
    assert again.costs(SEEN)[0] == pytest.approx(one.costs(SEEN)[0], rel=1e-6)
    assert again.costs(SEEN)[1] == pytest.approx(one.costs(SEEN)[1], rel=1e-6)
    assert (again.fixed_ms, again.floor, again.manifest) == (one.fixed_ms, one.floor, one.manifest)


def test_it_is_recognised_among_the_files_of_a_device(tmp_path: Path) -> None:
    (tmp_path / "coefficients.json").write_text(regressor(weight=0.2).to_json(), "utf-8")
    model = read_latency_model(DEVICE, tmp_path)
    assert isinstance(model.operators, OperatorRegressor)
    assert model.latency_ms([SEEN])[0] == pytest.approx(0.05 + regressor(weight=0.2).costs(SEEN)[0].sum())
    assert model.estimate(SEEN).source == "predicted"


def _places(record: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The way to everything in a document."""
    keys = record.keys() if isinstance(record, dict) else range(len(record)) if isinstance(record, list) else ()
    for key in keys:
        yield (*path, key)
        yield from _places(record[key], (*path, key))


def _changed(record: dict[str, Any], path: tuple[str | int, ...], value: object) -> dict[str, Any]:
    found = copy.deepcopy(record)
    place: Any = found
    for key in path[:-1]:
        place = place[key]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return found


DOCUMENT = json.loads(regressor(weight=0.1, certainty=0.1).to_json())
_UNREAD = ("meaning", "form", "manifest")
PLACES = [path for path in _places(DOCUMENT) if path[0] not in _UNREAD and path[:2] != ("coefficients", "pw.macs")]
WRONG: list[object] = [..., None, "x", "x 9", [], {}, [[1.0]], math.nan, math.inf, -1.0, 10**400, True]


def _read(record: dict[str, Any]) -> OperatorRegressor | str:
    """The model, or why the document was refused."""
    try:
        return regressor_of_json(record, PATH)
    except InputError as error:
        return str(error)


@pytest.mark.parametrize("value", WRONG, ids=lambda value: repr(value)[:12])
def test_a_damaged_document_is_refused_by_name_or_still_sound(value: object) -> None:
    refused = 0
    for path in PLACES:
        found = _read(_changed(DOCUMENT, path, value))
        if isinstance(found, str):
            assert str(PATH) in found, path
            refused += 1
            continue
        cost, unsure = found.costs(SEEN)
        assert np.isfinite(cost).all() and (cost > 0.0).all(), (path, value)
        assert np.isfinite(unsure).all() and (unsure >= 0.0).all(), (path, value)
        found.to_json()
    assert refused


@pytest.mark.parametrize("path", [p for p in PLACES if len(p) == 1], ids=lambda p: str(p[0]))
def test_every_part_of_the_document_must_be_there(path: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match=r"coefficients\.json"):
        regressor_of_json(_changed(DOCUMENT, path, ...), PATH)


def test_another_schema_and_rooflines_of_another_form_are_refused() -> None:
    with pytest.raises(InputError, match="schema must be 5, but got 2; build it again"):
        regressor_of_json({**DOCUMENT, "schema": 2}, PATH)
    with pytest.raises(InputError, match="fit together"):
        regressor_of_json({**DOCUMENT, "roofline": [[0.0] * (NUM_TERMS + 1)] * 3}, PATH)


def test_a_table_from_before_stalls_were_known_says_what_it_said() -> None:
    """Its operators cost as much for them as none."""
    known = [terms[:-1] for terms in DOCUMENT["roofline"]]
    found = regressor_of_json({**DOCUMENT, "schema": 4, "roofline": known}, PATH)
    assert found.roofline.tolist() == [[*terms, 0.0] for terms in known]


def test_a_file_cut_off_is_refused_by_name(tmp_path: Path) -> None:
    text = regressor().to_json()
    (tmp_path / "coefficients.json").write_text(text[: len(text) // 2], "utf-8")
    with pytest.raises(InputError, match=r"coefficients\.json must be a coefficients file"):
        read_latency_model(DEVICE, tmp_path)
