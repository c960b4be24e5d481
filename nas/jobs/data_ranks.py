"""How well early figures ranked networks by what later rungs said of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from nas.accuracy import PriorModel
from nas.jobs.data_answer import Ranked
from nas.space import Architecture
from nas.training.compare import rank_correlation
from nas.trials.records import Trial


def ranked(
    trials: Sequence[Trial],
    finals: Sequence[Trial],
    networks: Mapping[str, Architecture],
    rungs: Sequence[int],
    accuracy: PriorModel | None,
    proxies: Mapping[str, Mapping[str, float]],
) -> tuple[Ranked, ...]:
    """For each rung how it ranked those that went on, and for parameters, multiply-adds, latency, the prior and
    `proxies` (by digest) how they ranked all by the first rung. First trainings alone; what has fewer than four
    networks is left out.

    Who went on was chosen by the lower rung, so what is left of a range is narrower than the range.
    """
    first = {trial.digest: dict(trial.curve) for trial in trials if trial.repeat == 0 and trial.curve}
    full = {trial.digest: trial.curve[-1] for trial in finals if trial.repeat == 0 and trial.curve}
    for digest, (epochs, reached) in full.items():
        first.setdefault(digest, {})[epochs] = reached
    ends = sorted({epochs for curve in first.values() for epochs in curve} | set(rungs))
    found: list[Ranked] = []

    def add(by: str, of: int, pairs: Sequence[tuple[float, float]]) -> None:
        values = np.array(pairs, dtype=np.float64).reshape(-1, 2)
        correlation = rank_correlation(values[:, 0], values[:, 1], np.random.default_rng(0))
        if correlation is not None:
            found.append(Ranked(by=by, of=_epochs(of), correlation=correlation))

    for low, high in pairwise(ends):
        both = [curve for curve in first.values() if low in curve and high in curve]
        add(_epochs(low), high, [(curve[low], curve[high]) for curve in both])
    named = [(digest, curve[rungs[0]]) for digest, curve in first.items() if rungs[0] in curve and digest in networks]
    latency = {trial.digest: trial.latency_ms for trial in trials}
    add("parameters", rungs[0], [(networks[digest].params, value) for digest, value in named])
    add("multiply-adds", rungs[0], [(networks[digest].macs, value) for digest, value in named])
    add("latency", rungs[0], [(latency[digest], value) for digest, value in named])
    if accuracy is not None and named:
        said = accuracy.predict([networks[digest] for digest, _ in named]).tolist()
        add("published prior", rungs[0], list(zip(said, [value for _, value in named], strict=True)))
    for name in dict.fromkeys(name for values in proxies.values() for name in values):
        pairs = [(proxies[digest][name], value) for digest, value in named if name in proxies.get(digest, {})]
        add(name, rungs[0], pairs)
    return tuple(found)


def _epochs(count: int) -> str:
    return "1 epoch" if count == 1 else f"{count} epochs"
