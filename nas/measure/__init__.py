"""Where a stopwatch meets hardware: timing networks on a device."""

from nas.measure.runner import Runner, Timing, find_runner

__all__ = ["Runner", "Timing", "find_runner"]
