"""Latency fitted to our own timings of whole networks."""
