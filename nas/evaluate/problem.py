"""A compiled space as a strategy sees it."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.evaluate.figures import GREATEST, SINGLE, Figures, Group, Sums
from nas.evaluate.models import Models
from nas.space.compile.compiled import Compiled, Floats
from nas.space.search_space import Codes, SearchSpace
from nas.strategies import Evaluation

_CHUNK = 4096

_Rows = Sequence[tuple[NDArray[np.int32], NDArray[np.int32] | None]]


class SpaceProblem:
    """A compiled space as a strategy sees it: codes, and what they are worth.

    `exact` figures are those that are reported; the others' accuracy is quick (`AccuracyModel.figures`). `progress` is
    told of the layers that are compiled.
    """

    def __init__(
        self,
        space: SearchSpace,
        models: Models,
        *,
        exact: bool = False,
        progress: Compiled = lambda done, of: None,
        kept: Path | None = None,
    ) -> None:
        self.space = space
        self.compiled = models.compile(space, progress, kept=kept)
        self._models = models
        self._quick = not exact
        self._tables: dict[Group, NDArray[np.floating]] = {}
        for group, names in models.groups.items():
            shape = (-1,) if group in SINGLE else (-1, len(names))
            self._tables[group] = self.compiled.columns(names).reshape(shape)
        self._together: dict[Group, slice] = {}
        if self._quick:
            self._tables["accuracy"] = self._tables["accuracy"].astype(np.float32)
            # Intervals that decide about what lies at the target are read exactly.
            if models.limits.confidence is None and models.limits.max_interval is not None:
                self._join("accuracy", "latency")
        self._sides = np.array(space.sides)

    def _join(self, first: Group, second: Group) -> None:
        """Read two groups together, in the precision of the first: what costs time is to come to a row."""
        table, more = self._tables[first], self._tables[second]
        start, end = table.shape[1], table.shape[1] + more.shape[1]
        self._tables[first] = np.concatenate((table, more.astype(table.dtype)), axis=1)
        self._together = {first: slice(0, start), second: slice(start, end)}
        self._tables[second] = self._tables[first]

    def under(self, models: Models) -> SpaceProblem:
        """The same space under the limits of `models`, which are else those that it was compiled with."""
        other = copy(self)
        other._models = models
        return other

    @property
    def cardinalities(self) -> NDArray[np.int64]:
        """Number of choices of each gene."""
        return self.space.cardinalities

    def canonical(self, codes: Codes) -> Codes:
        """Canonical codes."""
        return self.space.canonical(codes)

    def figures(self, codes: Codes) -> Figures:
        """The figures of each code; fastest with a few thousand codes at a time."""
        rows = self.compiled.rows(codes)
        resolution = self._sides[codes[:, self.space.columns["resolution"]]]
        return self._models.figures_by(self._sums(rows), resolution, quick=self._quick)

    def _sums(self, rows: _Rows) -> Sums:
        joined: list[NDArray[np.floating]] = []

        def sums(group: Group) -> NDArray[np.floating]:
            if group not in self._together:
                return np.asarray((_greatest if group in GREATEST else _sum)(self._tables[group], rows))
            if not joined:
                joined.append(_sum(self._tables[group], rows))
            return joined[0][:, self._together[group]]

        return sums

    def column(self, name: str, codes: Codes) -> Floats:
        """A column of `Figures` by its name, shape (n,)."""
        return np.concatenate([getattr(self.figures(chunk), name) for chunk in _chunks(codes)])

    def described(self, codes: Codes) -> tuple[Floats, Floats]:
        """What the accuracy model reads of each code: the sums of its columns (n, columns), and sides (n,)."""
        chunks = _chunks(codes) or [codes]
        found = [np.asarray(self._sums(self.compiled.rows(chunk))("accuracy")) for chunk in chunks]
        return np.concatenate(found).astype(np.float64), self._sides[codes[:, self.space.columns["resolution"]]]

    def latency_ms(self, codes: Codes) -> Floats:
        """Milliseconds of each code, shape (n,)."""
        return self.column("latency_ms", codes)

    def also_ms(self, codes: Codes) -> Floats:
        """Milliseconds of each code on each further device, shape (n, devices)."""
        return np.concatenate([self.figures(chunk).also_ms for chunk in _chunks(codes)])

    def macs(self, codes: Codes) -> Floats:
        """MACs of each code, shape (n,)."""
        return self.column("macs", codes)

    def evaluate(self, codes: Codes) -> Evaluation:
        """What each code is worth."""
        found = [self.figures(chunk).evaluation for chunk in _chunks(codes)]
        names = (field.name for field in fields(Evaluation))
        return Evaluation(**{name: np.concatenate([getattr(part, name) for part in found]) for name in names})


def _sum(table: NDArray[np.floating], rows: _Rows) -> Any:
    """The sum of a table's entries (or rows) over the parts of each network."""
    total = np.zeros((len(rows[0][0]), *table.shape[1:]), dtype=table.dtype)
    for places, times in rows:
        found = table.take(places, axis=0)
        if times is None:
            total += found
        else:
            total += found * (times if table.ndim == 1 else times[:, None].astype(table.dtype))
    return total


def _greatest(table: NDArray[np.floating], rows: _Rows) -> Any:
    """The greatest of a table's entries over the parts of each network."""
    greatest = np.zeros(len(rows[0][0]), dtype=table.dtype)
    for places, times in rows:
        found = table.take(places)
        np.maximum(greatest, found if times is None else found * (times > 0), out=greatest)
    return greatest


def _chunks(codes: Codes) -> list[Codes]:
    """Codes in portions that keep the gathered rows in the cache."""
    return [codes[start : start + _CHUNK] for start in range(0, len(codes), _CHUNK)]
