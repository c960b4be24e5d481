"""What a search is for: rewards, further devices, networks to begin from, own networks; beside enumerations."""

from __future__ import annotations

import itertools
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import nas
from nas.errors import InputError, TargetError
from nas.evaluate import Limits, Models, SpaceProblem, further
from nas.jobs.beginnings import Beginnings
from nas.jobs.search import free_search as search
from nas.jobs.search_answer import SearchAnswer
from nas.report.search_text import search_text
from nas.space import known_network
from nas.space.encode import encode
from nas.strategies import Evaluation, Evolution
from tests.evaluate.hand import HandAccuracy
from tests.jobs.small import small_space

FREE = Limits(max_novelty=None, max_interval=None)
TARGET_MS = 0.65
PIXEL_MS = 8.0


def run(target_ms: float = TARGET_MS, **options: Any) -> SearchAnswer:
    arguments: dict[str, Any] = {"limits": FREE, "starts": 0, "alike": 0.0, **options}
    latency = nas.load_latency("iphone12")
    return search(small_space(), latency=latency, accuracy=HandAccuracy(), target_ms=target_ms, **arguments)


@cache
def everything() -> tuple[Evaluation, np.ndarray]:
    """All points of the space: what they are worth, and their latencies on pixel3-cpu."""
    space, latency = small_space(), nas.load_latency("iphone12")
    codes = np.array(list(itertools.product(*(range(n) for n in space.cardinalities))))
    codes = np.unique(space.canonical(codes), axis=0)
    also = further([(nas.load_latency("pixel3-cpu"), 1e9)], latency)
    known = Beginnings.of(space).yardstick
    problem = SpaceProblem(space, Models(latency, HandAccuracy(), FREE, known=known, also=also), exact=True)
    return problem.evaluate(codes), problem.also_ms(codes)[:, 0]


@pytest.mark.parametrize("evolved", [False, True])
@pytest.mark.parametrize(("form", "w"), [("soft", -0.01), ("soft", -0.15), ("absolute", -0.01), ("absolute", -0.5)])
def test_the_answer_is_the_network_with_the_best_reward_of_its_lower_bound(form: str, w: float, evolved: bool) -> None:
    every, _ = everything()
    ratio = every.bounded_ms / TARGET_MS
    worth = every.score * ratio**w if form == "soft" else every.score + w * np.abs(ratio - 1.0)
    best = int(np.argmax(np.where(ratio <= 1.3, worth, -np.inf)))
    strategy = Evolution(evaluations=20_000, population=64, offspring=512) if evolved else None
    answer = run(reward=form, w=w, strategy=strategy)
    assert answer.best.latency.mean_ms == pytest.approx(every.bounded_ms[best], rel=1e-9)
    assert answer.best.reward == pytest.approx(worth[best], rel=1e-9)
    assert answer.before_shrinking == pytest.approx(every.score[best], rel=1e-9)
    # The weaker the reward, the slower the answer: here on both sides of the target.
    assert (answer.best.latency.mean_ms > TARGET_MS) == (w == -0.01)


def test_how_far_an_answer_lies_above_the_target_is_told() -> None:
    answer = run(reward="soft", w=-0.001)
    over_ms = answer.best.latency.mean_ms - TARGET_MS
    assert 0.0 < over_ms <= 0.3 * TARGET_MS
    assert answer.as_json()["above_target_ms"] == pytest.approx(over_ms, rel=1e-12)
    share = f"{100 * over_ms / TARGET_MS:.1f} % above the target"
    assert any(note.startswith(f"The answer lies {share}") for note in answer.notes)
    latency = next(line for line in search_text(answer, None).splitlines() if line.startswith("  latency"))
    assert latency.endswith(share)
    hard = run()
    assert hard.reward.form == "hard"
    assert hard.as_json()["above_target_ms"] == 0.0
    assert hard.best.latency.mean_ms <= TARGET_MS
    assert "above the target" not in search_text(hard, None)


def test_shrinking_takes_part_by_the_same_reward() -> None:
    """NetAdapt's networks are worth what the reward says: the answer is the better of both parts by it."""
    alone, both = (run(reward="soft", w=-0.15, starts=count) for count in (0, 2))
    assert both.after_shrinking is not None
    assert both.best.reward > alone.best.reward
    assert both.best.reward == pytest.approx(
        both.best.accuracy.low * (both.best.latency.mean_ms / TARGET_MS) ** -0.15, rel=1e-12
    )


def test_beyond_what_the_reward_pays_for_there_is_no_answer() -> None:
    every, _ = everything()
    fastest_ms = every.bounded_ms.min()
    answer = run(target_ms=fastest_ms / 1.29, reward="soft", w=-0.5)
    assert answer.best.latency.mean_ms == pytest.approx(fastest_ms, rel=1e-2)
    for form, share in (("soft", 1.31), ("absolute", 1.31), ("hard", 1.01)):
        with pytest.raises(TargetError, match=rf"takes {fastest_ms:.3g} ms"):
            run(target_ms=fastest_ms / share, reward=form)


def test_a_confidence_goes_with_the_hard_reward_alone() -> None:
    for form in ("soft", "absolute"):
        with pytest.raises(InputError, match=f"confidence=0.9 with the {form} reward"):
            run(reward=form, limits=Limits(confidence=0.9))


def test_the_answer_meets_the_target_of_every_device() -> None:
    every, pixel_ms = everything()
    meets = (every.bounded_ms <= TARGET_MS) & (pixel_ms <= PIXEL_MS)
    free, bound = run(), run(also={nas.load_latency("pixel3-cpu"): PIXEL_MS}, starts=2)
    assert nas.load_latency("pixel3-cpu").estimate(free.best.architecture).mean_ms > PIXEL_MS
    assert bound.before_shrinking == pytest.approx(every.score[meets].max(), abs=1e-12)
    assert bound.best.latency.mean_ms <= TARGET_MS
    assert bound.best.also["pixel3-cpu"].mean_ms <= PIXEL_MS
    assert bound.best.accuracy.low >= every.score[meets].max() - 1e-12
    document = bound.as_json()
    assert document["also"] == [{"device": "pixel3-cpu", "target_ms": PIXEL_MS}]
    for network in (bound.best, *bound.front[:3], *bound.baselines[:3]):
        expected = nas.load_latency("pixel3-cpu").estimate(network.architecture)
        assert network.as_json()["also"] == {"pixel3-cpu": expected.as_json()}
    assert all(network.also["pixel3-cpu"].mean_ms <= PIXEL_MS for network in bound.front)
    assert "pixel3-cpu ms" in search_text(bound, None)
    assert free.as_json()["also"] == []
    assert free.best.as_json()["also"] == {}


def test_a_device_whose_target_nothing_meets_is_named_with_its_fastest_network() -> None:
    _, pixel_ms = everything()
    pixel = nas.load_latency("pixel3-cpu")
    with pytest.raises(TargetError, match=rf"at most 1 ms on pixel3-cpu, but the fastest .* {pixel_ms.min():.3g} ms"):
        run(also=[(pixel, 1.0)])
    # Each target can be met by itself, but not both by one network: all are named.
    every, _ = everything()
    first_ms, other_ms = 1.001 * every.bounded_ms.min(), 1.001 * pixel_ms.min()
    if not ((every.bounded_ms <= first_ms) & (pixel_ms <= other_ms)).any():
        with pytest.raises(TargetError, match=rf"on iphone12 and {other_ms:g} ms on pixel3-cpu"):
            run(target_ms=first_ms, also=[(pixel, other_ms)])


def poor_run(target_ms: float, **options: Any) -> SearchAnswer:
    """A search of a space whose only networks are far from accurate."""
    stages = [{"stride": 2, "depth": [1], "width": [8, 16], "kinds": ["mbconv"]}] * 4
    arguments: dict[str, Any] = {"limits": FREE, "starts": 1, "target_ms": target_ms, **options}
    poor = small_space(resolution=[192], stages=stages)
    return search(poor, latency=nas.load_latency("iphone12"), accuracy=HandAccuracy(), **arguments)


def test_a_search_begins_from_the_networks_that_are_named() -> None:
    """MobileNetV2 is no point of the space, and too slow: shrunk it is the answer, and it is in the table."""
    start = known_network("mobilenetv2-1.0")
    target_ms = 0.97 * nas.load_latency("iphone12").estimate(start).mean_ms
    answer = poor_run(target_ms, start_from=[start, "mobilenetv3-small-1.0"])
    assert answer.best.latency.mean_ms <= target_ms
    assert [layer.block for layer in answer.best.architecture.layers] == [layer.block for layer in start.layers]
    assert answer.best.architecture.params < start.params
    assert answer.after_shrinking is not None
    assert answer.best.accuracy.low == pytest.approx(answer.after_shrinking - (answer.cost or 0.0), abs=1e-12)
    assert [network.name for network in answer.starts] == ["mobilenetv2-1.0", "mobilenetv3-small-1.0"]
    assert answer.as_json()["starts"][0]["digest"] == start.digest
    text = search_text(answer, None)
    assert "+ the search began from it" in text
    marks = {words[1]: words[0] for line in text.splitlines() if len(words := line.split()) > 1}
    assert "+" in marks["mobilenetv2-1.0"] and "+" in marks["mobilenetv3-small-1.0"]


def test_a_start_that_meets_the_target_is_the_answer_where_nothing_is_better() -> None:
    start = known_network("mobilenetv2-1.0")
    target_ms = 1.01 * nas.load_latency("iphone12").estimate(start).mean_ms
    answer = poor_run(target_ms, starts=0, start_from=[start.named("mine")])
    assert answer.best.architecture.digest == start.digest
    assert any("the search found none better in small" in note for note in answer.notes)
    alone = poor_run(target_ms, starts=0)
    assert alone.best.accuracy.low < answer.best.accuracy.low
    assert alone.starts == () and "+ the search" not in search_text(alone, None)


def test_points_of_the_space_that_are_named_are_where_a_strategy_begins() -> None:
    space = small_space()
    best = run().best.architecture
    few = Evolution(evaluations=1, offspring=1, population=1, rounds=1, caps=())
    answer = run(strategy=few, start_from=[best])
    assert answer.best.architecture.digest == best.digest
    initial = Beginnings.of(space, [best]).initial(space)
    assert initial is not None
    assert encode(space, best).tolist() in initial.tolist()


def _own_family(top1: str) -> dict[str, Any]:
    """A known network of the user's own."""
    return {
        "schema": 1,
        "family": "own",
        "paper": "none",
        "resolution": 320,
        "variants": {
            "wide": {
                **({"published": {"top1": float(top1), "source": "us"}} if top1 else {}),
                "layers": [
                    {"block": "conv", "out": 16, "stride": 2, "act": "hswish"},
                    {"block": "mobileone", "out": 48, "stride": 2},
                    {"block": "mobileone", "out": 64, "stride": 2},
                    {"block": "mobileone", "out": 128, "stride": 2},
                    {"block": "mobileone", "out": 256, "stride": 2},
                    {"block": "head"},
                ],
            }
        },
    }


@pytest.mark.parametrize("top1", ["", "75.0"])
def test_own_seeds_pay_for_their_novelty_unless_their_accuracy_was_published(
    top1: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By `HandAccuracy` the novelty of 320 px is 0.43, which beyond a limit of 0.1 costs 3.3 points of the score; what
    the larger input adds to the bound is less."""
    monkeypatch.setenv("NAS_WORKSPACE", str(tmp_path))
    seeds = tmp_path / "search_spaces" / "seeds"
    seeds.mkdir(parents=True)
    (seeds / "own.yaml").write_text(yaml.safe_dump(_own_family(top1)))
    stages = [
        {"stride": 2, "depth": [1], "width": [width], "kinds": ["mobileone"], "kernel": [3], "expansion": [1]}
        for width in (48, 64, 128, 256)
    ]
    space = small_space(resolution=[224, 320], stages=stages)
    answer = search(
        space, latency=nas.load_latency("iphone12"), accuracy=HandAccuracy(), target_ms=5.0, starts=0, alike=0.0,
        limits=Limits(max_novelty=0.1, max_interval=None),
    )  # fmt: skip
    own = next(network for network in answer.baselines if network.name == "own-wide")
    # The same layers at 224 px, where nothing is novel, are the only other point of the space.
    small = own.architecture.at_resolution(224)
    assert 0.0 < own.accuracy.low - HandAccuracy().estimate([small])[0].low < 0.03
    assert own.novelty == pytest.approx(320 / 224 - 1)
    assert answer.best.architecture.digest == (own.architecture.digest if top1 else small.digest)
    assert any("own-wide" in note and "none better" in note for note in answer.notes) == bool(top1)
