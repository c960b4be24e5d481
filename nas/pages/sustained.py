"""The parts of a network that ran for minutes: how it started, and the curve as the device warmed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nas.pages.checks import environment
from nas.pages.parts import Axis, Fact, Figure, Section, Series
from nas.pages.words import mapping, mappings, ms, number, percent, short, text

Document = Mapping[str, Any]


def sustained_headline(result: Document) -> str:
    """What ran for how long, and how its time changed."""
    name, device, seconds = short(result.get("network")), short(result.get("device")), number(result.get("seconds"))
    found = f"{name} on {device}, run for {seconds or 0:.0f} s: {ms(result.get('p50_ms'))} in the median"
    change = number(result.get("change"))
    if change is None:
        return f"{found}."
    than = "slower" if change > 0 else "faster"
    return f"{found}; {percent(abs(change))} {than} in the last fifth of the time than in the first."


def sustained_sections(result: Document) -> Iterator[Section]:
    """The start, the curve, and where it was measured."""
    facts = [
        Fact(label="loading", value=ms(result.get("load_ms")), source="measured"),
        Fact(label="first run", value=ms(result.get("first_ms")), source="measured"),
        Fact(label="p50", value=ms(result.get("p50_ms")), source="measured"),
        Fact(label="p90", value=ms(result.get("p90_ms")), source="measured"),
    ]
    ended = text(result.get("ended"))
    yield Section(
        name="sustained",
        title="As the device warms",
        notes=[f"The runs ended before their time: {ended}."] if result.get("ended") else [],
        facts=facts,
        figures=[_curve(result)],
    )
    yield from environment(result)


def _curve(result: Document) -> Figure:
    curve = mappings(result.get("curve"))
    said = [
        ", ".join(f"{name} {text(value)}" for name, value in mapping(one.get("state")).items()) for one in curve
    ]  # fmt: skip
    return Figure(
        name="sustained-curve",
        title="Time of a run",
        x=Axis(title="seconds from the beginning", zero=True),
        y=Axis(title="ms"),
        series=[
            Series(
                name=name,
                role="answer" if key == "p50_ms" else "known",
                form="line",
                x=[number(one.get("at_s")) for one in curve],
                y=[number(one.get(key)) for one in curve],
                texts=[
                    f"{number(one.get('at_s')) or 0:.0f} s: {name} {ms(one.get(key))}"
                    + (f" ({state})" if state else "")
                    for one, state in zip(curve, said, strict=True)
                ],
            )
            for name, key in (("p50", "p50_ms"), ("p90", "p90_ms"))
        ],
        note="Measured, by the wall clock; each point is a process of some seconds.",
    )
