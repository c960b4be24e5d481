"""From a network back to its code: the inverse of decoding, by matching layers stage by stage."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.blocks import BLOCKS
from nas.errors import InputError
from nas.space.architecture import Architecture, Layer
from nas.space.search_space import SearchSpace
from nas.space.stage import Stage, se_flags
from nas.space.template import Kind, Template

_Options = dict[tuple[str, int], set[tuple[int, float]]]
"""What makes a layer: activation and SE flag → the pairs of kernel size and expansion ratio."""


def encode(space: SearchSpace, architecture: Architecture) -> NDArray[np.int64]:
    """The canonical code of `architecture`, shape (genes,); raises `InputError` where it is no point of the space."""
    fits = (
        architecture.resolution in space.resolutions
        and architecture.num_classes == space.num_classes
        and architecture.in_channels == space.in_channels
    )
    genes = _genes(space, architecture) if fits else None
    if genes is None:
        raise InputError(
            f"{architecture.name} must be a network of the space {space.name}, but is none;"
            f" `nas space show {space.name}` lists its choices."
        )
    code = [choices.index(genes.get(name, choices[0])) for name, choices in space.genes.items()]
    return np.asarray(space.canonical(np.array([code]))[0])


def _genes(space: SearchSpace, architecture: Architecture) -> dict[str, Any] | None:
    """Genes that make `architecture`, those of used parts only; None where none do."""
    layers = architecture.layers
    for (i, stem), (k, head) in itertools.product(enumerate(space.stems), enumerate(space.heads)):
        stop = len(layers) - len(head)
        if layers[: len(stem)] == stem and layers[stop:] == head and len(stem) <= stop:
            widths = [shape[0] for shape in architecture.layer_inputs()]
            body = _Body(space, layers[:stop], widths, space.stem_strides[i])
            genes = body.stages(0, len(stem))
            if genes is not None:
                return {"resolution": architecture.resolution, "stem": i, "head": k, **genes}
    return None


class _Body:
    """A network's layers without the head, the width before each of them and behind the last, its stem's stride."""

    def __init__(self, space: SearchSpace, layers: tuple[Layer, ...], widths: list[int], stem_stride: int) -> None:
        self._space, self._layers, self._widths, self._stem_stride = space, layers, widths, stem_stride
        self._failed: set[tuple[int, int]] = set()

    def stages(self, position: int, start: int) -> dict[str, Any] | None:
        """Genes of the stages from `position` on that make exactly the layers from `start` on."""
        if position == len(self._space.stages):
            return {} if start == len(self._layers) else None
        if (position, start) in self._failed:
            return None
        name = self._space.stages[position].name
        for stop, genes in self._stage(position, start).items():
            rest = self.stages(position + 1, stop)
            if rest is not None:
                return {f"{name}.{gene}": value for gene, value in genes.items()} | rest
        self._failed.add((position, start))
        return None

    def _stage(self, position: int, start: int) -> dict[int, dict[str, Any]]:
        """Where the layers of a stage that begin at `start` may end → genes that make them."""
        stage = self._space.stages[position]
        found: dict[int, dict[str, Any]] = {}
        if start < len(self._layers) and self._widths[start + 1] in stage.width:
            for name in stage.kinds:
                for stop, genes in self._stage_of(self._space.kinds[name], position, start).items():
                    found.setdefault(stop, {**genes, "kind": name})
        if 0 in stage.depth:
            found.setdefault(start, {"depth": 0})
        return found

    def _stage_of(self, kind: Kind, position: int, start: int) -> dict[int, dict[str, Any]]:
        stage, width = self._space.stages[position], self._widths[start + 1]
        stride = self._space.stage_stride(position, self._stem_stride)
        env = {"in": self._widths[start], "width": width, "stride": stride}
        before: list[_Options] = []
        if kind.transition is not None:
            if stride > 1 or env["in"] != width:
                before = [_options(kind.transition, stage, env, self._layers[start])]
            env |= {"in": width, "stride": 1}
        options: list[_Options] = []
        first = start + len(before)
        for layer in self._layers[first : first + max(stage.depth)]:
            options.append(_options(kind.block, stage, env, layer))
            env |= {"in": width, "stride": 1}
            if not options[-1]:
                break
        if before and options:  # the transition reads the genes of the first block
            options[0] = {choice: sizes & before[0].get(choice, set()) for choice, sizes in options[0].items()}
        stops = {}
        for depth in sorted(stage.depth, reverse=True):  # of two ways to part layers the one with longer first stages
            if 0 < depth <= len(options):
                genes = _shared_genes(stage, options[:depth])
                if genes is not None:
                    stops[first + depth] = {"depth": depth, "width": width, **genes}
        return stops


def _options(template: Template, stage: Stage, env: Mapping[str, Any], layer: Layer) -> _Options:
    """The genes with which `template` makes `layer`; `env` gives `in`, `width` and `stride`."""
    args = dict(layer.args)
    defaults = BLOCKS.get(template.block, "template").parameters
    given = dict(template.args)
    if layer.block != template.block or any(args[key] != defaults[key].default for key in args.keys() - given.keys()):
        return {}
    choices: dict[str, Sequence[Any]] = {"act": stage.act, "se": (0, 1), "kernel": stage.kernel}
    choices["expansion"] = stage.expansion
    for key, expression in template.args:
        lone = next(iter(expression.names), "") if expression.rounding is None else ""
        if lone in choices:
            choices[lone] = [value for value in choices[lone] if value == args[key]]
    options: _Options = {}
    for act, flag, kernel, expansion in itertools.product(*choices.values()):
        genes = {"act": act, "se": flag, "kernel": kernel, "expansion": expansion}
        if template.evaluate({**env, **genes}) == {key: args[key] for key in given}:
            options.setdefault((act, flag), set()).add((kernel, expansion))
    return options


def _shared_genes(stage: Stage, options: list[_Options]) -> dict[str, Any] | None:
    """The first activation, SE pattern, kernel sizes and expansion ratios that all blocks of a stage allow."""
    for act, pattern in itertools.product(stage.act, stage.se):
        flags = se_flags(pattern, len(options))
        allowed = [block.get((act, flag), set()) for block, flag in zip(options, flags, strict=True)]
        free = min(stage.num_free, len(allowed))
        allowed[free - 1 :] = [set.intersection(*allowed[free - 1 :])]
        if all(allowed):
            genes: dict[str, Any] = {"act": act, "se": pattern}
            for block, sizes in enumerate(allowed, start=1):
                order = itertools.product(stage.kernel, stage.expansion)
                genes[f"kernel{block}"], genes[f"expansion{block}"] = next(size for size in order if size in sizes)
            return genes
    return None
