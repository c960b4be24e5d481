from __future__ import annotations

import numpy as np

from nas.space import load_architecture
from nas.trials.listed import Listed, ListedDomain
from nas.trials.records import Trial

NETWORKS = [load_architecture(name) for name in ("mobilenetv1-0.25", "mobilenetv2-1.0", "repvgg-a0")]
DOMAIN = ListedDomain(NETWORKS, [1.0, 2.0, 4.0])


def trial(number: int, place: int, repeat: int = 0) -> Trial:
    return Trial(
        number=number, codes=(place,), digest=str(place), state="done", repeat=repeat, curve=((1, 0.5),), latency_ms=1.0
    )  # fmt: skip


def test_a_code_is_a_place_in_the_list() -> None:
    assert DOMAIN.cardinalities.tolist() == [3]
    assert DOMAIN.point((1,)) is NETWORKS[1] and DOMAIN.digest((1,)) == NETWORKS[1].digest
    codes = np.array([[2], [0]])
    assert DOMAIN.latency_ms(codes).tolist() == [4.0, 1.0]
    assert DOMAIN.excess(codes).tolist() == [0.0, 0.0]
    assert DOMAIN.features(codes).tolist() == [[np.log(4.0)], [0.0]]


def test_it_asks_in_order_and_once() -> None:
    asker = Listed((2, 0))
    assert [one.codes for one in asker.ask([], 5)] == [(2,), (0,)]
    assert [one.codes for one in asker.ask([trial(0, 2)], 5)] == [(0,)]
    assert asker.ask([trial(0, 2), trial(1, 0)], 5) == []


def test_those_tried_least_come_first_where_each_is_tried_again() -> None:
    asker = Listed((2, 0), times=2)
    trials = [trial(0, 2), trial(1, 1), trial(2, 0)]
    assert [one.codes for one in asker.ask(trials, 5)] == [(2,), (0,)]
    assert [one.codes for one in asker.ask([*trials, trial(3, 2, 1)], 5)] == [(0,)]
    assert asker.confirm(trials, 3) == []
