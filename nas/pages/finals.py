"""The parts of a search on somebody's images: who was trained fully, what was compared, how early figures ranked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nas.pages.parts import Axis, Figure, Role, Row, Section, Series, Table, columns_of
from nas.pages.words import (
    interval_cell,
    mapping,
    mappings,
    ms_cell,
    number,
    number_cell,
    percent_cell,
    seconds,
    short,
    text,
    text_cell,
)

_PARTS: Mapping[str, tuple[str, Role]] = {"searched": ("of the space", "answer"), "known": ("known", "known")}
_SENTENCE = 500
"""The most characters of a sentence that is shown."""

_COSTS = {"known": "known networks", "searched": "networks of the space", "final": "full trainings"}


def finals_section(result: Mapping[str, Any]) -> Section | None:
    """Finalists, their comparison on the test images, rankings and costs; None where there were no finalists."""
    finalists = mappings(result.get("finalists"))
    if not finalists:
        return None
    curves = _curves(finalists)
    return Section(
        name="finals",
        title="The finalists",
        texts=_compared(mapping(result.get("comparison"))),
        figures=[curves] if curves.series else [],
        tables=[
            _finalists(finalists),
            _ranked(mappings(result.get("ranked"))),
            _costs(mapping(result.get("costs"))),
        ],
    )


def _compared(comparison: Mapping[str, Any]) -> list[str]:
    if not comparison:
        return ["Nothing was compared on the test images."]
    told, p = mapping(comparison.get("mcnemar")), number(mapping(comparison.get("mcnemar")).get("p"))
    exact = (
        f"Of the test images {short(told.get('only_searched'))} only {short(comparison.get('searched'))} has right,"
        f" {short(told.get('only_known'))} only {short(comparison.get('known'))}"
        f" (McNemar's exact test of one training each: p = {p:.2g})."
        if p is not None
        else ""
    )
    return [text(comparison.get("sentence"))[:_SENTENCE], *([exact] if exact else [])]


def _finalists(finalists: Sequence[Mapping[str, Any]]) -> Table:
    rows = []
    for one in finalists:
        accuracy, validation = mapping(one.get("accuracy")), mapping(one.get("validation"))
        reached = [value for value in map(number, validation.values()) if value is not None]
        rows.append(
            Row(
                cells=[
                    text_cell(one.get("name")),
                    text_cell(_PARTS.get(str(one.get("part")), (one.get("part"), "other"))[0]),
                    text_cell(one.get("family")),
                    ms_cell(mapping(one.get("latency")).get("mean_ms")),
                    percent_cell(accuracy.get("mean")),
                    interval_cell(accuracy.get("low"), accuracy.get("high"), fractions=True),
                    percent_cell(sum(reached) / len(reached) if reached else None),
                    number_cell(float(len(reached))),
                ]
            )
        )
    columns = columns_of("network", "what", "kind", "#ms", "#test %", "90 % of test %", "#validation %", "#trainings")
    return Table(name="finalists", caption="Trained fully", columns=columns, rows=rows)


def _curves(finalists: Sequence[Mapping[str, Any]]) -> Figure:
    series = []
    for one in finalists:
        role = _PARTS.get(str(one.get("part")), ("", "other"))[1]
        for seed, curve in mapping(one.get("curves")).items():
            y = [
                None if value is None else 100 * value
                for value in map(number, curve if isinstance(curve, list) else [])
            ]
            label = f"{short(one.get('name'))}, seed {short(seed)}"
            x = [float(epoch + 1) for epoch in range(len(y))]
            texts = [f"{label}, epoch {epoch:g}: {value or 0:.1f} %" for epoch, value in zip(x, y, strict=True)]
            series.append(Series(name=label, role=role, form="line", x=x, y=y, texts=texts))
    return Figure(
        name="finalists-curves",
        title="Full trainings",
        x=Axis(title="epoch"),
        y=Axis(title="accuracy on validation images, %"),
        series=series,
        note="Measured after each epoch, a line for each seed.",
    )


def _ranked(ranked: Sequence[Mapping[str, Any]]) -> Table:
    rows = [
        Row(
            cells=[
                text_cell(one.get("by")),
                text_cell(one.get("of")),
                *(number_cell(one.get(key), ".2f") for key in ("spearman", "low", "high")),
                number_cell(one.get("networks")),
            ]
        )
        for one in ranked
    ]
    columns = columns_of("ranked by", "against", "#Spearman", "#from", "#to", "#networks")
    return Table(name="ranked", caption="How early figures ranked networks", columns=columns, rows=rows)


def _costs(costs: Mapping[str, Any]) -> Table:
    rows = [
        Row(
            cells=[
                text_cell(_COSTS.get(part, part)),
                number_cell(mapping(cost).get("trainings")),
                number_cell(mapping(cost).get("epochs")),
                text_cell(seconds(mapping(cost).get("seconds"))),
                number_cell(mapping(cost).get("reused")),
            ]
        )
        for part, cost in costs.items()
    ]
    columns = columns_of("what was trained", "#trainings", "#epochs", "time of one worker", "#paid for before")
    return Table(name="costs", caption="What it cost", columns=columns, rows=rows)
