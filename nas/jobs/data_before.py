"""What a search on images begins with: candidates that earlier searches on the same images have trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from nas.runs import Tables
from nas.trials.asker import Asker, Deferring
from nas.trials.question import Domain
from nas.trials.records import Proposal, Trial
from nas.trials.studies import evaluated_points

WHY = "trained before"


def trained_before(
    tables: Tables, domain: Domain, meets: Callable[[tuple[int, ...]], bool], *, evaluator: str, recipe: str, most: int
) -> list[tuple[int, ...]]:
    """The codes of up to `most` points of `domain` that may be an answer (`meets`) and that earlier searches had judged
    by `evaluator` with `recipe`, for whatever device and target; the best first."""
    sizes = domain.cardinalities
    found: list[tuple[int, ...]] = []
    for codes, digest in evaluated_points(tables, evaluator, recipe):
        if len(found) == most:
            break
        if len(codes) != len(sizes) or not all(0 <= code < size for code, size in zip(codes, sizes, strict=True)):
            continue  # of another space, as are those that mean another network here
        array = np.array([codes], dtype=np.int64)
        if (domain.canonical(array) == array).all() and domain.digest(codes) == digest and meets(codes):
            found.append(codes)
    return found


class Beginning(Deferring):
    """Asks for the points `first`, in their order, then what `inner` asks for."""

    def __init__(self, inner: Asker, first: Sequence[tuple[int, ...]]) -> None:
        super().__init__(inner)
        self._first = tuple(first)

    def ask(self, trials: Sequence[Trial], count: int) -> list[Proposal]:
        """Up to `count` points to try next; `inner` is asked once all of the first are there."""
        tried = {trial.codes for trial in trials}
        left = [codes for codes in self._first if codes not in tried]
        return [Proposal(codes=codes, why=WHY) for codes in left[:count]] or self._inner.ask(trials, count)
