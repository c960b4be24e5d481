"""Campaigns of timing: what to time, in which order, kept where, and the tables that are fitted to it."""
