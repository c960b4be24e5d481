"""Is the published prior worth its place where accuracies cost? Writes benchmarks/trials_prior.md.

    python -m benchmarks.trials_prior

Networks of Accel-NASBench, each accuracy a call. Every finished draw is kept in runs/trials_prior.json under a key of
what it read, so that a second start goes on. Reads `accel_nasbench/` in the data folder (`NAS_DATA`, or
../shared/data).
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tabulate import tabulate
from threadpoolctl import threadpool_limits

import nas
from benchmarks.environment import environment_text
from benchmarks.trials.tables import Floats, Table, accel
from nas.accuracy.one_space import accel_network
from nas.accuracy.prior import QUANTILE_95, Prior
from nas.accuracy.prior_model import described
from nas.files import write_bytes
from nas.resources import runs_folder
from nas.strategies.problem import Codes
from nas.trials.question import Question
from nas.trials.records import Trial
from nas.trials.surrogate import Observed, Surrogate
from nas.trials.surrogate.networks import NetworkModel

REPORT = Path(__file__).with_name("trials_prior.md")
DRAWS, CALLS = 50, 30
READ_AT = (5, 10, 20, 30)
WHO = {"conditioned": "conditioned prior", "none": "no prior", "alone": "prior alone", "random": "random"}
_TEXT = """\
# Is the prior worth its place?

{environment}

Networks of Accel-NASBench (MnasNet's space, {networks:,} networks, ImageNet top-1 of a short training); each accuracy
is a call, the latency (ZCU102, as published) is free. Each of {draws} draws (seeds 0 to {last}; development looked at
seeds from 1000 on) takes half of the networks at random; the target is the 40th percentile of their latencies, with the
hard reward. *Regret* is the best accuracy under the target less the best that was asked for, in points, after so many
calls; the mean over the draws.

* *conditioned prior*: the surrogate asker with the shipped prior as its model (published ImageNet results; none of
  these networks is among them), conditioned on the trials. Its first call is the prior's.
* *no prior*: the same asker with its Gaussian process on genes and latency, and its own first samples.
* *prior alone*: the networks with the highest mean of the prior, in this order; no trial changes it.
* *random*: any networks under the target.

{table}

Paired differences of regret after {calls} calls, in points, with central 90 % intervals (mean and standard error over
the draws): {differences}. After {sooner} calls: {differences_sooner}.

The best network was asked for in {calls} calls by the conditioned prior in {hits_conditioned:.0%} of the draws, without
a prior in {hits_none:.0%}, by the prior alone in {hits_alone:.0%}, at random in {hits_random:.0%}. One draw of the
conditioned prior took {seconds:.1f} s.
"""


@dataclass(frozen=True, kw_only=True, eq=False)
class Networks:
    """The table's networks as the prior reads them: the sums and side of each code."""

    sums: dict[tuple[int, ...], Floats]
    side: float

    @classmethod
    def of(cls, table: Table) -> Networks:
        """Builds every network of the table."""
        genes = [table.space.decode(code).genes for code in table.codes]
        rows = ({name: str(value) for name, value in one.items()} for one in genes)
        sums, sides = described([accel_network(row) for row in rows])
        codes = map(tuple, table.codes.tolist())
        return cls(sums=dict(zip(codes, sums, strict=True)), side=float(sides[0]))

    def described(self, codes: Codes) -> tuple[Floats, Floats]:
        """What `NetworkModel` asks for."""
        sums = np.array([self.sums[code] for code in map(tuple, codes.tolist())])
        return sums, np.full(len(codes), self.side)


def asked_by(asker: Surrogate, table: Table) -> list[int]:
    """The rows that an asker's calls go to, in order."""
    trials: list[Trial] = []
    for number in range(CALLS):
        (proposal,) = asker.ask(trials, 1)
        (row,) = table.rows(np.array([proposal.codes]))
        trials.append(
            Trial(
                number=number,
                codes=proposal.codes,
                digest=str(row),
                state="done",
                curve=((0, float(table.accuracy[row])),),
                latency_ms=float(table.latency_ms[row]),
            )
        )
    return [int(trial.digest) for trial in trials]


def one_draw(whole: Table, networks: Networks, prior: Prior, seed: int) -> dict[str, list[float]]:
    """The regret after each call, in points, of everyone; and the seconds of the conditioned prior."""
    table = whole.half(seed)
    question = Question(domain=table.domain, goal=table.goal, budget=CALLS, seed=seed, noisy=False)
    model = NetworkModel(prior, table.domain, networks.described, noisy=False)
    feasible = np.flatnonzero(table.feasible)
    began = time.perf_counter()
    asked: dict[str, Sequence[int]] = {
        "conditioned": asked_by(Surrogate(question, model=model, listed=table.codes), table)
    }
    seconds = time.perf_counter() - began
    asked["none"] = asked_by(Surrogate(question, listed=table.codes), table)
    mean = model.posterior(_NOTHING).believed(table.codes[feasible]).mean
    asked["alone"] = feasible[np.argsort(-mean, kind="stable")[:CALLS]].tolist()
    asked["random"] = np.random.default_rng([seed, 1]).choice(feasible, CALLS, replace=False).tolist()
    best = table.worth.max()
    regret = {
        who: (100.0 * (best - np.maximum.accumulate(table.worth[np.array(rows)]))).tolist()
        for who, rows in asked.items()
    }
    return {**regret, "seconds": [seconds]}


_NOTHING = Observed(
    codes=np.zeros((0, 0), dtype=np.int64),
    accuracy=np.zeros(0),
    repeats=np.zeros(0, dtype=np.int64),
    scatter=0.0,
    unsure=np.zeros(0),
)


def paired(first: Floats, second: Floats) -> str:
    """The mean of first − second over draws, with its central 90 % interval."""
    difference = first - second
    half = QUANTILE_95 * difference.std(ddof=1) / np.sqrt(len(difference))
    return f"{difference.mean():+.3f} ({difference.mean() - half:+.3f} to {difference.mean() + half:+.3f})"


def _differences(regret: dict[str, Floats], calls: int) -> str:
    last = {who: values[:, calls - 1] for who, values in regret.items()}
    return "; ".join(
        f"conditioned prior − {WHO[who]} {paired(last['conditioned'], last[who])}" for who in ("none", "alone")
    )


def _key() -> str:
    """Of the code that decides what a draw gives."""
    package = Path(nas.__file__).parent
    sources = [
        Path(__file__),
        package / "accuracy" / "conditioned.py",
        *(package / "trials" / "surrogate").glob("*.py"),
    ]
    return hashlib.sha256(b"".join(source.read_bytes() for source in sorted(sources))).hexdigest()[:16]


def main() -> None:
    """Make every draw that is not there yet, write the report."""
    table, prior, key = accel(), nas.load_accuracy("imagenet").prior, _key()
    networks = Networks.of(table)
    kept = runs_folder() / "trials_prior.json"
    found: dict[str, dict[str, list[float]]] = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    draws = []
    for seed in range(DRAWS):
        name = f"{key}-{seed}"
        if name not in found:
            with threadpool_limits(limits=1, user_api="blas"):
                found[name] = one_draw(table, networks, prior, seed)
            write_bytes(kept, json.dumps(found).encode())
        draws.append(found[name])
        print(seed, *(f"{who} {values[-1]:.2f}" for who, values in found[name].items()), file=sys.stderr)
    regret = {who: np.array([draw[who] for draw in draws]) for who in WHO}
    rows = [[WHO[who], *(f"{values[:, n - 1].mean():.3f}" for n in READ_AT)] for who, values in regret.items()]
    REPORT.write_text(
        _TEXT.format(
            environment=environment_text("python -m benchmarks.trials_prior"),
            networks=len(table.codes),
            draws=DRAWS,
            last=DRAWS - 1,
            calls=CALLS,
            sooner=READ_AT[1],
            table=tabulate(rows, headers=["", *(f"{n} calls" for n in READ_AT)], tablefmt="github"),
            differences=_differences(regret, CALLS),
            differences_sooner=_differences(regret, READ_AT[1]),
            seconds=float(np.mean([draw["seconds"] for draw in draws])),
            **{f"hits_{who}": float((values[:, -1] <= 1e-9).mean()) for who, values in regret.items()},
        ),
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
