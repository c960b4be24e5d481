"""The parts of a search whose accuracies cost: every trial, its rungs and learning curve, and what foretold it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nas.pages.parts import Axis, Cell, Fact, Figure, Role, Row, Section, Series, Table, columns_of
from nas.pages.words import (
    DASH,
    mapping,
    mappings,
    ms,
    ms_cell,
    number,
    number_cell,
    percent,
    percent_cell,
    seconds,
    short,
    text,
    text_cell,
)

_STATES: Sequence[tuple[str, Role]] = (
    ("done", "done"),
    ("stopped", "stopped"),
    ("failed", "failed"),
    ("pending", "other"),
)
_LISTED = 300
"""So many trials are listed; a page of thousands of lines is read by nobody."""


def trials_section(result: Mapping[str, Any]) -> Section | None:
    """Every trial of a search; None where there are none.

    A trial is a record of the contract; `proxies` ({name: number}) may say what was known of it before.
    """
    trials = mappings(result.get("trials"))
    if not trials:
        return None
    counted = {state: sum(one.get("state") == state for one in trials) for state, _ in _STATES}
    facts = [
        Fact(label="trials", value=f"{len(trials):,}"),
        *(Fact(label=state, value=f"{count:,}") for state, count in counted.items() if count),
        Fact(label="budget", value=text(result.get("budget"))),
        Fact(label="asked by", value=short(result.get("asker"))),
        Fact(label="evaluator", value=short(result.get("evaluator"))),
        Fact(label="chance that an untried network is better", value=percent(result.get("how_sure"), digits=0)),
        Fact(label="time of all trials", value=seconds(sum(number(one.get("seconds")) or 0.0 for one in trials))),
    ]
    figures = [_by_latency(trials, result), _by_number(trials), *_curves(trials), *_proxies(trials)]
    return Section(
        name="trials",
        title="Every trial",
        texts=["Accuracies are measured by the evaluator; latencies are those of the device's model."],
        facts=[one for one in facts if one.value != DASH],
        figures=figures,
        tables=[_table(trials)],
    )


def _points(trials: Sequence[Mapping[str, Any]], x: str) -> list[Series]:
    series = []
    for state, role in _STATES:
        own = [one for one in trials if one.get("state") == state and number(one.get("accuracy")) is not None]
        if own:
            series.append(
                Series(
                    name=state,
                    role=role,
                    x=[number(one.get(x)) for one in own],
                    y=[100 * float(one["accuracy"]) for one in own],
                    texts=[_said(one) for one in own],
                    keys=[str(one.get("digest") or "") for one in own],
                )
            )
    return series


def _said(trial: Mapping[str, Any]) -> str:
    epochs = number(trial.get("epochs"))
    lines = [
        f"trial {text(trial.get('number'))}: {short(trial.get('name'))}",
        f"{percent(trial.get('accuracy'), digits=2)} (measured), {text(trial.get('state'))}"
        + (f" after {epochs:g} epochs" if epochs else ""),
        f"latency {ms(trial.get('latency_ms'))}, took {seconds(trial.get('seconds'))}",
    ]
    return "\n".join(lines + ([short(trial["why"])] if trial.get("why") else []))


def _by_latency(trials: Sequence[Mapping[str, Any]], result: Mapping[str, Any]) -> Figure:
    target = number(result.get("target_ms"))
    return Figure(
        name="trials-latency",
        title="Accuracy of the trials against latency",
        x=Axis(title="latency, ms"),
        y=Axis(title="accuracy, %"),
        series=_points(trials, "latency_ms"),
        lines=[] if target is None else [(target, "target")],
    )


def _by_number(trials: Sequence[Mapping[str, Any]]) -> Figure:
    """In the order in which they were asked; beside it the best so far of those that are done."""
    done = [one for one in trials if one.get("state") == "done" and number(one.get("accuracy")) is not None]
    best, so_far = [], -math.inf
    for one in done:
        so_far = max(so_far, 100 * float(one["accuracy"]))
        best.append(so_far)
    line = Series(
        name="best so far",
        role="best",
        form="line",
        step=True,
        x=[number(one.get("number")) for one in done],
        y=best,
        texts=[f"best so far: {value:.2f} %" for value in best],
    )
    return Figure(
        name="trials-number",
        title="How the search went",
        x=Axis(title="trial"),
        y=Axis(title="accuracy, %"),
        series=[*([line] if done else []), *_points(trials, "number")],
    )


def _curves(trials: Sequence[Mapping[str, Any]]) -> Iterator[Figure]:
    """Learning curves over the rungs, where any trial has several."""
    series = []
    for state, role in _STATES:
        x: list[Any] = []
        y: list[Any] = []
        texts: list[str] = []
        for one in trials:
            curve = [p for p in one.get("curve") or [] if isinstance(p, list) and len(p) == 2 and None not in p]
            if one.get("state") != state or len(curve) < 2:
                continue
            x += [*(epochs for epochs, _ in curve), None]
            y += [*(100 * accuracy for _, accuracy in curve), None]
            texts += [*(f"trial {text(one.get('number'))}, {e:g} epochs: {100 * a:.2f} %" for e, a in curve), ""]
        if x:
            series.append(Series(name=state, role=role, form="line", x=x, y=y, texts=texts))
    if series:
        yield Figure(
            name="trials-curves",
            title="Learning curves",
            x=Axis(title="epochs"),
            y=Axis(title="accuracy, %"),
            series=series,
            note="A line is a trial; its marks are the rungs at which it was looked at.",
        )


def _proxies(trials: Sequence[Mapping[str, Any]]) -> Iterator[Figure]:
    """What was known before a trial against what it reached, a figure for each proxy."""
    names = dict.fromkeys(name for one in trials for name in mapping(one.get("proxies")))
    for place, name in enumerate(list(names)[:6]):
        own = [one for one in trials if one.get("state") == "done" and number(one.get("accuracy")) is not None]
        own = [one for one in own if number(mapping(one.get("proxies")).get(name)) is not None]
        if own:
            yield Figure(
                name=f"proxy-{place}",
                title=f"{short(name)} against accuracy",
                x=Axis(title=short(name)),
                y=Axis(title="accuracy, %"),
                series=[
                    Series(
                        name="done",
                        role="done",
                        x=[number(one["proxies"][name]) for one in own],
                        y=[100 * float(one["accuracy"]) for one in own],
                        texts=[_said(one) for one in own],
                        keys=[str(one.get("digest") or "") for one in own],
                    )
                ],
            )


def _table(trials: Sequence[Mapping[str, Any]]) -> Table:
    columns = columns_of(
        "#trial", "network", "state", "#accuracy %", "#epochs", "#latency ms", "#seconds", "worker", "reason"
    )
    ranked = sorted(trials, key=lambda one: -(number(one.get("accuracy")) or -1.0))
    rows = [
        Row(
            key=str(one.get("digest") or ""),
            cells=[
                number_cell(one.get("number")),
                text_cell(one.get("name")),
                text_cell(one.get("state")),
                percent_cell(one.get("accuracy")),
                number_cell(one.get("epochs")),
                ms_cell(one.get("latency_ms")),
                number_cell(one.get("seconds"), ".1f"),
                text_cell(one.get("worker")),
                Cell(text=short(one.get("reason") or one.get("why"))),
            ],
        )
        for one in ranked[:_LISTED]
    ]
    left = len(trials) - len(rows)
    note = f"The best {len(rows)}; {left:,} more are in the JSON document (nas runs show RUN --json)." if left else ""
    return Table(name="trial-table", caption="The trials, the best first", columns=columns, rows=rows, note=note)
