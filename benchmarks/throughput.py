"""How many candidates a second the search can ask about: writes benchmarks/throughput.md.

    python -m benchmarks.throughput

CPU time (of all threads together) for random networks of `mobile`, compiled and one network at a time; the least of
interleaved rounds, so that nothing else that runs on the machine is measured.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from tabulate import tabulate

import nas
from benchmarks.environment import environment_text
from nas.accuracy import AccuracyModel
from nas.evaluate import Limits, Models, SpaceProblem
from nas.latency import LatencyModel
from nas.space import Codes, SearchSpace
from nas.strategies import Reward

SPACE, DEVICE, ACCURACY = "mobile", "iphone12", "imagenet"
TARGET_MS = 1.0
BATCH = 8192
ALONE = 8
ROUNDS = 25
REPORT = Path(__file__).with_name("throughput.md")

Question = Callable[[Codes], object]


def compiled_questions(problem: SpaceProblem, reward: Reward) -> dict[str, Question]:
    """What is asked of codes, answered by gathers and sums."""

    def whole_reward(codes: Codes) -> object:
        found = problem.evaluate(codes)
        return reward.reward(found.score, found.bounded_ms, TARGET_MS)

    return {
        "canonical code": problem.canonical,
        "MACs": problem.macs,
        "latency": problem.latency_ms,
        "reward": whole_reward,
    }


def single_questions(
    space: SearchSpace, latency: LatencyModel, accuracy: AccuracyModel, reward: Reward
) -> dict[str, Question]:
    """The same by building each network and asking the models about it."""

    def one_reward(code: Codes) -> object:
        network = space.decode(code)
        low = accuracy.estimate([network])[0].low
        return reward.reward(low, latency.latency_ms([network.graph()]), TARGET_MS)

    def each(question: Question) -> Question:
        return lambda codes: [question(code) for code in codes]

    return {
        "MACs": each(lambda code: space.decode(code).graph().macs),
        "latency": each(lambda code: latency.latency_ms([space.decode(code).graph()])),
        "reward": each(one_reward),
    }


def least_seconds(questions: Mapping[str, tuple[Question, int]], space: SearchSpace) -> dict[str, float]:
    """Least CPU seconds a network for each question, asked about so many random networks at a time in every round."""
    rng = np.random.default_rng(0)
    least = dict.fromkeys(questions, np.inf)
    for _ in range(ROUNDS):
        for name, (question, count) in questions.items():
            codes = space.sample_codes(count, rng)
            start = time.process_time()
            question(codes)
            least[name] = min(least[name], (time.process_time() - start) / count)
    return least


def agreement(problem: SpaceProblem, models: Models, reward: Reward) -> str:
    """How far the two ways are apart, in words."""
    codes = problem.space.sample_codes(200, np.random.default_rng(1))
    networks = [problem.space.decode(code) for code in codes]
    figures, found = models.figures(networks), problem.evaluate(codes)
    same = np.array_equal(problem.macs(codes), [network.graph().macs for network in networks])
    latency = np.abs(problem.latency_ms(codes) / figures.latency_ms - 1).max()
    exact = reward.reward(figures.score, figures.bounded_ms, TARGET_MS)
    apart = reward.reward(found.score, found.bounded_ms, TARGET_MS) - exact
    return (
        f"On {len(codes)} random networks the MACs of both ways {'are equal' if same else 'DIFFER'}, the latencies"
        f" differ by at most {latency:.1e} of themselves. The compiled reward takes the screened bound of accuracy"
        " (`Prior.screen`), which finds candidates and is replaced by the exact one in whatever is reported: here it is"
        f" {apart.min():+.4f} to {apart.max():+.4f} from the exact reward."
    )


def main() -> None:
    """Measure and write the report."""
    space = nas.load_space(SPACE)
    assert isinstance(space, SearchSpace)
    latency, accuracy = nas.load_latency(DEVICE), nas.load_accuracy(ACCURACY)
    reward = Reward.parse("soft", None)
    models = Models(latency, accuracy, Limits())
    start = time.process_time()
    problem = SpaceProblem(space, models)
    compiling = time.process_time() - start
    compiled = {name: (question, BATCH) for name, question in compiled_questions(problem, reward).items()}
    alone = {f"{k}, alone": (q, ALONE) for k, q in single_questions(space, latency, accuracy, reward).items()}
    least = least_seconds({**compiled, **alone}, space)
    rows = []
    for name in compiled:
        single = least.get(f"{name}, alone")
        ratio = "" if single is None else f"{single / least[name]:,.0f}"
        rows.append((name, f"{1 / least[name]:,.0f}", "" if single is None else f"{1 / single:,.0f}", ratio))
    headers = ("question", "compiled, networks/s", "one at a time, networks/s", "ratio")
    sizes = {str(n): (problem.latency_ms, n) for n in (256, 1024, 4096, 16384, 65536)}
    by_size = [(n, f"{1 / seconds:,.0f}") for n, seconds in least_seconds(sizes, space).items()]
    rows_of_table = len(problem.compiled.table)
    text = f"""# Throughput

{environment_text("python -m benchmarks.throughput")}

Random networks of `{SPACE}` on one core: latency on {DEVICE}, accuracy by {ACCURACY}, the soft reward at
{TARGET_MS:g} ms. CPU time, all threads together, the least of {ROUNDS} interleaved rounds; {BATCH:,} codes at a time
compiled, {ALONE} one at a time (decoded, built as a graph, given to the models). A search also brings every code into
its canonical form, which is the first line.

{tabulate(rows, headers, tablefmt="github", disable_numparse=True)}

Compiling the space for both models, once a search: {compiling:.1f} s of CPU time for a table of {rows_of_table:,} rows.

{agreement(problem, models, reward)}

Latency by how many codes are asked about at a time:

{tabulate(by_size, ("codes", "networks/s"), tablefmt="github", disable_numparse=True)}
"""
    REPORT.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
