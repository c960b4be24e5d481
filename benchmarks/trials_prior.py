"""Is the published prior worth its place where accuracies cost? Writes benchmarks/trials_prior.md.

    python -m benchmarks.trials_prior

Networks of Accel-NASBench, each accuracy a call. Every finished draw is kept in runs/trials_prior.json under a key of
what it read, so that a second start goes on. Reads `accel_nasbench/` in the data folder (`NAS_DATA`, or
../shared/data).
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate
from threadpoolctl import threadpool_limits

import nas
from benchmarks.environment import environment_text
from nas.accuracy.one_space import ACCEL_FILE, read_accel
from nas.accuracy.prior import QUANTILE_95, Prior
from nas.files import write_bytes
from nas.resources import runs_folder
from nas.trials.asker import Belief
from nas.trials.prior_belief import PriorBelief, expected_improvement

REPORT = Path(__file__).with_name("trials_prior.md")
DRAWS, CALLS, FIRST = 50, 30, 6
READ_AT = (5, 10, 20, 30)
FIRST_SEED = 0
"""Draws of the report are seeds from here on; development looked at seeds from 1000 on."""
_TEXT = """\
# Is the prior worth its place?

{environment}

Networks of Accel-NASBench (MnasNet's space, {networks:,} networks, ImageNet top-1 of a short training); each accuracy
is a call, the latency (ZCU102, as published) is free. Each of {draws} draws (seeds {first} to {last}) takes half of the
networks at random; the target is the 40th percentile of their latencies, with the hard reward. *Regret* is the best
accuracy under the target less the best that was asked for, in points, after so many calls; the mean over the draws.

* *conditioned prior*: the shipped prior (published ImageNet results; none of these networks is among them),
  conditioned on the trials, with the genes as details.
* *no prior*: a Gaussian process with a linear part and a squared-exponential one on the genes and the logarithms of
  latency, MACs and parameters, noise and scales by marginal likelihood. It begins with {start} networks drawn at 0.7
  to 1 times the target.
* *prior alone*: the networks with the highest mean of the prior, in this order; no trial changes it.
* *random*: any networks under the target.

The first two choose alike: the greatest expected improvement over the best trial. The conditioned prior's first call is
that of the prior.

{table}

Paired differences of regret after {calls} calls, in points, with central 90 % intervals (mean and standard error over
the draws): {differences}.

Best network found in {calls} calls: conditioned prior {hits_conditioned:.0%} of the draws, no prior {hits_none:.0%},
prior alone {hits_alone:.0%}, random {hits_random:.0%}. One draw of the conditioned prior took {seconds:.1f} s.
"""

Floats = NDArray[np.float64]
Believe = Callable[[NDArray[np.int64]], Belief]
"""From numbers of networks (n,) to what is believed of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """All networks: codes (n, genes), genes' numbers of choices, sums and sides for the prior, accuracies (fractions),
    milliseconds, and what a process without a prior reads (n, features)."""

    codes: NDArray[np.int64]
    cardinalities: NDArray[np.int64]
    sums: Floats
    sides: Floats
    accuracy: Floats
    latency_ms: Floats
    features: Floats


def read_pool(data: Path) -> Pool:
    """The networks of Accel-NASBench below the folder `data`: each once, without those that have no latency."""
    rows = read_accel(data)
    with (data / ACCEL_FILE).open(encoding="utf-8", newline="") as stream:
        latency_ms = np.array([float(row["latency_zcu102"] or "nan") for row in csv.DictReader(stream)])
    _, distinct = np.unique(rows.codes, axis=0, return_index=True)
    kept = np.sort(distinct[np.isfinite(latency_ms[distinct])])
    latency_ms = latency_ms[kept]
    choices = [np.unique(column, return_inverse=True) for column in rows.codes[kept].T]
    costs = np.log(np.stack([latency_ms, rows.macs[kept], rows.params[kept]], axis=1))
    features = np.concatenate([rows.codes[kept], costs], axis=1)
    varies = features.std(axis=0) > 1e-9
    return Pool(
        codes=np.stack([place.reshape(-1) for _, place in choices], axis=1).astype(np.int64),
        cardinalities=np.array([len(values) for values, _ in choices]),
        sums=rows.sums[kept],
        sides=rows.resolution[kept],
        accuracy=rows.top1[kept] / 100.0,
        latency_ms=latency_ms,
        features=(features - features.mean(axis=0))[:, varies] / features.std(axis=0)[varies],
    )


def with_prior(pool: Pool, prior: Prior) -> Callable[[NDArray[np.int64]], Believe]:
    """From the networks that were asked for to a belief: the prior, conditioned."""
    place = {code.tobytes(): i for i, code in enumerate(pool.codes)}

    def described(codes: NDArray[np.int64]) -> tuple[Floats, Floats]:
        rows = [place[code.tobytes()] for code in codes]
        return pool.sums[rows], pool.sides[rows]

    belief = PriorBelief(prior=prior, described=described, cardinalities=pool.cardinalities)

    def after(asked: NDArray[np.int64]) -> Believe:
        believe = belief.given(pool.codes[asked], pool.accuracy[asked])
        return lambda rows: believe(pool.codes[rows])

    return after


def without_prior(pool: Pool) -> Callable[[NDArray[np.int64]], Believe]:
    """The same from a Gaussian process that knows of nothing but the trials."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, DotProduct, WhiteKernel

    def after(asked: NDArray[np.int64]) -> Believe:
        smooth = ConstantKernel(1.0) * RBF(2.0 * np.sqrt(pool.features.shape[1]), (1e-1, 1e3))
        linear = ConstantKernel(1.0) * DotProduct(1.0, "fixed")
        noise = WhiteKernel(0.01, (1e-5, 1e1))
        process = GaussianProcessRegressor(smooth + linear + noise, normalize_y=True, random_state=0)
        with warnings.catch_warnings():
            # A part that the data do not need ends at its bound.
            warnings.simplefilter("ignore", ConvergenceWarning)
            process.fit(pool.features[asked], pool.accuracy[asked])

        def believe(rows: NDArray[np.int64]) -> Belief:
            mean, deviation = process.predict(pool.features[rows], return_std=True)
            return Belief(mean=mean, deviation=deviation)

        return believe

    return after


def ask_in_turn(
    candidates: NDArray[np.int64], start: list[int], after: Callable[[NDArray[np.int64]], Believe], pool: Pool
) -> list[int]:
    """The networks that `CALLS` calls go to, in order: `start`, then the greatest expected improvement."""
    asked = list(start)
    while len(asked) < CALLS:
        left = np.setdiff1d(candidates, asked)
        belief = after(np.array(asked, dtype=np.int64))(left)
        best = pool.accuracy[asked].max() if asked else float(belief.mean.max())
        asked.append(int(left[np.argmax(expected_improvement(belief, best))]))
    return asked


def one_draw(pool: Pool, prior: Prior, seed: int) -> dict[str, list[float]]:
    """The regret after each call, in points, of everyone; and the seconds of the conditioned prior."""
    rng = np.random.default_rng(seed)
    half = rng.choice(len(pool.codes), len(pool.codes) // 2, replace=False)
    target_ms = float(np.quantile(pool.latency_ms[half], 0.4))
    candidates = np.sort(half[pool.latency_ms[half] <= target_ms])
    near = candidates[pool.latency_ms[candidates] >= 0.7 * target_ms]
    before = with_prior(pool, prior)(np.zeros(0, dtype=np.int64))
    began = time.perf_counter()
    asked = {"conditioned": ask_in_turn(candidates, [], with_prior(pool, prior), pool)}
    seconds = time.perf_counter() - began
    start = rng.choice(near, FIRST, replace=False).tolist()
    asked["none"] = ask_in_turn(candidates, start, without_prior(pool), pool)
    asked["alone"] = candidates[np.argsort(-before(candidates).mean, kind="stable")[:CALLS]].tolist()
    asked["random"] = rng.choice(candidates, CALLS, replace=False).tolist()
    best = pool.accuracy[candidates].max()
    regret = {
        who: (100.0 * (best - np.maximum.accumulate(pool.accuracy[rows]))).tolist() for who, rows in asked.items()
    }
    return {**regret, "seconds": [seconds]}


def paired(first: Floats, second: Floats) -> str:
    """The mean of first − second over draws, with its central 90 % interval."""
    difference = first - second
    half = QUANTILE_95 * difference.std(ddof=1) / np.sqrt(len(difference))
    return f"{difference.mean():+.3f} ({difference.mean() - half:+.3f} to {difference.mean() + half:+.3f})"


def main() -> None:
    """Make every draw that is not there yet, write the report."""
    data = Path(os.environ.get("NAS_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
    pool, prior = read_pool(data), nas.load_accuracy("imagenet").prior
    package = Path(nas.__file__).parent
    sources = [Path(__file__), package / "trials" / "prior_belief.py", package / "accuracy" / "conditioned.py"]
    key = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]
    kept = runs_folder() / "trials_prior.json"
    found: dict[str, dict[str, list[float]]] = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    draws = []
    for seed in range(FIRST_SEED, FIRST_SEED + DRAWS):
        name = f"{key}-{seed}"
        if name not in found:
            with threadpool_limits(limits=1, user_api="blas"):
                found[name] = one_draw(pool, prior, seed)
            write_bytes(kept, json.dumps(found).encode())
        draws.append(found[name])
        print(seed, *(f"{who} {values[-1]:.2f}" for who, values in found[name].items()), file=sys.stderr)
    regret = {who: np.array([draw[who] for draw in draws]) for who in ("conditioned", "none", "alone", "random")}
    names = {"conditioned": "conditioned prior", "none": "no prior", "alone": "prior alone", "random": "random"}
    table = [[names[who], *(f"{values[:, n - 1].mean():.3f}" for n in READ_AT)] for who, values in regret.items()]
    last = {who: values[:, -1] for who, values in regret.items()}
    differences = [f"conditioned − {names[who]} {paired(last['conditioned'], last[who])}" for who in ("none", "alone")]
    REPORT.write_text(
        _TEXT.format(
            environment=environment_text("python -m benchmarks.trials_prior"),
            networks=len(pool.codes),
            draws=DRAWS,
            first=FIRST_SEED,
            last=FIRST_SEED + DRAWS - 1,
            start=FIRST,
            calls=CALLS,
            table=tabulate(table, headers=["", *(f"{n} calls" for n in READ_AT)], tablefmt="github"),
            differences="; ".join(differences),
            seconds=float(np.mean([draw["seconds"] for draw in draws])),
            **{f"hits_{who}": float((values <= 1e-9).mean()) for who, values in last.items()},
        ),
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
