"""Latency of a new device from few measurements: what other devices, physics and the structure of a space say first."""
