"""What a plan, a build, an import did to a table, how a check of it went, and what stands behind it, as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nas.graph.words import kind_words
from nas.jobs.lut import Fitted
from nas.jobs.lut_build import TablePlan
from nas.jobs.lut_import import Choice, Imported, ImportedFile, ImportedOperators
from nas.latency.published.calibrate import SIMPLE
from nas.latency.table.lookup import ASSUMED_SPREAD
from nas.latency.table.rows import TableRow, shortened
from nas.measure.fit import BuiltTable
from nas.report.page import PLAIN, Page
from nas.report.table import numeric, table, textual

_LISTED = 12
"""Choices that are shown one by one."""


def imported_text(device: str, found: Imported, page: Page = PLAIN) -> str:
    """A line on the rows, then on every kind of choice that was made between two of them."""
    read = sum(len(file.rows) for file in found.files)
    files = "1 file" if len(found.files) == 1 else f"{len(found.files)} files"
    did = (
        f"{found.added} are new, {len(found.replaced)} replace rows of the table, {found.unchanged} were there already"
    )
    lines = [f"{device}: {read} segments read from {files}; {did}; wrote {found.rows} to {found.folder}"]
    for file in found.files:
        lines += _file(file)
    if found.sizes:
        lines.append(
            f"{len(found.sizes)} segments are in tables of several image sizes: the largest size was taken, the others"
            f" differ by at most {100 * max(map(_difference, found.sizes)):.1f} %"
        )
    if found.replaced:
        lines += ["replaced:", *_choices(found.replaced)]
    if found.kept:
        lines += ["not replaced, as the imported rows are of a weaker source:", *_choices(found.kept)]
    return "\n".join(page.filled(line, hanging="    ") for line in lines)


def imported_operators_text(device: str, found: ImportedOperators, page: Page = PLAIN) -> str:
    """What operators the costs of a device were fitted to, how well they are predicted, and what was refused."""
    count, scores = len(found.found.times), found.costs.manifest["scores"]["operators"]
    left_out = f"median error {100 * scores['median']:.1f} %, {100 * scores['within_10_percent']:.0f} % within 10 %"
    fitted = f"operator costs fitted to {count} operators from the form of PaddleSlim ({found.found.header})"
    lines = [
        f"{device}: {fitted}; wrote them to {found.folder}; the table gets no rows from operators",
        f"operators left out one at a time: {left_out}",
    ]
    if found.found.refused:
        lines.append(f"  {len(found.found.refused)} rows were refused:")
        lines += [f"    {row.name}: {row.reason}" for row in found.found.refused]
    return "\n".join(page.filled(line, hanging="    ") for line in lines)


def _file(file: ImportedFile) -> list[str]:
    """A line on a file's form and rows, and one for each row that was refused."""
    taken = f"  {file.path.name}: {len(file.rows)} segments from the form of {file.form}"
    if file.assumed:
        taken += f"; {file.assumed} without a deviation, taken as {100 * ASSUMED_SPREAD:.0f} % of the mean"
    if not file.refused:
        return [taken]
    refused = "1 row was refused" if len(file.refused) == 1 else f"{len(file.refused)} rows were refused"
    return [f"{taken}; {refused}:", *(f"    {row.name}: {row.reason}" for row in file.refused)]


def _difference(choice: Choice) -> float:
    return abs(choice.left.mean_ms / choice.taken.mean_ms - 1.0)


def _choices(choices: Sequence[Choice]) -> list[str]:
    lines = [
        f"  {_row(choice.taken)} for {_row(choice.left)}: {shortened(choice.taken.segment, 80)}"
        for choice in choices[:_LISTED]
    ]
    return lines + ([f"  and {len(choices) - _LISTED} more"] if len(choices) > _LISTED else [])


def _row(row: TableRow) -> str:
    return f"{row.mean_ms:.4g} ms ({row.source})"


def coverage_text(parts: Sequence[Mapping[str, Any]], page: Page = PLAIN) -> str:
    """The records of `nas.latency.table.coverage` as a table; half widths of the 90 % intervals in per cent."""
    rows = [
        (
            part["source"],
            part["rows"],
            part["timings"],
            _span(part["fewest"], part["most"]),
            f"{100 * part['median_half_width']:.1f} %",
            f"{100 * part['widest_half_width']:.1f} %",
            _span(*part["dates"]),
        )
        for part in parts
    ]
    columns = [
        textual("source"), numeric("rows"), numeric("timings", 2), numeric("timings a row", 1),
        numeric("half of the 90 % interval"), numeric("widest", 3), textual("date"),
    ]  # fmt: skip
    return table(columns, rows, page)


def left_out_line(record: Mapping[str, Mapping[str, float]]) -> str:
    """The errors of networks left out of a fit, beside those of plainer models: the `left_out` of its manifest."""
    names = {
        "ours": "error", "macs_and_parameters": "MACs and parameters alone", "constant": "one figure for all",
        "scaled": "one other device, scaled",
    }  # fmt: skip
    return "; ".join(
        f"{names[name]} {part['median']:.1%} in the median, {part['mean']:.1%} on average"
        for name, part in record.items()
    )


def fitted_text(device: str, found: Fitted, page: Page = PLAIN) -> str:
    """What a device was fitted to, by which model, and how that predicts networks left out."""
    manifest = found.predictor.manifest
    fitted = f"fitted to {manifest['rows']} rows of {manifest['networks']} networks"
    lines = [
        f"{device}: {fitted}; wrote {found.table_rows} segments to {found.folder}", f"model: {manifest['model']}",
    ]  # fmt: skip
    names = {"ours": "a fit without them", "macs_and_parameters": "MACs and parameters alone"}
    rows = [
        (names.get(name, "one figure for all"), f"{part['median']:.1%}", f"{part['mean']:.1%}")
        for name, part in manifest["left_out"].items()
    ]
    errors = table([textual("networks left out, by"), numeric("median error"), numeric("mean error")], rows, page)
    notes = []
    if found.calibrated.name == SIMPLE:
        notes.append(
            "Operator costs predict networks left out no better than multiply-adds and parameters alone, so these are"
            " used. They know nothing of kernels, activations and kinds of layers: a search on this device compares"
            " sizes only."
        )
    elif manifest["left_out"]["ours"]["mean"] > manifest["left_out"]["macs_and_parameters"]["mean"]:
        notes.append(
            "Multiply-adds and parameters alone did no worse, but so few networks cannot tell the two apart. Time more"
            " of them, and fit again."
        )
    if found.one_family:
        notes.append(
            "All rows are of one family: what others cost is a guess, and intervals are wide. Time networks of other"
            " families, and fit again."
        )
    return "\n".join((*map(page.filled, lines), errors, *map(page.filled, notes)))


def costs_text(record: Mapping[str, Any], page: Page = PLAIN) -> str:
    """The operator costs of a record of `nas.jobs.lut.describe`, and what they were fitted to."""
    manifest = record["manifest"]
    if "environment" in manifest:
        return _measured_costs(record, page)
    if "operators" in manifest:
        alone = f"fitted to {manifest['operators']} operators timed alone ({manifest['header']})"
        return f"{_group_costs(record, page)}\n\n{page.filled(alone)}"
    rows = [(name, f"{value:.4g}", record["meaning"][name]) for name, value in record["coefficients"].items()]
    costs = table([textual("coefficient"), numeric("value"), textual("meaning", wrap=True)], rows, page)
    fitted = f"fitted to {manifest['rows']} rows of {manifest['networks']} networks; {manifest['split']}"
    if "left_out" in manifest:
        fitted += f"\nmodel: {manifest['model']}\nnetworks left out: {left_out_line(manifest['left_out'])}"
    return f"{costs}\n\n{page.filled(fitted)}"


def _group_costs(record: Mapping[str, Any], page: Page) -> str:
    """One line a group of operators."""
    groups: dict[str, dict[str, float]] = {}
    for name, value in record["coefficients"].items():
        group, _, term = name.rpartition(".")
        if group:
            groups.setdefault(group, {})[term] = value
    terms = list(next(iter(groups.values())))
    rows = [(group_words(group), *(f"{own[term]:.3g}" for term in terms)) for group, own in groups.items()]
    units = [record["meaning"][f"{next(iter(groups))}.{term}"] for term in terms]
    return "\n".join(
        (
            page.filled("operator costs before their learned residual (" + "; ".join(units) + "):"),
            table([textual("operators", wrap=True), *map(numeric, terms)], rows, page),
        )
    )


def _measured_costs(record: Mapping[str, Any], page: Page) -> str:
    """One line a group of operators, and where and on what it was timed."""
    manifest = record["manifest"]
    roles = ", ".join(f"{count} {role}" for role, count in manifest["roles"].items())
    scores = manifest["scores"]["operators"]
    facts = (
        f"fitted to {manifest['networks']} networks timed on {manifest['date']} for {manifest['space']} ({roles});",
        "; ".join(f"{name} {value}" for name, value in manifest["environment"].items()),
        (
            f"left out, by operators alone: median error {100 * scores['median']:.1f} %,"
            f" {100 * scores['within_10_percent']:.0f} % within 10 %"
        ),
    )
    return "\n".join(
        (
            _group_costs(record, page),
            "",
            *map(page.filled, facts),
        )
    )


def group_words(group: str) -> str:
    """A group of operators that share a roofline (`nas.latency.timed.operator_shapes.groups`), in words."""
    whole = group.removesuffix(" ragged")
    kind, _, kernel = whole.rpartition(" ")
    sized = bool(kind) and kernel.rstrip("+").isdigit()
    words = f"{kind_words(kind)}, kernel {kernel}" if sized else kind_words(whole)
    return f"{words}, uneven channels" if group != whole else words


def _span(first: object, last: object) -> str:
    return str(first) if first == last else f"{first}–{last}"


def plan_text(plan: TablePlan, page: Page = PLAIN) -> str:
    """What would be timed, how long it takes, and how much of the space it serves."""
    where = ", ".join(plan.environment[name] for name in ("chip", "runtime") if name in plan.environment)
    roles = {"known": "known networks", "probe": "probes of other operators", "space": f"networks of {plan.space}"}
    counts = ", ".join(f"{plan.roles[role]} {what}" for role, what in roles.items() if plan.roles.get(role))
    lines = [
        f"{plan.device} ({where})",
        f"would time {counts or 'nothing more'}: about {_minutes(plan.seconds)} with the fit",
    ]
    if plan.timed_before:
        lines.append(f"{plan.timed_before} networks were timed before, in {_minutes(plan.spent_before_s)}")
    if plan.others:
        lines.append(f"chosen to tell most together: the reference, {', '.join(plan.chosen)}")
        lines.append(f"a model is made of them and of the operator costs of {', '.join(plan.others)}")
        return "\n".join(map(page.filled, lines))
    lines.append(
        f"of the {plan.space_segments:,} segments that networks of {plan.space} may have, {plan.covered:,} would run in"
        f" a timed network, {plan.covered_thrice:,} in three or more; operator costs serve the others"
    )
    return "\n".join(map(page.filled, lines))


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} minutes"


def built_text(found: BuiltTable, page: Page = PLAIN, *, reached: bool = True) -> str:
    """What was timed, what was written, and how networks left out of the fit were predicted; for a device that is not
    `reached` without what would time more."""
    record = found.as_json()
    scores = [
        (name, *(f"{100 * value:.1f} %" for value in record["left_out"][part].values()))
        for part, name in (("rows", "with the rows of the table"), ("operators", "by operator costs alone"))
    ]
    columns = [textual("", wrap=True), numeric("median error"), numeric("within 5 %"), numeric("within 10 %")]
    further = (
        f"`nas lut verify --device {record['device']}` times fresh networks"
        if reached
        else f"`nas lut bundle --device {record['device']} --space {found.space_reference} --out DIR` writes further"
        " networks"
    )
    return "\n".join(
        (
            page.filled(
                f"{record['device']}: {found.networks} networks timed; wrote {record['rows']} segments and the operator"
                f" costs to {found.folder}"
            ),
            page.filled(
                f"{found.covered:,} of the {found.space_segments:,} segments that networks of {found.space} may have"
                " are in the table; operator costs serve the others"
            ),
            *map(page.filled, faults_text(found.faults)),
            "",
            "each timed network predicted from the others:",
            table(columns, scores, page),
            "",
            page.filled(
                f"a network whose segments are all in the table has an interval of ±{100 * found.half_width:.1f} % at"
                f" the table's speed, of ±{100 * found.half_width_any_day:.1f} % on any day; {further}"
            ),
        )
    )


def faults_text(faults: Mapping[str, str]) -> list[str]:
    """A line on the networks that could not be timed, where there are any, with the reason of the first."""
    if not faults:
        return []
    name, reason = next(iter(faults.items()))
    return [f"could not be timed and left out: {len(faults)} (--json names all), first {name}: {reason}"]


def _error_table(record: Mapping[str, Any], page: Page) -> str:
    """Errors at the speed that the machine had for the table, where that is known, and by the clock."""
    named = {
        "median error": ("median_error", ".1f"),
        "within 5 %": ("within_5_percent", ".0f"),
        "within 10 %": ("within_10_percent", ".0f"),
        "worst": ("worst_error", ".1f"),
        "median of predicted over measured, less 1": ("bias", "+.1f"),
    }
    is_known = record["speed"] is not None
    columns = [record, record["by_the_clock"]] if is_known else [record]
    headers = ["at the table's speed", "by the clock"] if is_known else ["by the clock"]
    rows = [(name, *(f"{100 * column[key]:{form}} %" for column in columns)) for name, (key, form) in named.items()]
    errors = table([textual("", wrap=True), *map(numeric, headers)], rows, page)
    if not is_known:
        return errors
    note = page.filled(
        "The table's speed is that at which the reference network takes its median time of the build; it ran in every"
        f" process, and its time by the clock differed from that by {100 * (record['speed'] - 1):+.1f} %."
    )
    return f"{errors}\n{note}"


def _rank(value: float | None) -> str:
    """A rank correlation, "-" where there is none."""
    return "-" if value is None else f"{value:.3f}"


def check_text(record: Mapping[str, Any], page: Page = PLAIN) -> str:
    """The record of `TableCheck.as_json`: scores, and the networks farthest from their predictions."""
    spearman = record["spearman"]
    bands = spearman["equal_macs"]
    spearman_columns = [
        textual("Spearman with the measured times", wrap=True), numeric("networks"), numeric("predicted"),
        numeric("by MACs"),
    ]  # fmt: skip
    lines = [
        page.filled(
            f"{record['device']}: {record['count']} fresh networks of {record['space']} (seed {record['seed']}),"
            " predicted first, then timed"
        ),
        *map(page.filled, faults_text(record["faults"])),
        "",
        _error_table(record, page),
        "",
        page.filled(
            f"inside the 90 % interval: {100 * record['inside_interval']:.0f} %;"
            f" slowest / fastest: {record['span']:.1f}"
        ),
        "",
        table(
            spearman_columns,
            [
                ("all", record["count"], *(_rank(spearman["all"][key]) for key in ("predicted", "macs"))),
                (
                    f"MACs equal within 10 % ({bands['bands']} bands)",
                    bands["networks"],
                    *(_rank(bands[key]) for key in ("predicted", "macs")),
                ),
            ],
            page,
        ),
    ]
    worst = sorted(record["networks"], key=lambda network: -abs(network["error"]))[:5]
    rows = [
        (
            network["name"],
            f"{network['predicted']['mean_ms']:.3f}",
            f"{network['predicted']['low_ms']:.3f}–{network['predicted']['high_ms']:.3f}",
            f"{network['measured_ms']:.3f}",
            f"{100 * network['error']:+.1f} %",
        )
        for network in worst
    ]
    columns = [
        textual("farthest off"),
        numeric("predicted ms"),
        textual("90 %", 1),
        numeric("measured ms"),
        numeric("error"),
    ]
    lines += ["", table(columns, rows, page)]
    return "\n".join(lines)
