"""The surrogate: a model of accuracy given all trials, and the point that it is worth asking for next."""

from nas.trials.surrogate.asker import Surrogate
from nas.trials.surrogate.model import CodeModel, CodePosterior, Model, Posterior
from nas.trials.surrogate.observed import Observed, observed

__all__ = ["CodeModel", "CodePosterior", "Model", "Observed", "Posterior", "Surrogate", "observed"]
