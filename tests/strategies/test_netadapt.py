"""NetAdapt on a chain that can be worked by hand."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nas.errors import InputError
from nas.strategies import ChannelMoves, Goal, Move, NetAdapt, Reward, Standing, shrink_choices
from nas.strategies.netadapt import Rule

State = tuple[int, ...]

# A chain of four widths: expansion (32), bottleneck (24), expansion (48), bottleneck (24); a residual ties the two
# bottlenecks. Latency is 10 ms plus 1 ms for each 8 channels of an expansion and 2 ms for each 8 of a bottleneck:
# 10 + 4 + 6 + 6 + 6 = 32 ms. Accuracy is 70 points less what each 8 channels removed cost.
START: State = (32, 24, 48, 24)
LAYERS = {"a.hidden": (0,), "out": (1, 3), "b.hidden": (2,)}
MS = np.array([1, 2, 1, 2]) / 8


def latency_ms(states: list[State]) -> NDArray[np.float64]:
    return np.array([10 + float(MS @ np.array(state)) for state in states])


def unlimited(bounded_ms: Sequence[float]) -> Standing:
    return Standing(bounded_ms=np.array(bounded_ms, dtype=np.float64), excess=np.zeros(len(bounded_ms)))


def standing(states: list[State]) -> Standing:
    return unlimited(latency_ms(states).tolist())


def accuracy(states: list[State]) -> NDArray[np.float64]:
    # 0.6 points for 8 channels of the first expansion, 1.2 for 8 of the tied bottleneck, 0.1, 0.2, 0.4, … for each
    # further 8 of the second expansion.
    found = []
    for a, out, b, _ in states:
        steps = (48 - b) // 8
        found.append(70 - 0.6 * (32 - a) / 8 - 1.2 * (24 - out) / 8 - 0.1 * (2**steps - 1))
    return np.array(found)


def netadapt(**options: object) -> NetAdapt[State]:
    arguments: dict[str, Any] = {"moves": ChannelMoves(layers=LAYERS), "standing": standing, "score": accuracy}
    arguments |= options
    return NetAdapt(**arguments)


def test_the_case_is_as_the_comments_say() -> None:
    assert latency_ms([START]).tolist() == [32.0]
    assert accuracy([START]).tolist() == [70.0]


def test_shrink_choices_are_multiples_of_eight_below() -> None:
    assert shrink_choices(32) == (24, 16, 8)
    assert shrink_choices(30) == (24, 16, 8)
    assert shrink_choices(8) == ()
    assert shrink_choices(32, multiple=16, minimum=16) == (16,)


def test_tied_widths_shrink_together_and_others_alone() -> None:
    moves = {(move.layer, move.state) for move in ChannelMoves(layers=LAYERS)(START)}
    assert ("out", (32, 16, 48, 16)) in moves
    assert ("a.hidden", (24, 24, 48, 24)) in moves
    assert all(state[1] == state[3] for _, state in moves)
    assert all(width % 8 == 0 for _, state in moves for width in state)
    assert len(moves) == 3 + 2 + 5


def test_tied_widths_that_differ_are_refused() -> None:
    with pytest.raises(InputError, match=r"positions tied in out must have one width, but have \[16, 24\]"):
        ChannelMoves(layers=LAYERS)((32, 24, 48, 16))


def test_greedy_rounds_as_worked_by_hand() -> None:
    """A round must win 1 % of 32 ms, 0.32 ms: the smallest shrink of each layer is enough.

    Loss per millisecond of the smallest shrinks: a.hidden 0.6 / 1; out 1.2 / 4 = 0.3; b.hidden 0.1, then 0.2, 0.4, 0.8.
    So: b to 40 (0.1), b to 32 (0.2), out to 16 (0.3; b would cost 0.4), out to 8 (0.3), b to 24 (0.4), a (0.6; b 0.8).
    """
    told: list[float] = []
    result = netadapt(beam=1, remember_all=False).shrink(START, target_ms=20.0, progress=told.append)
    # Of the 12 ms above the target.
    assert told == pytest.approx([1 / 12, 2 / 12, 6 / 12, 10 / 12, 11 / 12, 1.0])
    kept = [states[0].state for states in result.rounds]
    assert kept == [
        (32, 24, 40, 24),  # 31 ms
        (32, 24, 32, 24),  # 30 ms
        (32, 16, 32, 16),  # 26 ms
        (32, 8, 32, 8),  # 22 ms
        (32, 8, 24, 8),  # 21 ms
        (24, 8, 24, 8),  # 20 ms: the target is met
    ]
    assert result.best is not None
    assert result.best.state == (24, 8, 24, 8)
    assert result.best.bounded_ms == 20.0
    # 70 - 0.6 - 2 * 1.2 - 0.1 - 0.2 - 0.4
    assert result.best.score == pytest.approx(66.3)
    assert result.start.bounded_ms == 32.0


def test_a_round_must_win_its_budget() -> None:
    """With 10 % a round wins 3.2 ms: each expansion needs four steps at once, which the first (32) does not have."""
    result = netadapt(beam=1, remember_all=False, step=0.1).shrink(START, target_ms=28.0)
    # Candidates: out to 16 (4 ms, 0.3 per ms), b to 16 (4 ms, 1.5 points: 0.375 per ms); out meets 28 ms.
    assert [states[0].state for states in result.rounds] == [(32, 16, 48, 16)]


def test_what_the_greatest_part_decides_is_won_by_its_height() -> None:
    """Two parts of 24 and 24 decide by the greater: narrowing one alone wins nothing of it, but half of the height."""

    def greatest(states: list[State]) -> Standing:
        return unlimited([max(state) for state in states])

    def height(states: list[State], at_most: float) -> NDArray[np.float64]:
        return np.array([max(state) + sum(max(part - at_most, 0) for part in state) for state in states])

    def worth(states: list[State]) -> NDArray[np.float64]:
        return np.array([2.0 * a + b for a, b in states])

    moves = ChannelMoves(layers={"a": (0,), "b": (1,)})
    arguments: dict[str, Any] = {"moves": moves, "standing": greatest, "score": worth, "beam": 1}
    assert NetAdapt(**arguments, persist=True).shrink((24, 24), target_ms=16).best is None
    result = NetAdapt(**arguments, height=height).shrink((24, 24), target_ms=16)
    # Either wins 8: b costs 8 for it, a 16; then a alone is left.
    assert [[shrunk.state for shrunk in kept] for kept in result.rounds] == [[(24, 16)]]
    assert result.best is not None
    assert (result.best.state, result.best.bounded_ms) == ((16, 16), 16)
    assert [one.layer for one in result.best.path()] == ["", "b", "a"]


@pytest.mark.parametrize("step", [0.01, 0.1])
def test_every_child_that_meets_the_target_is_remembered(step: float) -> None:
    """From 32 ms to 31: one step of any expansion (31 ms), or of the bottleneck (28 ms), meets it.

    Also where a round's budget is 3.2 ms: what meets the target need not win it.
    """
    result = netadapt(beam=5, step=step).shrink(START, target_ms=31.0)
    assert {shrunk.state for shrunk in result.met} == {(24, 24, 48, 24), (32, 16, 48, 16), (32, 24, 40, 24)}
    assert [shrunk.score for shrunk in result.met] == sorted((69.4, 68.8, 69.9), reverse=True)
    assert result.best is not None
    assert result.best.state == (32, 24, 40, 24)


def test_a_beam_never_ends_below_the_greedy_rule() -> None:
    for target in (30.0, 27.0, 24.0, 21.0, 18.0):
        greedy = netadapt(beam=1, remember_all=False).shrink(START, target_ms=target).best
        beam = netadapt(beam=5).shrink(START, target_ms=target).best
        assert greedy is not None
        assert beam is not None
        assert beam.score >= greedy.score


def test_the_greedy_rule_overshoots_where_the_beam_does_not() -> None:
    """From 32 ms to 24.

    Greedy as above: 31, 30, 26 ms, then out to 8: 22 ms, 2 ms lower than asked; 70 - 2 * 1.2 - 0.1 - 0.2 = 67.3. The
    optimum wins 8 ms by two steps of out alone, 70 - 2.4 = 67.6: one step and four of the expansions would lose
    1.2 + 0.1 + 0.2 + 0.4 + 0.6 = 2.5, eight of the expansions more. The first of these steps is no more than the second
    best of the first round: only a beam keeps it.
    """
    greedy = netadapt(beam=1, remember_all=False).shrink(START, target_ms=24.0)
    assert [shrunk.state for shrunk in greedy.met] == [(32, 8, 32, 8)]
    assert greedy.met[0].score == pytest.approx(67.3)
    beam = netadapt(beam=5).shrink(START, target_ms=24.0)
    assert [shrunk.state for shrunk in beam.rounds[0]] == [(32, 24, 40, 24), (32, 16, 48, 16), (24, 24, 48, 24)]
    assert beam.best is not None
    assert beam.best.state == (32, 8, 48, 8)
    assert beam.best.bounded_ms == 24.0
    assert beam.best.score == pytest.approx(67.6)


def test_remembering_goes_on_where_the_greedy_rule_ends() -> None:
    """The same with a beam of 1: at 26 ms, (32, 16, 32, 16), out to 8 meets the target and is remembered.

    Of the others b to 24 (0.4 per ms, 25 ms) is better than a to 24 (0.6), and goes on. All its children meet the
    target: a to 24 (24 ms, 70 - 0.6 - 1.2 - 0.7 = 67.5), out to 8 (21 ms, 66.9), b to 16 (24 ms, 67.3).
    """
    result = netadapt(beam=1).shrink(START, target_ms=24.0)
    assert [shrunk.state for (shrunk,) in result.rounds] == [
        (32, 24, 40, 24),
        (32, 24, 32, 24),
        (32, 16, 32, 16),
        (32, 16, 24, 16),
    ]
    assert {shrunk.state for shrunk in result.met} == {
        (32, 8, 32, 8),
        (24, 16, 24, 16),
        (32, 8, 24, 8),
        (32, 16, 16, 16),
    }
    assert result.best is not None
    assert result.best.state == (24, 16, 24, 16)
    assert result.best.score == pytest.approx(67.5)


def test_a_layer_offers_its_smallest_shrink_or_every_one() -> None:
    """x loses 2 points in both of its moves: 2 per ms by the first, 0.5 by the second; y loses 1 per ms."""
    figures = {"top": (10.0, 10.0), "x1": (9.0, 8.0), "x2": (6.0, 8.0), "y": (9.0, 9.0)}

    def moves(state: str) -> list[Move[str]]:
        return [Move(layer=name[0], state=name) for name in ("x1", "x2", "y")] if state == "top" else []

    def kept(rule: Rule) -> list[str]:
        chain = NetAdapt(
            moves=moves,
            standing=lambda states: unlimited([figures[state][0] for state in states]),
            score=lambda states: np.array([figures[state][1] for state in states]),
            rule=rule,
        )
        return [shrunk.state for shrunk in chain.shrink("top", target_ms=5.0).rounds[0]]

    assert kept("smallest") == ["y", "x1"]
    assert kept("every") == ["x2", "y", "x1"]


def test_a_state_that_two_ways_lead_to_counts_once_with_its_best_score() -> None:
    """Round 1 keeps a, -4 / 5 = -0.8 per ms, and b, -1 / 1. Both lead to c and d, a alone to e and f.

    c: -0.5 / 1 from a, -3.5 / 5 = -0.7 from b. d: -0.4 / 0.5 = -0.8 from a, -3.4 / 4.5 = -0.76 from b. e: -0.6.
    f: -0.78.
    """
    figures = {"top": (10, 10), "a": (5, 6), "b": (9, 9), "c": (4, 5.5), "d": (4.5, 5.6), "e": (4, 5.4), "f": (4, 5.22)}
    ways = {"top": "ab", "a": "cdef", "b": "cd"}
    diamond = NetAdapt(
        moves=lambda state: [Move(layer=name, state=name) for name in ways.get(state, "")],
        standing=lambda states: unlimited([figures[state][0] for state in states]),
        score=lambda states: np.array([figures[state][1] for state in states]),
    )
    rounds = diamond.shrink("top", target_ms=1.0).rounds
    assert [[shrunk.state for shrunk in kept] for kept in rounds] == [["a", "b"], ["c", "e", "d", "f"]]


@pytest.mark.parametrize("rule", ["smallest", "every"])
def test_the_same_run_again_asks_about_each_state_once(rule: Rule) -> None:
    timed: list[State] = []
    scored: list[State] = []

    def recorded_standing(states: list[State]) -> Standing:
        timed.extend(states)
        return standing(states)

    def recorded_accuracy(states: list[State]) -> NDArray[np.float64]:
        scored.extend(states)
        return accuracy(states)

    recording = netadapt(standing=recorded_standing, score=recorded_accuracy, rule=rule)
    first = recording.shrink(START, target_ms=20.0)
    assert len(set(timed)) == len(timed)
    assert len(set(scored)) == len(scored)
    # All moves are enough here: with "smallest" the larger ones of a layer are timed at most.
    assert set(scored) < set(timed) if rule == "smallest" else set(scored) == set(timed)
    assert all(len({shrunk.state for shrunk in kept}) == len(kept) for kept in first.rounds)
    assert recording.shrink(START, target_ms=20.0) == first


def test_a_start_that_meets_the_target_is_its_own_answer() -> None:
    result = netadapt().shrink(START, target_ms=32.0)
    assert result.best is not None
    assert result.best.state == START
    assert result.rounds == ()


def test_no_way_under_the_target() -> None:
    # All widths at 8 cost 10 + 1 + 2 + 1 + 2 = 16 ms.
    result = netadapt().shrink(START, target_ms=15.9)
    assert result.best is None
    assert result.met == ()
    assert result.rounds


def test_what_breaks_a_limit_goes_on_and_is_not_remembered() -> None:
    """From 32 ms to 28, at most 110 channels (128 at the start, the tied 24 counted twice).

    out to 16 meets 28 ms at once, with 112 channels: too many. From there a step of either expansion keeps the limit:
    b to 40 loses 0.1 points, a to 24 loses 0.6. Other ways to 28 ms keep it as well: the best one is b to 40 (31 ms,
    120 channels) and then out to 16, the same network.
    """

    def limited(states: list[State]) -> Standing:
        channels = np.array([sum(state) for state in states], dtype=np.float64)
        return Standing(bounded_ms=latency_ms(states), excess=np.maximum(channels / 110.0 - 1.0, 0.0))

    assert limited([START]).excess[0] == pytest.approx(18 / 110)
    result = netadapt(standing=limited).shrink(START, target_ms=28.0)
    states = [shrunk.state for shrunk in result.met]
    assert (32, 16, 48, 16) not in states
    assert all(sum(state) <= 110 for state in states)
    assert result.best is not None
    assert result.best.state == (32, 16, 40, 16)
    assert result.best.score == pytest.approx(70 - 1.2 - 0.1)
    assert result.best.feasible
    # A start that is fast enough, but too large, is no answer.
    small = netadapt(standing=limited).shrink(START, target_ms=40.0)
    assert small.best is not None
    assert small.best.state != START
    assert sum(small.best.state) <= 110


def test_of_equal_scores_the_first_offered_wins() -> None:
    def two(state: str) -> list[Move[str]]:
        return [Move(layer="x", state="left"), Move(layer="y", state="right")] if state == "top" else []

    tie = NetAdapt(
        moves=two,
        standing=lambda states: unlimited([2.0 if state == "top" else 1.0 for state in states]),
        score=lambda states: np.array([1.0 if state == "top" else 0.5 for state in states]),
        beam=1,
        remember_all=False,
    )
    best = tie.shrink("top", target_ms=1.0).best
    assert best is not None
    assert best.state == "left"


@pytest.mark.parametrize(
    ("options", "words"),
    [({"beam": 0}, "beam"), ({"step": 0.0}, "step"), ({"step": 1.0}, "step"), ({"rule": "all"}, "rule")],
)
def test_bad_settings_are_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        netadapt(**options)


@pytest.mark.parametrize(("w", "latency"), [(-0.02, 32.0), (-0.07, 31.0), (-0.15, 22.0)])
def test_with_a_reward_that_pays_for_latency_what_lies_on_the_way_may_be_the_answer(w: float, latency: float) -> None:
    """The greedy way of above to 24 ms, for a target of 25 ms: 70 points at 32 ms, 69.9 at 31, 69.7 at 30, 68.5 at 26,
    67.3 at 22. All of it lies within 1.3 times the target, the start among it.

    By (LAT / 25)^w these are worth 69.66, 69.60, 69.45, 68.45, 67.47 (w = -0.02); 68.80, 68.86, 68.82, 68.31, 67.91
    (-0.07); 67.46, 67.68, 67.82, 68.10, 68.60 (-0.15).
    """
    goal = Goal(target_ms=25.0, reward=Reward.parse("soft", w))
    result = netadapt(beam=1, remember_all=False).shrink(START, target_ms=24.0, goal=goal)
    assert sorted(shrunk.bounded_ms for shrunk in result.met) == [22.0, 26.0, 30.0, 31.0, 32.0]
    assert result.best is not None
    assert result.best.bounded_ms == latency


def test_an_answer_on_the_way_may_be_no_slower_than_the_reward_pays_for() -> None:
    goal = Goal(target_ms=23.5, reward=Reward.parse("soft"))  # 1.3 times it: 30.55 ms
    result = netadapt(beam=1, remember_all=False).shrink(START, target_ms=23.5, goal=goal)
    assert sorted(shrunk.bounded_ms for shrunk in result.met) == [22.0, 26.0, 30.0]


def test_a_path_tells_the_layers_in_turn() -> None:
    """With steps of 2 ms and the plain rule: from 32 ms to 28 ms by two shrinks of b, or more."""
    result = netadapt(beam=1, remember_all=False, step=2 / 32).shrink(START, target_ms=28.0)
    assert result.best is not None
    path = result.best.path()
    assert path[0].state == START and path[0].layer == "" and path[-1] == result.best
    for before, after in itertools.pairwise(path):
        changed = {i for i in range(4) if before.state[i] != after.state[i]}
        assert changed == set(LAYERS[after.layer])
    assert result.least.bounded_ms == min(one.bounded_ms for one in path)


def test_persisting_takes_smaller_steps_where_no_layer_has_a_large_one_left() -> None:
    """Steps of half the latency, 16 ms: no width of the chain is worth as much. Halved twice, 4 ms, some are."""
    assert netadapt(step=0.5).shrink(START, target_ms=20.0).best is None
    found = netadapt(step=0.5, persist=True).shrink(START, target_ms=20.0)
    assert found.best is not None and found.best.bounded_ms <= 20.0
    # All widths at 8: 10 + 1 + 2 + 1 + 2 = 16 ms; less there is not.
    nothing = netadapt(step=0.5, persist=True).shrink(START, target_ms=15.0)
    assert nothing.best is None
    assert nothing.least.bounded_ms == 16.0
