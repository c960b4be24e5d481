"""A part of a search space: some of its choices left out, by settings such as `act=relu` or `stage3.kernel=3,5`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from nas.blocks import BLOCKS
from nas.errors import InputError
from nas.space.architecture import Layer
from nas.space.divisor import common_divisor
from nas.space.resolution import resolution_text
from nas.space.search_space import SearchSpace
from nas.space.stage import Stage
from nas.space.template import Kind

STAGE_GENES: Mapping[str, str] = {
    "kind": "kinds", "depth": "depth", "width": "width", "kernel": "kernel", "expansion": "expansion", "se": "se",
    "act": "act",
}  # fmt: skip
"""The genes of a stage that a setting may name → the field of `Stage` that holds their choices."""

_SETTING = re.compile(r"(?:(stage[0-9]+)\.)?([a-z_]+)=(.+)")
_OFF = "none"


def narrow(space: SearchSpace, settings: Iterable[str]) -> SearchSpace:
    """The part of `space` that keeps the choices in `settings`, one after the other.

    `GENE=CHOICE,…` holds for all stages, `stage3.GENE=…` for one; `resolution=…` for the image. What a setting for all
    stages leaves out of activations and SE leaves stems and heads too: chains with other ones are no choices any more.
    A stage whose only depth is 0 is no stage any more. Raises `InputError` for a setting that names no gene or no
    choice of one, or leaves none.
    """
    before = space
    for setting in settings:
        space = _narrowed(space, setting)
    return space if space.divisor != common_divisor(before) else replace(space, divisor=common_divisor(space))


def _narrowed(space: SearchSpace, setting: str) -> SearchSpace:
    match = _SETTING.fullmatch(setting.replace(" ", ""))
    if match is None:
        raise InputError(f"--set must be written as act=relu or stage3.kernel=3,5, but got {setting!r}.")
    stage_name, gene, text = match.groups()
    wanted = [word for word in text.split(",") if word]
    if gene == "resolution" and stage_name is None:
        return replace(space, resolutions=_kept(space.resolutions, wanted, setting, f"the resolutions of {space.name}"))
    if gene not in STAGE_GENES:
        raise _unknown(setting, "must name a gene", gene, ("resolution", *STAGE_GENES))
    names = [stage.name for stage in space.stages]
    if stage_name is not None and stage_name not in names:
        raise _unknown(setting, f"must name a stage of {space.name}", stage_name, names)
    _check_choices(space, names if stage_name is None else [stage_name], gene, wanted, setting)
    stages = tuple(
        _stage(stage, gene, wanted, setting) if stage_name in (None, stage.name) else stage for stage in space.stages
    )
    if stage_name is None and gene == "act":
        stages = tuple(_stage_of_kinds(space, stage, wanted, setting) for stage in stages)
    if stage_name is None and gene in ("act", "se"):
        stems, heads = (
            _chains(chains, gene, wanted, f"--set {setting} must leave one of the {part} of {space.name}")
            for part, chains in (("stems", space.stems), ("heads", space.heads))
        )
        space = replace(space, stems=stems, heads=heads)
    return replace(space, stages=tuple(stage for stage in stages if stage.depth != (0,)))


def _check_choices(
    space: SearchSpace, stages: Collection[str], gene: str, wanted: Collection[str], setting: str
) -> None:
    """Each word must be a choice of the gene in one of the stages."""
    known = dict.fromkeys(
        _text(choice) for stage in space.stages if stage.name in stages for choice in getattr(stage, STAGE_GENES[gene])
    )
    for word in wanted:
        if _canonical(word) not in known:
            raise _unknown(setting, f"must name choices of {gene} in {space.name}", word, known)


def _stage(stage: Stage, gene: str, wanted: Collection[str], setting: str) -> Stage:
    field = STAGE_GENES[gene]
    kept: dict[str, Any] = {field: _kept(getattr(stage, field), wanted, setting, f"{gene} of {stage.name}")}
    return replace(stage, **kept)


def _stage_of_kinds(space: SearchSpace, stage: Stage, wanted: Collection[str], setting: str) -> Stage:
    """The stage without the kinds whose blocks have another activation whatever the gene says."""
    kept = [
        name for name in stage.kinds if all(act in ("none", *wanted) for act in fixed_activations(space.kinds[name]))
    ]
    return replace(stage, kinds=_kept(stage.kinds, kept, setting, f"the kind of {stage.name}"))


def fixed_activations(kind: Kind) -> Iterator[Any]:
    """The activations of a kind's blocks that have the same one whatever the gene says."""
    for template in (kind.block, kind.transition):
        if template is not None and "act" not in template.names:
            declared = BLOCKS.get(template.block, "template").parameters.get("act")
            given = dict(template.args).get("act")
            yield given.literal if given else declared.default if declared else "none"


def _kept(choices: tuple[Any, ...], wanted: Collection[str], setting: str, what: str) -> tuple[Any, ...]:
    words = {_canonical(word) for word in wanted}
    kept = tuple(choice for choice in choices if _text(choice) in words)
    if not kept:
        raise InputError(
            f"--set {setting} must leave a choice for {what}, which has {', '.join(map(_text, choices))}; name one of"
            " these, or set the stages one by one (stage3.kernel=5)."
        )
    return kept


def _chains(
    chains: tuple[tuple[Layer, ...], ...], gene: str, wanted: Collection[str], rule: str
) -> tuple[tuple[Layer, ...], ...]:
    """The chains whose layers have none but the wanted activations, or no SE where none is wanted."""

    def keeps(layer: Layer) -> bool:
        args = dict(layer.args)
        if gene == "act":
            return all(args[key] in ("none", *wanted) for key in args if key == "act")
        return set(wanted) != {_OFF} or not any(args[key] for key in args if key in _SE_WIDTHS)

    kept = tuple(chain for chain in chains if all(map(keeps, chain)))
    if not kept:
        raise InputError(f"{rule}, but leaves none; leave the activation of one in, or write a space with others.")
    return kept


_SE_WIDTHS = ("se", "se_depthwise", "se_pointwise")


def _unknown(setting: str, rule: str, word: str, known: Iterable[str]) -> InputError:
    names = list(known)
    near = difflib.get_close_matches(word, names, n=3, cutoff=0.4)
    hint = f" (nearest: {', '.join(near)})" if near else ""
    return InputError(f"--set {setting} {rule}, but got {word!r}{hint}; there are {', '.join(names)}.")


def _text(choice: Any) -> str:
    """A choice as a setting writes it: 2.0 as 2, (192, 320) as 192x320."""
    if isinstance(choice, tuple):
        return resolution_text(choice)
    return f"{choice:g}" if isinstance(choice, float) else str(choice)


def _canonical(word: str) -> str:
    try:
        return f"{float(word):g}"
    except ValueError:
        return word
