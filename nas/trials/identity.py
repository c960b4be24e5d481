"""What a function is, as text that is the same in every process: its name, and a digest of its code and contents.

Evaluations of one function serve every search; those of another, which may say something else, serve none. Functions
and plain values of its own module that a function names belong to it; other modules, and files, are not seen.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import sys
import types
import weakref
from collections.abc import Mapping, Set
from pathlib import Path, PurePath
from typing import Any

import numpy as np

_DEEPEST, _MOST = 8, 1_000_000
_SEEN: dict[int, tuple[weakref.ref[Any], str]] = {}
"""Functions that were asked for, by their `id`: one that counts its calls in a list stays what it was."""


def name_of(function: Any) -> str:
    """ "module:function", or the class for an object that is called."""
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{_module(named.__module__)}:{named.__qualname__}"


def _module(name: str) -> str:
    """A module's name; of the script that runs, what it would be called if it were imported."""
    if name != "__main__":
        return name
    home = sys.modules[name]
    spec, file = getattr(home, "__spec__", None), getattr(home, "__file__", None)
    return str(spec.name) if spec is not None else Path(file).stem if file else name


def identity_of(function: Any) -> str:
    """The name and a digest. The digest is of the code, defaults and contents of closures and objects, as they are
    when the function is first asked for; it is the same in every process with the same version of Python."""
    anchor = getattr(function, "__self__", function)
    found = _SEEN.get(id(anchor))
    if found is not None and found[0]() is anchor:
        return f"{name_of(function)}#{found[1]}"
    digest = hashlib.sha256()
    _add(digest.update, function, 0, {})
    text = digest.hexdigest()[:16]
    with contextlib.suppress(TypeError):  # what cannot be referred to weakly cannot be remembered either
        _SEEN[id(anchor)] = (weakref.ref(anchor, functools.partial(_forget, id(anchor))), text)
    return f"{name_of(function)}#{text}"


def _forget(key: int, reference: object) -> None:
    if key in _SEEN and _SEEN[key][0] is reference:
        del _SEEN[key]


def _add(update: Any, value: Any, depth: int, seen: dict[int, tuple[int, Any]]) -> None:
    """Feed `value` to a digest; objects by their class and contents, as deep as `_DEEPEST`, each once: where it comes
    again its number in `seen` stands for it, which holds all of them, so that no `id` is given twice."""
    if value is None or isinstance(value, bool | int | float | complex | str | bytes | PurePath):
        update(f"{type(value).__name__} {value!r};".encode())
        return
    if id(value) in seen:
        update(f"again {seen[id(value)][0]};".encode())
        return
    seen[id(value)] = len(seen), value
    update(f"{type(value).__module__}.{type(value).__qualname__}(".encode())
    if depth < _DEEPEST and len(seen) < _MOST:
        for part in _parts(value):
            _add(update, part, depth + 1, seen)
    update(b")")


def _parts(value: Any) -> list[Any]:
    """What an object consists of."""
    if isinstance(value, np.ndarray) and value.dtype != object:
        return [str(value.dtype), value.shape, value.tobytes()]
    if isinstance(value, np.generic):
        return [value.item()]
    if isinstance(value, np.random.Generator):
        return [dict(value.bit_generator.state)]
    if isinstance(value, types.FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or () if _is_filled(cell)]
        return [value.__code__, value.__defaults__, value.__kwdefaults__, *cells, *_named(value)]
    if isinstance(value, types.CodeType):
        return [value.co_code, value.co_names, value.co_varnames, *value.co_consts]
    if isinstance(value, types.MethodType):
        return [value.__func__, value.__self__]
    if isinstance(value, functools.partial):
        return [value.func, value.args, value.keywords]
    if isinstance(value, type | types.ModuleType | types.BuiltinFunctionType):
        return [value.__name__, getattr(value, "__module__", "")]
    if isinstance(value, Mapping):
        return [part for item in value.items() for part in item]
    if isinstance(value, Set):
        return sorted(map(repr, value))
    if isinstance(value, list | tuple):
        return list(value)
    own = getattr(value, "__dict__", {})
    call = next((vars(one)["__call__"] for one in type(value).__mro__ if "__call__" in vars(one)), None)
    return [*(part for item in sorted(own.items()) for part in item), *([call] if call else [])]


def _named(function: types.FunctionType) -> list[Any]:
    """The functions and plain values of its own module that a function names."""
    found = []
    for name in sorted(_names(function.__code__)):
        value = function.__globals__.get(name)
        is_own = isinstance(value, types.FunctionType) and value.__module__ == function.__module__
        if is_own or isinstance(value, bool | int | float | str | tuple | list | dict | set | np.ndarray):
            found += [name, value]
    return found


def _names(code: types.CodeType) -> set[str]:
    """The names that code uses, and what is defined inside it."""
    inside = [_names(part) for part in code.co_consts if isinstance(part, types.CodeType)]
    return set(code.co_names).union(*inside)


def _is_filled(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True
