"""A search space around one network: its own stages, each a little deeper or shallower, wider or narrower.

The network is taken apart into a stem, stages and a head. A stage is a run of blocks of one kind and width, of which
only the first may halve the map or change the width; a block of another kind before such a run is its transition. What
the blocks of a run have in common is written as they have it; kernel size and expansion ratio become genes of each
block.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from nas.blocks import BLOCKS
from nas.blocks.rounding import ROUNDINGS, round_channels
from nas.documents import parse_yaml
from nas.errors import InputError
from nas.graph.rows import Shape
from nas.space.architecture import SCHEMA, Architecture, Layer, build_layer
from nas.space.encode import encode
from nas.space.reading import parse_search_space
from nas.space.resolution import resolution_document
from nas.space.search_space import SearchSpace
from nas.space.stage import SE_PATTERNS, se_flags

KERNELS = (3, 5, 7)
_SE = "se"
_BASES = ("hidden", "in", "width")
_PARTS = (4, 16, 8, 2, 24, 3, 6, 12, 32)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Placed:
    """A layer with the shapes that it reads and leaves."""

    layer: Layer
    inputs: Shape
    output: Shape

    @property
    def halves(self) -> bool:
        """Whether it makes the map smaller."""
        return self.output[1:] != self.inputs[1:]

    @property
    def args(self) -> dict[str, Any]:
        """Its parameters that are not the block's defaults, and those that are genes."""
        declared = BLOCKS.get(self.layer.block, "layer").parameters
        genes = ("kernel", "act", "hidden", "out", "stride")
        return {key: value for key, value in self.layer.args if key in genes or declared[key].default != value}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """The layers of a stage, and its transition."""

    transition: _Placed | None
    blocks: tuple[_Placed, ...]

    @property
    def first(self) -> _Placed:
        """The layer that may halve the map."""
        return self.transition or self.blocks[0]


def space_around(network: Architecture, *, widths: bool = False, kernels: bool = False) -> tuple[SearchSpace, str]:
    """The space of networks like `network`, which is one of them, and the YAML text that states it.

    Every stage may have one block more or less, and expansion ratios one lower; with `widths` each may be a quarter
    wider or narrower, with `kernels` blocks choose among `KERNELS`. Raises `InputError` for a network that is no stem,
    stages and head as a space has them.
    """
    text = _text(_document(network, widths=widths, kernels=kernels))
    name = f"a space around {network.name}"
    try:
        space = parse_search_space(parse_yaml(text, name=name), name)
        encode(space, network)
    except InputError as error:
        raise _cannot(network, str(error)) from error
    return space, text


def _text(document: dict[str, Any]) -> str:
    """The YAML of a space: a line for each stem, kind, stage and head."""
    lines = []
    for key, value in document.items():
        if key in ("stems", "stages", "heads"):
            lines += [f"{key}:", *(f"- {_flow(entry)}" for entry in value)]
        elif key == "kinds":
            lines.append("kinds:")
            for name, kind in value.items():
                lines += [f"  {name}:", *(f"    {part}: {_flow(template)}" for part, template in kind.items())]
        else:
            lines.append(f"{key}: {_flow(value)}" if isinstance(value, list) else f"{key}: {value}")
    return "\n".join(lines) + "\n"


def _flow(value: Any) -> str:
    return yaml.safe_dump(value, sort_keys=False, default_flow_style=True, width=10_000).strip()


def _cannot(network: Architecture, reason: str) -> InputError:
    return InputError(
        f"a space is made around networks of a stem, stages of equal blocks and a head, but {network.name} is none:"
        f" {reason.rstrip('.')}. Write a space by hand (docs/search-spaces.md)."
    )


def _document(network: Architecture, *, widths: bool, kernels: bool) -> dict[str, Any]:
    layers = _placed(network)
    stem, body, head = _parted(network, layers)
    reduced = network.input_shape[1] / stem[-1].output[1] > 3.0
    if reduced and body[0].halves:
        raise _cannot(network, "its stem reduces the image 4 times, and the block behind it once more")
    kinds: dict[str, Any] = {}
    stages = []
    for position, run in enumerate(_runs(network, body)):
        kind, genes = _stage(run, widths=widths, kernels=kernels)
        name = next((known for known, written in kinds.items() if written == kind), None)
        if name is None:
            name = f"{run.blocks[0].layer.block}{len(kinds) + 1}"
            kinds[name] = kind
        # Behind a stem that reduces the image 4 times, the first stage with stride 2 leaves the map as it is.
        halves = run.first.halves or (reduced and position == 0)
        stages.append({"stride": 2 if halves else 1, "kinds": [name], **genes})
    return {
        "schema": SCHEMA,
        "name": f"around-{network.name}".replace("@", "-"),
        "description": f"Networks like {network.name}.",
        "num_classes": network.num_classes,
        "in_channels": network.in_channels,
        "resolution": [resolution_document(network.resolution)],
        "stems": [[placed.layer.as_mapping() for placed in stem]],
        "kinds": kinds,
        "stages": stages,
        "heads": [[placed.layer.as_mapping() for placed in head]],
    }


def _placed(network: Architecture) -> list[_Placed]:
    shapes = network.layer_inputs()
    return [
        _Placed(layer=layer, inputs=shape, output=build_layer(layer, shape, network.num_classes).output)
        for layer, shape in zip(network.layers, shapes, strict=True)
    ]


def _parted(
    network: Architecture, layers: Sequence[_Placed]
) -> tuple[Sequence[_Placed], Sequence[_Placed], Sequence[_Placed]]:
    """Stem (all that reduces the image 2 or 4 times at first), body, and head (the classifier and 1x1 before it)."""
    if not BLOCKS.get(layers[-1].layer.block, "layer").takes_classes:
        raise _cannot(network, "it ends without a classifier")
    start = next((i for i, placed in enumerate(layers, start=1) if placed.output[1:] != network.input_shape[1:]), 0)
    stop = len(layers) - 1
    while stop > start and layers[stop - 1].layer.block == "conv" and not layers[stop - 1].halves:
        stop -= 1
    if stop <= start:
        raise _cannot(network, "it has nothing between stem and head")
    return layers[:start], layers[start:stop], layers[stop:]


def _runs(network: Architecture, body: Sequence[_Placed]) -> list[_Run]:
    runs: list[_Run] = []
    waiting: _Placed | None = None
    blocks: list[_Placed] = []

    def end() -> None:
        nonlocal waiting, blocks
        if blocks:
            runs.extend(_by_se(waiting, blocks))
        waiting, blocks = None, []

    for i, placed in enumerate(body):
        following = body[i + 1] if i + 1 < len(body) else None
        changes = placed.halves or placed.output[0] != placed.inputs[0]
        other = following is not None and following.layer.block != placed.layer.block
        kept = following is not None and (following.inputs, following.halves) == (following.output, False)
        if changes and other and kept:
            end()
            waiting = placed
        elif changes or not blocks or not _alike(blocks, placed):
            if waiting is None or blocks:
                end()
            blocks.append(placed)
        else:
            blocks.append(placed)
    end()
    if not runs:
        raise _cannot(network, "it has no stages")
    return runs


def _alike(blocks: Sequence[_Placed], placed: _Placed) -> bool:
    """Whether `placed` may continue a stage: the same block with the same constants."""
    return blocks[-1].layer.block == placed.layer.block and _constants(blocks[-1]) == _constants(placed)


def _constants(placed: _Placed) -> dict[str, Any]:
    free = ("kernel", "hidden", "out", "stride", _SE)
    return {key: value for key, value in placed.args.items() if key not in free}


def _by_se(transition: _Placed | None, blocks: Sequence[_Placed]) -> list[_Run]:
    """One stage where a pattern writes its SE flags, else one for each run of equal flags."""
    if _pattern(blocks) is not None:
        return [_Run(transition=transition, blocks=tuple(blocks))]
    parts: list[list[_Placed]] = []
    for placed in blocks:
        if parts and bool(placed.args.get(_SE)) == bool(parts[-1][-1].args.get(_SE)):
            parts[-1].append(placed)
        else:
            parts.append([placed])
    return [_Run(transition=None if i else transition, blocks=tuple(part)) for i, part in enumerate(parts)]


def _pattern(blocks: Sequence[_Placed]) -> str | None:
    flags = tuple(int(bool(placed.args.get(_SE))) for placed in blocks)
    return next((pattern for pattern in SE_PATTERNS if se_flags(pattern, len(flags)) == flags), None)


def _stage(run: _Run, *, widths: bool, kernels: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """The kind of a stage, and its choices."""
    template, genes = _template(run.blocks, kernels=kernels)
    kind: dict[str, Any] = {"block": template}
    if run.transition is not None:
        kind = {"transition": _transition(run.transition), **kind}
    depth, width = len(run.blocks), run.blocks[-1].output[0]
    choices = [width * 3 // 4 // 8 * 8, width, width * 5 // 4 // 8 * 8] if widths and width % 8 == 0 else [width]
    pattern = _pattern(run.blocks)
    assert pattern is not None
    return kind, {
        "depth": sorted({max(1, depth - 1), depth, depth + 1}),
        "width": sorted({choice for choice in choices if choice > 0}),
        **({"se": [pattern]} if pattern != "none" else {}),
        "free_blocks": depth + 1,
        **genes,
    }


def _template(blocks: Sequence[_Placed], *, kernels: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    args = blocks[0].args
    template: dict[str, Any] = {"block": blocks[0].layer.block, **_constants(blocks[0])}
    genes: dict[str, Any] = {}
    if "out" in args:
        template["out"] = "width"
    if "stride" in args:
        template["stride"] = "stride"
    if "kernel" in args:
        template["kernel"] = "kernel"
        own = {int(placed.args["kernel"]) for placed in blocks}
        genes["kernel"] = sorted(own | set(KERNELS)) if kernels and max(own) > 1 else sorted(own)
    if "act" in args:
        template["act"] = "act"
        genes["act"] = [args["act"]]
    if "hidden" in args:
        ratios = {_ratio(placed) for placed in blocks}
        rounded = (int(round_channels(_ratio(placed) * placed.inputs[0], "divisible8")) for placed in blocks)
        even = all(width == placed.args["hidden"] for width, placed in zip(rounded, blocks, strict=True))
        template["hidden"] = "expansion*in" if even else "expansion*in:round"
        lower = {ratio - 1.0 for ratio in ratios if ratio >= 2.0 and ratio == round(ratio)}
        genes["expansion"] = [int(r) if r == round(r) else r for r in sorted(ratios | lower)]
    squeezed = [placed for placed in blocks if placed.args.get(_SE)]
    if squeezed:
        template[_SE] = _se_rule(squeezed)
    return template, genes


def _ratio(placed: _Placed) -> float:
    """The expansion ratio of a block, with as few digits as lead to its width."""
    hidden, inputs = int(placed.args["hidden"]), placed.inputs[0]
    shorter = (round(hidden / inputs, digits) for digits in range(1, 7))
    return next((ratio for ratio in shorter if round(ratio * inputs) == hidden), hidden / inputs)


def _se_rule(blocks: Sequence[_Placed]) -> str:
    """SE's width as a part of another one, as the family rounds it."""
    for base in _BASES:
        for part in _PARTS:
            for rounding in ROUNDINGS:
                wholes = ({**placed.args, "in": placed.inputs[0], "width": placed.output[0]} for placed in blocks)
                found = [int(round_channels(whole.get(base, 0) / part, rounding)) for whole in wholes]
                if found == [placed.args[_SE] for placed in blocks]:
                    return f"se*{base}/{part}:{rounding}"
    return f"se*{blocks[0].args[_SE]}:round"


def _transition(placed: _Placed) -> dict[str, Any]:
    args, width = placed.args, placed.output[0]
    template: dict[str, Any] = {"block": placed.layer.block, **_constants(placed)}
    template |= {key: value for key, value in (("out", "width"), ("stride", "stride")) if key in args}
    for key in ("kernel", _SE):
        if key in args:
            template[key] = args[key]
    if "hidden" in args:
        ratio = args["hidden"] / placed.inputs[0]
        by_width = args["hidden"] / width
        template["hidden"] = f"{by_width:g}*width" if by_width == round(by_width) else f"{ratio:.12g}*in:round"
    return template
