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

ASKERS: dict[str, Callable[[Question], Asker]] = {
    asker.name: asker for asker in (Aging, Gp, Local, Nsga2, Reinforce, Tpe, Uniform)
}


def asker_named(name: str, question: Question) -> Asker:
    """The asker called `name`. Raises `InputError` with the nearest names for another one."""
    if name not in ASKERS:
        raise unknown_name("asker", name, ASKERS)
    return ASKERS[name](question)
