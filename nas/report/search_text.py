"""A search's answer as text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nas.jobs.search import Network, SearchAnswer
from nas.report.page import PLAIN, Page
from nas.report.table import numeric, table, textual
from nas.space.resolution import resolution_text

if TYPE_CHECKING:
    from nas.jobs.search_verify import Verification

_NEAR = (0.85, 1.15)
"""Known networks between these multiples of the target are printed; the others are in the JSON document."""

_FRONT_ROWS = 12
_COLUMNS = (
    textual(""), textual("network"), numeric("ms"), textual("90 % of ms", 2), textual("source", 5), numeric("top-1 %"),
    textual("90 % of top-1", 1), numeric("published %", 3), numeric("published ms", 4), numeric("params M", 6),
    numeric("MACs M", 7),
)  # fmt: skip


def search_text(
    answer: SearchAnswer, run: str | None, verification: Verification | None = None, page: Page = PLAIN
) -> str:
    """The answer, the known networks near it, the Pareto front, and what the numbers mean."""
    best = answer.best
    parts = [
        page.filled(f"{best.name} (untrained) for {answer.device}, target {answer.target_ms:g} ms"),
        "\n".join(page.filled(line, hanging=" " * 11) for line in _summary(answer, verification)),
        *(page.filled(f"Note: {note}", hanging="  ") for note in (*answer.notes, *_warnings(best))),
        page.filled("Beside the known networks (at the same training recipe; * cannot be told from the answer):")
        + f"\n{_table([best, *_near(answer)], best, page)}\n"
        + page.filled(
            f"{len(answer.baselines) - len(_near(answer))} slower or faster ones are in the JSON document (--json)."
        ),
        "Pareto front of latency and score:\n" + _table(_thin(answer.front), best, page),
    ]
    if verification is not None:
        parts.insert(2, _verified(verification, page))
    if best.zoo:
        parts.append(f"Files: {best.zoo}")
    if run:
        parts.append(f"Run: {run} (`nas runs show {run}`)")
    return "\n\n".join(parts)


def _summary(answer: SearchAnswer, verification: Verification | None) -> list[str]:
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
            f" {resolution_text(best.architecture.resolution)} px"
        ),
        f"  novelty  {best.novelty:.2f} (1: as far from networks of published accuracy as these from one another)",
        f"  search   {searched} networks of {answer.space}",
        "  Intervals are central 90 %.",
    ]
    if verification is not None:
        measured = verification.measured
        lines.insert(
            1,
            f"  measured {measured.measured_ms:.3f} ms at the table's speed, mean of {len(measured.processes_ms)}"
            f" processes (by the clock {measured.clock_ms:.3f} ms)",
        )
    return lines


def _verified(verification: Verification, page: Page) -> str:
    """Each round's answer and runners-up: predicted first, then measured."""
    rows = []
    for turn, part in enumerate(verification.rounds, start=1):
        for position, network in enumerate(part.checked):
            predicted = network.predicted
            rows.append(
                (
                    turn if position == 0 else "",
                    network.name,
                    f"{predicted.mean_ms:.3f}",
                    f"{predicted.low_ms:.3f}–{predicted.high_ms:.3f}",
                    f"{network.measured_ms:.3f}",
                    f"{100 * network.error:+.1f} %",
                    (part.fault or "accepted") if position == 0 else "",
                )
            )
    columns = [
        numeric("round"), textual("network"), numeric("predicted ms"), textual("90 %", 2), numeric("measured ms"),
        numeric("error"), textual("result", 1, wrap=True),
    ]  # fmt: skip
    return "Predicted first, then timed in fresh processes:\n" + table(columns, rows, page)


def _near(answer: SearchAnswer) -> list[Network]:
    low, high = (factor * answer.target_ms for factor in _NEAR)
    return [n for n in answer.baselines if low <= n.latency.mean_ms <= high]


def _thin(front: Sequence[Network]) -> list[Network]:
    step = max(1, -(-len(front) // _FRONT_ROWS))
    return list(front[::step])


def _table(networks: Sequence[Network], best: Network, page: Page) -> str:
    rows = []
    for network in networks:
        latency, accuracy, published = network.latency, network.accuracy, network.published
        same = network.architecture.digest == best.architecture.digest
        mark = ">" if same else "*" if network.indistinguishable else ""
        rows.append(
            (
                mark,
                network.name,
                f"{latency.mean_ms:.3f}",
                f"{latency.low_ms:.3f}–{latency.high_ms:.3f}",
                latency.source,
                _percent(accuracy.mean),
                f"{_percent(accuracy.low)}–{_percent(accuracy.high)}",
                "-" if published is None or published.top1 is None else _percent(published.top1),
                "-" if published is None or published.latency_ms is None else f"{published.latency_ms:g}",
                f"{network.params / 1e6:.2f}",
                f"{network.macs / 1e6:.0f}",
            )
        )
    return table(_COLUMNS, rows, page)


def _warnings(best: Network) -> list[str]:
    return [f"latency of the answer: {warning}" for warning in best.latency.warnings]


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f}"
