"""How a search went: its best answer by the networks that were looked at, the rounds of an adaptation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nas.pages.parts import Axis, Fact, Figure, Row, Section, Series, Table, columns_of
from nas.pages.words import (
    DASH,
    mapping,
    mappings,
    million_cell,
    ms_cell,
    number,
    number_cell,
    percent,
    percent_cell,
    text,
    text_cell,
)

Document = Mapping[str, Any]


_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def progress_section(result: Document) -> Section | None:
    """How the search went: its best answer by the networks that were looked at, the rounds of an adaptation."""
    points = mapping(result.get("history")).get("points")
    rows = [one for one in points if isinstance(one, list) and len(one) == 3] if isinstance(points, list) else []
    figures = []
    if rows:
        score, mean = ([None if number(one[i]) is None else 100 * one[i] for one in rows] for i in (1, 2))
        evaluated = [number(one[0]) for one in rows]
        figures.append(
            Figure(
                name="best-so-far",
                title="The best answer so far",
                x=Axis(title="points looked at, some of them again", log=True),
                y=Axis(title="predicted top-1, %"),
                series=[
                    Series(
                        name="mean",
                        role="known",
                        form="line",
                        x=evaluated,
                        y=mean,
                        step=True,
                        texts=[f"{_count(n)} points: mean {_value(v)} %" for n, v in zip(evaluated, mean, strict=True)],
                    ),
                    Series(
                        name="bound that ranks",
                        role="answer",
                        form="line",
                        x=evaluated,
                        y=score,
                        step=True,
                        texts=[
                            f"{_count(n)} points: bound {_value(v)} %" for n, v in zip(evaluated, score, strict=True)
                        ],
                    ),
                ],
                note="Before shrinking and filling; predicted.",
            )
        )
    rounds = mappings(result.get("rounds"))
    tables = [_rounds_table(rounds)] if rounds else []
    if rounds:
        start = mapping(result.get("start"))
        x = [number(mapping(start.get("latency")).get("mean_ms")), *(number(one.get("latency_ms")) for one in rounds)]
        # Believed as the rounds are, which is less than a known network is believed; older versions did not write it.
        first = result.get("start_accuracy", mapping(start.get("accuracy")).get("mean"))
        y = [first, *(one.get("accuracy") for one in rounds)]
        measured = bool(result.get("trained"))
        figures.append(
            Figure(
                name="way",
                title="The way of the shrinking",
                x=Axis(title="latency, ms"),
                y=Axis(title="accuracy on validation images, %" if measured else "predicted top-1, %"),
                series=[
                    Series(
                        name="a round",
                        role="answer",
                        form="line",
                        x=x,
                        y=[None if v is None else 100 * v for v in y],
                        texts=[
                            "the start",
                            *(
                                f"round {i}: {one.get('layer')} {one.get('from')} to {one.get('to')}"
                                for i, one in enumerate(rounds, 1)
                            ),
                        ],
                    )
                ],
                note=f"Each round makes one width narrower; {'measured' if measured else 'predicted'}.",
            )
        )
    facts = [
        Fact(label="networks looked at", value=f"{result['evaluated']:,}" if number(result.get("evaluated")) else DASH),
        Fact(label="networks of the space", value=_power(result.get("space_size"))),
        Fact(label="found by", value=text(result.get("found_by") or result.get("asker"))),
        Fact(label="bound before shrinking", value=percent(result.get("score_before_shrinking"), digits=2)),
        Fact(label="bound after shrinking", value=percent(result.get("score_after_shrinking"), digits=2)),
    ]
    facts = [one for one in facts if one.value != DASH]
    if not (figures or facts):
        return None
    return Section(name="progress", title="How the search went", facts=facts, figures=figures, tables=tables)


def _count(value: float | None) -> str:
    return DASH if value is None else f"{value:,.0f}"


def _value(value: float | None) -> str:
    return DASH if value is None else f"{value:.2f}"


def _power(value: Any) -> str:
    found = str(value) if value is not None else ""
    return (
        DASH
        if not found.isdecimal()
        else f"{int(found):,}"
        if len(found) < 10
        else f"{found[0]}.{found[1]} × 10{str(len(found) - 1).translate(_RAISED)}"
    )


def _rounds_table(rounds: Sequence[Document]) -> Table:
    columns = columns_of("#round", "layer", "#from", "#to", "#top-1 %", "#ms", "#params M", "#MACs M")
    rows = [
        Row(
            cells=[
                number_cell(float(i)),
                text_cell(one.get("layer")),
                number_cell(one.get("from")),
                number_cell(one.get("to")),
                percent_cell(one.get("accuracy")),
                ms_cell(one.get("latency_ms")),
                million_cell(one.get("params")),
                million_cell(one.get("macs")),
            ]
        )
        for i, one in enumerate(rounds, start=1)
    ]
    return Table(name="rounds", caption="The rounds", columns=columns, rows=rows)
