"""The inputs of an ONNX model with their sizes: those of its file, or those that a user gives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import onnx

from nas.errors import InputError
from nas.graph.rows import Shape, elements
from nas.onnx.shapes import element_type, tensor_type
from nas.onnx.sizes import MAX_ELEMENTS, OPTION


def input_types(
    values: Iterable[onnx.ValueInfoProto], given: Mapping[str, Shape], path: Path
) -> dict[str, onnx.TypeProto]:
    """Input → its type, with all sizes known.

    Raises `InputError` for an input that is no tensor, for sizes that the file leaves open and nobody gave, and for
    given ones that the file does not have.
    """
    inputs = list(values)
    given = _by_name(given, [value.name for value in inputs], path)
    found, open_inputs = {}, []
    for value in inputs:
        if not value.type.HasField("tensor_type"):
            kind = value.type.WhichOneof("value") or "of no type"
            raise InputError(f"{path}: the input {value.name!r} must be a tensor, but is {kind.replace('_', ' ')}.")
        shape = _sizes(value, given.get(value.name), path)
        if shape is None:
            open_inputs.append(value)
        else:
            found[value.name] = tensor_type(element_type(value.type), shape)
    if open_inputs:
        raise InputError(_remedy(open_inputs, path))
    return found


def _by_name(given: Mapping[str, Shape], names: Sequence[str], path: Path) -> dict[str, Shape]:
    found = dict(given)
    if "" in found and "" not in names:
        if len(names) != 1:
            raise InputError(
                f"{OPTION} must name the input where there are several, but {path} has {', '.join(names[:8])}:"
                f" write {OPTION} {names[0] if names else 'NAME'}=..."
            )
        found[names[0]] = found.pop("")
    for name in found:
        if name not in names:
            raise InputError(f"{OPTION} must name an input of {path} ({', '.join(names[:8])}), but got {name!r}.")
    return found


def _dims(value: onnx.ValueInfoProto) -> list[int | str] | None:
    """The sizes that the file has, a name or "?" for what it leaves open; None where not even their number is said."""
    kind = value.type.tensor_type
    if not kind.HasField("shape"):
        return None
    return [d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else d.dim_param or "?" for d in kind.shape.dim]


def _sizes(value: onnx.ValueInfoProto, wanted: Shape | None, path: Path) -> Shape | None:
    dims = _dims(value)
    if wanted is None:
        fixed = None if dims is None else tuple(d for d in dims if isinstance(d, int))
        if fixed is None or dims is None or len(fixed) < len(dims):
            return None
    else:
        fits = dims is None or (
            len(dims) == len(wanted) and all(d == n for d, n in zip(dims, wanted, strict=True) if isinstance(d, int))
        )
        if not fits:
            raise InputError(
                f"{OPTION} must leave the sizes that {path} has fixed, {_shown(dims)} of {value.name!r}, but got"
                f" {_shown(wanted)}; a network with other sizes is another file."
            )
        fixed = wanted
    if elements(fixed) >= MAX_ELEMENTS:
        raise InputError(
            f"{path}: the input {value.name!r} must have fewer than 2^31 numbers, but has {_shown(fixed)}."
        )
    return fixed


def _shown(dims: Sequence[int | str] | None) -> str:
    return "nothing" if dims is None else "x".join(map(str, dims)) or "no axes"


def _remedy(values: Sequence[onnx.ValueInfoProto], path: Path) -> str:
    """The rule, and the options that would do, with the names filled in."""
    first = values[0]
    options = " ".join(f"{OPTION} {_quoted(value.name)}={_example(_dims(value))}" for value in values)
    return (
        f"{path}: the input {first.name!r} must have a fixed size, but has {_shown(_dims(first))}; export it with one,"
        " or, where sizes can be given (`nas lut predict`, `nas measure`, and in Python nas.load_graph), give it, such"
        f" as: {options}"
    )


def _quoted(name: str) -> str:
    plain = all(c.isalnum() or c in "_./:-" for c in name)
    return name if plain else "'" + name.replace("'", "'\\''") + "'"


def _example(dims: Sequence[int | str] | None) -> str:
    """Sizes that the input may well have: those that are fixed, one image, 224 pixels a side, 128 tokens."""
    if dims is None:
        return "1x3x224x224"
    usual: list[int] = [1, 3, 224, 224] if len(dims) == 4 else [1, *[128] * (len(dims) - 1)]
    if len(dims) == 4 and isinstance(dims[3], int) and dims[3] <= 4:
        usual = [1, 224, 224, 3]
    return "x".join(str(d if isinstance(d, int) else n) for d, n in zip(dims, usual, strict=False))
