"""The strategies by the names that users give them."""

from __future__ import annotations

from collections.abc import Callable

from nas.errors import unknown_name
from nas.strategies.evolution import Evolution
from nas.strategies.exact import Exhaustive, RandomSearch
from nas.strategies.task import Strategy

STRATEGIES: dict[str, Callable[[], Strategy]] = {
    "evolution": Evolution,
    "exhaustive": Exhaustive,
    "random": RandomSearch,
}


def strategy_named(name: str) -> Strategy:
    """The strategy called `name`, with its own settings. Raises `InputError` with the nearest names for another one."""
    if name not in STRATEGIES:
        raise unknown_name("strategy", name, STRATEGIES)
    return STRATEGIES[name]()
