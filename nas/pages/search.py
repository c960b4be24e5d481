"""The parts of a search, an adaptation and a verification: the question, the answer, and how it was found."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nas.pages.networks import hover_text, key_of, network_view
from nas.pages.parts import Axis, Cell, Column, Fact, Figure, Role, Row, Series, Table
from nas.pages.words import (
    DASH,
    accuracy_text,
    interval_cell,
    latency_text,
    mapping,
    mappings,
    metric,
    million_cell,
    millions,
    ms,
    ms_cell,
    number,
    number_cell,
    percent_cell,
    short,
    signed_points,
    text,
    text_cell,
)

Document = Mapping[str, Any]
_NAMES: Mapping[Role, str] = {
    "answer": "answer",
    "front": "front of the space",
    "known": "known network",
    "start": "start of the search",
}
_LIMITS = {
    "max_params": "parameters",
    "max_macs": "multiply-adds",
    "max_size_bytes": "bytes of weights",
    "max_memory_bytes": "bytes of maps alive at once",
}


def asked(result: Document) -> str:
    """The question: target, limits and further devices."""
    target = number(result.get("target_ms"))
    parts = [] if target is None else [f"at {target:g} ms"]
    parts += [
        f"with at most {millions(result[key])} {what}" for key, what in _LIMITS.items() if number(result.get(key))
    ]
    parts += [f"{ms(also.get('target_ms'))} on {short(also.get('device'))}" for also in mappings(result.get("also"))]
    return ", ".join(parts)


def headline(result: Document) -> str:
    """The question and the answer in a sentence, with intervals and sources."""
    best = mapping(result.get("best"))
    latency, accuracy = mapping(best.get("latency")), mapping(best.get("accuracy"))
    return (
        f"For {short(result.get('device'))} {asked(result)}: {short(best.get('name'))} takes {latency_text(latency)}"
        f" ({text(latency.get('source'))}) and {'reaches' if _tried(accuracy) else 'promises'}"
        f" {accuracy_text(accuracy)} {metric(accuracy.get('metric'))} ({text(accuracy.get('source'))})."
    )


def lead(result: Document) -> Iterator[str]:
    """What is gained over the known networks, and what a reader should know."""
    gain = mapping(result.get("gain"))
    meets = "meets the limits" if number(result.get("target_ms")) is None else "meets the target"
    known = f"the known network with the best mean accuracy that {meets}"
    both_trained = bool(result.get("comparison"))
    if both_trained:
        known = f"the best known network that was trained in the same way and {meets}"
    if _is_known(result):
        yield f"It is {known}."
    elif gain:
        interval = f"[{signed_points(gain.get('low'))}, {signed_points(gain.get('high'))}]"
        apart = "The two cannot be told apart"
        # Where both were trained the answer was the better one on validation images: that speaks for it.
        apart += "." if both_trained else ": take the known one, unless something else speaks for the answer."
        if gain.get("told_apart") is True:
            is_worse = (number(gain.get("mean")) or 0.0) < 0
            apart = "The known one is better: take it." if is_worse else "The two can be told apart."
        yield (
            f"{signed_points(gain.get('mean'))} points {interval} against {short(gain.get('over'))}, {known}, at"
            f" {number(gain.get('ms')) or 0.0:+.3f} ms. {apart}"
        )
    best = mapping(result.get("best"))
    if not _tried(mapping(best.get("accuracy"))):
        yield "Its files are untrained: the accuracy is what a training is expected to reach."
    elif result.get("evaluator"):
        yield "Its files are untrained: the accuracy is what the evaluator said of this structure."
    for warning in mapping(best.get("latency")).get("warnings") or []:
        yield f"Of the answer's latency, {warning}."
    yield from (str(note) for note in result.get("notes") or [])


def _is_known(result: Document) -> bool:
    """Whether the answer is the known network that it would be compared with."""
    over, best = mapping(result.get("gain")).get("over"), mapping(result.get("best"))
    named = [best, *mappings(result.get("baselines"))]
    return best.get("digest") in [one.get("digest") for one in named if one.get("name") == over]


def _tried(accuracy: Document) -> bool:
    return accuracy.get("source") == "measured"


def cards(result: Document) -> list[Fact]:
    """The answer's main figures."""
    best, gain = mapping(result.get("best")), mapping(result.get("gain"))
    latency, accuracy = mapping(best.get("latency")), mapping(best.get("accuracy"))
    found = [
        Fact(label="latency", value=latency_text(latency), source=text(latency.get("source"))),
        Fact(label="accuracy", value=accuracy_text(accuracy), source=text(accuracy.get("source"))),
        Fact(label="size", value=f"{millions(best.get('params'))} parameters, {millions(best.get('macs'))} MACs"),
    ]
    if gain and not _is_known(result):
        found.append(
            Fact(
                label=f"points over {short(gain.get('over'))}",
                value=signed_points(gain.get("mean")),
                source="told apart" if gain.get("told_apart") is True else "cannot be told apart",
            )
        )
    return found


def all_networks(result: Document) -> list[tuple[Role, Document]]:
    """Every network with a role, each once, the answer first."""
    groups: Sequence[tuple[Role, list[Mapping[str, Any]]]] = (
        ("answer", [mapping(one.get("best")) for one in [result, *mappings(result.get("answers"))] if one.get("best")]),
        ("start", [*mappings(result.get("starts")), *([mapping(result["start"])] if result.get("start") else [])]),
        ("known", mappings(result.get("baselines"))),
        ("front", mappings(result.get("front"))),
    )
    found: dict[str, tuple[Role, Document]] = {}
    for role, networks in groups:
        for network in networks:
            found.setdefault(key_of(network), (role, network))
    return list(found.values())


def views(result: Document) -> list[dict[str, Any]]:
    """The networks for the script."""
    return [network_view(network, role) for role, network in all_networks(result)]


def beside(result: Document) -> str:
    """The key of the network that stands beside the answer at first: the one that it is compared with."""
    networks = all_networks(result)
    over = mapping(result.get("gain")).get("over")
    named = [key_of(network) for _, network in networks if network.get("name") == over]
    others = [
        key_of(network) for role, network in sorted(networks, key=lambda one: one[0] == "front") if role != "answer"
    ]
    return next(iter([*named, *others]), "")


def trade_off(result: Document) -> Figure:
    """Accuracy against latency: the answer, the front, the known networks, and what was published of these."""
    networks = all_networks(result)
    best = mapping(networks[0][1]) if networks else {}
    series = [
        _points(role, [n for own, n in networks if own == role]) for role in ("front", "known", "start", "answer")
    ]
    printed = [
        (network, mapping(network.get("published")))
        for role, network in networks
        if number(mapping(network.get("published")).get("top1")) is not None
    ]
    published = Series(
        name="published",
        role="published",
        x=[number(own.get("latency_ms")) or number(mapping(one.get("latency")).get("mean_ms")) for one, own in printed],
        y=[100 * float(own["top1"]) for _, own in printed],
        texts=[hover_text(one, "as published") for one, _ in printed],
        keys=[key_of(one) for one, _ in printed],
    )
    targets = [result, *mappings(result.get("answers"))]
    timed = _timed(result, {key_of(network): network for _, network in networks})
    lines = [(float(one["target_ms"]), "target") for one in targets if number(one.get("target_ms"))]
    alike = [
        mapping(n.get("accuracy")) for role, n in networks if n.get("indistinguishable") is True and role == "known"
    ]
    means = [100 * mean for one in alike if (mean := number(one.get("mean"))) is not None]
    means += [100 * mean for one in [mapping(best.get("accuracy"))] if means and (mean := number(one.get("mean")))]
    bands = [(min(means), max(means), "cannot be told apart from the answer")] if means else []
    source = mapping(best.get("accuracy")).get("source")
    near = _near([line for line, _ in lines], series)
    return Figure(
        name="trade-off",
        title="Accuracy against latency",
        x=Axis(
            title=f"latency on {short(result.get('device') or _first(result).get('device'))}, ms",
            log=True,
            shown=near[0],
        ),
        y=Axis(title=f"{metric(mapping(best.get('accuracy')).get('metric'))}, %", shown=near[1]),
        series=[one for one in (*series[:2], published, *series[2:], timed) if len(one.x)],
        lines=list(dict.fromkeys(lines)),
        bands=bands,
        note=f"{'Shaded: cannot be told apart from the answer. ' if bands else ''}Bars are central 90 % intervals."
        f" Latencies {text(mapping(best.get('latency')).get('source'))}, accuracies {text(source)}; open squares are"
        " what others published, at recipes of their own. A click shows a network below.",
    )


def _timed(result: Document, networks: Mapping[str, Document]) -> Series:
    """What a verification measured of the networks that are shown, at their predicted accuracy."""
    rounds = mappings(mapping(result.get("verification")).get("rounds"))
    checked = {str(one.get("digest")): one for part in rounds for one in mappings(part.get("networks"))}
    found = [(key, one, mapping(networks[key].get("accuracy"))) for key, one in checked.items() if key in networks]
    return Series(
        name="measured here",
        role="best",
        x=[number(one.get("measured_ms")) for _, one, _ in found],
        y=[100 * (number(accuracy.get("mean")) or 0.0) for _, _, accuracy in found],
        texts=[f"{short(one.get('name'))}: measured {ms(one.get('measured_ms'))}" for _, one, _ in found],
        keys=[key for key, _, _ in found],
    )


def _near(
    targets: Sequence[float], series: Sequence[Series]
) -> tuple[tuple[float, float] | None, tuple[float, float] | None]:
    """The ends of latency around the targets, and of the accuracies there; None where that is all there is."""
    if not targets:
        return None, None
    left, right = 0.6 * min(targets), 2.0 * max(targets)
    points = [(x, y) for one in series for x, y in zip(one.x, one.y, strict=True) if x is not None and y is not None]
    inside = [y for x, y in points if left <= x <= right]
    if not inside or len(inside) == len(points):
        return None, None
    # The lowest tenth may lie far below what anybody would choose.
    low = sorted(inside)[len(inside) // 10]
    return (left, right), (low - 2.0, max(inside) + 2.0)


def _first(result: Document) -> Document:
    return next(iter(mappings(result.get("answers"))), {})


def _points(role: Role, networks: Sequence[Document]) -> Series:
    latency = [mapping(network.get("latency")) for network in networks]
    accuracy = [mapping(network.get("accuracy")) for network in networks]

    def percents(key: str) -> list[float | None]:
        found = [number(one.get(key)) for one in accuracy]
        return [None if value is None else 100 * value for value in found]

    return Series(
        name=_NAMES[role],
        role=role,
        x=[number(one.get("mean_ms")) for one in latency],
        y=percents("mean"),
        low=percents("low"),
        high=percents("high"),
        left=[number(one.get("low_ms")) for one in latency],
        right=[number(one.get("high_ms")) for one in latency],
        texts=[hover_text(network, _NAMES[role]) for network in networks],
        keys=[key_of(network) for network in networks],
    )


def network_table(result: Document) -> Table:
    """The answer beside the known networks and the front, a line each."""
    networks = all_networks(result)
    others = list(mapping(mapping(result.get("best")).get("also")))
    columns = [
        Column(title="network"),
        Column(title="what"),
        Column(title="ms", numeric=True),
        Column(title="90 % of ms", numeric=True),
        Column(title="source"),
        *(Column(title=f"ms on {short(device)}", numeric=True) for device in others),
        Column(title="top-1 %", numeric=True),
        Column(title="90 % of top-1", numeric=True),
        Column(title="published %", numeric=True),
        Column(title="published ms", numeric=True),
        Column(title="params M", numeric=True),
        Column(title="MACs M", numeric=True),
    ]
    rows = []
    for role, network in networks:
        latency, accuracy, printed = (mapping(network.get(name)) for name in ("latency", "accuracy", "published"))
        same = ", not told apart" if network.get("indistinguishable") is True else ""
        also = [mapping(mapping(network.get("also")).get(device)).get("mean_ms") for device in others]
        rows.append(
            Row(
                key=key_of(network),
                role=role,
                cells=[
                    text_cell(network.get("name")),
                    Cell(text=_NAMES[role] + same),
                    ms_cell(latency.get("mean_ms")),
                    interval_cell(latency.get("low_ms"), latency.get("high_ms")),
                    text_cell(latency.get("source")),
                    *map(ms_cell, also),
                    percent_cell(accuracy.get("mean")),
                    interval_cell(accuracy.get("low"), accuracy.get("high"), fractions=True),
                    percent_cell(printed.get("top1")),
                    number_cell(printed.get("latency_ms")),
                    million_cell(network.get("params")),
                    million_cell(network.get("macs")),
                ],
            )
        )
    aim = (
        number(result.get("target_ms"))
        or number(mapping(mapping(result.get("best")).get("latency")).get("mean_ms"))
        or 1.0
    )
    rows.sort(key=lambda row: (row.role not in ("answer", "start"), abs(math.log((row.cells[2].sort or aim) / aim))))
    return Table(name="networks", caption="The networks, the nearest to the target first", columns=columns, rows=rows)


def where_figures(result: Document) -> list[Figure]:
    """Where the answer's time goes, by the size of maps and by kind of operator; beside it that of another network."""
    shown = {view["key"]: view for view in views(result)}
    answer, other = next(iter(shown.values()), {}), shown.get(beside(result), {})
    figures = []
    for part, title in (
        ("sizes", "Where the time goes, by size of the maps"),
        ("kinds", "The same by kind of operator"),
    ):
        if not answer.get(part):
            continue
        series = [
            Series(
                name=view["name"],
                role=role,
                form="bars",
                x=[value for _, value in view[part]],
                y=[name for name, _ in view[part]],
                texts=[f"{name}: {ms(value)}" for name, value in view[part]],
            )
            for view, role in _shown(answer, other)
            if view.get(part)
        ]
        note = "Operators of one layer share its time as the device's model prices them." if part == "kinds" else ""
        figures.append(
            Figure(
                name=f"where-{part}",
                title=title,
                x=Axis(title="ms", zero=True),
                y=Axis(title=""),
                series=series,
                compared=part,
                note=f"{note} The latency is {_source(answer)}.".strip(),
            )
        )
    return figures


def _shown(answer: dict[str, Any], other: dict[str, Any]) -> Sequence[tuple[dict[str, Any], Role]]:
    return (answer, "answer"), (other, "known")


def _source(view: Mapping[str, Any]) -> str:
    return next((source for label, _, source in view["facts"] if label == "latency"), DASH)
