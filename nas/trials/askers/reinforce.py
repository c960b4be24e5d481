"""MnasNet's controller (Tan et al. 2019, arXiv:1807.11626, section 4.2): a policy over the genes, learnt by PPO."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from nas.strategies.problem import Codes
from nas.trials.askers.ground import Untried
from nas.trials.askers.model_free import ModelFree
from nas.trials.records import Proposal, Trial, measured

Floats = NDArray[np.float64]

GROUP = 8
"""Trials of one update, in the order of their numbers."""

_EPOCHS, _CLIP, _RATE, _DECAY, _ENTROPY = 4, 0.2, 0.05, 0.9, 0.003
_SAMPLES, _ROUNDS = 64, 16


class Reinforce(ModelFree):
    """Samples points from a policy that every `GROUP` finished trials have made better.

    The policy is replayed from the trials at every ask. Its samples that were tried or miss the target are drawn again.
    """

    name = "reinforce"

    def _choose(self, trials: list[Trial], untried: Untried, count: int) -> Iterator[Proposal]:
        codes, accuracies = measured(trials)
        policy = Policy(self.ground.cardinalities)
        policy.learn(codes, self.ground.value(codes, accuracies))
        left = count
        for _ in range(_ROUNDS):
            for code in untried.take(policy.sample(_SAMPLES, untried.rng), left):
                left -= 1
                yield Proposal(codes=code, why="sample of the policy")
            if not left:
                return


class Policy:
    """An autoregressive distribution over codes: the logits of a gene's choices are linear in the choices of the genes
    before it; uniform at first."""

    def __init__(self, cardinalities: NDArray[np.int64]) -> None:
        self._ends = np.cumsum(cardinalities)
        self._genes = [slice(int(end - c), int(end)) for c, end in zip(cardinalities, self._ends, strict=True)]
        size = int(self._ends[-1])
        gene = np.repeat(np.arange(len(cardinalities)), cardinalities)
        self._earlier = np.concatenate([gene[:, None] < gene, np.ones((1, size), dtype=bool)])
        # One row for each earlier choice, and one for the bias.
        self._weights = np.zeros((size + 1, size))
        self._momentum, self._square, self._steps = np.zeros_like(self._weights), np.zeros_like(self._weights), 0

    def log_probability(self, codes: Codes) -> Floats:
        """Of each code, shape (n,)."""
        chosen = self._chosen(codes)
        return np.asarray((np.log(self._probabilities(chosen)) * chosen[:, :-1]).sum(axis=1))

    def sample(self, count: int, rng: np.random.Generator) -> Codes:
        """Codes drawn gene by gene, shape (count, genes)."""
        chosen = np.zeros((count, len(self._weights)))
        chosen[:, -1] = 1.0
        codes = np.zeros((count, len(self._genes)), dtype=np.int64)
        for i, gene in enumerate(self._genes):
            cumulative = np.cumsum(_softmax(chosen @ self._weights[:, gene]), axis=1)
            places = (rng.random(count)[:, None] * cumulative[:, -1:] >= cumulative[:, :-1]).sum(axis=1)
            codes[:, i] = places
            chosen[np.arange(count), gene.start + places] = 1.0
        return codes

    def learn(self, codes: Codes, values: Floats) -> None:
        """Clipped policy gradients (PPO, Schulman et al. 2017, arXiv:1707.06347, eq. 7) with Adam, one group after the
        other; the baseline is the moving average of the values, which are measured in their standard deviations."""
        baseline: float | None = None
        for end in range(GROUP, len(codes) + 1, GROUP):
            group = slice(end - GROUP, end)
            spread = max(float(values[:end].std()), 1e-9)
            mean = float(values[group].mean())
            baseline = mean if baseline is None else baseline
            self._update(codes[group], (values[group] - baseline) / spread)
            baseline = _DECAY * baseline + (1 - _DECAY) * mean

    def _update(self, codes: Codes, advantages: Floats) -> None:
        chosen = self._chosen(codes)
        before = self.log_probability(codes)
        for _ in range(_EPOCHS):
            probabilities = self._probabilities(chosen)
            ratio = np.exp((np.log(probabilities) * chosen[:, :-1]).sum(axis=1) - before)
            # Beyond the clip a step that would lead on in the same direction has no gradient.
            free = np.where(advantages > 0, ratio < 1 + _CLIP, ratio > 1 - _CLIP)
            towards = (advantages * ratio * free)[:, None] * (chosen[:, :-1] - probabilities)
            towards += _ENTROPY * self._to_entropy(probabilities)
            self._step(chosen.T @ towards / len(codes))

    def _to_entropy(self, probabilities: Floats) -> Floats:
        """The gradient of the entropy in the logits: −p (log p + H)."""
        found = np.empty_like(probabilities)
        for gene in self._genes:
            own = probabilities[:, gene]
            log = np.log(own)
            found[:, gene] = -own * (log - (own * log).sum(axis=1, keepdims=True))
        return found

    def _step(self, gradient: Floats) -> None:
        """Adam (Kingma and Ba 2015, algorithm 1), uphill."""
        self._steps += 1
        gradient = gradient * self._earlier
        self._momentum += 0.1 * (gradient - self._momentum)
        self._square += 0.001 * (gradient**2 - self._square)
        first = self._momentum / (1 - 0.9**self._steps)
        second = self._square / (1 - 0.999**self._steps)
        self._weights += _RATE * first / (np.sqrt(second) + 1e-8)

    def _chosen(self, codes: Codes) -> Floats:
        """Which choices codes have, and a one for the bias, shape (n, choices + 1)."""
        chosen = np.zeros((len(codes), len(self._weights)))
        chosen[:, -1] = 1.0
        starts = np.array([gene.start for gene in self._genes])
        chosen[np.arange(len(codes))[:, None], starts + codes] = 1.0
        return chosen

    def _probabilities(self, chosen: Floats) -> Floats:
        logits = chosen @ self._weights
        return np.concatenate([_softmax(logits[:, gene]) for gene in self._genes], axis=1)


def _softmax(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(np.maximum(powers / powers.sum(axis=1, keepdims=True), 1e-12))
