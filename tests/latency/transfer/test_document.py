"""A transferred model as a document: read back exactly, and refused where anything in it cannot be."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nas
from nas.errors import InputError
from nas.graph import OperatorTable
from nas.latency.operator_file import read_operators
from nas.latency.transfer.networks import TransferredOperators, fit_networks_of
from nas.testing.operator_models import small_operators

NAMES = ("mobilenetv1-0.5", "mobilenetv2-0.5", "mobileone-s0", "shufflenetv2-1.0", "efficientnet-lite0")


@functools.cache
def _model() -> TransferredOperators:
    known = [nas.load_latency(name) for name in ("iphone12", "pixel3-cpu")]
    tables = [OperatorTable.concatenate([s.operators for s in known[0].segments(name)]) for name in NAMES]
    times = 1.5 * known[1].latency_ms(NAMES)
    operators = [model.operators for model in known if model.operators]
    return fit_networks_of(operators, tables, times, source="modelled", least=0.2, manifest={"device": "mine"})


def test_what_is_written_is_read_back_exactly(tmp_path: Path) -> None:
    path = tmp_path / "coefficients.json"
    path.write_text(_model().to_json(), encoding="utf-8")
    again = read_operators(path)
    assert isinstance(again, TransferredOperators)
    assert again.to_json() == _model().to_json()
    assert (again.source, again.least, again.names) == ("modelled", 0.2, ("iphone12", "pixel3-cpu"))
    for first, second in zip(again.costs(small_operators()), _model().costs(small_operators()), strict=True):
        assert np.array_equal(first, second)


def _without(record: dict[str, Any]) -> None:
    del record["frame"]["levels"]


def _set(*keys: str, to: object) -> Callable[[dict[str, Any]], None]:
    def change(record: dict[str, Any]) -> None:
        for key in keys[:-1]:
            record = record[key]
        record[keys[-1]] = to

    return change


def _nested(record: dict[str, Any]) -> None:
    record["others"][0] = json.loads(_model().to_json())


@pytest.mark.parametrize(
    "change",
    [
        _without, _nested, _set("schema", to=9), _set("source", to="measured"), _set("others", to=[]),
        _set("others", to=3), _set("frame", "levels", to=[1.0]), _set("frame", "levels", to=[1.0, -1.0]),
        _set("frame", "shares", to=[0.5, 0.6]), _set("frame", "shares", to=[1.5, -0.5]),
        _set("frame", "scales", to=[1.0]),
        _set("frame", "unit_ms", to=0.0), _set("weights", to=[1.0]), _set("root", to=[[1.0]]), _set("root", to=1.0),
        _set("weights", to=[1e300] * 15), _set("interval", "noise", to=-0.1), _set("interval", "factor", to=0.0),
        _set("interval", "factor", to="x"), _set("interval", "least", to=99.0), _set("manifest", to=3),
    ],
)  # fmt: skip
def test_anything_else_is_refused_by_name(change: Callable[[dict[str, Any]], None], tmp_path: Path) -> None:
    record = json.loads(_model().to_json())
    change(record)
    path = tmp_path / "coefficients.json"
    path.write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(InputError, match="coefficients.json"):
        read_operators(path)
