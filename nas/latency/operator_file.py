"""Operator costs from a device's `coefficients.json`, of any form: numbers and texts, of which nothing is executed."""

from __future__ import annotations

from pathlib import Path

from nas.contents import read_json
from nas.latency.operator_model import OperatorModel
from nas.latency.published.predictor import predictor_of_json
from nas.latency.timed import regressor
from nas.latency.transfer import networks
from nas.latency.transfer.document import transferred_of_json


def read_operators(path: Path) -> OperatorModel:
    """The operator costs at `path`. Raises `InputError` naming the file for anything else."""
    return operators_of_json(
        read_json(path, "a coefficients file (JSON)", remedy="restore it, or fit it again: `nas lut fit`"), path
    )


def operators_of_json(record: object, path: Path) -> OperatorModel:
    """The operator costs of a document in the file at `path`. Raises `InputError` for anything else."""
    form = record.get("form") if isinstance(record, dict) else None
    if isinstance(record, dict) and form == regressor.FORM:
        return regressor.regressor_of_json(record, path)
    if isinstance(record, dict) and form == networks.FORM:
        return transferred_of_json(record, path, operators_of_json)
    return predictor_of_json(record, path)
