"""Evaluations that cost: what is asked, who is asked next, where it runs, and what is kept of it."""
