"""What one network or a million codes are worth, by latency and accuracy models."""

from nas.evaluate.also import Also, further
from nas.evaluate.coverage import SpaceCoverage, space_coverage
from nas.evaluate.figures import Figures
from nas.evaluate.limits import Aim, Limits
from nas.evaluate.models import Models
from nas.evaluate.problem import SpaceProblem
from nas.evaluate.shrinking import ChannelAdaptation, ShrunkNetwork
from nas.evaluate.simplicity import Simplicity, simplicity
from nas.evaluate.simplify import Simplifier, search_uniform

__all__ = [
    "Aim",
    "Also",
    "ChannelAdaptation",
    "Figures",
    "Limits",
    "Models",
    "ShrunkNetwork",
    "Simplicity",
    "Simplifier",
    "SpaceCoverage",
    "SpaceProblem",
    "further",
    "search_uniform",
    "simplicity",
    "space_coverage",
]
