"""A search on a user's images, as text for a terminal."""

from __future__ import annotations

from nas.jobs.data_answer import DataAnswer, Finished
from nas.jobs.data_plan import DataPlan
from nas.jobs.data_run import DataOutcome
from nas.report.page import PLAIN, Page
from nas.report.table import numeric, table, textual
from nas.report.train_text import duration_text

_PART = {"known": "known networks", "searched": "networks of the space", "final": "full trainings"}


def data_search_text(outcome: DataOutcome, page: Page = PLAIN) -> str:
    """The answer, the comparison in one sentence, the finalists, what ranked how well, what it cost, and the files."""
    answer, best = outcome.answer, outcome.best
    seeds = len(answer.best.trained)
    lines = [
        (
            f"  accuracy {_percent(best.accuracy.mean)} % [{_percent(best.accuracy.low)},"
            f" {_percent(best.accuracy.high)}] of {answer.images['test']:,} test images, trained {_times(seeds)} for"
            f" {answer.epochs} epochs"
        ),
        (
            f"  latency  {best.latency.mean_ms:.3f} ms [{best.latency.low_ms:.3f}, {best.latency.high_ms:.3f}],"
            f" {best.latency.source}; target {answer.target_ms:g} ms"
        ),
        f"  size     {best.params / 1e6:.2f} M parameters, {best.macs / 1e6:.1f} M MACs",
        f"  Intervals are central 90 %: of accuracies by the number of images{_of_seeds(seeds)}.",
    ]
    parts = [
        page.filled(page.strong(f"{best.name} for {outcome.device}, trained on {len(answer.classes)} classes")),
        page.filled(comparison_text(answer)),
        "\n".join(page.filled(line, hanging=" " * 11) for line in lines),
        _finalists(answer, page),
    ]
    if answer.ranked:
        parts.append(
            page.filled("How well networks were ranked early, by validation accuracy:") + "\n" + _ranks(answer, page)
        )
    parts.append(_costs(answer, page))
    parts += [page.filled(note) for note in answer.notes]
    if best.zoo:
        parts.append(f"Files: {best.zoo}")
    parts.append(f"Run: {outcome.run} (`nas runs show {outcome.run}`)")
    return "\n\n".join(parts)


def comparison_text(answer: DataAnswer) -> str:
    """The answer against the best known network, in a sentence or two."""
    comparison = answer.comparison
    if comparison is None:
        return "There is no known network to compare it with."
    pair = f"{comparison.only_searched} test images only {comparison.searched} has right, {comparison.only_known} only"
    text = f"{comparison.sentence} {pair} {comparison.known} (McNemar p = {comparison.p_value:.2g})."
    if answer.best is answer.known:
        why = "The known network is the answer: it is the better one on the validation images."
        return f"{why} {comparison.searched}: {text}"
    return text


def data_plan_text(plan: DataPlan, page: Page = PLAIN) -> str:
    """What a search would train, and how long it would take."""
    counts = ", ".join(f"{count:,} {name}" for name, count in plan.images.items())
    rungs = " and ".join(map(str, plan.rungs))
    full = "" if plan.full_epoch_s == plan.epoch_s else f", {plan.full_epoch_s:.1f} s with all branches"
    text = (
        f"{plan.baselines} known networks and {plan.trials} of the space would be trained in rungs of {rungs} epochs"
        f" on {plan.classes} classes (images: {counts}), and the finalists for {plan.full_epochs}:"
        f" {sum(plan.epochs.values()):,} epochs in all. {plan.network} takes {plan.epoch_s:.1f} s an epoch"
        f" ({plan.images_per_s:.0f} images/s){full}, so about {duration_text(plan.seconds)} on"
        f" {_workers(plan.workers)}; other networks may take half or double of that."
    )
    return page.filled(text)


def _finalists(answer: DataAnswer, page: Page) -> str:
    columns = [
        textual(""), textual("finalist"), numeric("ms"), numeric("test %"), numeric("validation %"),
        textual("90 %", 1), textual("from", 2), numeric("params M", 3), numeric("MACs M", 3), numeric("seeds", 4),
    ]  # fmt: skip
    return table(columns, [_finalist(one, answer) for one in answer.finalists], page)


def _finalist(one: Finished, answer: DataAnswer) -> tuple[object, ...]:
    network, accuracy = one.finalist.network, one.accuracy
    return (
        ">" if one is answer.best else "",
        network.name,
        f"{one.finalist.latency.mean_ms:.3f}",
        None if accuracy is None else _percent(accuracy.mean),
        _percent(one.validation),
        None if accuracy is None else f"{_percent(accuracy.low)}–{_percent(accuracy.high)}",
        answer.space if one.finalist.part == "searched" else one.finalist.family,
        f"{network.params / 1e6:.2f}",
        f"{network.macs / 1e6:.1f}",
        len(one.trained),
    )


def _ranks(answer: DataAnswer, page: Page) -> str:
    columns = [textual("ranked by"), textual("against"), numeric("Spearman"), textual("90 %"), numeric("networks", 1)]
    rows = [
        (
            one.by,
            one.of,
            f"{one.correlation.rho:.2f}",
            f"[{one.correlation.low:.2f}, {one.correlation.high:.2f}]",
            one.correlation.count,
        )
        for one in answer.ranked
    ]
    return table(columns, rows, page)


def _costs(answer: DataAnswer, page: Page) -> str:
    columns = [
        textual("what was trained"), numeric("trainings"), numeric("epochs"), textual("time of one worker"),
        numeric("paid for before", 1),
    ]  # fmt: skip
    rows = [
        (_PART[part], cost.trainings, cost.epochs, duration_text(cost.seconds), cost.reused)
        for part, cost in answer.costs.items()
    ]
    return table(columns, rows, page)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _of_seeds(count: int) -> str:
    return " alone; another seed gives another network" if count == 1 else " and the spread of seeds"


def _workers(count: int) -> str:
    return "one worker" if count == 1 else f"{count} workers"


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f}"
