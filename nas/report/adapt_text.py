"""An adaptation as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from nas.jobs.adapt import Adaptation
from nas.jobs.network import Network
from nas.report.page import PLAIN, Page
from nas.report.search_text import asked, gain_text
from nas.report.table import numeric, table, textual
from nas.units import bytes_text

_FIGURES = (
    "ms", "90 % of ms", "source", "top-1 % (predicted)", "90 % of top-1", "params M", "MACs M", "size", "maps alive",
)  # fmt: skip
_ROUNDS = (
    numeric("#"), textual("layer"), numeric("from"), numeric("to"), numeric("top-1 %"), numeric("points"),
    numeric("ms"), numeric("ms won"), numeric("params M", 1), numeric("MACs M", 2),
)  # fmt: skip


def adapt_text(found: Adaptation, run: str | None, page: Page = PLAIN) -> str:
    """What was gained and what to know of it, the network before and after, the rounds between, and the files."""
    answer, best = found.answer, found.best
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
    if best.zoo:
        parts.append(f"Files: {best.zoo}")
    if run:
        parts.append(f"Run: {run} (`nas runs show {run}`)")
    return "\n\n".join(parts)


def _before_and_after(found: Adaptation) -> Iterator[tuple[str, ...]]:
    yield from zip(_FIGURES, _column(found.start), _column(found.best), strict=True)


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
