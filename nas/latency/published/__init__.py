"""Latency fitted to whole-network figures that others published."""
