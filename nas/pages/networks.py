"""A network of a document as the page shows it: its figures, its layers stage by stage, where its time goes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from nas.pages.parts import Fact, Role
from nas.pages.words import (
    DASH,
    accuracy_text,
    latency_text,
    mapping,
    mappings,
    metric,
    millions,
    ms,
    number,
    percent,
    short,
    size,
    text,
)

_OWN_COLUMNS = {"block", "out", "kernel", "se", "act", "hidden", "stride", "kind", "name"}
NO_ANATOMY = "The latency of its layers is not in this document: it is kept for the answer and the known networks."


def key_of(network: Mapping[str, Any]) -> str:
    """What a network is told from others by."""
    return str(network.get("digest") or network.get("name") or "")


def network_facts(network: Mapping[str, Any]) -> Iterator[Fact]:
    """All figures of a network, each with its source."""
    latency, accuracy, published = (mapping(network.get(name)) for name in ("latency", "accuracy", "published"))
    if latency:
        yield Fact(label="latency", value=latency_text(latency), source=text(latency.get("source")))
    for device, also in mapping(network.get("also")).items():
        yield Fact(label=f"on {short(device)}", value=latency_text(also), source=text(mapping(also).get("source")))
    if accuracy:
        label = f"{short(metric(accuracy.get('metric')))}, {short(accuracy.get('recipe'))}"
        yield Fact(label=label, value=accuracy_text(accuracy), source=text(accuracy.get("source")))
    if number(published.get("top1")) is not None:
        yield Fact(label="published top-1", value=percent(published["top1"]), source="published")
    if number(published.get("latency_ms")) is not None:
        yield Fact(label="published latency", value=ms(published["latency_ms"]), source="published")
    if published.get("source"):
        yield Fact(label="published by", value=short(published["source"]))
    yield Fact(label="parameters", value=millions(network.get("params")))
    yield Fact(label="multiply-adds", value=millions(network.get("macs")))
    resolution = mapping(network.get("architecture")).get("resolution")
    if resolution is not None:
        sides = resolution if isinstance(resolution, list) else [resolution]
        yield Fact(label="input", value=f"{' × '.join(short(side) for side in sides)} px")
    if number(network.get("size_bytes")) is not None:
        yield Fact(label="weights", value=size(network["size_bytes"]))
    if number(network.get("peak_memory_bytes")) is not None:
        yield Fact(label="maps alive at once", value=size(network["peak_memory_bytes"]))
    if number(network.get("novelty")) is not None:
        yield Fact(label="novelty", value=f"{network['novelty']:.2f}")


def hover_text(network: Mapping[str, Any], what: str) -> str:
    """What is shown where a point of a network is pointed at: a line a figure."""
    facts = [f"{one.label}: {one.value}{f' ({one.source})' if one.source else ''}" for one in network_facts(network)]
    if network.get("indistinguishable") is True:
        facts.append("cannot be told apart from the answer")
    return "\n".join([f"{short(network.get('name'))} ({what})", *facts])


def network_view(network: Mapping[str, Any], role: Role) -> dict[str, Any]:
    """The network for the script: what a click shows."""
    anatomy = mapping(network.get("anatomy"))
    layers = mappings(mapping(network.get("architecture")).get("layers"))
    parts = mappings(anatomy.get("layers"))
    parts = parts if len(parts) == len(layers) else []
    whole = number(mapping(network.get("latency")).get("mean_ms"))
    stages = list(_stages(layers, parts, whole))
    fixed = number(anatomy.get("fixed_ms"))
    sizes: dict[str, float] = {}
    for stage in stages:
        if stage["ms"] is not None:
            sizes[stage["title"]] = sizes.get(stage["title"], 0.0) + stage["ms"]
    kinds = {short(one.get("kind")): number(one.get("ms")) or 0.0 for one in mappings(anatomy.get("kinds"))}
    for found in (sizes, kinds):
        if found and fixed:
            found["once a run"] = fixed
    return {
        "key": key_of(network),
        "name": short(network.get("name")),
        "role": role,
        "facts": [[one.label, one.value, one.source] for one in network_facts(network)],
        "stages": [{**stage, "ms": ms(stage["ms"])} for stage in stages],
        "sizes": sorted(sizes.items(), key=lambda one: -_area(one[0])),
        "kinds": sorted(kinds.items(), key=lambda one: -one[1]),
        "fixed": f"{ms(fixed)} of it pass once a run, whatever the layers." if parts and fixed else "",
        "missing": "" if parts or not layers else NO_ANATOMY,
    }


def _area(title: str) -> float:
    """The pixels that the title of a stage names; what has none comes last."""
    sides = [int(side) for side in title.split(" × ") if side.isdecimal()]
    return float(sides[0] * sides[-1]) if sides else 0.0


def _stages(
    layers: list[Mapping[str, Any]], parts: list[Mapping[str, Any]], whole: float | None
) -> Iterator[dict[str, Any]]:
    """Layers whose maps have one size, in order; without sizes all layers."""
    width: float | None = None
    blocks = []
    for i, layer in enumerate(layers):
        part = parts[i] if parts else {}
        output = part.get("output")
        shape = output if isinstance(output, list) and len(output) in (1, 3) else []
        title = " × ".join(map(str, shape[1:])) if len(shape) == 3 else "vector" if shape else "layers"
        block, width = _block(layer, part, shape, width, whole)
        blocks.append((title, block))
    for title, group in itertools.groupby(blocks, key=lambda one: one[0]):
        own = [block for _, block in group]
        times = [block.pop("time") for block in own]
        total = sum(times) if all(time is not None for time in times) else None
        yield {
            "title": title,
            "ms": total,
            "share": None if total is None or not whole else total / whole,
            "blocks": own,
        }


def _block(
    layer: Mapping[str, Any], part: Mapping[str, Any], shape: list[Any], before: float | None, whole: float | None
) -> tuple[dict[str, Any], float | None]:
    """A layer as a line, and the width behind it."""
    width = number(shape[0]) if shape else number(layer.get("out")) or before
    hidden, time = number(layer.get("hidden")), number(part.get("ms"))
    inner = before if number(layer.get("out")) is not None and before else width
    more = [f"{key} {text(value)}" for key, value in layer.items() if key not in _OWN_COLUMNS]
    if number(layer.get("stride")) not in (None, 1.0):
        more.append(f"stride {text(layer['stride'])}")
    return {
        "block": short(layer.get("block")),
        "width": DASH if width is None else f"{width:g}",
        "kernel": text(layer.get("kernel")),
        "expansion": DASH if not hidden or not inner else f"{hidden / inner:.2g}",
        "se": "yes" if layer.get("se") else "no" if "se" in layer else DASH,
        "act": short(layer.get("act")),
        "more": short(", ".join(more)) if more else "",
        "params": millions(part.get("params")),
        "macs": millions(part.get("macs")),
        "time": time,
        "ms": ms(time),
        "share": None if time is None or not whole else time / whole,
    }, width
