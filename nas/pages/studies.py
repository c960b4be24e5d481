"""The parts of a study of a device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nas.pages.checks import environment
from nas.pages.parts import Axis, Figure, Row, Section, Series, Table, columns_of
from nas.pages.words import (
    interval_cell,
    latency_text,
    mapping,
    mappings,
    million_cell,
    ms_cell,
    number,
    number_cell,
    short,
    text,
    text_cell,
)

Document = Mapping[str, Any]


def study_headline(result: Document) -> str:
    """What was compared, and where its latencies come from."""
    title = short(result.get("title") or result.get("study"))
    rows = mappings(result.get("rows"))
    found = f"{title[:1].upper()}{title[1:]} on {short(result.get('device'))}: {len(rows)} latencies"
    found += f" ({text(result.get('source'))})"
    scores = [
        f"{number(mapping(score).get('spearman')) or 0.0:.2f} with {'MACs' if size == 'macs' else 'parameters'}"
        for size, score in mapping(result.get("scores")).items()
    ]
    return f"{found}; rank correlation {' and '.join(scores)}." if scores else f"{found}."


def study_sections(result: Document) -> Iterator[Section]:
    """The figure and the table of a study, and how it was made."""
    rows = mappings(result.get("rows"))
    latencies = [mapping(one.get("latency")) for one in rows]
    labels = [_label(one, rows) for one in rows]
    texts = [
        f"{label}: {latency_text(one)} ({text(one.get('source'))})"
        for label, one in zip(labels, latencies, strict=True)
    ]
    mean = [number(one.get("mean_ms")) for one in latencies]
    if result.get("scores"):
        figures = [
            Figure(
                name=f"study-{size}",
                title=f"Latency against {title}",
                x=Axis(title=f"{title}, millions", log=True),
                y=Axis(title="latency, ms", log=True),
                series=[
                    Series(
                        name="network",
                        role="answer",
                        x=[(number(one.get(size)) or 0.0) / 1e6 for one in rows],
                        y=mean,
                        texts=texts,
                    )
                ],
            )
            for size, title in (("macs", "multiply-adds"), ("params", "parameters"))
        ]
    else:
        figures = [
            Figure(
                name="study-figure",
                title="Latency",
                x=Axis(title="latency, ms", zero=True),
                y=Axis(title=""),
                series=[
                    Series(
                        name="latency",
                        role="answer",
                        form="bars",
                        x=mean,
                        y=labels,
                        texts=texts,
                        left=[number(one.get("low_ms")) for one in latencies],
                        right=[number(one.get("high_ms")) for one in latencies],
                    )
                ],
                note="Bars are central 90 % intervals.",
            )
        ]
    columns = columns_of("network", "group", "#px", "#threads", "#ms", "#90 %", "#× its base", "#MACs M", "#params M")
    table = Table(
        name="study-table",
        caption="Each network",
        columns=columns,
        rows=[
            Row(
                cells=[
                    text_cell(one.get("name")),
                    text_cell(one.get("group")),
                    number_cell(one.get("resolution")),
                    number_cell(one.get("threads")),
                    ms_cell(latency.get("mean_ms")),
                    interval_cell(latency.get("low_ms"), latency.get("high_ms")),
                    number_cell(one.get("ratio"), ".2f"),
                    million_cell(one.get("macs")),
                    million_cell(one.get("params")),
                ]
            )
            for one, latency in zip(rows, latencies, strict=True)
        ],
    )
    yield Section(
        name="study",
        title="What was found",
        figures=figures,
        tables=[table],
        notes=[str(warning) for warning in result.get("warnings") or []],
    )
    yield from environment(result)


def _label(row: Document, rows: Sequence[Document]) -> str:
    """A row's name, with what tells it from rows of the same name."""
    name = short(row.get("name"))
    same = [one for one in rows if one.get("name") == row.get("name")]
    for key, word in (("threads", "threads"), ("resolution", "px"), ("group", "")):
        if len({str(one.get(key)) for one in same}) > 1:
            name += f", {short(row.get(key))} {word}".rstrip()
    return name
