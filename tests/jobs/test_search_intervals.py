"""An answer's latency is known about as well as that of known networks, by plain enumeration of a small space."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

import nas
from nas.evaluate import ChannelAdaptation, Limits, Models, SpaceProblem
from nas.jobs.search import free_search as search
from nas.jobs.search_answer import SearchAnswer
from nas.space import known_networks
from nas.space.search_space import SearchSpace
from nas.strategies import Evolution
from tests.jobs.small import small_document, small_space

TARGET_MS = 17.0


def doubtful_space(acts: tuple[str, ...] = ("relu", "gelu")) -> SearchSpace:
    """On pixel3-cpu no data speak of GELU, little of 5x5."""
    own = {"act": list(acts), "kernel": [3, 5], "kinds": ["mbconv"], "expansion": [3]}
    stages = [
        {**stage, **own, "width": stage["width"][-1:], "depth": stage["depth"][-1:]}
        for stage in small_document()["stages"]
    ]
    return small_space(stages=stages)


@pytest.fixture(scope="module")
def models() -> Models:
    limits = Limits(max_novelty=None, max_interval=None)
    return Models(nas.load_latency("pixel3-cpu"), nas.load_accuracy("imagenet"), limits, known=known_networks())


def run(models: Models, max_interval: float | None, space: SearchSpace, **options: object) -> SearchAnswer:
    limits = Limits(max_novelty=None, max_interval=max_interval)
    arguments: dict[str, Any] = {"target_ms": TARGET_MS, "starts": 0, "alike": 0.0, **options}
    return search(space, latency=models.latency, accuracy=models.accuracy, limits=limits, **arguments)


def width(answer: SearchAnswer) -> float:
    return math.log(answer.best.latency.high_ms / answer.best.latency.low_ms)


def usual(answer: SearchAnswer, at_ms: float) -> float:
    """The median of the five baselines nearest in latency."""
    records = sorted((n.latency for n in answer.baselines), key=lambda latency: abs(latency.mean_ms - at_ms))
    return float(np.median([math.log(record.high_ms / record.low_ms) for record in records[:5]]))


@pytest.mark.parametrize("ratio", [1.0, 1.3])
def test_the_answer_is_the_best_of_those_whose_interval_is_narrow_enough(models: Models, ratio: float) -> None:
    space = doubtful_space()
    free, answer = run(models, None, space), run(models, ratio, space)
    codes = np.array(list(itertools.product(*(range(n) for n in space.cardinalities))))
    found = SpaceProblem(space, models, exact=True).figures(np.unique(space.canonical(codes), axis=0))
    low_ms, high_ms = found.interval_ms
    limit = ratio * np.array([usual(free, at_ms) for at_ms in found.latency_ms])
    narrow = (np.log(high_ms / low_ms) <= limit) & (found.latency_ms <= TARGET_MS)
    assert 0 < narrow.sum() < (found.latency_ms <= TARGET_MS).sum()
    assert answer.best.accuracy.low == pytest.approx(found.score[narrow].max(), abs=1e-9)
    assert width(answer) <= ratio * usual(answer, answer.best.latency.mean_ms) * 1.0001
    # What it costs: without the limit a network of which less is known ranks higher.
    assert width(free) > 1.3 * usual(free, free.best.latency.mean_ms)
    assert free.best.accuracy.low > answer.best.accuracy.low
    evolved = run(models, ratio, space, strategy=Evolution(evaluations=20_000, population=64, offspring=512))
    assert evolved.best.accuracy.low == pytest.approx(answer.best.accuracy.low, abs=1e-9)


def test_shrunk_networks_keep_the_limit(models: Models) -> None:
    """Shrunk from the network of the space whose interval is least above what is usual: narrow ones come into reach."""
    space = doubtful_space()
    networks = space.sample(200, np.random.default_rng(0))
    ratio = models.figures(networks).interval_ratio
    start = networks[int(np.where(ratio > 1.0, ratio, np.inf).argmin())]
    target_ms = 0.9 * float(models.figures([start]).latency_ms[0])
    strict = models.with_limits(Limits(max_novelty=None, max_interval=1.0))
    met = {}
    for name, judges in (("free", models), ("strict", strict)):
        adaptation = ChannelAdaptation(judges)
        states = adaptation.shrink(start, target_ms=target_ms).met
        met[name] = models.figures([adaptation.network(shrunk.state, start) for shrunk in states]).interval_ratio
    assert met["free"].max() > 1.0001
    assert 0.0 < met["strict"].max() <= 1.0001


def test_known_networks_are_compared_with_however_wide_their_interval(models: Models) -> None:
    free, answer = run(models, None, doubtful_space()), run(models, 1.0, doubtful_space())
    assert free.gain is not None
    assert answer.gain is not None
    assert answer.gain.over == free.gain.over


@pytest.mark.parametrize("strategy", [None, Evolution(evaluations=5000, population=64, offspring=512)])
def test_where_nothing_keeps_the_limit_the_answer_says_so(models: Models, strategy: Evolution | None) -> None:
    space = doubtful_space(("gelu",))
    answer, free = (run(models, ratio, space, strategy=strategy, target_ms=24.0) for ratio in (1.0, None))
    times = width(answer) / usual(answer, answer.best.latency.mean_ms)
    assert times > 1.0
    assert answer.best.architecture == free.best.architecture
    assert [note for note in answer.notes if "--max-interval 1 " in note and f"{times:.1f} times" in note]
    assert not [note for note in free.notes if "--max-interval" in note]
    assert answer.as_json()["max_interval"] == 1.0
