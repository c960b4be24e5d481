"""Domains: a space and a latency, as askers see them.

Latency is free here, but not always quick. A user's own function is asked in batches and what it said is remembered; of
a small space it is asked once for every point. A `LatencyModel` on a space of networks is compiled instead.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nas.accuracy.model import AccuracyModel
from nas.errors import InputError
from nas.evaluate import Limits, Models, SpaceProblem
from nas.latency.model import LatencyModel
from nas.space.architecture import Architecture
from nas.space.codes import CodeSpace
from nas.space.compile.compiled import Compiled
from nas.space.search_space import SearchSpace
from nas.strategies.problem import Codes

Floats = NDArray[np.float64]
Canonical = Callable[[Codes], Codes]

ENUMERATED = 20_000
"""Spaces of at most so many codes are asked once as a whole."""
_REMEMBERED = 200_000
"""Latencies that are remembered of a larger space."""
_BATCH = 4096


class HasLatency(Protocol):
    """Anything that says how long points take: `points` are those that an evaluator gets."""

    def latency_ms(self, points: Any, /) -> Any:
        """Milliseconds, shape (n,)."""
        ...


class CodeDomain:
    """A space of codes with a user's latency.

    `latency.latency_ms` gets lists of `Point`; where it also has `codes_ms`, that gets arrays of codes, shape
    (n, genes), instead. `canonical` maps codes to those that stand for the same point, where several do; it must be
    idempotent.
    """

    def __init__(self, space: CodeSpace, latency: HasLatency, *, canonical: Canonical | None = None) -> None:
        self.space = space
        self._canonical = canonical
        self._answers = _Answers(self._ask, space.cardinalities)
        self._latency = latency

    @property
    def cardinalities(self) -> NDArray[np.int64]:
        """Number of choices of each gene, shape (genes,)."""
        return self.space.cardinalities

    @property
    def choices(self) -> tuple[tuple[Any, ...], ...]:
        """What each gene chooses among."""
        return tuple(tuple(choices) for choices in self.space.genes.values())

    def canonical(self, codes: Codes) -> Codes:
        """The codes that stand for the same points, shape kept."""
        if self._canonical is None:
            return codes
        found = np.asarray(self._canonical(codes), dtype=np.int64)
        if found.shape != codes.shape:
            raise InputError(f"canonical codes must have shape {codes.shape}, but got {found.shape}.")
        return found

    def latency_ms(self, codes: Codes) -> Floats:
        """Milliseconds of each code, shape (n,); `InputError` where they are not positive and finite."""
        return self._answers.of(self.canonical(codes))

    def excess(self, codes: Codes) -> Floats:
        """Zeros: points of a space of codes have no limits but the latency."""
        return np.zeros(len(codes))

    def features(self, codes: Codes) -> Floats:
        """The logarithm of the latency, shape (n, 1)."""
        return np.log(self.latency_ms(codes))[:, None]

    def point(self, code: Sequence[int]) -> Any:
        """The `Point` of a code."""
        return self.space.decode(code)

    def digest(self, code: Sequence[int]) -> str:
        """16 hexadecimal digits of the genes and their values, whatever their order and the space's name."""
        genes = self.space.values(self.canonical(np.asarray([code], dtype=np.int64))[0])
        return hashlib.sha256(json.dumps(genes, sort_keys=True).encode()).hexdigest()[:16]

    def _ask(self, codes: Codes) -> Any:
        in_arrays = getattr(self._latency, "codes_ms", None)
        if in_arrays is not None:
            return in_arrays(codes)
        return self._latency.latency_ms([self.space.decode(code) for code in codes])


class NetworkDomain:
    """A space of networks with a latency.

    A `LatencyModel` is compiled, together with `accuracy` where there is one: then `problem` is the compiled space,
    points keep `limits`, and `features` hold costs as the accuracy model reads them. Any other latency gets lists of
    `Architecture`. `kept` is a folder where compiled tables are kept.
    """

    def __init__(
        self,
        space: SearchSpace,
        latency: LatencyModel | HasLatency,
        *,
        accuracy: AccuracyModel | None = None,
        limits: Limits | None = None,
        kept: Path | None = None,
        progress: Compiled = lambda done, of: None,
    ) -> None:
        self.space, self.accuracy = space, accuracy
        self.problem: SpaceProblem | None = None
        self._latency = latency
        if isinstance(latency, LatencyModel) and accuracy is not None:
            models = Models(latency, accuracy, limits or Limits(max_novelty=None, max_interval=None))
            self.problem = SpaceProblem(space, models, kept=kept, progress=progress)
        self._answers = _Answers(self._ask, space.cardinalities)

    @property
    def cardinalities(self) -> NDArray[np.int64]:
        """Number of choices of each gene, shape (genes,)."""
        return self.space.cardinalities

    @property
    def choices(self) -> tuple[tuple[Any, ...], ...]:
        """What each gene chooses among."""
        return tuple(tuple(choices) for choices in self.space.genes.values())

    def canonical(self, codes: Codes) -> Codes:
        """Canonical codes of the space."""
        return self.space.canonical(codes)

    def latency_ms(self, codes: Codes) -> Floats:
        """Milliseconds of each network (or the quantile that `limits` ask for), shape (n,)."""
        if self.problem is not None:
            return self.problem.column("bounded_ms", codes)
        return self._answers.of(self.canonical(codes))

    def excess(self, codes: Codes) -> Floats:
        """How far limits other than the latency are exceeded, shape (n,); 0 where they are kept."""
        if self.problem is None:
            return np.zeros(len(codes))
        return np.concatenate([self.problem.figures(chunk).standing.excess for chunk in _chunks(codes)])

    def features(self, codes: Codes) -> Floats:
        """The logarithm of the latency; of a compiled space, those of MACs and parameters as well."""
        columns = [np.log(self.latency_ms(codes))]
        if self.problem is not None:
            columns += [np.log(self.problem.column(name, codes)) for name in ("macs", "params")]
        return np.stack(columns, axis=1)

    def point(self, code: Sequence[int]) -> Architecture:
        """The network of a code."""
        return self.space.decode(code)

    def digest(self, code: Sequence[int]) -> str:
        """The digest of the network."""
        return self.point(code).digest

    def _ask(self, codes: Codes) -> Any:
        return self._latency.latency_ms([self.space.decode(code) for code in codes])


class _Answers:
    """What a latency said: all of a small space, the last `_REMEMBERED` of a large one."""

    def __init__(self, ask: Callable[[Codes], Any], cardinalities: NDArray[np.int64]) -> None:
        self._ask = ask
        self._size = math.prod(cardinalities.tolist())
        self._cardinalities = cardinalities
        self._all: Floats | None = None
        self._some: dict[bytes, float] = {}

    def of(self, codes: Codes) -> Floats:
        """The latencies of canonical codes, shape (n,)."""
        if self._size <= ENUMERATED:
            return self._enumerated(codes)
        keys = [code.tobytes() for code in np.ascontiguousarray(codes, dtype=np.int64)]
        new = {key: i for i, key in enumerate(keys) if key not in self._some}
        if new:
            found = self._asked(codes[list(new.values())])
            if len(self._some) + len(new) > _REMEMBERED:
                # The older half goes; what this call needs stays.
                needed = {key: self._some[key] for key in keys if key in self._some}
                self._some = dict(list(self._some.items())[len(self._some) // 2 :]) | needed
            self._some.update(zip(new, found.tolist(), strict=True))
        return np.array([self._some[key] for key in keys])

    def _enumerated(self, codes: Codes) -> Floats:
        steps = self._size // np.cumprod(self._cardinalities)
        if self._all is None:
            self._all = np.full(self._size, np.nan)
        numbers = codes @ steps
        new = np.unique(numbers[np.isnan(self._all[numbers])])
        if len(new):
            self._all[new] = self._asked(new[:, None] // steps % self._cardinalities)
        return np.asarray(self._all[numbers])

    def _asked(self, codes: Codes) -> Floats:
        return np.concatenate([self._batch(chunk) for chunk in _chunks(codes)])

    def _batch(self, codes: Codes) -> Floats:
        found = np.asarray(self._ask(codes), dtype=np.float64)
        if found.shape != (len(codes),):
            raise InputError(f"a latency must give {len(codes)} numbers for as many points, but got {found.shape}.")
        if not (np.isfinite(found).all() and (found > 0).all()):
            raise InputError(f"latencies must be positive and finite, but the lowest is {found.min()} ms.")
        return found


def _chunks(codes: Codes) -> list[Codes]:
    return [codes[start : start + _BATCH] for start in range(0, len(codes), _BATCH)] or [codes]
