"""How fast the machine was: told by the reference network, which is timed in every batch.

A machine with other work, or other tenants, runs slower or faster for seconds or minutes. Its usual speed is that of
the median batch; a table predicts for that, and what is measured later is brought to it by the reference network that
ran beside.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nas.latency.published.cost_model import Floats

CALM = 0.05
"""A batch that strays no more than this from the usual speed is calm."""
_NOISE, _SLOW_NOISE, _LEAST = 0.015, 0.3, 3


def usual_ms(reference_ms: Sequence[float]) -> float:
    """The reference's time on the machine as it usually is, in ms, from its times in all batches."""
    return float(np.median(reference_ms))


def slowness(reference_ms: Sequence[float] | Floats, usual: float) -> Floats:
    """How much slower than usual the machine was in each batch, shape (batches,); negative where it was faster."""
    return np.asarray(np.asarray(reference_ms, dtype=np.float64) / usual - 1.0)


def at_usual_speed(times_ms: Floats, reference_ms: Floats, usual: float | None) -> tuple[Floats, Floats, float]:
    """`times_ms` (processes, networks) brought to the usual speed by the reference's time in each process (processes,).

    Gives the corrected times, their mean over the processes (networks,), in which a process counts less the farther it
    was from the usual speed, and the relative standard error of such a mean: infinite for fewer than three processes.
    A `usual` of None leaves the times as they are.
    """
    slow = np.zeros(len(times_ms)) if usual is None else slowness(reference_ms, usual)
    corrected = times_ms / (1.0 + slow[:, None])
    weights = 1.0 / (_NOISE**2 + (_SLOW_NOISE * slow) ** 2)
    weights /= weights.sum()
    logs = np.log(corrected)
    mean = weights @ logs
    effective = 1.0 / float((weights**2).sum())
    if len(times_ms) < _LEAST or not logs.size:
        return corrected, np.exp(mean), np.inf
    scatter = float((weights @ (logs - mean) ** 2).mean()) * effective / max(effective - 1.0, 1e-9)
    return corrected, np.exp(mean), float(np.sqrt(scatter / effective))
