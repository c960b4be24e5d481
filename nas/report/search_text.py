"""A search's answer as text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nas.jobs.front import spread
from nas.jobs.network import Network
from nas.jobs.search_answer import SearchAnswer
from nas.report.page import PLAIN, Page
from nas.report.table import numeric, table, textual
from nas.space.resolution import resolution_text
from nas.units import bytes_text, count_text

if TYPE_CHECKING:
    from nas.jobs.search_verify import Verification

_NEAR = (0.85, 1.15)
"""Known networks between these multiples of the target are printed; the others are in the JSON document."""

_FRONT_ROWS = 12
_COLUMNS = (
    textual("source", 5), numeric("top-1 %"), textual("90 % of top-1", 1), numeric("published %", 3),
    numeric("published ms", 4), numeric("params M", 6), numeric("MACs M", 7),
)  # fmt: skip


def search_text(
    answer: SearchAnswer, run: str | None, verification: Verification | None = None, page: Page = PLAIN
) -> str:
    """The answer, what it gains and what to know of it; then the known networks near it, the front, and the files."""
    best = answer.best
    parts = [
        page.filled(page.strong(f"{best.name} (untrained) for {answer.device}, {asked(answer)}")),
        page.filled(gain_text(answer)),
        *(page.filled(f"Note: {note}", hanging="  ") for note in (*_warnings(best), *answer.notes)),
        "\n".join(page.filled(line, hanging=" " * 11) for line in _summary(answer, verification)),
        page.filled(f"Beside the known networks (at the same training recipe; {_marks(answer)}):")
        + f"\n{_table([best, *_started(answer), *_near(answer)], answer, page)}\n"
        + page.filled(
            f"{len(answer.baselines) - len(_near(answer))} slower or faster ones are in the JSON document (--json)."
        ),
        front_text(answer, page),
    ]
    if verification is not None:
        parts.insert(-2, _verified(verification, page))
    if best.zoo:
        parts.append(f"Files: {best.zoo}")
    if run:
        parts.append(f"Run: {run} (`nas runs show {run}`)")
    return "\n\n".join(parts)


def asked(answer: SearchAnswer) -> str:
    """Target and limits, and the targets on further devices."""
    limits = answer.limits
    parts = [] if answer.target_ms is None else [f"target {answer.target_ms:g} ms"]
    parts += [f"at most {text}" for text in map(_limit, limits.caps, limits.caps.values())]
    parts += [f"{target_ms:g} ms on {device}" for device, target_ms in answer.also.items()]
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


def gain_text(answer: SearchAnswer) -> str:
    """What a user gains by the answer over the known network with the best mean accuracy that meets what
    is asked."""
    best, gain = answer.best, answer.gain
    meets = "meets the limits" if answer.target_ms is None else "meets the target"
    own = f"It takes {best.latency.mean_ms:.3f} ms and promises {_percent(best.accuracy.mean)} % top-1"
    if gain is None:
        return f"{own}; no known network with a latency here {meets}."
    over = next(network for network in answer.baselines if network.name == gain.over)
    if over.architecture.digest == best.architecture.digest:
        return f"{own}: it is the known network with the best mean accuracy that {meets}."
    named = f"{over.name} ({over.latency.mean_ms:.3f} ms, {_percent(over.accuracy.mean)} %)"
    points = f"{_points(gain.mean)} points [{_points(gain.low)}, {_points(gain.high)}]"
    to = "more than" if gain.told_apart and gain.mean > 0 else "against"
    text = (
        f"{own}: {points} {to} {named}, the known network with the best mean accuracy that {meets}, at"
        f" {gain.ms:+.3f} ms."
    )
    if gain.told_apart:
        return text if gain.mean > 0 else f"{text} The known one is better: take {over.name}{_trained(over)}."
    speaks = _speaks(best, over)
    return f"{text} The two cannot be told apart: take {over.name}{_trained(over)}" + (
        f"; for the answer speaks that it {' and '.join(speaks)}." if speaks else "."
    )


def _trained(network: Network) -> str:
    """What else speaks for a known network: somebody printed what it reached."""
    printed = network.published.top1 if network.published else None
    return "" if printed is None else f", which others have trained ({_percent(printed)} %)"


def _speaks(best: Network, over: Network) -> list[str]:
    """What an answer that is no better may still have: at least one percent faster or smaller."""
    sizes = (
        ("takes {:.3g} ms less", over.latency.mean_ms, best.latency.mean_ms, 1.0),
        ("has {:.2g} M fewer parameters", over.params, best.params, 1e-6),
        ("has {:.3g} M fewer multiply-adds", over.macs, best.macs, 1e-6),
    )
    return [text.format((theirs - own) * scale) for text, theirs, own, scale in sizes if own < 0.99 * theirs]


def _points(fraction: float) -> str:
    return f"{100 * fraction:+.1f}"


def _summary(answer: SearchAnswer, verification: Verification | None) -> list[str]:
    best, latency, accuracy = answer.best, answer.best.latency, answer.best.accuracy
    searched = "all" if answer.exact else f"{answer.evaluated:,} of {answer.space_size:.2g}"
    lines = [
        (
            f"  latency  {latency.mean_ms:.3f} ms [{latency.low_ms:.3f}, {latency.high_ms:.3f}], {latency.source}"
            f"{_above(answer)}"
        ),
        *(
            f"           {also.mean_ms:.3f} ms [{also.low_ms:.3f}, {also.high_ms:.3f}], {also.source}, on {device}"
            for device, also in best.also.items()
        ),
        (
            f"  top-1    {_percent(accuracy.mean)} % [{_percent(accuracy.low)}, {_percent(accuracy.high)}],"
            f" {accuracy.source} for ImageNet, {accuracy.recipe}"
        ),
        (
            f"  size     {best.params / 1e6:.2f} M parameters, {best.macs / 1e6:.0f} M MACs,"
            f" {resolution_text(best.architecture.resolution)} px{_bytes_of(best)}"
        ),
        f"  novelty  {best.novelty:.2f} (1: as far from networks of published accuracy as these from one another)",
        *([f"  made of  {best.simplicity}{_cost(answer)}"] if best.simplicity else []),
        f"  search   {searched} networks of {answer.space}; {_found(answer)}",
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


def _found(answer: SearchAnswer) -> str:
    """Where the answer comes from, and whether the space holds it."""
    ways = {
        "search": "found by searching",
        "shrinking": "found by shrinking a slower one (NetAdapt)",
        "filling": "found by changing widths until the target was filled",
        "simplifying": "found by simplifying",
        "known": "a network that was given",
    }
    return ways[answer.found_by] + ("" if answer.is_point else f", so no point of {answer.space}")


def _cost(answer: SearchAnswer) -> str:
    """What the answer gave up for being simple."""
    if answer.cost is None:
        return ""
    return f"; the simplest of what cannot be told apart, {100 * answer.cost:.2f} points below the best bound"


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


def _above(answer: SearchAnswer) -> str:
    above = answer.above_target_ms
    return f", {100 * above / answer.required_ms:.1f} % above the target" if above else ""


def _marks(answer: SearchAnswer) -> str:
    return "* cannot be told from the answer" + ("; + the search began from it" if answer.starts else "")


def _started(answer: SearchAnswer) -> list[Network]:
    """The networks that the search began from, but for those that are listed anyway."""
    listed = {answer.best.architecture.digest, *(network.architecture.digest for network in _near(answer))}
    return [network for network in answer.starts if network.architecture.digest not in listed]


def _near(answer: SearchAnswer) -> list[Network]:
    """The known networks around target and answer, and whichever the text names."""
    own_ms = answer.best.latency.mean_ms
    ends_ms = sorted((answer.target_ms or own_ms, max(answer.target_ms or own_ms, own_ms)))
    low, high = (factor * end_ms for factor, end_ms in zip(_NEAR, ends_ms, strict=True))
    named = answer.gain.over if answer.gain else ""
    return [
        network
        for network in answer.baselines
        if low <= network.latency.mean_ms <= high
        or network.name == named
        or any(f"{network.name} " in note for note in answer.notes)
    ]


def front_text(answer: SearchAnswer, page: Page) -> str:
    """The Pareto front, thinned to what is read at once."""
    title = f"Pareto front of {_aimed_at(answer)} and top-1, over the whole space and the known networks:"
    return page.filled(title) + "\n" + _table(spread(answer.front, _FRONT_ROWS), answer, page)


def targets_text(answers: Sequence[SearchAnswer], run: str, page: Page) -> str:
    """The answers for several targets: a line each, what each gains, then the front and where the files are."""
    first = answers[0]
    rows = [
        (
            f"{answer.required_ms:g}",
            answer.best.name,
            f"{answer.best.latency.mean_ms:.3f}",
            _percent(answer.best.accuracy.mean),
            f"{_percent(answer.best.accuracy.low)}–{_percent(answer.best.accuracy.high)}",
            answer.gain.over if answer.gain else "-",
            _points(answer.gain.mean) + ("" if answer.gain.told_apart else " *") if answer.gain else "-",
        )
        for answer in answers
    ]
    columns = [
        numeric("target ms"), textual("network"), numeric("ms"), numeric("top-1 %"), textual("90 % of top-1", 2),
        textual("over the known", 1), numeric("points"),
    ]  # fmt: skip
    parts = [
        page.filled(page.strong(f"{len(answers)} targets for {first.device} (all untrained)")),
        table(columns, rows, page) + "\n" + page.filled("* cannot be told apart from that known network"),
        *(
            page.filled(f"Note on {answer.required_ms:g} ms: {note}", hanging="  ")
            for answer in answers
            for note in (*_warnings(answer.best), *answer.notes)
        ),
        front_text(first, page),
        "Files:\n" + "\n".join(f"  {answer.best.zoo}" for answer in answers if answer.best.zoo),
        f"Run: {run} (`nas runs show {run}`)",
    ]
    return "\n\n".join(parts)


def _table(networks: Sequence[Network], answer: SearchAnswer, page: Page) -> str:
    others = [column for device in answer.also for column in (numeric(f"{device} ms"), textual("90 % of these", 2))]
    columns = [textual(""), textual("network"), numeric("ms"), textual("90 % of ms", 2), *others, *_COLUMNS]
    rows = []
    began = {network.architecture.digest for network in answer.starts}
    for network in networks:
        latency, accuracy, published = network.latency, network.accuracy, network.published
        same = network.architecture.digest == answer.best.architecture.digest
        mark = ">" if same else "*" if network.indistinguishable else ""
        mark += "+" if network.architecture.digest in began else ""
        rows.append(
            (
                mark,
                network.name,
                *(
                    text
                    for ms in (latency, *network.also.values())
                    for text in (f"{ms.mean_ms:.3f}", f"{ms.low_ms:.3f}–{ms.high_ms:.3f}")
                ),
                latency.source,
                _percent(accuracy.mean),
                f"{_percent(accuracy.low)}–{_percent(accuracy.high)}",
                "-" if published is None or published.top1 is None else _percent(published.top1),
                "-" if published is None or published.latency_ms is None else f"{published.latency_ms:g}",
                f"{network.params / 1e6:.2f}",
                f"{network.macs / 1e6:.0f}",
            )
        )
    return table(columns, rows, page)


def _warnings(best: Network) -> list[str]:
    return [f"of the answer's latency, {warning}." for warning in best.latency.warnings]


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f}"
