"""Sizes of inputs as a user gives them, where a file leaves them open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from nas.errors import InputError
from nas.graph.rows import Shape

OPTION = "--input-shape"
MAX_ELEMENTS = 2**31
MAX_BATCH = 4096
InputShapes = str | Sequence[str] | Sequence[int] | Mapping[str, Sequence[int] | str]
"""As texts, "x=1x3x224x224" or, for the only input, "1x3x224x224"; as sizes; or as sizes by name."""


def parse_input_shapes(given: InputShapes) -> dict[str, Shape]:
    """Input → its sizes; the only input may go without a name, "". Raises `InputError` for anything else."""
    if isinstance(given, Mapping):
        return {name: _parsed(sizes, f"{name}={sizes}") for name, sizes in given.items()}
    if isinstance(given, str):
        given = [given]
    if all(isinstance(size, int | np.integer) for size in given):
        return {"": _parsed([int(size) for size in given], given)} if len(given) else {}
    found: dict[str, Shape] = {}
    for text in given:
        name, _, sizes = str(text).rpartition("=")
        if name in found:
            raise InputError(f"{OPTION} must name each input once, but got {name or sizes!r} twice.")
        found[name] = _parsed(sizes, text)
    return found


def _parsed(sizes: Sequence[int] | str, shown: object) -> Shape:
    try:
        found = tuple(int(size) for size in (sizes.lower().split("x") if isinstance(sizes, str) else sizes))
    except (TypeError, ValueError):
        found = ()
    if not found or min(found) < 1 or max(found) >= MAX_ELEMENTS:
        raise InputError(
            f"{OPTION} must be sizes of at least 1 with x between them, such as x=1x3x224x224, but got"
            f" {str(shown)[:80]!r}."
        )
    return found


def checked_batch(batch: int) -> int:
    """`batch`; raises `InputError` for no number of images."""
    if not 1 <= batch <= MAX_BATCH:
        raise InputError(f"a batch must be from 1 to {MAX_BATCH} images, but got {batch}.")
    return batch
