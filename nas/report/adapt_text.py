"""An adaptation as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from nas.jobs.adaptation import Adaptation, Trained
from nas.jobs.network import Network
from nas.report.page import PLAIN, Page
from nas.report.search_text import asked, gain_text
from nas.report.table import numeric, table, textual
from nas.report.train_text import duration_text
from nas.units import bytes_text

_ACCURACY = "top-1 % (predicted)"
_FIGURES = (
    "ms", "90 % of ms", "source", _ACCURACY, "90 % of top-1", "params M", "MACs M", "size", "maps alive",
)  # fmt: skip
_ROUNDS = (
    numeric("#"), textual("layer"), numeric("from"), numeric("to"), numeric("top-1 %"), numeric("points"),
    numeric("ms"), numeric("ms won"), numeric("params M", 1), numeric("MACs M", 2),
)  # fmt: skip


def adapt_text(found: Adaptation, run: str | None, page: Page = PLAIN) -> str:
    """What was gained and what to know of it, the network before and after, the rounds between, and the files."""
    answer, best = found.answer, found.best
    if found.trained is not None:
        return _trained_text(found, found.trained, run, page)
    notes = (*(f"of the answer's latency, {warning}." for warning in best.latency.warnings), *answer.notes)
    parts = [
        page.filled(page.strong(f"{best.name} (untrained) for {answer.device}, {asked(answer)}")),
        page.filled(gain_text(answer)),
        *(page.filled(f"Note: {note}", hanging="  ") for note in notes),
        table([textual(""), textual("before"), textual("after")], list(_before_and_after(found)), page),
    ]
    if found.rounds:
        heading = f"{len(found.rounds)} rounds, {answer.evaluated:,} networks looked at:"
        parts.append(f"{heading}\n{table(_ROUNDS, list(_rounds(found)), page)}")
    return "\n\n".join([*parts, *_places(best, run)])


def _trained_text(found: Adaptation, trained: Trained, run: str | None, page: Page) -> str:
    """The same where accuracies were measured."""
    answer, best = found.answer, found.best
    accuracy = best.accuracy
    notes = (*(f"of the answer's latency, {warning}." for warning in best.latency.warnings), *answer.notes)
    looked = sum(map(len, trained.candidates))
    parts = [
        page.filled(
            page.strong(f"{best.name} for {answer.device}, {asked(answer)}: {100 * accuracy.mean:.2f} % of")
            + page.strong(f" {trained.held_out:,} held-out images right")
            + f" (90 % interval by their number {100 * accuracy.low:.1f}–{100 * accuracy.high:.1f});"
            f" {100 * trained.validation:.2f} % of the validation images."
        ),
        page.filled(
            f"Its weights went through {trained.chain_epochs:g} epochs of {trained.data} by the recipe {trained.recipe}"
            f" ({_began_text(trained)}{len(trained.candidates)} rounds of {trained.short_epochs:g}, {trained.epochs} at"
            f" the end); {looked} candidates were tuned; all trainings took {duration_text(trained.seconds)}."
        ),
        *(page.filled(f"Note: {note}", hanging="  ") for note in notes),
        table([textual(""), textual("before"), textual("after")], list(_before_and_after(found)), page),
        page.filled("Before: of the validation images, which chose; after: of the held-out ones, looked at once."),
    ]
    if found.rounds:
        heading = f"{len(found.rounds)} rounds, accuracies on the validation images:"
        parts.append(f"{heading}\n{table(_ROUNDS, list(_rounds(found)), page)}")
    return "\n\n".join([*parts, *_places(best, run)])


def _began_text(trained: Trained) -> str:
    return f"{trained.start_epochs} before anything was cut, " if trained.start_epochs else ""


def _places(best: Network, run: str | None) -> Iterator[str]:
    if best.zoo:
        yield f"Files: {best.zoo}"
    if run:
        yield f"Run: {run} (`nas runs show {run}`)"


def _before_and_after(found: Adaptation) -> Iterator[tuple[str, ...]]:
    words = _FIGURES if found.trained is None else ["top-1 %" if word == _ACCURACY else word for word in _FIGURES]
    yield from zip(words, _column(found.start), _column(found.best), strict=True)


def _column(network: Network) -> tuple[str, ...]:
    latency, accuracy = network.latency, network.accuracy
    return (
        f"{latency.mean_ms:.3f}",
        f"{latency.low_ms:.3f}–{latency.high_ms:.3f}",
        latency.source,
        f"{100 * accuracy.mean:.1f}",
        f"{100 * accuracy.low:.1f}–{100 * accuracy.high:.1f}",
        f"{network.params / 1e6:.2f}",
        f"{network.macs / 1e6:.0f}",
        "-" if network.size_bytes is None else bytes_text(network.size_bytes),
        "-" if network.memory_bytes is None else bytes_text(network.memory_bytes),
    )


def _rounds(found: Adaptation) -> Iterator[tuple[str, ...]]:
    accuracy, latency_ms = found.start_accuracy, found.start.latency.mean_ms
    for number, one in enumerate(found.rounds, start=1):
        yield (
            str(number),
            one.layer,
            str(one.before),
            str(one.after),
            f"{100 * one.accuracy:.2f}",
            f"{100 * (one.accuracy - accuracy):+.2f}",
            f"{one.latency_ms:.3f}",
            f"{latency_ms - one.latency_ms:.3f}",
            f"{one.params / 1e6:.2f}",
            f"{one.macs / 1e6:.0f}",
        )
        accuracy, latency_ms = one.accuracy, one.latency_ms
