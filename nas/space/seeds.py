"""The known networks: families of published architectures, each a YAML file of `search_spaces/seeds/`.

A family file states its variants and, for each, the layers in short form: a line is a stage (`depth` blocks; a list
gives one value a block, and "..." at its end repeats the value before it) and a value may be

* an integer, a text or a truth value, taken as it is;
* "32w": 32 times the width multiplier, rounded as the family rounds; "1280W" the same but never below 1280;
* "6x": 6 times the width of the layer's input, rounded in the same way;
* "hidden/4", "in/4", "out/4": a part of another width, rounded as the family rounds SE;
* `depth: 3d`: 3 times the depth multiplier, rounded up.

`defaults` holds parameters of blocks that the whole family shares. Names are `family-variant[@resolution]` (another
`separator` may stand for the hyphen: efficientnet-lite0); where the family has a width multiplier, any number may be
the variant, or follow one that is a word (mnasnet-a1-0.75). `published` are printed figures at the variant's own
resolution, `published_at` at others.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from nas import resources
from nas.blocks import Value
from nas.blocks.rounding import ROUNDINGS, round_channels
from nas.documents import check_keys, read_yaml
from nas.errors import InputError, unknown_name
from nas.space.architecture import (
    IMAGENET_CHANNELS,
    SCHEMA,
    Architecture,
    Layer,
    build_layer,
    integer_of,
    make_layer,
    text_of,
)

_FAMILY_KEYS = (
    "schema", "family", "separator", "paper", "code", "resolution", "min_resolution", "width", "rounding",
    "se_rounding", "defaults", "layers", "variants",
)  # fmt: skip
_VARIANT_KEYS = ("width", "depth", "resolution", "layers", "published", "published_at", "paper")
_PUBLISHED_KEYS = ("top1", "params_M", "macs_M", "source")
_SCALED = re.compile(r"(\d+(?:\.\d+)?)([wWx])")
_PART = re.compile(r"(in|out|hidden)/([1-9]\d{0,5})")
_DEPTH = re.compile(r"(\d{1,4})d")
_REPEAT = "..."
_MAX_DEPTH = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownNetwork:
    """A network that others published: what it is, and what they printed of it.

    `published` holds the figures of this very network, at this resolution (top1 in percent, params_M, macs_M, source,
    None where nothing was printed); it is empty where nobody printed any.
    """

    architecture: Architecture
    paper: str
    published: Mapping[str, str | float | None]

    @property
    def name(self) -> str:
        """`family-variant[@resolution]`."""
        return self.architecture.name

    @property
    def family(self) -> str:
        """The family's name."""
        return self.architecture.family


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One family of known networks."""

    name: str
    separator: str
    paper: str
    code: str
    resolution: int
    min_resolution: int
    width_range: tuple[float, float] | None
    rounding: str
    se_rounding: str
    defaults: Mapping[str, Mapping[str, Any]]
    layers: tuple[Mapping[str, Any], ...]
    variants: Mapping[str, Mapping[str, Any]]
    path: Path

    def name_of(self, variant: str) -> str:
        """The name of a network of this family, without a resolution."""
        return f"{self.name}{self.separator}{variant}"


def read_family(path: Path) -> Family:
    """A family file, checked."""
    where = str(path)
    document = check_keys(read_yaml(path), _FAMILY_KEYS, where, required=("schema", "family", "paper", "variants"))
    if document["schema"] != SCHEMA:
        raise InputError(f"{where}: schema must be {SCHEMA}, but got {document['schema']!r}.")
    width = document.get("width")
    if width is not None and not (
        isinstance(width, list) and len(width) == 2 and all(map(_is_figure, width)) and width[0] <= width[1]
    ):
        raise InputError(f"{where}: width must be [smallest, largest multiplier], but got {width!r}.")
    separator = document.get("separator", "-")
    if not isinstance(separator, str):
        raise InputError(f"{where}: separator must be a text, but got {separator!r}.")
    variants = document["variants"]
    if not isinstance(variants, Mapping) or not variants:
        raise InputError(f"{where}: variants must be a mapping with at least one variant, but got {variants!r}.")
    for name, variant in variants.items():
        _check_variant(variant, f"{where}: variants.{name}")
    defaults = document.get("defaults", {})
    if not isinstance(defaults, Mapping) or not all(isinstance(value, Mapping) for value in defaults.values()):
        raise InputError(f"{where}: defaults must map blocks to parameters, but got {defaults!r}.")
    roundings = [document.get(key, "divisible8") for key in ("rounding", "se_rounding")]
    for rounding in roundings:
        if not isinstance(rounding, str) or rounding not in ROUNDINGS:
            raise InputError(f"{where}: a rounding must be one of {', '.join(ROUNDINGS)}, but got {rounding!r}.")
    return Family(
        name=text_of(document, "family", where),
        separator=separator,
        paper=text_of(document, "paper", where),
        code=text_of(document, "code", where, default="-"),
        resolution=integer_of(document, "resolution", where, low=16, high=4096, default=224),
        min_resolution=integer_of(document, "min_resolution", where, low=16, high=4096, default=32),
        width_range=(float(width[0]), float(width[1])) if width else None,
        rounding=roundings[0],
        se_rounding=roundings[1],
        defaults=defaults,
        layers=tuple(_stages(document, where)),
        variants=variants,
        path=path,
    )


def _check_variant(variant: object, where: str) -> None:
    """Raises `InputError` for a variant that cannot be one."""
    variant = check_keys(variant, _VARIANT_KEYS, where)
    _stages(variant, where)
    for key in ("width", "depth"):
        value = variant.get(key, 1.0)
        if type(value) not in (int, float) or not 0 < value <= 100:
            raise InputError(f"{where}: {key} must be a multiplier above 0, at most 100, but got {value!r}.")
    if "resolution" in variant:
        integer_of(variant, "resolution", where, low=16, high=4096)
    if "paper" in variant:
        text_of(variant, "paper", where)
    others = variant.get("published_at", {})
    if not isinstance(others, Mapping) or not all(re.fullmatch("[1-9][0-9]{1,3}", size) for size in others):
        raise InputError(f"{where}: published_at must map resolutions to figures, but got {others!r}.")
    for size, figures in {"": variant.get("published", {}), **others}.items():
        _check_published(figures, f"{where}.published{size and '_at.' + size}")


def _check_published(figures: object, where: str) -> None:
    """Raises `InputError` for printed figures that cannot be any; a figure that nobody printed is absent or null."""
    given = {key: value for key, value in check_keys(figures, _PUBLISHED_KEYS, where).items() if value is not None}
    if given:
        text_of(given, "source", where)
    if "top1" in given and not (_is_figure(given["top1"]) and 1 < given["top1"] <= 100):
        raise InputError(f"{where}: top1 must be in percent, above 1, at most 100, but got {given['top1']!r}.")
    for key in ("params_M", "macs_M"):
        if key in given and not _is_figure(given[key]):
            raise InputError(f"{where}: {key} must be a number of millions above 0, but got {given[key]!r}.")


def _is_figure(value: object) -> bool:
    return type(value) in (int, float) and value > 0  # type: ignore[operator]


def _stages(document: Mapping[str, Any], where: str) -> list[Any]:
    """The stages under `layers`; none where the key is missing."""
    stages = document.get("layers", [])
    if not isinstance(stages, list):
        raise InputError(f"{where}: layers must be a list of stages, but got {stages!r}.")
    return stages


def families() -> dict[str, Family]:
    """Every known family by name, the user's own before the shipped ones."""
    found: dict[str, Family] = {}
    for path in resources.names("search_spaces", "seeds/*.yaml").values():
        state = path.stat()
        family = _read_once(path, state.st_mtime_ns, state.st_size)
        found.setdefault(family.name, family)
    return found


@lru_cache(maxsize=1000)
def _read_once(path: Path, changed_ns: int, size: int) -> Family:
    """The family in the file at `path` as it was last changed; a listing asks for all of them again and again."""
    return read_family(path)


def known_names(all_families: Mapping[str, Family] | None = None) -> Iterator[str]:
    """The names of the listed variants, family by family."""
    for family in (families() if all_families is None else all_families).values():
        for variant in family.variants:
            yield family.name_of(variant)


def known_networks() -> list[Architecture]:
    """The architectures of all listed variants, family by family; each file is read once."""
    return [known.architecture for known in list_known()]


def known_network(name: str) -> Architecture:
    """The architecture of the known network called `name`; raises as `find_known` does."""
    return find_known(name).architecture


def list_known() -> list[KnownNetwork]:
    """All listed variants, family by family; each file is read once."""
    return [instantiate(family, variant) for family in families().values() for variant in family.variants]


def known_as(architecture: Architecture) -> KnownNetwork | None:
    """The known network that `architecture` is and by whose name it goes; None where it is none.

    A network that was changed (its size, its classes, a width) is another one, whatever it is called.
    """
    try:
        known = _find(architecture.name, families())
    except InputError:
        return None
    return known if known is not None and known.architecture.digest == architecture.digest else None


def find_known(name: str) -> KnownNetwork:
    """The known network called `name` (`family-variant[@resolution]`).

    Raises `InputError` with the nearest names for an unknown one, and for a width or resolution that the family
    cannot take.
    """
    all_families = families()
    found = _find(name, all_families)
    if found is None:
        remedy = "`nas arch list` shows all of them."
        raise unknown_name("network", name, known_names(all_families), remedy=remedy, or_file=True)
    return found


def _find(name: str, all_families: Mapping[str, Family]) -> KnownNetwork | None:
    """As `find_known`; None where no family has such a variant."""
    base, _, size = name.lower().partition("@")
    # The longest family name first: mobilenetv3-large-minimalistic-1.0 is no variant of mobilenetv3-large.
    for family in sorted(all_families.values(), key=lambda f: -len(f.name)):
        if not base.startswith(family.name_of("")):
            continue
        variant = base.removeprefix(family.name_of(""))
        if variant in family.variants or (family.width_range and _is_number(_multiplier(family, variant)[0])):
            return instantiate(family, variant, _resolution(size, name, family))
    return None


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[0-9]+(\.[0-9]+)?", text) is not None


def _resolution(text: str, name: str, family: Family) -> int | None:
    if not text:
        return None
    if not re.fullmatch(r"[0-9]{1,4}", text) or not family.min_resolution <= int(text) <= 4096:
        raise InputError(
            f"the resolution of {name} must be an integer from {family.min_resolution} to 4096, but got {text!r}."
        )
    return int(text)


def instantiate(family: Family, variant: str, resolution: int | None = None) -> KnownNetwork:
    """A network of `family`: a listed variant, or a width multiplier that the family's range holds.

    A multiplier applies to the layers of the family, or of the listed variant whose name ends alike
    (`squeezenext-1.5-23v5` takes the layers of `1.0-23v5`), or that it follows (`mnasnet-a1-0.75` those of `a1`).
    """
    name = family.name_of(variant)
    entry = family.variants.get(variant)
    if entry is None:
        number, base = _multiplier(family, variant)
        multiplier = float(number)
        low, high = family.width_range or (1.0, 1.0)
        if not low <= multiplier <= high:
            raise InputError(f"the width of {name} must be from {low:g} to {high:g}, but got {number}.")
        if base is None:
            raise unknown_name("network", name, map(family.name_of, family.variants))
        entry = {"width": multiplier, **({"layers": base["layers"]} if "layers" in base else {})}
    own_size = entry.get("resolution", family.resolution)
    size = resolution or own_size
    published = entry.get("published", {}) if size == own_size else entry.get("published_at", {}).get(str(size), {})
    architecture = Architecture(
        name=name if resolution is None else f"{name}@{resolution}",
        family=family.name,
        resolution=size,
        layers=tuple(_layers(family, entry, size, f"{family.path}: {variant}")),
    )
    return KnownNetwork(
        architecture=architecture,
        paper=entry.get("paper", family.paper),
        published={key: published.get(key) for key in _PUBLISHED_KEYS} if published else {},
    )


def _multiplier(family: Family, variant: str) -> tuple[str, Mapping[str, Any] | None]:
    """The part of `variant` that should be a multiplier, and the listed variant whose layers it applies to, if any."""
    word, _, number = variant.rpartition("-")
    if word in family.variants and not _is_number(word.split("-")[0]):
        return number, family.variants[word]
    number, _, rest = variant.partition("-")
    numbered = ((name.partition("-"), entry) for name, entry in family.variants.items())
    return number, next((entry for (own, _, end), entry in numbered if _is_number(own) and end == rest), None)


def _layers(family: Family, entry: Mapping[str, Any], resolution: int, where: str) -> Iterator[Layer]:
    width = float(entry.get("width", 1.0))
    shape: tuple[int, ...] = (IMAGENET_CHANNELS, resolution, resolution)
    stages = entry.get("layers", family.layers)
    if not stages:
        raise InputError(f"{where} must have layers, of its own or of the family, but has none.")
    for number, stage in enumerate(stages, start=1):
        place = f"{where}: stage {number}"
        if not isinstance(stage, Mapping) or not isinstance(stage.get("block"), str):
            raise InputError(f"{place} must be a mapping with the key block, but got {stage!r}.")
        depth = _depth(stage.get("depth", 1), entry.get("depth", 1.0), place)
        stage = {**family.defaults.get(stage["block"], {}), **stage}
        for i in range(depth):
            args = {k: _pick(v, i, depth, f"{place}, {k}") for k, v in stage.items() if k not in ("block", "depth")}
            layer = make_layer(stage["block"], _resolve(args, shape[0], family, width, place), place)
            yield layer
            try:
                shape = build_layer(layer, shape).output
            except ValueError as error:
                raise InputError(f"{place} must fit its input, but: {error}.") from error


def _depth(value: Any, multiplier: float, where: str) -> int:
    match = _DEPTH.fullmatch(value) if isinstance(value, str) else None
    depth = math.ceil(int(match[1]) * multiplier) if match else value
    if type(depth) is not int or not 1 <= depth <= _MAX_DEPTH:
        raise InputError(
            f"{where}: depth must be an integer from 1 to {_MAX_DEPTH}, or one times d, but got {value!r}."
        )
    return depth


def _pick(value: Any, i: int, depth: int, where: str) -> Any:
    if not isinstance(value, list):
        return value
    if len(value) > 1 and value[-1] == _REPEAT:
        return value[min(i, len(value) - 2)]
    if len(value) != depth:
        raise InputError(f"{where} must have one value a block ({depth}), but got {len(value)}.")
    return value[i]


def _resolve(args: Mapping[str, Any], inputs: int, family: Family, width: float, where: str) -> dict[str, Value]:
    """Width expressions replaced by integers; parts last, since they refer to other widths."""
    known: dict[str, Value] = {}
    for key, value in args.items():
        match = _SCALED.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            known[key] = value
        elif match[2] == "x":
            known[key] = int(round_channels(float(match[1]) * inputs, family.rounding))
        else:
            factor = max(width, 1.0) if match[2] == "W" else width
            known[key] = int(round_channels(float(match[1]) * factor, family.rounding))
    for key, value in args.items():
        match = _PART.fullmatch(value) if isinstance(value, str) else None
        if match is not None:
            whole = inputs if match[1] == "in" else known.get(match[1])
            if not isinstance(whole, int):
                raise InputError(f"{where}: {key} refers to {match[1]}, which must be a width, but got {whole!r}.")
            known[key] = int(round_channels(whole / int(match[2]), family.se_rounding))
    return known


__all__ = [
    "Family",
    "KnownNetwork",
    "families",
    "find_known",
    "instantiate",
    "known_as",
    "known_names",
    "known_network",
    "known_networks",
    "list_known",
    "read_family",
]
