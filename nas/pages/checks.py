"""What was predicted and then timed: the verification of an answer, a table that was built, or checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nas.pages.parts import Axis, Cell, Fact, Figure, Row, Section, Series, Table, columns_of
from nas.pages.words import (
    interval_cell,
    latency_text,
    mapping,
    mappings,
    million_cell,
    ms,
    ms_cell,
    number,
    number_cell,
    percent,
    percent_cell,
    short,
    text,
    text_cell,
)

Document = Mapping[str, Any]


def verification_section(result: Document) -> Section | None:
    """Predicted first, then timed: each round's answer and runners-up."""
    found = mapping(result.get("verification"))
    rounds = mappings(found.get("rounds"))
    if not rounds:
        return None
    checked = [
        (turn, place, one, mapping(one.get("predicted")))
        for turn, part in enumerate(rounds, start=1)
        for place, one in enumerate(mappings(part.get("networks")))
    ]
    columns = columns_of("#round", "network", "#predicted ms", "#90 %", "#measured ms", "#error %", "result")
    rows = [
        Row(
            key=str(one.get("digest") or ""),
            cells=[
                number_cell(float(turn)),
                text_cell(one.get("name")),
                ms_cell(predicted.get("mean_ms")),
                interval_cell(predicted.get("low_ms"), predicted.get("high_ms")),
                ms_cell(one.get("measured_ms")),
                number_cell(100 * (number(one.get("error")) or 0.0), "+.1f"),
                text_cell((rounds[turn - 1].get("fault") or "accepted") if place == 0 else "runner-up"),
            ],
        )
        for turn, place, one, predicted in checked
    ]
    answer = mapping(found.get("answer"))
    accepted = "accepted" if found.get("accepted") is True else "not accepted: the best of what was timed was taken"
    return Section(
        name="verification",
        title="Timed on the device",
        texts=[
            (
                "The answer was predicted first, then timed in fresh processes:"
                f" {ms(answer.get('measured_ms'))} (measured),"
                f" {100 * (number(answer.get('error')) or 0.0):+.1f} % predicted over measured; {accepted}."
            )
        ],
        figures=[predicted_figure("verification", [one for _, _, one, _ in checked])],
        tables=[Table(name="verified", caption="Predicted, then measured", columns=columns, rows=rows)],
    )


def predicted_figure(name: str, networks: Sequence[Document]) -> Figure:
    """Predicted against measured latency, with the predicted intervals."""
    predicted = [mapping(one.get("predicted")) for one in networks]
    return Figure(
        name=f"{name}-figure",
        title="Predicted against measured",
        x=Axis(title="measured, ms", log=True),
        y=Axis(title="predicted, ms", log=True),
        series=[
            Series(
                name="network",
                role="answer",
                x=[number(one.get("measured_ms")) for one in networks],
                y=[number(one.get("mean_ms")) for one in predicted],
                low=[number(one.get("low_ms")) for one in predicted],
                high=[number(one.get("high_ms")) for one in predicted],
                texts=[
                    f"{short(one.get('name'))}\npredicted {latency_text(own)}\nmeasured {ms(one.get('measured_ms'))}"
                    for one, own in zip(networks, predicted, strict=True)
                ],
                keys=[str(one.get("digest") or "") for one in networks],
            )
        ],
        diagonal=True,
        note="Bars are the predicted 90 % intervals; on the line the two are equal.",
    )


def build_headline(result: Document) -> str:
    """What a build timed and covers, or what its model is made of."""
    if result.get("others"):
        return f"A latency model of {short(result.get('device'))}, {text(result.get('model'))} (predicted)."
    return (
        f"A table from {text(result.get('networks'))} timed networks: it holds {text(result.get('covered'))} of the"
        f" {text(result.get('space_segments'))} segments of {short(result.get('space'))} (measured)."
    )


def build_sections(result: Document) -> Iterator[Section]:
    """The scores and the facts of a table that was built."""
    scores = mapping(result.get("scores") or result.get("left_out"))
    rows = [
        Row(
            cells=[
                text_cell(name),
                *(percent_cell(mapping(part).get(key)) for key in ("median", "within_5_percent", "within_10_percent")),
            ]
        )
        for name, part in scores.items()
        if isinstance(part, Mapping)
    ]
    columns = columns_of("networks left out, by", "#median error %", "#within 5 %", "#within 10 %")
    facts = [
        Fact(label=key.replace("_", " "), value=short(f"{value:,.4g}" if isinstance(value, float) else value))
        for key, value in result.items()
        if value is not None and not isinstance(value, Mapping | list)
    ]
    tables = (
        [Table(name="build-scores", caption="Errors on networks left out", columns=columns, rows=rows)] if rows else []
    )
    faults = mapping(result.get("faults"))
    notes = [f"{short(name)} was left out: {reason}" for name, reason in faults.items()]
    yield Section(name="build", title="The table", facts=facts, tables=tables, notes=notes)
    yield from environment(result)


def check_headline(result: Document) -> str:
    """How a check of a table went."""
    return (
        f"{short(result.get('device'))}: {text(result.get('count'))} fresh networks of {short(result.get('space'))}"
        f" were predicted first, then timed: {percent(result.get('median_error'))} off in the median,"
        f" {percent(result.get('inside_interval'), digits=0)} inside their 90 % intervals (measured)."
    )


def check_sections(result: Document) -> Iterator[Section]:
    """Predicted against measured, network by network."""
    networks = mappings(result.get("networks"))
    rows = []
    for one in networks:
        predicted = mapping(one.get("predicted"))
        rows.append(
            Row(
                cells=[
                    text_cell(one.get("name")),
                    ms_cell(predicted.get("mean_ms")),
                    interval_cell(predicted.get("low_ms"), predicted.get("high_ms")),
                    ms_cell(one.get("measured_ms")),
                    number_cell(100 * (number(one.get("error")) or 0.0), "+.1f"),
                    Cell(text="inside" if one.get("inside") is True else "outside"),
                    million_cell(one.get("macs")),
                ]
            )
        )
    columns = columns_of("network", "#predicted ms", "#90 %", "#measured ms", "#error %", "interval", "#MACs M")
    table = Table(name="check-table", caption="Each network", columns=columns, rows=rows)
    yield Section(
        name="check", title="Predicted, then measured", figures=[predicted_figure("check", networks)], tables=[table]
    )
    yield from environment(result)


def environment(result: Document) -> Iterator[Section]:
    """Where and how it was timed."""
    found = mapping(result.get("environment"))
    if found:
        facts = [Fact(label=str(name).replace("_", " "), value=short(value)) for name, value in found.items()]
        yield Section(name="environment", title="Where it was timed", facts=facts)
