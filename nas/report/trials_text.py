"""A search whose accuracies cost, as text for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nas.jobs.trials_answer import TrialsAnswer
from nas.jobs.trials_run import TrialsOutcome
from nas.report.page import PLAIN, Page
from nas.report.table import numeric, table, textual

_FRONT_ROWS = 12


def trials_text(outcome: TrialsOutcome, page: Page = PLAIN) -> str:
    """The answer, how sure it is, the front of what was tried, all trials, and where the files are."""
    answer, best = outcome.answer, outcome.best
    lines = [
        (
            f"  latency  {best.latency.mean_ms:.3f} ms [{best.latency.low_ms:.3f}, {best.latency.high_ms:.3f}],"
            f" {best.latency.source}"
        ),
        (
            f"  accuracy {_percent(best.accuracy.mean)} % [{_percent(best.accuracy.low)},"
            f" {_percent(best.accuracy.high)}], measured by {answer.evaluator} ({_times(len(answer.best.trials))})"
        ),
        f"  size     {best.params / 1e6:.2f} M parameters, {best.macs / 1e6:.0f} M MACs",
        f"  search   {spent_text(answer)}, of {answer.space_size:.2g} networks of {answer.space}",
        "  Intervals are central 90 %.",
    ]
    parts = [
        page.filled(page.strong(f"{best.name} (untrained) for {outcome.device}, target {answer.target_ms:g} ms")),
        page.filled(sure_text(answer)),
        "\n".join(page.filled(line, hanging=" " * 11) for line in lines),
        page.filled("Pareto front of latency and accuracy over what was tried:") + "\n" + _front(outcome, page),
        trials_table(outcome.as_json()["trials"], page),
    ]
    if best.zoo:
        parts.append(f"Files: {best.zoo}")
    parts.append(f"Run: {outcome.run} (`nas runs show {outcome.run}`)")
    return "\n\n".join(parts)


def sure_text(answer: TrialsAnswer) -> str:
    """How sure the answer is."""
    if answer.how_sure is None:
        return f"The asker {answer.asker} has no model that could say whether a better one is left."
    return (
        f"That a network which was not tried beats it by more than 0.1 points has a chance of {answer.how_sure:.0%}, by"
        f" the model of the asker {answer.asker}."
    )


def spent_text(answer: TrialsAnswer) -> str:
    """How the budget was spent."""
    words = [f"{len(answer.trials)} of {answer.budget} trials"]
    words += [f"{answer.failed} failed"] if answer.failed else []
    words += [f"{answer.reused} paid for before"] if answer.reused else []
    return ", ".join(words)


def trials_table(trials: Sequence[Mapping[str, Any]], page: Page = PLAIN) -> str:
    """Trials (records of the contract), a line each."""
    columns = [
        numeric("trial"), textual("network"), textual("state"), numeric("accuracy %"), numeric("ms"),
        numeric("epochs", 4), numeric("seconds", 2), textual("why", 3), textual("worker", 5),
        textual("reason", 1, wrap=True),
    ]  # fmt: skip
    rows = [
        (
            trial["number"],
            trial["name"],
            trial["state"] + (" before" if trial["reused"] else ""),
            None if trial["accuracy"] is None else _percent(trial["accuracy"]),
            f"{trial['latency_ms']:.3f}",
            trial["epochs"] or None,
            f"{trial['seconds']:.1f}",
            trial["why"],
            trial["worker"],
            trial["reason"],
        )
        for trial in trials
    ]
    return table(columns, rows, page)


def _front(outcome: TrialsOutcome, page: Page) -> str:
    columns = [
        textual(""), textual("network"), numeric("ms"), numeric("accuracy %"), textual("90 %", 1),
        numeric("params M", 2), numeric("MACs M", 3),
    ]  # fmt: skip
    rows = [
        (
            ">" if network.architecture.digest == outcome.best.architecture.digest else "",
            network.name,
            f"{network.latency.mean_ms:.3f}",
            _percent(network.accuracy.mean),
            f"{_percent(network.accuracy.low)}–{_percent(network.accuracy.high)}",
            f"{network.params / 1e6:.2f}",
            f"{network.macs / 1e6:.0f}",
        )
        for network in outcome.front[-_FRONT_ROWS:]
    ]
    return table(columns, rows, page)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f}"
