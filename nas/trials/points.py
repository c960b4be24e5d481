"""Points as documents: what is kept of them, and what is sent to workers elsewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from nas.errors import InputError
from nas.space import Architecture
from nas.space.architecture import parse_architecture
from nas.space.codes import Point


def subject_of(point: Any) -> str:
    """What the table of evaluations says of a point: an architecture as YAML, a point of codes by its genes as JSON.

    `InputError` for anything else.
    """
    if isinstance(point, Architecture):
        return point.to_yaml()
    return json.dumps({"genes": dict(_checked(point).genes)})


def document_of(point: Any) -> dict[str, Any]:
    """A point as plain values, from which `point_of` makes it again. `InputError` for what is no point."""
    if isinstance(point, Architecture):
        return {"architecture": point.as_mapping(), "genes": dict(point.genes)}
    return {"code": list(_checked(point).code), "genes": dict(point.genes)}


def point_of(document: Mapping[str, Any]) -> Architecture | Point:
    """The point that `document_of` was made of."""
    if "architecture" in document:
        genes = {gene: _frozen(value) for gene, value in document["genes"].items()}
        return replace(parse_architecture(document["architecture"], "the job"), genes=genes)
    return Point(code=tuple(document["code"]), genes=document["genes"])


def _checked(point: Any) -> Point:
    if not isinstance(point, Point):
        raise InputError(f"a point must be an Architecture or a Point of codes, but got {type(point).__name__}.")
    return point


def _frozen(value: Any) -> Any:
    """JSON knows no tuples; genes have no lists."""
    return tuple(value) if isinstance(value, list) else value
