"""Asynchronous successive halving: which trial goes on to its next rung (ASHA, arXiv:1810.05934, algorithm 2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nas.trials.records import Trial

ONE_IN = 3
"""Of so many at a rung one goes on: the best third."""

Worth = Callable[[Trial, float], float]
"""What a trial is worth at an accuracy; -inf for one that may be no answer."""


def promoted(trials: Sequence[Trial], rungs: Sequence[int], worth: Worth) -> Trial | None:
    """The stopped trial that goes on next, from the highest rung that has one: it is among the best third of all that
    have reached its rung. None where no trial is."""
    for rung in reversed(rungs[:-1]):
        reached = [(_at(trial, rung), trial) for trial in trials if _has(trial, rung)]
        ranked = sorted(reached, key=lambda one: (-worth(one[1], one[0]), one[1].number))
        for accuracy, trial in ranked[: len(ranked) // ONE_IN]:
            if trial.state == "stopped" and trial.epochs == rung and worth(trial, accuracy) > float("-inf"):
                return trial
    return None


def best_of_its_kind(
    trials: Sequence[Trial], rungs: Sequence[int], worth: Worth, kind_of: Callable[[tuple[int, ...]], str]
) -> Trial | None:
    """A trial that goes on to the second rung as the best of its kind at the first one, once every trial is there. None
    where the best of each kind has gone on, or may not."""
    first = rungs[0]
    if any(trial.state == "pending" and not trial.curve for trial in trials):
        return None
    best: dict[str, Trial] = {}
    for trial in sorted(trials, key=lambda one: one.number):
        kind = kind_of(trial.codes)
        if _has(trial, first) and (
            kind not in best or worth(trial, _at(trial, first)) > worth(best[kind], _at(best[kind], first))
        ):
            best[kind] = trial
    for trial in best.values():
        if trial.state == "stopped" and trial.epochs == first and worth(trial, _at(trial, first)) > float("-inf"):
            return trial
    return None


def last_promoted(trials: Sequence[Trial], worth: Worth) -> Trial | None:
    """What goes on where all trials are spent and none has reached the last rung: the best of those that came
    farthest. None once one has, or none can."""
    if any(trial.state in ("done", "pending") for trial in trials):
        return None
    stopped = [trial for trial in trials if trial.state == "stopped"]
    if not stopped:
        return None
    return max(stopped, key=lambda trial: (trial.epochs, worth(trial, trial.accuracy or 0.0), -trial.number))


def _has(trial: Trial, rung: int) -> bool:
    return any(epochs == rung for epochs, _ in trial.curve)


def _at(trial: Trial, rung: int) -> float:
    return next(accuracy for epochs, accuracy in trial.curve if epochs == rung)
