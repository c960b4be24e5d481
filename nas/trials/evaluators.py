"""A user's evaluator: how it is read, called, and checked."""

from __future__ import annotations

import importlib
import inspect
import math
import runpy
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from nas.errors import InputError, NasError
from nas.trials.identity import identity_of, name_of

Function = Callable[..., Any]
_LONGEST_REASON = 300
_LOADING: ContextVar[bool] = ContextVar("loading", default=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluator:
    """A function from a list of points to as many accuracies, fractions in [0, 1].

    `name` is for people; `key` is its identity in the table of evaluations: name and a digest of its code and of what
    it holds (`nas.trials.identity`). `reference` is what finds it in another process, None where nothing does. `rungs`
    are the epochs that it may be asked for, ascending, as its attribute `rungs` says; none without that. `settings` are
    further arguments of each call, which JSON can hold. One that `resumes` leaves whole files alone and goes on from
    what it finds at its place: then a job that is done again has the same `save`.
    """

    function: Function
    name: str
    key: str
    reference: str | None
    rungs: tuple[int, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    resumes: bool = False

    def call(self) -> Function:
        """The function, with its settings given."""
        return partial(self.function, **self.settings) if self.settings else self.function

    def required_reference(self) -> str:
        """The reference; `InputError` with the remedy where there is none."""
        if self.reference is None:
            raise InputError(
                f"an evaluator that runs in other processes must be found there, but {self.name} is no function at the"
                ' top of a module; put it into a file, and give evaluate="module:function", or take workers=1.'
            )
        return self.reference


def read_evaluator(evaluate: Function | str) -> Evaluator:
    """The evaluator that a user gave: a callable, or "module:function" (the current folder is searched as well), or
    "file.py:function".

    Raises `InputError` where nothing is found, it is not callable, or its `rungs` are not ascending epochs.
    """
    function = load_function(evaluate) if isinstance(evaluate, str) else evaluate
    if not callable(function):
        raise InputError(f'evaluate must be a function or "module:function", but got {type(function).__name__}.')
    rungs = _rungs(function)
    reference = evaluate if isinstance(evaluate, str) else _reference(function)
    return Evaluator(
        function=function, name=name_of(function), key=identity_of(function), reference=reference, rungs=rungs
    )


def load_function(reference: str) -> Function:
    """The function that "module:function" or "file.py:function" names. Raises `InputError` where there is none."""
    module, colon, name = reference.rpartition(":")
    if not (colon and module and name):
        raise InputError(f'evaluate must be "module:function", but got {reference!r}.')
    found = _imported(module)
    try:
        for part in name.split("."):
            found = found[part] if isinstance(found, Mapping) else getattr(found, part)
    except (AttributeError, KeyError) as error:
        raise InputError(f"{module} must have the function {name}, but has none; correct {reference!r}.") from error
    if not callable(found):
        raise InputError(f"{reference} must be a function, but is a {type(found).__name__}.")
    function: Function = found
    return function


def check_not_loading() -> None:
    """`InputError` where a module that is being read for its evaluator begins a search of its own."""
    if _LOADING.get():
        raise InputError(
            "a file that holds an evaluator must not begin a search when it is imported, but does; put the call of"
            ' nas.search under `if __name__ == "__main__":`.'
        )


def _rungs(function: Function) -> tuple[int, ...]:
    rungs = getattr(function, "rungs", ())
    is_sequence = isinstance(rungs, Sequence) and not isinstance(rungs, str)
    if (
        not is_sequence
        or any(not isinstance(rung, int) or rung < 1 for rung in rungs)
        or list(rungs) != sorted(set(rungs))
    ):
        raise InputError(f"rungs must be ascending numbers of epochs such as (1, 3, 9), but got {rungs!r}.")
    return tuple(rungs)


def _imported(module: str) -> Any:
    """What a user's module defines. `InputError` for whatever it does wrong while it is read."""
    token = _LOADING.set(True)
    try:
        return _namespace(module)
    except NasError:
        raise
    # SystemExit as well: a script may check what it was started with, and end.
    except (Exception, SystemExit) as error:
        is_missing = isinstance(error, ImportError | OSError)
        said = error if is_missing or isinstance(error, SyntaxError) else _reason(error)
        remedy = "start from the folder that holds it, or install it" if is_missing else "mend it, or set what it needs"
        raise InputError(f"{module} must be a module that can be imported, but: {said}; {remedy}.") from error
    finally:
        _LOADING.reset(token)


def _namespace(module: str) -> Any:
    """A module, or what a script defines. A script is run under another name than `__main__`, as it was not started."""
    if module.endswith(".py"):
        return _script(module, Path(module).stat().st_mtime_ns)
    folder = str(Path.cwd())
    if folder not in sys.path and "" not in sys.path:
        sys.path.insert(0, folder)
    return importlib.import_module(module)


@lru_cache(maxsize=8)
def _script(path: str, changed_ns: int) -> dict[str, Any]:
    """What the script at `path` defines, as of when it was last changed."""
    return runpy.run_path(path, run_name="__nas_worker__")


def _reference(function: Function) -> str | None:
    """What finds a function in another process; None for one inside another, or bound to an object."""
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    if not module or not name or "<" in name:
        return None
    home = sys.modules.get(module)
    found: Any = home
    for part in name.split("."):
        found = getattr(found, part, None)
    if home is None or found is not function:
        return None
    if module != "__main__":
        return f"{module}:{name}"
    spec, file = getattr(home, "__spec__", None), getattr(home, "__file__", None)
    if spec is not None:
        return f"{spec.name}:{name}"
    return f"{Path(file).resolve()}:{name}" if file and file.endswith(".py") else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What an evaluator said of one point: its accuracy, or the `reason` why there is none."""

    accuracy: float | None = None
    reason: str | None = None


def judge(function: Function, point: Any, *, epochs: int, seed: int, load: str | None, save: str | None) -> Judgement:
    """Call an evaluator for one point, and check what it says; whatever goes wrong is a reason, never an error.

    `epochs` above 0 is handed on as such; `seed`, `load` and `save` (paths to go on from, and to leave something at)
    where the function has parameters of these names. The folder of `save` is there then.
    """
    try:
        options = _options(function, epochs=epochs, seed=seed, load=load, save=save)
        if options.get("save"):
            Path(options["save"]).parent.mkdir(parents=True, exist_ok=True)
        return _checked(function([point], **options))
    # SystemExit as well: the training scripts of others end with it.
    except (Exception, SystemExit) as error:  # noqa: BLE001
        return Judgement(reason=_reason(error))


def _options(function: Function, *, epochs: int, seed: int, load: str | None, save: str | None) -> dict[str, Any]:
    options: dict[str, Any] = {"epochs": epochs} if epochs else {}
    try:
        known = inspect.signature(function).parameters
    except (TypeError, ValueError):  # built in
        return options
    offered = {"seed": seed, "load": load, "save": save}
    return options | {name: value for name, value in offered.items() if name in known}


def _checked(found: Any) -> Judgement:
    if isinstance(found, str | bytes | Mapping):
        return Judgement(reason=f"the evaluator must return a list of numbers, but returned a {type(found).__name__}")
    try:
        values: Sequence[Any] = list(found)
    except TypeError:
        return Judgement(reason=f"the evaluator must return a list of numbers, but returned a {type(found).__name__}")
    if len(values) != 1:
        return Judgement(reason=f"the evaluator must return as many numbers as points, 1, but returned {len(values)}")
    try:
        if isinstance(values[0], str | bytes | bool):
            raise TypeError
        accuracy = float(values[0])
    except (TypeError, ValueError):
        return Judgement(reason=f"an accuracy must be a number, but the evaluator returned {_short(repr(values[0]))}")
    if not math.isfinite(accuracy):
        return Judgement(reason=f"an accuracy must be finite, but the evaluator returned {accuracy}")
    if not 0.0 <= accuracy <= 1.0:
        return Judgement(reason=f"an accuracy must be a fraction in [0, 1], but the evaluator returned {accuracy:g}")
    return Judgement(accuracy=accuracy)


def _reason(error: BaseException) -> str:
    """An exception on one line, with the place where it was raised."""
    text = " ".join(str(error).split())
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if len(frames) > 1 else ""
    return f"{type(error).__name__}: {_short(text)}{place}" if text else f"{type(error).__name__}{place}"


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_REASON else text[:_LONGEST_REASON] + "…"
