"""Compiled spaces, kept on disk: the same space for the same models is compiled once.

A file is named by what its table is a function of: the space, what operators and segments cost, and the code that
compiles. Nothing in it is executed, and a damaged one is compiled again.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from nas.accuracy.model import AccuracyModel
from nas.accuracy.prior_model import PriorModel
from nas.contents import read_arrays, read_content
from nas.errors import InputError, NasError
from nas.files import write_bytes
from nas.latency.model import LatencyModel
from nas.space.compile.compiled import CompiledSpace, Floats
from nas.space.search_space import SearchSpace

MOST = 4
"""So many of the tables that were used last are kept (a hundred megabytes each)."""

_MOST_BYTES = 2**30
_PACKAGE = Path(__file__).resolve().parent.parent
_COMPILING = ("graph", "blocks", "runtimes", "space", "latency", "accuracy", "evaluate")


def content_key(space: SearchSpace, models: list[LatencyModel], accuracy: AccuracyModel, *more: object) -> str | None:
    """What a compiled table is a function of, as one digest; None where that cannot be told of a model."""
    if type(accuracy) is not PriorModel:
        return None
    digest = hashlib.sha256(_code().encode())
    digest.update(repr(replace(space, source="")).encode())
    for model in models:
        operators = model.operators.as_json() if model.operators else None
        digest.update(json.dumps(operators, sort_keys=True).encode())
        digest.update(repr((model.runtime.name, sorted(model.rows.items()))).encode())
    digest.update(repr((accuracy.columns, more)).encode())
    return digest.hexdigest()[:32]


@cache
def _code() -> str:
    """A digest of the code that compiles spaces and prices layers."""
    digest = hashlib.sha256(np.__version__.encode())
    for room in _COMPILING:
        for path in sorted((_PACKAGE / room).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def compiled_once(
    folder: Path | None, key: str | None, make: Callable[[Floats | None], CompiledSpace]
) -> CompiledSpace:
    """The space that `make` compiles, given its table where `folder` has it, else None; then the table is kept."""
    if folder is None or key is None:
        return make(None)
    path = folder / f"{key}.npz"
    table = _read(path)
    if table is not None:
        with contextlib.suppress(ValueError):
            return make(table)
    found = make(None)
    stream = io.BytesIO()
    np.savez(stream, table=found.table)
    with contextlib.suppress(NasError):  # a full disk costs time, not the answer
        write_bytes(path, stream.getvalue())
        for old in sorted(folder.glob("*.npz"), key=lambda file: file.stat().st_mtime)[:-MOST]:
            old.unlink(missing_ok=True)
    return found


def _read(path: Path) -> Floats | None:
    """The table at `path`, or None where there is none that is whole (the archive has a checksum of its own)."""
    try:
        content = read_content(path, "a compiled space", most=_MOST_BYTES)
        table = read_arrays(content, path, remedy="it is compiled again", most=_MOST_BYTES)["table"]
        path.touch()
    except (InputError, KeyError, OSError):
        return None
    return table if table.dtype == np.float64 and table.ndim == 2 else None
