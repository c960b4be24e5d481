"""Search strategies over codes and states: NumPy and callables, nothing of networks."""

from nas.strategies.evolution import Evolution
from nas.strategies.exact import Exhaustive, RandomSearch
from nas.strategies.front import pareto_front
from nas.strategies.goal import Goal
from nas.strategies.named import STRATEGIES, strategy_named
from nas.strategies.netadapt import ChannelMoves, Move, NetAdapt, NetAdaptResult, Shrunk, shrink_choices
from nas.strategies.problem import Evaluation, Problem, Standing
from nas.strategies.reward import Reward
from nas.strategies.sweep import Sweep
from nas.strategies.task import Candidate, OnProgress, Progress, SearchResult, SearchTask, Strategy

__all__ = [
    "Candidate",
    "ChannelMoves",
    "Evaluation",
    "Evolution",
    "Exhaustive",
    "Goal",
    "Move",
    "NetAdapt",
    "NetAdaptResult",
    "OnProgress",
    "Problem",
    "Progress",
    "RandomSearch",
    "Reward",
    "STRATEGIES",
    "SearchResult",
    "SearchTask",
    "Shrunk",
    "Standing",
    "Strategy",
    "Sweep",
    "pareto_front",
    "shrink_choices",
    "strategy_named",
]
