"""What each reward answers: writes benchmarks/rewards.md.

    python -m benchmarks.rewards

One target on iphone12, the space `mobile`: the hard reward, the soft one with four exponents, and the absolute one. The
weaker a reward punishes latency, the slower its answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import nas
from benchmarks.environment import environment_text
from nas.jobs.search import search
from nas.jobs.search_answer import SearchAnswer
from nas.report.table import markdown
from nas.space.search_space import SearchSpace
from nas.strategies import Reward

DEVICE, SPACE, TARGET_MS = "iphone12", "mobile", 1.0
EXPONENTS = (-0.02, -0.07, -0.15, -0.3)
REWARDS = (
    Reward.parse("hard"),
    *(Reward.parse("soft", w) for w in EXPONENTS),
    Reward.parse("absolute"),
    Reward.parse("absolute", -0.5),
)
REPORT = Path(__file__).with_name("rewards.md")


def answers() -> list[SearchAnswer]:
    """The answer of each reward."""
    latency, accuracy, space = nas.load_latency(DEVICE), nas.load_accuracy("imagenet"), nas.load_space(SPACE)
    assert isinstance(space, SearchSpace)
    return [search(space, latency=latency, accuracy=accuracy, target_ms=TARGET_MS, reward=reward) for reward in REWARDS]


def in_order(found: Sequence[SearchAnswer]) -> bool:
    """Whether the soft reward's answers are the faster, the more it punishes latency."""
    soft = [answer.best.latency.mean_ms for answer in found if answer.reward.form == "soft"]
    return all(faster < slower for slower, faster in pairwise(soft))


def _row(answer: SearchAnswer) -> tuple[str, ...]:
    best, reward = answer.best, answer.reward
    number = reward.beta if reward.beta is not None else reward.w_over
    return (
        reward.form,
        f"{number:g}",
        f"{best.latency.mean_ms:.3f} [{best.latency.low_ms:.3f}, {best.latency.high_ms:.3f}]",
        f"{100 * (best.latency.mean_ms / TARGET_MS - 1):+.1f} %",
        f"{100 * best.accuracy.mean:.2f} [{100 * best.accuracy.low:.2f}, {100 * best.accuracy.high:.2f}]",
        f"{best.reward:.4f}",
        best.architecture.digest,
    )


def main() -> None:
    """Search by every reward and write the report."""
    found = answers()
    headers = ("reward", "w or β", "latency ms", "against the target", "top-1 %", "reward of the answer", "digest")
    order = "in that order" if in_order(found) else "NOT in that order"
    text = [
        "# Rewards: what each of them answers",
        "",
        environment_text("python -m benchmarks.rewards"),
        "",
        f"{TARGET_MS:g} ms on {DEVICE}, the space `{SPACE}`, seed 0. By the hard reward nothing above the target wins.",
        "",
        markdown(headers, [_row(answer) for answer in found]),
        "",
        f"From w = {EXPONENTS[0]:g} to {EXPONENTS[-1]:g} the answers of the soft reward become faster, {order}.",
    ]
    REPORT.write_text("\n".join(text) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
