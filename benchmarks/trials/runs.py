"""Runs a searcher on a table, and keeps what came out of each run, so that a benchmark that was stopped goes on."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from benchmarks.trials.peers import OURS, Ours, searcher
from benchmarks.trials.tables import Table

Floats = NDArray[np.float64]

KEPT = Path(__file__).resolve().parents[2] / "runs" / "benchmarks"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a searcher is put to: calls, how many are in flight, whether each is one training drawn at random, and how
    many of the best are confirmed after `calls`."""

    calls: int = 100
    in_flight: int = 1
    noisy: bool = False
    confirmed: int = 0


def regrets(name: str, table: Table, seed: int, setting: Setting) -> list[float]:
    """Points of accuracy (100 times the goal's value) that the answer after each call is worse than the best there is.

    The answer is the row with the best observed value, or, of ours, the best believed value; it counts by its mean
    accuracy. With `confirmed` one more number follows: the answer once the best few, by the same rule, were trained
    again, twice each, and averaged.
    """
    with threadpool_limits(limits=1):
        one = searcher(name, table, seed, setting.calls, noisy=setting.noisy)
        best, found, observed = float(table.worth.max()), [], dict[int, float]()
        pending: list[int] = []
        asked = 0
        while len(observed) < setting.calls:
            while len(pending) < setting.in_flight and asked < setting.calls:
                pending.append(one.ask(list(pending)))
                asked += 1
            # Whatever has been in flight longest comes back first.
            row = pending.pop(0)
            observed[row] = _call(table, row, setting, seed)
            one.tell(row, observed[row])
            answer = _ranked(one, table, observed, setting)[0]
            found.append(100.0 * (best - _worth(table, answer)))
        if setting.confirmed:
            rows = _ranked(one, table, observed, setting)[: setting.confirmed]
            found.append(100.0 * (best - _worth(table, _confirmed(one, table, rows, observed, setting, seed))))
    return found


def kept(
    part: str, name: str, table: Table, seeds: Iterable[int], setting: Setting, *, work: bool
) -> list[list[float]]:
    """The regrets of each seed; those worked out before are read. Without `work` the others are left out."""
    path = KEPT / f"trials-{part}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    known: dict[tuple[str, int], list[float]] = {}
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            known[record["name"], record["seed"]] = record["regrets"]
    rows = []
    for seed in seeds:
        if (name, seed) not in known and work:
            known[name, seed] = regrets(name, table, seed, setting)
            with path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps({"name": name, "seed": seed, "regrets": known[name, seed]}) + "\n")
        if (name, seed) in known:
            rows.append(known[name, seed])
    return rows


def _call(table: Table, row: int, setting: Setting, seed: int, repeat: int = 0) -> float:
    """What a call answers: of a row that is trained again, another one of its trainings, in random order."""
    if not setting.noisy:
        return float(table.accuracy[row])
    assert table.trainings is not None
    order = np.random.default_rng([seed, row]).permutation(table.trainings.shape[1])
    return float(table.trainings[row, order[repeat]])


def _worth(table: Table, row: int | None) -> float:
    """What an answer is worth; without one, as much as the worst row that may be one."""
    return float(table.worth[table.feasible].min() if row is None else table.worth[row])


def _ranked(one: object, table: Table, observed: dict[int, float], setting: Setting) -> list[int | None]:
    """The rows that may be answers, best first by what the searcher believes of them; [None] without any."""
    rows = np.array([row for row in observed if table.feasible[row]], dtype=np.int64)
    if not len(rows):
        return [None]
    if isinstance(one, Ours) and setting.noisy:
        accuracy = one.asker.believe(one.trials, table.codes[rows]).mean
    else:
        accuracy = np.array([observed[int(row)] for row in rows])
    return [int(row) for row in rows[np.argsort(-table.value(accuracy, rows), kind="stable")]]


def _confirmed(
    one: object,
    table: Table,
    rows: list[int | None],
    observed: dict[int, float],
    setting: Setting,
    seed: int,
) -> int | None:
    if isinstance(one, Ours):
        # Ours says itself which are worth it, and reads them with all that it knows.
        rows = [table.number[p.codes] for p in one.asker.confirm(one.trials, setting.confirmed)]
    means = dict[int, float]()
    for row in rows:
        if row is None:
            return None
        again = [_call(table, row, setting, seed, repeat) for repeat in (1, 2)]
        means[row] = float(np.mean([observed[row], *again]))
        for accuracy in again:
            one.tell(row, accuracy) if isinstance(one, Ours) else None
    if isinstance(one, Ours):
        return _ranked(one, table, observed, setting)[0]
    chosen = np.array(list(means), dtype=np.int64)
    return int(chosen[np.argmax(table.value(np.array(list(means.values())), chosen))])


__all__ = ["OURS", "Setting", "kept", "regrets"]
