"""Rewards of hardware-aware search: one number from accuracy and latency."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nas.errors import InputError, unknown_name

Form = Literal["soft", "hard", "absolute"]
FORMS: tuple[Form, ...] = get_args(Form)

REACH = 1.3
"""Rewards that pay for latencies above the target do so up to this multiple of it; NetAdapt starts as far above."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reward:
    """A reward to maximise: `form` with its exponents (soft, hard) or its slope (absolute).

    * soft and hard: ACC * (LAT / TAR)^w, w = `w_under` at or below the target and `w_over` above it (MnasNet,
      arXiv:1807.11626, section 3.1, equations 2 and 3, figure 3). soft is -0.07 / -0.07, hard is 0 / -1: it only falls
      above the target.
    * absolute: ACC + beta * |LAT / TAR - 1|, beta < 0 (TuNAS, arXiv:2008.06120). -0.10 is the default of the
      authors' released code (google-research/tunas, `rl_cost_model_exponent` with the reward `abs`).

    `Reward()` is hard; `Reward(form=...)` without numbers takes the form's own. `InputError` for numbers that would
    reward slowness.
    """

    form: Form = "hard"
    w_under: float | None = None
    w_over: float | None = None
    beta: float | None = None

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise unknown_name("reward", str(self.form), FORMS)
        if self.form == "absolute":
            if self.w_under is not None or self.w_over is not None:
                raise InputError("the absolute reward has beta and no exponents w; use soft or hard for those.")
            object.__setattr__(self, "beta", _negative("beta", -0.10 if self.beta is None else self.beta))
            return
        if self.beta is not None:
            raise InputError(f"beta belongs to the absolute reward, but got beta={self.beta} with {self.form}.")
        under, over = (-0.07, -0.07) if self.form == "soft" else (0.0, -1.0)
        over = _negative("w above the target", over if self.w_over is None else self.w_over)
        under = under if self.w_under is None else self.w_under
        if not (math.isfinite(under) and under <= 0):
            raise InputError(f"w at or below the target must be at most 0 and finite, but got {under}.")
        object.__setattr__(self, "w_under", float(under))
        object.__setattr__(self, "w_over", over)

    @classmethod
    def parse(cls, form: str, w: float | None = None) -> Reward:
        """The reward called `form`, its one free number replaced by `w` unless that is None.

        `w` is the exponent on both sides for soft (-0.15 is MobileNetV3-Small's, whose accuracy changes faster with
        latency: arXiv:1905.02244, section 4.1), the one above the target for hard, and beta for absolute. Raises
        `InputError` for an unknown form or a `w` that is not negative.
        """
        if form not in FORMS:
            raise unknown_name("reward", form, FORMS)
        if w is None:
            return cls(form=form)
        if form == "soft":
            return cls(form=form, w_under=_negative("w", w), w_over=w)
        return cls(form=form, w_over=w) if form == "hard" else cls(form=form, beta=w)

    @property
    def reach(self) -> float:
        """The greatest multiple of the target that an answer may have: 1 for hard, above which nothing wins."""
        return 1.0 if self.form == "hard" else REACH

    def reward(self, accuracy: ArrayLike, latency_ms: ArrayLike, target_ms: float) -> NDArray[np.float64]:
        """The rewards, in the unit of `accuracy`; arrays broadcast against each other, latencies in milliseconds.

        A score may be below 0, where penalties exceed it: the power then divides, so that slower stays worse.
        """
        value = np.asarray(accuracy, dtype=np.float64)
        ratio = np.asarray(latency_ms, dtype=np.float64) / target_ms
        if self.beta is not None:
            return np.asarray(value + self.beta * np.abs(ratio - 1.0))
        assert self.w_under is not None and self.w_over is not None
        exponent = np.where(ratio <= 1.0, self.w_under, self.w_over)
        return np.asarray(value * np.power(ratio, np.where(value < 0.0, -exponent, exponent)))

    def as_json(self) -> dict[str, str | float]:
        """The form and the numbers that it uses."""
        if self.beta is not None:
            return {"form": self.form, "beta": self.beta}
        assert self.w_under is not None and self.w_over is not None
        return {"form": self.form, "w_under": self.w_under, "w_over": self.w_over}


def _negative(name: str, value: float) -> float:
    if not (math.isfinite(value) and value < 0):
        raise InputError(
            f"{name} must be negative and finite, but got {value}; a reward has to fall as the latency grows."
        )
    return float(value)
