"""The askers by the names that users give them."""

from __future__ import annotations

from collections.abc import Callable

from nas.errors import unknown_name
from nas.trials.asker import Asker
from nas.trials.askers.aging import Aging
from nas.trials.askers.local import Local
from nas.trials.askers.optuna_samplers import Gp, Nsga2, Tpe
from nas.trials.askers.reinforce import Reinforce
from nas.trials.askers.uniform import Uniform
from nas.trials.question import Question
from nas.trials.surrogate import Surrogate
from nas.trials.surrogate.networks import model_of


def _surrogate(question: Question) -> Surrogate:
    """The default: of the networks of a compiled space it begins with the published prior, which trials correct."""
    return Surrogate(question, model=model_of(question))


ASKERS: dict[str, Callable[[Question], Asker]] = {
    Surrogate.name: _surrogate,
    **{asker.name: asker for asker in (Aging, Gp, Local, Nsga2, Reinforce, Tpe, Uniform)},
}


def check_asker(name: str) -> str:
    """`name` itself; `InputError` with the nearest names where no asker is called so."""
    if name not in ASKERS:
        raise unknown_name("asker", name, ASKERS)
    return name


def asker_named(name: str, question: Question) -> Asker:
    """The asker called `name`. Raises `InputError` with the nearest names for another one."""
    return ASKERS[check_asker(name)](question)
