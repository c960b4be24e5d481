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


def _surrogate(question: Question) -> Asker:
    """With the published prior, where a domain was compiled for it."""
    from nas.trials.surrogate import Surrogate
    from nas.trials.surrogate.networks import model_of

    return Surrogate(question, model=model_of(question))


ASKERS: dict[str, Callable[[Question], Asker]] = {
    "surrogate": _surrogate,
    **{asker.name: asker for asker in (Aging, Gp, Local, Nsga2, Reinforce, Tpe, Uniform)},
}


def asker_named(name: str, question: Question) -> Asker:
    """The asker called `name`. Raises `InputError` with the nearest names for another one."""
    if name not in ASKERS:
        raise unknown_name("asker", name, ASKERS)
    return ASKERS[name](question)
