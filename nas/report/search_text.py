"""A search's answer as text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from tabulate import tabulate

from nas.jobs.network import Network
from nas.jobs.search import SearchAnswer
from nas.jobs.search_verify import Verification
from nas.space.resolution import resolution_text
from nas.units import bytes_text, count_text

_NEAR = (0.85, 1.15)
"""Known networks between these multiples of the target are printed; the others are in the JSON document."""

_FRONT_ROWS = 12
_HEADERS = (
    "", "network", "latency ms", "source", "top-1 % (predicted)", "published top-1 %", "published ms", "params M",
    "MACs M",
)  # fmt: skip


def search_text(answer: SearchAnswer, run: str | None, verification: Verification | None = None) -> str:
    """The answer, the known networks near it, the Pareto front, and what the numbers mean."""
    best = answer.best
    parts = [
        f"{best.name} (untrained) for {answer.device}, {_asked(answer)}",
        _summary(answer, verification),
        "Beside the known networks (at the same training recipe; * cannot be told from the answer):\n"
        + _table([best, *_near(answer)], best)
        + f"\n{len(answer.baselines) - len(_near(answer))} slower or faster ones are in the JSON document (--json).",
        f"Pareto front of {_aimed_at(answer)} and score:\n" + _table(_thin(answer.front), best),
    ]
    if verification is not None:
        parts.insert(2, _verified(verification))
    parts += [f"Note: {note}" for note in (*answer.notes, *_warnings(best))]
    if best.zoo:
        parts.append(f"Files: {best.zoo}")
    if run:
        parts.append(f"Run: {run} (`nas runs show {run}`)")
    return "\n\n".join(parts)


def _asked(answer: SearchAnswer) -> str:
    """Target and limits."""
    limits = answer.limits
    parts = [] if answer.target_ms is None else [f"target {answer.target_ms:g} ms"]
    parts += [f"at most {text}" for text in map(_limit, limits.caps, limits.caps.values())]
    return ", ".join(parts)


def _limit(column: str, at_most: int) -> str:
    if column.endswith("_bytes"):
        return bytes_text(at_most) + (" of parameters" if column == "size_bytes" else " of maps")
    return f"{count_text(at_most)} {'parameters' if column == 'params' else 'MACs'}"


def _aimed_at(answer: SearchAnswer) -> str:
    columns = {"params": "parameters", "macs": "MACs", "size_bytes": "size", "memory_bytes": "memory"}
    return columns[answer.limits.aim(None).column] if answer.target_ms is None else "latency"


def _bytes_of(network: Network) -> str:
    if network.size_bytes is None or network.memory_bytes is None:
        return ""
    return f"; {bytes_text(network.size_bytes)}, {bytes_text(network.memory_bytes)} of maps alive at once"


def _summary(answer: SearchAnswer, verification: Verification | None) -> str:
    best, latency, accuracy = answer.best, answer.best.latency, answer.best.accuracy
    searched = "all" if answer.exact else f"{answer.evaluated:,} of {answer.space_size:.2g}"
    lines = [
        f"  latency  {latency.mean_ms:.3f} ms [{latency.low_ms:.3f}, {latency.high_ms:.3f}], {latency.source}",
        (
            f"  top-1    {_percent(accuracy.mean)} % [{_percent(accuracy.low)}, {_percent(accuracy.high)}],"
            f" {accuracy.source} for ImageNet, {accuracy.recipe}"
        ),
        (
            f"  size     {best.params / 1e6:.2f} M parameters, {best.macs / 1e6:.0f} M MACs,"
            f" {resolution_text(best.architecture.resolution)} px{_bytes_of(best)}"
        ),
        f"  novelty  {best.novelty:.2f} (1: as far from networks of published accuracy as these from one another)",
        (
            f"  search   {searched} networks of {answer.space}; score before shrinking"
            f" {_score(answer.before_shrinking)}, after {_score(answer.after_shrinking)}"
        ),
        "  Intervals are central 90 %.",
    ]
    if verification is not None:
        measured = verification.measured
        lines.insert(
            1,
            f"  measured {measured.measured_ms:.3f} ms at the table's speed, mean of {len(measured.processes_ms)}"
            f" processes (by the clock {measured.clock_ms:.3f} ms)",
        )
    return "\n".join(lines)


def _verified(verification: Verification) -> str:
    """Each round's answer and runners-up: predicted first, then measured."""
    rows = []
    for number, part in enumerate(verification.rounds, start=1):
        for position, network in enumerate(part.checked):
            predicted = network.predicted
            rows.append(
                (
                    number if position == 0 else "",
                    network.name,
                    f"{predicted.mean_ms:.3f} [{predicted.low_ms:.3f}, {predicted.high_ms:.3f}]",
                    f"{network.measured_ms:.3f}",
                    f"{100 * network.error:+.1f} %",
                    (part.fault or "accepted") if position == 0 else "",
                )
            )
    headers = ("round", "network", "predicted ms", "measured ms", "error", "")
    return "Predicted first, then timed in fresh processes:\n" + tabulate(rows, headers, disable_numparse=True)


def _near(answer: SearchAnswer) -> list[Network]:
    centre_ms = answer.best.latency.mean_ms if answer.target_ms is None else answer.target_ms
    low, high = (factor * centre_ms for factor in _NEAR)
    return [n for n in answer.baselines if low <= n.latency.mean_ms <= high]


def _thin(front: Sequence[Network]) -> list[Network]:
    step = max(1, -(-len(front) // _FRONT_ROWS))
    return list(front[::step])


def _table(networks: Sequence[Network], best: Network) -> str:
    rows = []
    for network in networks:
        latency, accuracy, published = network.latency, network.accuracy, network.published
        same = network.architecture.digest == best.architecture.digest
        mark = ">" if same else "*" if network.indistinguishable else ""
        rows.append(
            (
                mark,
                network.name,
                f"{latency.mean_ms:.3f} [{latency.low_ms:.3f}, {latency.high_ms:.3f}]",
                latency.source,
                f"{_percent(accuracy.mean)} [{_percent(accuracy.low)}, {_percent(accuracy.high)}]",
                "-" if published is None or published.top1 is None else _percent(published.top1),
                "-" if published is None or published.latency_ms is None else f"{published.latency_ms:g}",
                f"{network.params / 1e6:.2f}",
                f"{network.macs / 1e6:.0f}",
            )
        )
    return tabulate(rows, _HEADERS, disable_numparse=True)


def _warnings(best: Network) -> list[str]:
    return [f"latency of the answer: {warning}" for warning in best.latency.warnings]


def _score(value: float | None) -> str:
    return "-" if value is None else _percent(value)


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f}"
