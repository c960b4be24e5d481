"""What one network or a million codes are worth, by latency and accuracy models."""

from nas.evaluate.also import Also, further
from nas.evaluate.coverage import SpaceCoverage, space_coverage
from nas.evaluate.fastest import fastest_on
from nas.evaluate.figures import Figures
from nas.evaluate.limits import Limits
from nas.evaluate.models import Models
from nas.evaluate.problem import SpaceProblem
from nas.evaluate.shrinking import ChannelAdaptation, ShrunkNetwork

__all__ = [
    "Also",
    "ChannelAdaptation",
    "Figures",
    "Limits",
    "Models",
    "ShrunkNetwork",
    "SpaceCoverage",
    "SpaceProblem",
    "fastest_on",
    "further",
    "space_coverage",
]
