"""Reading a transferred model of operators: numbers and texts, checked as they are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nas.errors import InputError
from nas.latency.estimate import Source
from nas.latency.operator_model import OperatorModel
from nas.latency.published.cost_model import Floats
from nas.latency.transfer.features import NUM_PHYSICS, Frame
from nas.latency.transfer.networks import FORM, SCHEMA, TransferredOperators

_MOST_OTHERS = 64
_LARGEST = 1e12
"""No weight, level or scale of a real device is larger."""
_REMEDY = "restore it, or fit it again: `nas lut fit`"


def transferred_of_json(
    record: Mapping[str, Any], path: Path, read: Callable[[object, Path], OperatorModel]
) -> TransferredOperators:
    """The model of a document written by `TransferredOperators.as_json`; `read` reads those of the other devices.

    Raises `InputError` naming `path` for anything else: a transferred model of transferred ones, too.
    """
    try:
        if record["schema"] != SCHEMA:
            raise InputError(f"{path}: schema must be {SCHEMA}, but got {record['schema']!r}; fit it again.")
        others, frame, interval = list(record["others"]), record["frame"], record["interval"]
        if not 0 < len(others) <= _MOST_OTHERS or any(dict(other).get("form") == FORM for other in others):
            raise ValueError(f"others must be 1 to {_MOST_OTHERS} models that are not transferred themselves")
        found = TransferredOperators(
            others=tuple(read(dict(other), path) for other in others),
            frame=Frame(
                levels=_numbers(frame["levels"]),
                shares=_numbers(frame["shares"]),
                scales=_numbers(frame["scales"]),
                unit_ms=float(frame["unit_ms"]),
            ),
            weights=_numbers(record["weights"]),
            root=_numbers(record["root"]),
            noise=float(interval["noise"]),
            factor=float(interval["factor"]),
            least=float(interval["least"]),
            source=_source(record["source"]),
            manifest=dict(record["manifest"]),
        )
        fixed = found.fixed_ms if _sound(found) else np.nan
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} must be a coefficients file written by `nas lut`, but: {type(error).__name__}: {error}; {_REMEDY}."
        ) from error
    if not np.isfinite(fixed):
        raise InputError(f"{path}: the numbers of the model must be finite and fit together; {_REMEDY}.")
    return found


def _numbers(values: object) -> Floats:
    return np.array(values, dtype=np.float64)


def _source(value: object) -> Source:
    if value == "predicted":
        return "predicted"
    if value == "modelled":
        return "modelled"
    raise ValueError(f"source must be predicted or modelled, but got {value!r}")


def _sound(model: TransferredOperators) -> bool:
    """Whether shapes fit together and no number is one that a fit cannot give."""
    frame, count = model.frame, len(model.others)
    shapes = frame.levels.shape == frame.shares.shape == (count,) and frame.scales.shape == (NUM_PHYSICS,)
    if not shapes:
        return False
    columns = sum(frame.sizes) + 1
    shapes = model.weights.shape == (columns,) and model.root.ndim == 2 and len(model.root) == columns
    arrays = (frame.levels, frame.shares, frame.scales, model.weights, model.root)
    if not shapes or not all(bool((np.abs(values) < _LARGEST).all()) for values in arrays):
        return False
    positive = bool((frame.levels > 0).all() and (frame.shares >= 0).all() and (frame.scales >= 0).all())
    return (
        positive
        and abs(float(frame.shares.sum()) - 1.0) < 1e-6
        and 0 < frame.unit_ms < _LARGEST
        and 0 <= model.noise < 10
        and 0 < model.factor < 100
        and 0 <= model.least < 10
    )
