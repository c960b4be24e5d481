"""An adaptation as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from tabulate import tabulate

from nas.jobs.adapt import Adaptation
from nas.jobs.network import Network
from nas.units import bytes_text


def adapt_text(found: Adaptation, run: str | None) -> str:
    """The network before and after, the rounds that led from one to the other, and where the files are."""
    answer, best = found.answer, found.best
    target = "" if answer.target_ms is None else f", target {answer.target_ms:g} ms"
    gain = answer.gain
    parts = [
        f"{best.name} (untrained) for {answer.device}{target}",
        _before_and_after(found),
        "Intervals are central 90 %; the accuracy is predicted for ImageNet.",
    ]
    if gain is not None:
        parts.append(
            f"Against {gain.over}, the most accurate known network that meets this: {100 * gain.mean:+.1f} points"
            f" [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}], {gain.ms:+.3f} ms."
        )
    if found.rounds:
        headers = ("", "layer", "channels", "top-1 %", "", "ms", "", "params M", "MACs M")
        rounds = tabulate(list(_rounds(found)), headers, disable_numparse=True)
        parts.append(f"{len(found.rounds)} rounds, {answer.evaluated:,} networks looked at:\n{rounds}")
    parts += [f"Note: {note}" for note in answer.notes]
    parts += [f"Note: latency of the answer: {warning}" for warning in best.latency.warnings]
    if best.zoo:
        parts.append(f"Files: {best.zoo}")
    if run:
        parts.append(f"Run: {run} (`nas runs show {run}`)")
    return "\n\n".join(parts)


def _before_and_after(found: Adaptation) -> str:
    columns = [_column(network) for network in (found.start, found.best)]
    rows = [(name, *values) for name, *values in zip(_FIGURES, *columns, strict=True)]
    return tabulate(rows, ("", "before", "after"), disable_numparse=True)


_FIGURES = ("latency ms", "top-1 %", "params M", "MACs M", "size", "maps alive")


def _column(network: Network) -> tuple[str, ...]:
    latency, accuracy = network.latency, network.accuracy
    return (
        f"{latency.mean_ms:.3f} [{latency.low_ms:.3f}, {latency.high_ms:.3f}] {latency.source}",
        f"{100 * accuracy.mean:.1f} [{100 * accuracy.low:.1f}, {100 * accuracy.high:.1f}]",
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
            f"{one.before} -> {one.after}",
            f"{100 * one.accuracy:.2f}",
            f"{100 * (one.accuracy - accuracy):+.2f}",
            f"{one.latency_ms:.3f}",
            f"{one.latency_ms - latency_ms:+.3f}",
            f"{one.params / 1e6:.2f}",
            f"{one.macs / 1e6:.0f}",
        )
        accuracy, latency_ms = one.accuracy, one.latency_ms
