"""What the text of a search says first: what a user gains."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nas.accuracy import AccuracyEstimate
from nas.evaluate import Limits
from nas.jobs.gain import Gain
from nas.jobs.network import Network, Published
from nas.jobs.search_answer import SearchAnswer
from nas.latency import Estimate
from nas.report.page import Page
from nas.report.search_text import gain_text, search_text
from nas.space import known_network
from nas.strategies import Reward


def _network(name: str, ms: float, mean: float, *, params: int = 5_000_000, macs: int = 10**9) -> Network:
    return Network(
        name=name,
        architecture=known_network(name),
        params=params,
        macs=macs,
        latency=Estimate(mean_ms=ms, low_ms=0.9 * ms, high_ms=1.1 * ms, source="modelled", shares={"modelled": 1.0}),
        accuracy=AccuracyEstimate(
            mean=mean, low=mean - 0.01, high=mean + 0.01, recipe="by hand", source="predicted", data="imagenet"
        ),
        reward=mean,
        novelty=0.5,
    )


KNOWN = replace(
    _network("mobilenetv2-1.0", 0.9, 0.75, params=3_500_000, macs=3 * 10**8),
    published=Published(top1=0.718, latency_ms=None, source="a paper"),
)
BEST = _network("repvit-m1.0", 1.0, 0.76)


def _answer(gain: Gain | None, best: Network = BEST, notes: tuple[str, ...] = ()) -> SearchAnswer:
    return SearchAnswer(
        space="mobile", space_size=10, device="iphone12", target_ms=1.0, reward=Reward(), seed=0, limits=Limits(),
        evaluated=10, exact=True, best=best, before_shrinking=0.7, after_shrinking=None, front=(best,),
        baselines=(KNOWN, _network("mobilenetv1-0.25", 0.3, 0.5)), gain=gain, notes=notes,
    )  # fmt: skip


def _gain(mean: float, low: float, high: float, ms: float = 0.1) -> Gain:
    return Gain(over=KNOWN.name, mean=mean, low=low, high=high, ms=ms, told_apart=not low <= 0.0 <= high)


def test_a_gain_that_is_one_is_said_with_its_interval_and_price() -> None:
    text = gain_text(_answer(_gain(0.01, 0.002, 0.018)))
    assert text == (
        "It takes 1.000 ms and promises 76.0 % top-1: +1.0 points [+0.2, +1.8] more than mobilenetv2-1.0 (0.900 ms,"
        " 75.0 %), the known network with the best mean accuracy that meets the target, at +0.100 ms."
    )


def test_a_loss_is_no_gain_and_the_known_network_is_advised() -> None:
    text = gain_text(_answer(_gain(-0.02, -0.03, -0.01)))
    assert "-2.0 points [-3.0, -1.0] against mobilenetv2-1.0" in text
    assert "The known one is better: take mobilenetv2-1.0" in text


def test_what_cannot_be_told_apart_is_said_and_the_known_network_advised() -> None:
    text = gain_text(_answer(_gain(0.005, -0.004, 0.014)))
    assert "The two cannot be told apart: take mobilenetv2-1.0, which others have trained (71.8 %)." in text
    assert "speaks" not in text  # slower, larger, with more multiply-adds


def test_what_may_still_speak_for_an_answer_is_said() -> None:
    small = replace(BEST, params=2_000_000, latency=replace(BEST.latency, mean_ms=0.7))
    text = gain_text(_answer(_gain(-0.002, -0.01, 0.006, ms=-0.2), small))
    assert text.endswith("speaks that it takes 0.2 ms less and has 1.5 M fewer parameters.")


def test_no_known_network_that_meets_the_target_is_said() -> None:
    assert "no known network with a latency here meets the target" in gain_text(_answer(None))


def test_an_answer_that_is_the_known_network_is_said_to_be() -> None:
    text = gain_text(_answer(_gain(0.0, 0.0, 0.0, ms=0.0), KNOWN))
    assert text.endswith("it is the known network with the best mean accuracy that meets the target.")


def test_without_a_target_it_is_limits_that_are_met() -> None:
    limits = Limits(max_params=4_000_000)
    asked = [replace(_answer(*one), target_ms=None, limits=limits) for one in ((_gain(0.01, 0.002, 0.018),), (None,))]
    texts = [*map(gain_text, asked), gain_text(replace(_answer(_gain(0, 0, 0), KNOWN), target_ms=None, limits=limits))]
    assert all("meets the limits" in text and "target" not in text for text in texts)


@pytest.mark.parametrize("width", [60, 80])
def test_the_answer_its_gain_and_notes_come_first_and_every_line_fits(width: int) -> None:
    doubtful = replace(BEST, latency=replace(BEST.latency, warnings=("42 % of the time is in attention, a guess",)))
    note = "The known network mobilenetv1-0.25 , far from the target, is named."
    text = search_text(_answer(_gain(0.01, 0.002, 0.018), doubtful, (note,)), "run-1", None, Page(width=width))
    assert all(len(line) <= width for line in text.split("\n"))
    flat = " ".join(text.split())
    places = [flat.index(words) for words in ("repvit-m1.0 (untrained)", "It takes", "a guess", note, "Beside the")]
    assert places == sorted(places)
    assert "mobilenetv1-0.25" in flat[places[-1] :]  # what a note names is in the table
