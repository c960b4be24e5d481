"""The parts of a device, of a table that was built or checked, and of a study."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nas.pages.parts import Axis, Cell, Column, Fact, Figure, Row, Section, Series, Table
from nas.pages.search import predicted_figure
from nas.pages.words import (
    DASH, interval_cell, latency_text, mapping, mappings, million_cell, ms, ms_cell, number, number_cell, percent,
    percent_cell, short, text, text_cell,
)  # fmt: skip

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
        name="device", title="The device",
        facts=[Fact(label=key.replace("_", " "), value=str(device[key])) for key in _SHOWN if device.get(key) not in (None, "")],
    )  # fmt: skip
    compared = mappings(result.get("compared"))
    if compared:
        yield Section(
            name="compared",
            title="Predicted against what was published or measured",
            texts=["The model was fitted to these figures; how far it strays on networks that it has not seen is below."],
            figures=[_compared_figure(compared)],
            tables=[_compared_table(compared)],
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
            + (f"; {len(doubted)} of them are doubted, since they hold operators that the model was not fitted to." if doubted else ".")
        ]  # fmt: skip
        yield Section(name="known", title="The known networks, and what is not covered", texts=texts, tables=[_known(networks)])


def _compared_figure(compared: Sequence[Document]) -> Figure:
    predicted = [mapping(one.get("predicted")) for one in compared]
    families = list(dict.fromkeys(text(one.get("source")) for one in compared))
    roles = ("answer", "published", "known", "start", "front")
    series = []
    for place, family in enumerate(families):
        own = [(one, p) for one, p in zip(compared, predicted, strict=True) if text(one.get("source")) == family]
        series.append(
            Series(
                name=short(family), role=roles[place % len(roles)],  # type: ignore[arg-type]
                x=[number(one.get("ms")) for one, _ in own], y=[number(p.get("mean_ms")) for _, p in own],
                low=[number(p.get("low_ms")) for _, p in own], high=[number(p.get("high_ms")) for _, p in own],
                texts=[f"{short(one.get('name'))}\npredicted {latency_text(p)}\n{family}: {ms(one.get('ms'))}" for one, p in own],
            )
        )  # fmt: skip
    return Figure(
        name="device-figure", title="Predicted against published or measured", x=Axis(title="published or measured, ms", log=True),
        y=Axis(title="predicted, ms", log=True), series=series, diagonal=True,
        note="Bars are the predicted 90 % intervals; on the line the two are equal.",
    )  # fmt: skip


def _compared_table(compared: Sequence[Document]) -> Table:
    columns = [
        Column(title="network"), Column(title="published or measured ms", numeric=True), Column(title="source"),
        Column(title="predicted ms", numeric=True), Column(title="90 %", numeric=True), Column(title="off %", numeric=True),
    ]  # fmt: skip
    rows = []
    for one in compared:
        predicted, shown = mapping(one.get("predicted")), number(one.get("ms"))
        mean = number(predicted.get("mean_ms"))
        off = None if not shown or mean is None else 100 * (mean / shown - 1)
        rows.append(Row(cells=[
            text_cell(one.get("name")), ms_cell(shown), text_cell(one.get("source")), ms_cell(mean),
            interval_cell(predicted.get("low_ms"), predicted.get("high_ms")), number_cell(off, "+.1f"),
        ]))  # fmt: skip
    return Table(name="compared-table", caption="Each network", columns=columns, rows=rows)


def _left_out(left_out: Document) -> Table:
    names = {"ours": "this model", "macs_and_parameters": "MACs and parameters alone", "constant": "one figure for all"}
    rows = [
        Row(cells=[Cell(text=names.get(name, name)), percent_cell(mapping(part).get("median")), percent_cell(mapping(part).get("mean"))])
        for name, part in left_out.items() if isinstance(part, Mapping)
    ]  # fmt: skip
    columns = [Column(title="predicted by"), Column(title="median error %", numeric=True), Column(title="mean error %", numeric=True)]
    return Table(name="left-out-table", caption="Errors on networks that were left out of the fit", columns=columns, rows=rows)


def _coverage(coverage: Sequence[Document]) -> Table:
    columns = [
        Column(title="source"), Column(title="rows", numeric=True), Column(title="timings", numeric=True),
        Column(title="fewest a row", numeric=True), Column(title="most a row", numeric=True),
        Column(title="median half width %", numeric=True), Column(title="widest %", numeric=True),
    ]  # fmt: skip
    rows = [
        Row(cells=[
            text_cell(one.get("source")), *(number_cell(one.get(key), ",.0f") for key in ("rows", "timings", "fewest", "most")),
            percent_cell(one.get("median_half_width")), percent_cell(one.get("widest_half_width")),
        ])
        for one in coverage
    ]  # fmt: skip
    return Table(name="coverage-table", caption="Rows of the table by source", columns=columns, rows=rows)


def _known(networks: Sequence[Document]) -> Table:
    columns = [
        Column(title="network"), Column(title="ms", numeric=True), Column(title="90 %", numeric=True), Column(title="source"),
        Column(title="MACs M", numeric=True), Column(title="params M", numeric=True), Column(title="not covered, or doubted"),
    ]  # fmt: skip
    rows = []
    for one in networks:
        latency = mapping(one.get("latency"))
        doubt = text(one.get("fault")) if not latency else "; ".join(map(str, latency.get("warnings") or [])) or DASH
        rows.append(Row(cells=[
            text_cell(one.get("name")), ms_cell(latency.get("mean_ms")), interval_cell(latency.get("low_ms"), latency.get("high_ms")),
            text_cell(latency.get("source")), million_cell(one.get("macs")), million_cell(one.get("params")), Cell(text=doubt[:400]),
        ]))  # fmt: skip
    return Table(name="known-table", caption="The known networks on this device", columns=columns, rows=rows)


def study_headline(result: Document) -> str:
    """What was compared, and where its latencies come from."""
    title = short(result.get("title") or result.get("study"))
    rows = mappings(result.get("rows"))
    found = f"{title[:1].upper()}{title[1:]} on {short(result.get('device'))}: {len(rows)} latencies, {text(result.get('source'))}"
    scores = [
        f"{number(mapping(score).get('spearman')) or 0.0:.2f} with {'MACs' if size == 'macs' else 'parameters'}"
        for size, score in mapping(result.get("scores")).items()
    ]  # fmt: skip
    return f"{found}; rank correlation {' and '.join(scores)}." if scores else f"{found}."


def study_sections(result: Document) -> Iterator[Section]:
    """The figure and the table of a study, and how it was made."""
    rows = mappings(result.get("rows"))
    latencies = [mapping(one.get("latency")) for one in rows]
    labels = [_label(one, rows) for one in rows]
    texts = [f"{label}: {latency_text(one)} ({text(one.get('source'))})" for label, one in zip(labels, latencies, strict=True)]
    mean = [number(one.get("mean_ms")) for one in latencies]
    if result.get("scores"):
        figures = [
            Figure(
                name=f"study-{size}", title=f"Latency against {title}", x=Axis(title=f"{title}, millions", log=True),
                y=Axis(title="latency, ms", log=True),
                series=[Series(name="network", role="answer", x=[(number(one.get(size)) or 0.0) / 1e6 for one in rows], y=mean, texts=texts)],
            )
            for size, title in (("macs", "multiply-adds"), ("params", "parameters"))
        ]  # fmt: skip
    else:
        figures = [
            Figure(
                name="study-figure", title="Latency", x=Axis(title="latency, ms", zero=True), y=Axis(title=""),
                series=[Series(
                    name="latency", role="answer", form="bars", x=mean, y=labels, texts=texts,
                    left=[number(one.get("low_ms")) for one in latencies], right=[number(one.get("high_ms")) for one in latencies],
                )],
                note="Bars are central 90 % intervals.",
            )
        ]  # fmt: skip
    columns = [
        Column(title="network"), Column(title="group"), Column(title="px", numeric=True), Column(title="threads", numeric=True),
        Column(title="ms", numeric=True), Column(title="90 %", numeric=True), Column(title="× its base", numeric=True),
        Column(title="MACs M", numeric=True), Column(title="params M", numeric=True),
    ]  # fmt: skip
    table = Table(
        name="study-table", caption="Each network", columns=columns,
        rows=[
            Row(cells=[
                text_cell(one.get("name")), text_cell(one.get("group")), number_cell(one.get("resolution")),
                number_cell(one.get("threads")), ms_cell(latency.get("mean_ms")),
                interval_cell(latency.get("low_ms"), latency.get("high_ms")), number_cell(one.get("ratio"), ".2f"),
                million_cell(one.get("macs")), million_cell(one.get("params")),
            ])
            for one, latency in zip(rows, latencies, strict=True)
        ],
    )  # fmt: skip
    yield Section(
        name="study", title="What was found", figures=figures, tables=[table],
        notes=[str(warning) for warning in result.get("warnings") or []],
    )  # fmt: skip
    yield from environment(result)


def _label(row: Document, rows: Sequence[Document]) -> str:
    """A row's name, with what tells it from rows of the same name."""
    name = short(row.get("name"))
    same = [one for one in rows if one.get("name") == row.get("name")]
    for key, word in (("threads", "threads"), ("resolution", "px"), ("group", "")):
        if len({str(one.get(key)) for one in same}) > 1:
            name += f", {short(row.get(key))} {word}".rstrip()
    return name


def build_headline(result: Document) -> str:
    """What a build timed and covers."""
    return (
        f"A table from {text(result.get('networks'))} timed networks: it holds {text(result.get('covered'))} of the"
        f" {text(result.get('space_segments'))} segments of {short(result.get('space'))} (measured)."
    )


def build_sections(result: Document) -> Iterator[Section]:
    """The scores and the facts of a table that was built."""
    scores = mapping(result.get("scores") or result.get("left_out"))
    rows = [
        Row(cells=[text_cell(name), *(percent_cell(mapping(part).get(key)) for key in ("median", "within_5_percent", "within_10_percent"))])
        for name, part in scores.items() if isinstance(part, Mapping)
    ]  # fmt: skip
    columns = [
        Column(title="networks left out, by"), Column(title="median error %", numeric=True), Column(title="within 5 %", numeric=True),
        Column(title="within 10 %", numeric=True),
    ]  # fmt: skip
    facts = [
        Fact(label=key.replace("_", " "), value=short(f"{value:,.4g}" if isinstance(value, float) else value))
        for key, value in result.items() if value is not None and not isinstance(value, Mapping | list)
    ]  # fmt: skip
    tables = [Table(name="build-scores", caption="Errors on networks left out", columns=columns, rows=rows)] if rows else []
    faults = mapping(result.get("faults"))
    notes = [f"{short(name)} was left out: {reason}" for name, reason in faults.items()]
    yield Section(name="build", title="The table", facts=facts, tables=tables, notes=notes)
    yield from environment(result)


def check_headline(result: Document) -> str:
    """How a check of a table went."""
    return (
        f"{short(result.get('device'))}: {text(result.get('count'))} fresh networks of {short(result.get('space'))} were predicted first,"
        f" then timed: {percent(result.get('median_error'))} off in the median, {percent(result.get('inside_interval'), digits=0)}"
        " inside their 90 % intervals (measured)."
    )


def check_sections(result: Document) -> Iterator[Section]:
    """Predicted against measured, network by network."""
    networks = mappings(result.get("networks"))
    rows = []
    for one in networks:
        predicted = mapping(one.get("predicted"))
        rows.append(Row(cells=[
            text_cell(one.get("name")), ms_cell(predicted.get("mean_ms")), interval_cell(predicted.get("low_ms"), predicted.get("high_ms")),
            ms_cell(one.get("measured_ms")), number_cell(100 * (number(one.get("error")) or 0.0), "+.1f"),
            Cell(text="inside" if one.get("inside") is True else "outside"), million_cell(one.get("macs")),
        ]))  # fmt: skip
    columns = [
        Column(title="network"), Column(title="predicted ms", numeric=True), Column(title="90 %", numeric=True),
        Column(title="measured ms", numeric=True), Column(title="error %", numeric=True), Column(title="interval"),
        Column(title="MACs M", numeric=True),
    ]  # fmt: skip
    table = Table(name="check-table", caption="Each network", columns=columns, rows=rows)
    yield Section(name="check", title="Predicted, then measured", figures=[predicted_figure("check", networks)], tables=[table])
    yield from environment(result)


def environment(result: Document) -> Iterator[Section]:
    """Where and how it was timed."""
    found = mapping(result.get("environment"))
    if found:
        facts = [Fact(label=str(name).replace("_", " "), value=short(value)) for name, value in found.items()]
        yield Section(name="environment", title="Where it was timed", facts=facts)
