"""The parts of a device: what its latencies rest on, and what they cover."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nas.pages.parts import Axis, Cell, Fact, Figure, Role, Row, Section, Series, Table, columns_of
from nas.pages.words import (
    DASH,
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
_SHOWN = ("chip", "runtime", "compute_unit", "threads", "precision", "os", "protocol", "date", "source", "notes")


def device_headline(result: Document) -> str:
    """What the device is, where its latencies come from, and how far they stray."""
    device, ours = mapping(result.get("device")), mapping(mapping(result.get("left_out")).get("ours"))
    name, compared = short(device.get("name")), mappings(result.get("compared"))
    sources = sorted({text(one.get("source")) for one in mappings(result.get("coverage"))})
    found = f"{name} ({short(device.get('chip'))}): latencies are {' and '.join(sources) or 'of no source yet'}"
    if ours:
        found += f"; a network that the model has not seen is {percent(ours.get('median'))} off in the median"
    elif compared:
        found += f"; {len(compared)} networks are compared below"
    return f"{found}."


def device_sections(result: Document) -> Iterator[Section]:
    """Predicted against published or measured, what stands behind, the known networks, what is not covered."""
    device = mapping(result.get("device"))
    yield Section(
        name="device",
        title="The device",
        facts=[
            Fact(label=key.replace("_", " "), value=str(device[key]))
            for key in _SHOWN
            if device.get(key) not in (None, "", 0)
        ],
    )
    notes = [str(note) for note in result.get("notes") or []]
    compared = mappings(result.get("compared"))
    if compared or notes:
        yield Section(
            name="compared",
            title="Predicted against what was published or measured",
            texts=[
                "The model was fitted to these figures; how far it strays on networks that it has not seen is below."
            ],
            notes=notes,
            figures=[_compared_figure(compared)] if compared else [],
            tables=[_compared_table(compared)] if compared else [],
        )
    left_out = mapping(result.get("left_out"))
    if left_out:
        yield Section(name="left-out", title="Networks left out of the fit", tables=[_left_out(left_out)])
    coverage = mappings(result.get("coverage"))
    if coverage:
        yield Section(name="coverage", title="What stands behind the table", tables=[_coverage(coverage)])
    networks = mappings(result.get("networks"))
    if networks:
        lacking = [one for one in networks if not one.get("latency")]
        doubted = [one for one in networks if mapping(one.get("latency")).get("warnings")]
        texts = [
            f"{len(networks) - len(lacking)} of {len(networks)} known networks have a latency here"
            + (f"; {len(doubted)} of them are doubted, for the reasons given." if doubted else ".")
        ]
        yield Section(
            name="known", title="The known networks, and what is not covered", texts=texts, tables=[_known(networks)]
        )


def _compared_figure(compared: Sequence[Document]) -> Figure:
    predicted = [mapping(one.get("predicted")) for one in compared]
    kinds: tuple[tuple[str, Role, bool], ...] = (("published", "published", False), ("measured", "done", True))
    series = []
    for name, role, measured in kinds:
        own = [
            (one, p)
            for one, p in zip(compared, predicted, strict=True)
            if (one.get("source") == "measured") is measured
        ]
        series.append(
            Series(
                name=name,
                role=role,
                x=[number(one.get("ms")) for one, _ in own],
                y=[number(p.get("mean_ms")) for _, p in own],
                low=[number(p.get("low_ms")) for _, p in own],
                high=[number(p.get("high_ms")) for _, p in own],
                texts=[_said(one, p) for one, p in own],
            )
        )
    return Figure(
        name="device-figure",
        title="Predicted against published or measured",
        x=Axis(title="published or measured, ms", log=True),
        y=Axis(title="predicted, ms", log=True),
        series=[one for one in series if one.x],
        diagonal=True,
        note="Bars are the predicted 90 % intervals; on the line the two are equal.",
    )


def _said(one: Document, predicted: Document) -> str:
    shown = f"{short(one.get('source'))}: {ms(one.get('ms'))}"
    return f"{short(one.get('name'))}\npredicted {latency_text(predicted)}\n{shown}"


def _compared_table(compared: Sequence[Document]) -> Table:
    columns = columns_of("network", "#published or measured ms", "source", "#predicted ms", "#90 %", "#off %")
    rows = []
    for one in compared:
        predicted, shown = mapping(one.get("predicted")), number(one.get("ms"))
        mean = number(predicted.get("mean_ms"))
        off = None if not shown or mean is None else 100 * (mean / shown - 1)
        rows.append(
            Row(
                cells=[
                    text_cell(one.get("name")),
                    ms_cell(shown),
                    text_cell(one.get("source")),
                    ms_cell(mean),
                    interval_cell(predicted.get("low_ms"), predicted.get("high_ms")),
                    number_cell(off, "+.1f"),
                ]
            )
        )
    return Table(name="compared-table", caption="Each network", columns=columns, rows=rows)


def _left_out(left_out: Document) -> Table:
    names = {"ours": "this model", "macs_and_parameters": "MACs and parameters alone", "constant": "one figure for all"}
    names["scaled"] = "one other device, scaled"
    rows = [
        Row(
            cells=[
                Cell(text=names.get(name, name)),
                percent_cell(mapping(part).get("median")),
                percent_cell(mapping(part).get("mean")),
            ]
        )
        for name, part in left_out.items()
        if isinstance(part, Mapping)
    ]
    columns = columns_of("predicted by", "#median error %", "#mean error %")
    return Table(
        name="left-out-table", caption="Errors on networks that were left out of the fit", columns=columns, rows=rows
    )


def _coverage(coverage: Sequence[Document]) -> Table:
    columns = columns_of(
        "source", "#rows", "#timings", "#fewest a row", "#most a row", "#median half width %", "#widest %"
    )
    rows = [
        Row(
            cells=[
                text_cell(one.get("source")),
                *(number_cell(one.get(key), ",.0f") for key in ("rows", "timings", "fewest", "most")),
                percent_cell(one.get("median_half_width")),
                percent_cell(one.get("widest_half_width")),
            ]
        )
        for one in coverage
    ]
    return Table(name="coverage-table", caption="Rows of the table by source", columns=columns, rows=rows)


def _known(networks: Sequence[Document]) -> Table:
    columns = columns_of("network", "#ms", "#90 %", "source", "#MACs M", "#params M", "not covered, or doubted")
    rows = []
    for one in networks:
        latency = mapping(one.get("latency"))
        doubt = text(one.get("fault")) if not latency else "; ".join(map(str, latency.get("warnings") or [])) or DASH
        rows.append(
            Row(
                cells=[
                    text_cell(one.get("name")),
                    ms_cell(latency.get("mean_ms")),
                    interval_cell(latency.get("low_ms"), latency.get("high_ms")),
                    text_cell(latency.get("source")),
                    million_cell(one.get("macs")),
                    million_cell(one.get("params")),
                    Cell(text=doubt[:400]),
                ]
            )
        )
    return Table(name="known-table", caption="The known networks on this device", columns=columns, rows=rows)
