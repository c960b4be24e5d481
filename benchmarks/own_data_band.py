"""Networks whose latencies lie within 10 % of each other, and how early figures rank them: a part of own_data.

Trainings are those of the store of `benchmarks.own_data`: one that has ended is not done again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from tabulate import tabulate

from nas.accuracy import PriorModel, load_accuracy
from nas.data import DataSet, contents_digest, open_data
from nas.files import write_bytes
from nas.jobs.data_finals import Times
from nas.jobs.data_proxies import COLUMNS, Sheet
from nas.jobs.data_search import RUNG_BRANCHES
from nas.jobs.data_space import space_for
from nas.jobs.trained import Teaching
from nas.jobs.trials import Where, domain_of
from nas.latency import LatencyModel, device_home, load_latency
from nas.progress import Step
from nas.runs import Tables
from nas.space import Architecture, load_space
from nas.space.architecture import parse_architecture
from nas.space.encode import encode
from nas.space.search_space import SearchSpace
from nas.strategies import Goal
from nas.training import load_recipe
from nas.training.compare import RankCorrelation, rank_correlation
from nas.training.proxies import az_nas
from nas.trials.evaluations import Evaluations
from nas.trials.listed import Listed, ListedDomain
from nas.trials.loop import Loop, Settings
from nas.trials.question import Question
from nas.trials.records import Trial
from nas.trials.studies import Study
from nas.trials.surrogate import observed
from nas.trials.surrogate.networks import NetworkModel, model_of
from nas.trials.surrogate.proxied import WithColumns, standardised

Floats = NDArray[np.float64]

BAND = 0.1
"""A band of latencies is so wide."""

PREDICTED, TIMES_AS_MANY = 0.15, 5
"""Networks that are predicted this near to the target are timed, so many times as are wanted."""

RELIABILITY, REPEATS = 10, 3
"""So many networks have so many seeds at the first rung."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What all parts share: the data, the device, the store, and how far networks are trained."""

    data: Path
    device: str
    target_ms: float
    space: str
    epochs: int
    seeds: int
    workers: int
    trials: int
    baselines: int
    networks: int
    folder: Path
    band: Path | None = None
    """Where the networks of the band are kept."""

    @property
    def storage(self) -> str:
        """The URL of the store of trainings."""
        return f"sqlite:///{self.folder / 'own_data.db'}"

    @property
    def where(self) -> Where:
        """Where trainings run."""
        return Where(workers=self.workers, storage=self.storage, checkpoints=self.folder / "checkpoints")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Band:
    """The networks of a band, how they are taught, and their validation accuracies: after the shortest rung, the next
    one and all epochs, (networks,) each; `repeated` (some networks, seeds) after the shortest."""

    networks: Sequence[Architecture]
    latency_ms: Sequence[float]
    dataset: DataSet
    space: SearchSpace
    latency: LatencyModel
    teaching: Teaching
    rungs: tuple[int, int]
    short: Floats
    middle: Floats
    full: Floats
    repeated: Floats


def trained_band(bench: Bench) -> Band:
    """The band, trained as far as it is not yet."""
    dataset = open_data(bench.data)
    read = load_space(bench.space)
    assert isinstance(read, SearchSpace)
    space, latency = space_for(read, dataset), load_latency(bench.device)
    networks, latency_ms = drawn(space, latency, bench)
    teaching = Teaching(
        path=str(bench.data.resolve()), contents=contents_digest(dataset), recipe=load_recipe("small"),
        branches=RUNG_BRANCHES, weights_from=bench.epochs,
    )  # fmt: skip
    short, middle = 2 if bench.epochs >= 24 else 1, max(1, bench.epochs // 3)

    def accuracies(taught: Teaching, epochs: int) -> Floats:
        trials = trained(networks, latency_ms, taught, epochs, bench)
        return np.array([_first(trials, place) for place in range(len(networks))])

    found = [accuracies(teaching, short), accuracies(teaching, middle)]
    found.append(accuracies(replace(teaching, branches=None), bench.epochs))
    few = min(RELIABILITY, len(networks))
    again = trained(networks[:few], latency_ms[:few], teaching, short, bench, times=REPEATS)
    repeated = np.array([[t.accuracy for t in again if t.codes == (place,)] for place in range(few)], dtype=np.float64)
    return Band(
        networks=networks, latency_ms=latency_ms, dataset=dataset, space=space, latency=latency, teaching=teaching,
        rungs=(short, middle), short=found[0], middle=found[1], full=found[2], repeated=repeated,
    )  # fmt: skip


def ranking(bench: Bench) -> dict[str, Any]:
    """Spearman's correlations with the accuracy after all epochs, and what the shortest rung is worth by itself."""
    band = trained_band(bench)
    prior = load_accuracy("imagenet")
    assert isinstance(prior, PriorModel)
    scores = {
        f"{band.rungs[0]} epochs": band.short,
        f"{band.rungs[1]} epochs": band.middle,
        "multiply-adds": np.array([float(network.macs) for network in band.networks]),
        "parameters": np.array([float(network.params) for network in band.networks]),
        "latency": np.array(band.latency_ms),
        "published prior": prior.predict(band.networks),
        **proxy_scores(band),
        **left_out(band, prior),
    }
    pairs = [(a, b) for a in range(REPEATS) for b in range(a)]
    between = [_correlation(band.repeated[:, a], band.repeated[:, b]) for a, b in pairs]
    return {
        "networks": len(band.networks),
        "band": [min(band.latency_ms), max(band.latency_ms)],
        "spearman": {name: _json(_correlation(values, band.full)) for name, values in scores.items()},
        "against_short": {
            name: over_short(values, band) for name, values in scores.items() if name != f"{band.rungs[0]} epochs"
        },
        "reliability": [_json(one) for one in between],
        "repeated": len(band.repeated),
        "seed_sd": float(band.repeated.std(axis=1, ddof=1).mean()),
    }


def over_short(values: Floats, band: Band) -> dict[str, float] | None:
    """How much better `values` rank than the shortest rung does: the difference of Spearman's correlations with the
    accuracy after all epochs, its 90 % interval by bootstrap over the same networks."""
    known = np.isfinite(values) & np.isfinite(band.short) & np.isfinite(band.full)
    values, short, full = (rankdata(one[known]) for one in (values, band.short, band.full))
    if len(full) < 4:
        return None

    def differs(at: NDArray[np.int64]) -> float:
        ranks = [rankdata(one[at]) for one in (values, short, full)]
        together = np.corrcoef(ranks)
        return float(together[0, 2] - together[1, 2])

    every = np.arange(len(full))
    with np.errstate(invalid="ignore"):  # draws in which all are one network
        found = [differs(at) for at in np.random.default_rng(1).integers(0, len(full), (2000, len(full)))]
    low, high = np.nanquantile(found, (0.05, 0.95))
    return {"difference": differs(every), "low": float(low), "high": float(high)}


def proxy_scores(band: Band) -> dict[str, Floats]:
    """What untrained networks say of themselves, and AZ-NAS's score among them; nan where one says nothing."""
    sheet = Sheet(band.teaching)
    rows = [sheet.values(network) for network in band.networks]
    found = {name: np.array([row.get(name, np.nan) for row in rows]) for name in COLUMNS}
    known = [sheet.proxies(network) for network in band.networks]
    return {**found, "AZ-NAS": az_nas([one for one in known if one is not None])} if None not in known else found


def left_out(band: Band, prior: PriorModel) -> dict[str, Floats]:
    """What the surrogate says of each network when it knows the middle rung of all others: without what networks say
    untrained, and with that."""
    domain = domain_of(band.space, band.latency, accuracy=prior)
    model = model_of(Question(domain=domain, goal=Goal(target_ms=max(band.latency_ms)), budget=1, noisy=True))
    if model is None:
        return {}
    codes = domain.canonical(np.array([encode(band.space, network) for network in band.networks]))
    sheet = Sheet(band.teaching)
    columns = standardised(np.array([sheet.columns(one) or [np.nan] * len(COLUMNS) for one in band.networks]))
    with_columns = WithColumns(model, dict(zip(map(tuple, codes.tolist()), columns, strict=True)))
    return {
        "surrogate, left out": _left_out(model, codes, band),
        "surrogate with proxies, left out": _left_out(with_columns, codes, band),
    }


def _left_out(model: NetworkModel, codes: NDArray[np.int64], band: Band) -> Floats:
    trials = [
        Trial(
            number=number, codes=tuple(code), digest=network.digest, state="done",
            curve=((band.rungs[1], float(accuracy)),), latency_ms=ms,
        )
        for number, (code, network, accuracy, ms) in enumerate(
            zip(codes.tolist(), band.networks, band.middle, band.latency_ms, strict=True)
        )
    ]  # fmt: skip
    found = []
    for place in range(len(trials)):
        known = observed([*trials[:place], *trials[place + 1 :]], codes.shape[1])
        found.append(float(model.posterior(known).believed(codes[place : place + 1]).mean[0]))
    return np.array(found)


def drawn(space: SearchSpace, latency: LatencyModel, bench: Bench) -> tuple[list[Architecture], list[float]]:
    """Networks drawn from the space whose latencies, measured in one session, lie within a tenth of each other near the
    target; those of the day when they were first drawn, which are kept."""
    if bench.band is not None and bench.band.exists():
        kept = json.loads(bench.band.read_text("utf-8"))[: bench.networks]
        return [parse_architecture(one["architecture"], str(bench.band)) for one in kept], [one["ms"] for one in kept]
    rng, near = np.random.default_rng(29), dict[str, Architecture]()
    for _ in range(400):
        some = space.sample(64, rng)
        for network, ms in zip(some, latency.latency_ms(some).tolist(), strict=True):
            if abs(ms / bench.target_ms - 1) <= PREDICTED:
                near.setdefault(network.digest, network)
        if len(near) >= TIMES_AS_MANY * bench.networks:
            break
    timed = list(
        zip(near.values(), Times(latency, device_home(bench.device), told).of(list(near.values())), strict=True)
    )
    measured = sorted(((one.mean_ms, network) for network, one in timed if one is not None), key=lambda pair: pair[0])
    bands = [[pair for pair in measured if (1 - BAND) * top <= pair[0] <= top] for top, _ in measured]
    chosen = max(bands, key=len, default=[])[-bench.networks :]
    if len(chosen) < 4:
        raise SystemExit(f"four networks or more must lie within {BAND:.0%} of each other, but {len(chosen)} do")
    if bench.band is not None:
        records = [{"ms": ms, "architecture": network.as_mapping()} for ms, network in chosen]
        write_bytes(bench.band, json.dumps(records, indent=1).encode())
    return [network for _, network in chosen], [ms for ms, _ in chosen]


def trained(
    networks: Sequence[Architecture],
    latency_ms: Sequence[float],
    teaching: Teaching,
    epochs: int,
    bench: Bench,
    *,
    times: int = 1,
) -> list[Trial]:
    """The trials of all networks, each trained `times` for so many epochs, in the store that the proof uses."""
    evaluator = teaching.evaluator((epochs,))
    names = [network.digest for network in networks]
    study = Study(
        Evaluations(Tables(bench.storage)), f"ranking-{epochs}-{times}-{len(networks)}-{names[0]}",
        evaluator=evaluator.key, recipe=teaching.recipe_key, question={"networks": names}, rungs=(epochs,),
    )  # fmt: skip
    question = Question(
        domain=ListedDomain(networks, latency_ms), goal=Goal(target_ms=max(latency_ms)), budget=times * len(networks)
    )  # fmt: skip
    return Loop(
        question, asker=Listed(range(len(networks)), times=times), evaluator=evaluator, study=study,
        executor=bench.where.executor(evaluator), settings=Settings(checkpoints=bench.where.checkpoints.resolve()),
        progress=told,
    ).run()  # fmt: skip


def ranking_text(found: Mapping[str, Any]) -> str:
    """The part of the report."""
    over = found.get("against_short", {})
    rows = [
        (name, f"{one['spearman']:.2f}", f"{one['low']:.2f}–{one['high']:.2f}", _over_text(over.get(name)))
        for name, one in found["spearman"].items()
        if one is not None
    ]
    between = [f"{one['spearman']:.2f}" for one in found["reliability"] if one is not None]
    low, high = found["band"]
    repeated = found.get("repeated", RELIABILITY)
    header = ("ranked by", "Spearman", "90 %", "more than the shortest rung")
    return f"""## Ranking

{found["networks"]} networks of {low:.4f} to {high:.4f} ms, against their validation accuracy after all epochs; the last
column is paired by networks.

{tabulate(rows, header, "pipe", disable_numparse=True)}

Two seeds of the shortest rung rank {repeated} networks alike with Spearman {", ".join(between)}; a network's
accuracy there has a standard deviation of {100 * found["seed_sd"]:.2f} points over seeds."""


def told(step: Step) -> None:
    """Progress on a line."""
    if step.of:
        print(f"{step.doing}: {step.done:.0f} of {step.of:.0f} {step.note}", flush=True)


def _over_text(one: Mapping[str, float] | None) -> str:
    return "" if one is None else f"{one['difference']:+.2f} [{one['low']:+.2f}, {one['high']:+.2f}]"


def _correlation(values: Floats, truth: Floats) -> RankCorrelation | None:
    known = np.isfinite(values) & np.isfinite(truth)
    return rank_correlation(values[known], truth[known], np.random.default_rng(0))


def _first(trials: Sequence[Trial], place: int) -> float:
    """The accuracy of a network's first training; nan where it failed."""
    found = [trial.accuracy for trial in trials if trial.codes == (place,) and trial.repeat == 0]
    return float(found[0]) if found and found[0] is not None else float("nan")


def _json(found: RankCorrelation | None) -> dict[str, float] | None:
    return None if found is None else found.as_json()
