"""Latency of a new device from few measurements: what other devices, physics and the structure of a space say first."""

from nas.latency.transfer.fit import fit_latency
from nas.latency.transfer.operators import fit_operators

__all__ = ["fit_latency", "fit_operators"]
