"""Where a stopwatch meets hardware: ways to time network files on a device."""

from nas.runners.find import find_runner
from nas.runners.runner import Runner, Timing

__all__ = ["Runner", "Timing", "find_runner"]
